"""Opcodes that push a literal, written as text or with a length, and are too rare for the interpreter's loop.

CPython's C and Python readers, its versions and pickletools read some text forms differently. The form that pickle
itself writes is canonical. Any other form gets a note, which keeps the file from being clean, and is read the way most
readers do, so that the effects behind it are still found. Semantics: CPython Modules/_pickle.c (3.11) and
Lib/pickle.py; numbers in comments are CPython issues.
"""

from __future__ import annotations

import re
from typing import Final

from safeload.errors import Malformed
from safeload.machine.state import State

# What pickle writes. Not -0: an INT of it has three bytes with its newline, and older C readers take that for a bool.
_INTEGER: Final = re.compile(rb"0|-?[1-9][0-9]*")
_FLOAT: Final = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?|-?inf|nan")
# C converts with base 0, to which a leading zero means octal.
_OCTAL: Final = rb"\s*[+-]?0[0-7]+\s*"
_ESCAPE: Final = rb"(?s:\\(\n|[\\'\"abfnrtv]|[0-7]{1,3}|x[0-9A-Fa-f]{2}|.|$))"
_ESCAPES: Final = {
    b"\n": b"",
    b"\\": b"\\",
    b"'": b"'",
    b'"': b'"',
    b"a": b"\a",
    b"b": b"\b",
    b"f": b"\f",
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
    b"v": b"\v",
}
# CPython refuses longer text unless told otherwise, and the conversion takes quadratic time.
_DIGITS: Final = 4300
# What any reader, of any base, takes for a number. Possessive: matching takes linear time. But not around a group:
# there Python before 3.11.5 stays behind a part that matched when the rest of the group did not.
_SPELLED: Final = re.compile(rb"\s*+[+-]?+(?:0[xX][0-9A-Fa-f_]++|(?:0[bBoO])?[0-9_]++)\s*+")


def _number(text: bytes, offset: int) -> int:
    """The integer that most readers make of a non-canonical `text`."""
    # C stops at a zero byte, Python refuses it (126996).
    text = text.partition(b"\0")[0]
    for base in (10, 0):
        try:
            if base == 10 and re.fullmatch(_OCTAL, text):
                return int(text, 8)
            return int(text, base)
        except ValueError:
            continue
    raise Malformed(f"{text[:40]!r} is not an integer", offset=offset)


def integer(state: State, text: bytes, offset: int) -> int:
    """The integer that `text` spells. Notes every spelling that pickle does not write."""
    if not text:
        raise Malformed("a number is missing", offset=offset)
    if len(text) > _DIGITS + 1:
        # SECURITY: LimitExceeded, not Malformed. Another reader may convert this text and go on to what follows: it
        # does not count blanks and underscores, and its limit of digits is a setting. Malformed would say that every
        # reader stops here; that holds only for text that no reader converts.
        if _SPELLED.fullmatch(text.partition(b"\0")[0]):
            raise state.limit("integer_bytes", f"a text integer of {len(text)} bytes", offset)
        raise Malformed(f"{text[:40]!r} is not an integer", offset=offset)
    if len(text) > state.integer_limit:
        raise state.limit("integer_bytes", f"a text integer of {len(text)} bytes", offset)
    if _INTEGER.fullmatch(text) is None:
        # 126992 (base 0 or 10), 126996 (zero bytes), 135241, 144410: sign, spaces, underscores, leading zeros
        state.note(f"{text[:40]!r} is not how pickle writes an integer", offset)
        return _number(text, offset)
    try:
        return int(text)
    except ValueError as error:  # more digits than this process allows (sys.set_int_max_str_digits)
        raise state.limit("integer_bytes", str(error), offset) from None


def load_int(state: State, offset: int) -> None:
    """INT: a line of decimal digits; 00 and 01 are False and True."""
    text = state.line(offset)
    if text in (b"00", b"01"):
        state.stack.append(text == b"01")
    else:
        state.stack.append(integer(state, text, offset))


def load_long(state: State, offset: int) -> None:
    """LONG: a line of decimal digits that ends with L."""
    text = state.line(offset)
    if text.endswith(b"L"):
        text = text[:-1]
    else:
        state.note("a LONG without its L", offset)
    state.stack.append(integer(state, text, offset))


def load_long1(state: State, offset: int) -> None:
    """LONG1: a little-endian two's complement integer with a 1-byte length."""
    _counted_long(state, state.count(1, offset), offset)


def load_long4(state: State, offset: int) -> None:
    """LONG4: a little-endian two's complement integer with a signed 4-byte length."""
    size = state.count(4, offset)
    if size >= 1 << 31:
        raise Malformed("a LONG4 has a negative length", offset=offset)
    _counted_long(state, size, offset)


def _counted_long(state: State, size: int, offset: int) -> None:
    # SECURITY: first, because a conversion to text or another base takes quadratic time later.
    if size > state.integer_limit:
        raise state.limit("integer_bytes", f"an integer of {size} bytes", offset)
    pos = state.pos
    state.need(pos + size, offset)
    state.pos = pos + size
    state.stack.append(int.from_bytes(state.data[pos : pos + size], "little", signed=True))


