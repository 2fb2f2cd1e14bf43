"""Pickles that stand as base64 text inside JSON: stable-baselines3 saves so what JSON cannot hold.

Finds these texts, and decodes them as the loader does; judges nothing, and reads no opcode. Works on text in memory.

Semantics: stable_baselines3/common/save_util.py (`json_to_data`): `base64.b64decode(item[":serialized:"].encode())`,
which skips letters outside the alphabet. For strings under other keys no loader is known; they count when what they
decode to could be a pickle.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from typing import NamedTuple

from safeload.containers.sniff import may_import
from safeload.containers.text.json_text import JsonString, Utf8Text, in_utf8, strings_in, unescaped
from safeload.errors import LimitExceeded
from safeload.findings import Finding, Severity, Verdict
from safeload.limits import Limits

_SERIALIZED = ":serialized:"
_SHORTEST = 16
"""Letters of base64 in the shortest string that is looked at. They stand for 12 bytes: no pickle so short calls."""

_BASE64 = re.compile(rb"[A-Za-z0-9+/_\-\s]{16,}+[=\s]*+")
# A word of base64 that begins with PROTO 2 to PROTO 5.
_RUN = re.compile(rb"(?<![A-Za-z0-9+/_\-])gA[I-X][A-Za-z0-9+/_\-]{13,}+")
_STARTS = tuple(bytes((0x80, protocol)) for protocol in range(2, 6))
_STANDARD = bytes.maketrans(b"-_", b"+/")
_IGNORED = b" \t\n\r\f\v="
_PRINTABLE = re.compile(rb"[\t\n\f\r\x20-\x7e]*+")
_NAME_LINE = re.compile(rb"\n[A-Za-z_][\w.]*+(?=\n)")
_NAME_LETTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_."
_IMPORT = re.compile(rb"[ci][A-Za-z_]")
# Any text that holds such a pickle has this: a string of letters and escapes, JSON inside a string, or a word as above.
_MAY_HOLD = re.compile(
    rb'"(?:[A-Za-z0-9+/_\-\s=:]|\\.){12}|\\u0022|(?:g|\\.)(?:[A-Za-z0-9+/_\-]|\\.){15}',
    re.DOTALL,
)


class EmbeddedPickle(NamedTuple):
    """A string that decodes to a pickle, or to bytes that could be one.

    key     the nearest key before it, shortened; keys that stable-baselines3 itself adds do not count
    data    the decoded bytes
    offset  byte offset of the string in the text
    text    the bytes are printable text with lines that would import something: a pickle of protocol 0, or just text
    raw     the bytes begin like a pickle that Python reads, but like none that Python writes
    """

    key: str
    data: bytes
    offset: int
    text: bool = False
    raw: bool = False


def may_hold_pickles(data: bytes) -> bool:
    """Whether `pickles_in_json` could find anything: one fast search. False is certain."""
    # A text in another encoding than UTF-8 has a NUL among its first bytes, or a byte order mark.
    return b"\0" in data[:4] or data.startswith((b"\xff\xfe", b"\xfe\xff")) or _MAY_HOLD.search(data) is not None


def pickles_in_json(data: bytes, member: str, limits: Limits) -> Iterator[EmbeddedPickle | Finding]:
    """Each base64 pickle in the strings of `data`, once; also in JSON inside a string. `data` need not be valid JSON.

    A text that the loader would decode, and that does not decode, is a finding. Raises Malformed when `data` is no text
    in any encoding of JSON, LimitExceeded when it is too large or holds too many pickles.
    """
    seen: set[bytes] = set()
    for found in _found(in_utf8(data, limits), member):
        mark = hashlib.sha256(found.data).digest() if isinstance(found, EmbeddedPickle) else str(found.offset).encode()
        if mark in seen:
            continue
        if len(seen) >= limits.nested_files:
            raise LimitExceeded(
                f"the JSON holds more than {limits.nested_files} strings that could be pickles",
                limit="nested_files",
                offset=found.offset,
            )
        seen.add(mark)
        yield found


def _found(text: Utf8Text, member: str) -> Iterator[EmbeddedPickle | Finding]:
    """The pickles in the strings of `text`, in the strings of a JSON inside a string, and outside of strings."""
    label, end = "", 0
    for string in strings_in(text):
        if string.start - end >= _SHORTEST:
            yield from _runs(text.data[end : string.start], label, string.offset)
        end = string.end
        if string.is_key:
            label = _label(string, label)
        # An escape may stand for a letter of base64, or for a line end between two letters.
        escaped = b"\\" in string.raw
        written = unescaped(string.raw).encode("utf-8", "surrogatepass") if escaped else string.raw
        yield from _in_string(string, written, label, member)
        if escaped and b'"' in written:
            yield from _in_inner(written, string.offset, label, member)
    yield from _runs(text.data[end:], label, text.place(end))


def _in_inner(written: bytes, offset: int, label: str, member: str) -> Iterator[EmbeddedPickle | Finding]:
    """The pickles in a JSON that stands in a string at `offset`. One level only: no loader goes deeper."""
    for string in strings_in(Utf8Text(written, lambda _: offset)):
        if string.is_key:
            label = _label(string, label)
        inner = unescaped(string.raw).encode("utf-8", "surrogatepass") if b"\\" in string.raw else string.raw
        yield from _in_string(string, inner, label, member)


def _label(string: JsonString, before: str) -> str:
    """What to call the values under a key: the key itself, unless it is a mark of stable-baselines3's own."""
    raw = string.raw
    key = unescaped(raw) if len(raw) <= 600 else raw[:100].decode("utf-8", "replace")
    return before if key.startswith(":") else key[:100].encode("utf-8", "backslashreplace").decode()