def load_float(state: State, offset: int) -> None:
    """FLOAT: a line that spells a float as repr does."""
    text = state.line(offset)
    if len(text) > state.integer_limit:
        raise state.limit("integer_bytes", f"a text float of {len(text)} bytes", offset)
    plain = _FLOAT.fullmatch(text) is not None
    if not plain:
        # 135580: spaces; also underscores, signs, zero bytes, other spellings of inf and nan
        state.note(f"{text[:40]!r} is not how pickle writes a float", offset)
    try:
        value = float(text.partition(b"\0")[0])
    except ValueError:
        raise Malformed(f"{text[:40]!r} is not a float", offset=offset) from None
    if plain and value in (float("inf"), float("-inf")) and not text.endswith(b"inf"):
        state.note("a FLOAT is too large: C refuses it, Python makes it infinite", offset)
    state.stack.append(value)


def _escape(match: re.Match[bytes]) -> bytes:
    """The bytes that one backslash sequence of a STRING stands for."""
    code: bytes = match[1]
    if code in _ESCAPES:
        return _ESCAPES[code]
    if code[:1].isdigit() and code[:1] < b"8":
        return bytes([int(code, 8) & 0xFF])  # \400 to \777 wrap around in CPython too
    if len(code) == 3:
        return bytes([int(code[1:], 16)])
    return b"\\" + code


def unescape(state: State, text: bytes, offset: int) -> bytes:
    """`text` with the escapes of a bytes literal undone, as `codecs.escape_decode` does it."""
    if b"\\" not in text:
        return text
    for match in re.finditer(_ESCAPE, text):
        code: bytes = match[1]
        if code in (b"", b"x"):
            raise Malformed("a STRING has a broken escape", offset=offset)
        if code not in _ESCAPES and len(code) == 1 and not b"0" <= code <= b"7":
            state.note("a STRING has an escape that no bytes literal has", offset)
        elif len(code) == 3 and b"4" <= code[:1] <= b"7":
            state.note("a STRING has an octal escape above 377", offset)
    return re.sub(_ESCAPE, _escape, text)


def _push_string(state: State, raw: bytes, offset: int) -> None:
    """Push a python 2 str, decoded as this run's `encoding` says."""
    encoding = state.encoding
    if encoding == "bytes":
        state.stack.append(raw)
        state.blob(raw, offset)
        return
    try:
        value = raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise Malformed(f"a python 2 str is not {encoding}: {error.reason}", offset=offset) from None
    state.stack.append(value)


def load_string(state: State, offset: int) -> None:
    """STRING: a line that spells a python 2 str as repr does."""
    text = state.line(offset)
    if len(text) < 2 or text[0] != text[-1] or text[0] not in b"'\"":
        raise Malformed("a STRING is not quoted", offset=offset)
    raw = unescape(state, text[1:-1], offset)
    _push_string(state, raw, offset)


def load_binstring(state: State, offset: int) -> None:
    """BINSTRING: a python 2 str with a 4-byte length."""
    raw = state.take(4, offset)
    if len(raw) >= 1 << 31:
        # C reads the length as unsigned, Python as signed (135321)
        state.note("a BINSTRING of 2 GiB or more", offset)
    _push_string(state, raw, offset)


def load_short_binstring(state: State, offset: int) -> None:
    """SHORT_BINSTRING: a python 2 str with a 1-byte length."""
    raw = state.take(1, offset)
    _push_string(state, raw, offset)


def load_unicode(state: State, offset: int) -> None:
    """UNICODE: a line in raw-unicode-escape."""
    raw = state.line(offset)
    try:
        value = raw.decode("raw-unicode-escape")
    except UnicodeDecodeError as error:
        raise Malformed(f"a UNICODE has a broken escape: {error.reason}", offset=offset) from None
    state.stack.append(value)


def load_binunicode8(state: State, offset: int) -> None:
    """BINUNICODE8: text in UTF-8 with an 8-byte length."""
    raw = state.take(8, offset)
    value = decode(raw, offset)
    state.stack.append(value)


def decode(raw: bytes, offset: int) -> str:
    """`raw` decoded as UTF-8, lone surrogates included. Raises Malformed."""
    try:
        return raw.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise Malformed(f"text is not UTF-8: {error.reason}", offset=offset) from None


def load_binbytes(state: State, offset: int) -> None:
    """BINBYTES: bytes with a 4-byte length."""
    raw = state.take(4, offset)
    state.stack.append(raw)
    state.blob(raw, offset)


def load_short_binbytes(state: State, offset: int) -> None:
    """SHORT_BINBYTES: bytes with a 1-byte length."""
    raw = state.take(1, offset)
    state.stack.append(raw)
    state.blob(raw, offset)


def load_binbytes8(state: State, offset: int) -> None:
    """BINBYTES8: bytes with an 8-byte length."""
    raw = state.take(8, offset)
    state.stack.append(raw)
    state.blob(raw, offset)


def load_bytearray8(state: State, offset: int) -> None:
    """BYTEARRAY8: a bytearray with an 8-byte length."""
    raw = state.take(8, offset)
    state.stack.append(bytearray(raw))
    state.blob(raw, offset)