def _in_string(string: JsonString, written: bytes, label: str, member: str) -> Iterator[EmbeddedPickle | Finding]:
    """The pickles in one string. `written` is its text, with escapes read."""
    if string.direct and _is_serialized(string.key):
        yield _serialized(string, written, label, member)
        return
    decoded = _decode(written) if _BASE64.fullmatch(written) else None
    if decoded is None:
        yield from _runs(written, label, string.offset)
        return
    shape = _shape(decoded)
    if shape is not None:
        yield EmbeddedPickle(label, decoded, string.offset, shape == "text", shape == "raw")


def _is_serialized(key: bytes) -> bool:
    if b"\\" not in key:
        return key == _SERIALIZED.encode()
    return len(key) <= 6 * len(_SERIALIZED) and unescaped(key) == _SERIALIZED


def _serialized(string: JsonString, written: bytes, label: str, member: str) -> EmbeddedPickle | Finding:
    """Decode a string as the loader of stable-baselines3 does."""
    try:
        # SECURITY: encode first, and decode without `validate`, as the loader does: it skips letters outside the
        # alphabet. b64decode of the str would refuse a letter beyond ASCII, and miss what the loader decodes.
        decoded = base64.b64decode(written.decode().encode())
    except ValueError:
        decoded = b""
    if decoded:
        return EmbeddedPickle(label, decoded, string.offset)
    return Finding(
        "embedded-unread",
        Verdict.UNJUDGED,
        Severity.MEDIUM,
        f"the string under {_SERIALIZED!r} is unpickled when the model is loaded, and is no base64 that can be decoded",
        "Get the file again from its source; another version of its loader may read what this one refuses.",
        member=member,
        offset=string.offset,
        evidence=string.raw[:100].decode("utf-8", "replace"),
    )


def _runs(written: bytes, label: str, offset: int) -> Iterator[EmbeddedPickle]:
    """The words of base64 that begin like a pickle, in a text that is no base64 as a whole: a data URL, a comment."""
    if len(written) < _SHORTEST:
        return
    for match in _RUN.finditer(written):
        decoded = _decode(match.group())
        if decoded is not None:
            yield EmbeddedPickle(label, decoded, offset)


def _decode(written: bytes) -> bytes | None:
    """Decode base64 in either alphabet, with blanks and any padding; None when it has too few letters."""
    letters = written.translate(_STANDARD, _IGNORED)
    if len(letters) < _SHORTEST:
        return None
    # One letter alone at the end is not even a byte: it is cut off.
    whole = letters[: len(letters) - (len(letters) % 4 == 1)]
    return base64.b64decode(whole + b"=" * (-len(whole) % 4))


def _shape(decoded: bytes) -> str | None:
    """What bytes are: they begin like a pickle ("pickle"), are text that could be one ("text"), or may be one ("raw").

    None for no pickle. "raw" is there because a pickle may begin without the opcodes that Python writes first.
    """
    if decoded.startswith(_STARTS):
        return "pickle"
    imports = any(_imports(decoded))
    if _PRINTABLE.fullmatch(decoded):
        return "text" if imports else None
    # A pickle of protocol 1 may hold any bytes. Only one that imports at once, or after a mark, can be told from other
    # data.
    if imports and decoded.startswith((b"(", b"c")):
        return "pickle"
    return "raw" if may_import(decoded) else None


def _imports(decoded: bytes) -> Iterator[bool]:
    """For each line that is a name: whether the line before it ends in an import of a module (opcode c or i)."""
    for match in _NAME_LINE.finditer(decoded):
        line = decoded[decoded.rfind(b"\n", 0, match.start()) + 1 : match.start()]
        yield _IMPORT.search(line[len(line.rstrip(_NAME_LETTERS)) :]) is not None
