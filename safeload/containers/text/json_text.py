"""Reads JSON in one pass: its strings, or its events. Needs no more memory than the text; builds no tree.

`strings` is lenient: it finds every string that any reader of JSON would find, whether the text is JSON or not.
`events` is strict: it accepts what Python's `json.loads` accepts, unless that is nested too deeply. It gives every pair
of an object, also when keys are equal.

Semantics: CPython `Lib/json/__init__.py` (`detect_encoding`, "surrogatepass"), `Lib/json/decoder.py`, `scanner.py`.
Contract: for any bytes, both give what they find, or raise Malformed or LimitExceeded. Neither recurses.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import NamedTuple

from safeload.errors import LimitExceeded, Malformed
from safeload.limits import Limits

# Possessive repeats never go back: a string of any length takes no memory and linear time. None stands around a group
# of which a part can match alone: Python before 3.11.5 stays behind that part.
# SECURITY: the closing quote is optional. If the pattern needed it, an unclosed string would make the search start
# again at each of its quotes, which takes quadratic time.
_IN_QUOTES = rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)("?+)'
_STRING = re.compile(_IN_QUOTES + rb"(\s*+:\s*+)?+", re.DOTALL)
_NUMBER = rb"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][-+]?[0-9]++)?|NaN|-?Infinity"
_TOKEN = re.compile(
    rb"[ \t\n\r]*+(?:([{\[])|([}\]])|(,)|(:)|(" + _IN_QUOTES + rb")|(" + _NUMBER + rb")|(true|false|null)|(\Z))",
    re.DOTALL,
)
_OPEN, _CLOSE, _COMMA, _COLON, _QUOTED, _BODY, _QUOTE, _DIGITS, _NAMED = range(1, 10)
_CONTROL = re.compile(rb"[\0-\x1f]")
_WORDS = {b"true": True, b"false": False, b"null": None}
_MARK = b"\xef\xbb\xbf"
_PIECE = 1 << 20


class JsonString(NamedTuple):
    """One string of a text, as it is written.

    raw         the bytes between its quotes, in UTF-8, with escapes as written
    offset      byte offset of its first quote in the data
    start, end  from its first quote to behind its last quote, in the text, which is UTF-8
    key         the nearest key before it, as `raw`
    direct      only a colon stands between that key and this string: it is the value of that key
    is_key      a colon follows: it is itself a key
    """

    raw: bytes
    offset: int
    start: int
    end: int
    key: bytes = b""
    direct: bool = False
    is_key: bool = False

    def text(self) -> str:
        """The text of the string, with escapes as `json` reads them. An escape that `json` does not know is kept."""
        return unescaped(self.raw)


class EventKind(StrEnum):
    """What an event is."""

    OBJECT = "{"
    OBJECT_END = "}"
    ARRAY = "["
    ARRAY_END = "]"
    KEY = "key"
    STRING = "string"
    NUMBER = "number"
    WORD = "word"


class Event(NamedTuple):
    """One event of a text.

    `value` is the str of a KEY or STRING, the letters of a NUMBER, or the Python value of a WORD. A number is not
    converted: many digits take quadratic time, and no table here asks for the value of a number.
    """

    kind: EventKind
    offset: int
    value: str | bool | None = None


class Utf8Text(NamedTuple):
    """A text in UTF-8 without its byte order mark, and a function from a place in it to an offset in the original."""

    data: bytes
    place: Callable[[int], int]


class _Places:
    """Gives places in an original that is not UTF-8. Ask in rising order: it walks from the last place to the next."""

    def __init__(self, data: bytes, encoding: str, start: int) -> None:
        self._data, self._encoding = data, encoding
        self._seen, self._place = 0, start

    def __call__(self, position: int) -> int:
        """The byte offset, in the original, of `position`."""
        if position > self._seen:
            between = self._data[self._seen : position].decode("utf-8", "surrogatepass")
            self._place += len(between.encode(self._encoding, "surrogatepass"))
            self._seen = position
        return self._place


def strings(data: bytes, limits: Limits) -> Iterator[JsonString]:
    """Every string of `data`, in order: keys, values, and anything else in quotes.

    After a last quote that is never closed, the string is the rest of the text.
    """
    return strings_in(in_utf8(data, limits))


def strings_in(text: Utf8Text) -> Iterator[JsonString]:
    """See `strings`."""
    key, end_of_key = b"", -1
    for match in _STRING.finditer(text.data):
        raw, quote, colon = match.groups()
        start, end = match.span()
        is_key = colon is not None
        closed = match.end(2) if quote else end
        yield JsonString(raw, text.place(start), start, closed, key, start == end_of_key, is_key)
        if is_key:
            key, end_of_key = raw, end


# What may come next, besides blanks. Plain ints: the members of an enumeration would double the time of a step.
_VALUE, _FIRST_VALUE, _KEY, _FIRST_KEY, _AFTER_KEY, _AFTER, _END = range(7)
_WANTED = (
    "a value is missing",
    "a value or a closing bracket is missing",
    "a key in quotes is missing",
    "a key in quotes or a closing brace is missing",
    "a colon is missing after a key",
    "a comma or the closing bracket is missing",
    "something follows the end of the value",
)


def events(data: bytes, limits: Limits) -> Iterator[Event]:
    """The events of `data`, all of it one JSON value. Raises Malformed where `json.loads` refuses it."""
    body, place = in_utf8(data, limits)
    closers = bytearray()  # of the containers that are open, innermost last
    wanted, at = _VALUE, 0
    for match in _TOKEN.finditer(body):
        token = match.lastindex or 0
        if match.start() != at:
            break  # what lies between is no token
        start = match.start(token)
        if wanted <= _FIRST_VALUE and token in (_OPEN, _QUOTED, _DIGITS, _NAMED):
            if token == _OPEN:
                if len(closers) >= limits.depth:
                    raise LimitExceeded("the JSON is nested too deeply", limit="depth", offset=place(start))
                is_object = body[start] == 0x7B
                closers += b"}" if is_object else b"]"
                wanted = _FIRST_KEY if is_object else _FIRST_VALUE
                yield Event(EventKind.OBJECT if is_object else EventKind.ARRAY, place(start))
            else:
                wanted = _AFTER if closers else _END
                yield _scalar(match, token, place(start))
        elif token == _QUOTED and wanted in (_KEY, _FIRST_KEY):
            wanted = _AFTER_KEY
            yield _scalar(match, token, place(start))._replace(kind=EventKind.KEY)
        elif token == _COLON and wanted == _AFTER_KEY:
            wanted = _VALUE
        elif token == _COMMA and wanted == _AFTER:
            wanted = _KEY if closers[-1] == 0x7D else _VALUE
        elif token == _CLOSE and wanted in _MAY_CLOSE and match[_CLOSE] == closers[-1:]:
            wanted = _AFTER if len(closers) > 1 else _END
            yield Event(EventKind.OBJECT_END if closers.pop() == 0x7D else EventKind.ARRAY_END, place(start))
        else:
            break
        at = match.end()
    if wanted != _END or body[at:].strip(b" \t\n\r"):
        raise _malformed(_WANTED[wanted], place(at))


_MAY_CLOSE = (_AFTER, _FIRST_KEY, _FIRST_VALUE)


def unescaped(raw: bytes) -> str:
    """The text between two quotes as `json` reads it. An escape that it does not know only loses its backslash."""
    text = raw.decode("utf-8", "surrogatepass")
    if "\\" not in text:
        return text
    try:
        found = json.loads(f'"{text}"', strict=False)
    except ValueError:
        found = None
    return found if isinstance(found, str) else re.sub(r"\\(u[0-9a-fA-F]{4}|.|$)", _read_escape, text, flags=re.DOTALL)


_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def _read_escape(match: re.Match[str]) -> str:
    found = match.group(1)
    return chr(int(found[1:], 16)) if len(found) == 5 else _ESCAPES.get(found, found)


def _scalar(match: re.Match[bytes], token: int, offset: int) -> Event:
    """The event of a string, a number or a word."""
    if token == _NAMED:
        return Event(EventKind.WORD, offset, _WORDS[match[_NAMED]])
    if token == _DIGITS:
        return Event(EventKind.NUMBER, offset, match[_DIGITS].decode())
    raw = match[_BODY]
    if not match[_QUOTE]:
        raise _malformed("a string has no end", offset)
    text = raw.decode("utf-8", "surrogatepass")
    if b"\\" not in raw and not _CONTROL.search(raw):
        return Event(EventKind.STRING, offset, text)
    try:
        return Event(EventKind.STRING, offset, str(json.loads(f'"{text}"')))
    except ValueError as error:
        raise _malformed("a string holds an escape or a control character that JSON has not", offset) from error


def _malformed(why: str, offset: int) -> Malformed:
    return Malformed(f"the JSON cannot be read: {why}", offset=offset)


def in_utf8(data: bytes, limits: Limits) -> Utf8Text:
    """`data` in UTF-8, decoded from the encoding that `json.loads` would detect."""
    if len(data) > limits.json_bytes:
        raise LimitExceeded(f"the JSON has {len(data)} bytes", limit="json_bytes")
    encoding = json.detect_encoding(data)
    if encoding in ("utf-8", "utf-8-sig"):
        _check_utf8(data)
        mark = len(_MARK) if encoding == "utf-8-sig" else 0
        return Utf8Text(data[mark:] if mark else data, lambda position: position + mark)
    try:
        body = data.decode(encoding, "surrogatepass").encode("utf-8", "surrogatepass")
    except UnicodeError as error:
        offset = error.start if isinstance(error, UnicodeDecodeError) else None
        raise Malformed(f"the JSON cannot be read: it is no {encoding}", offset=offset) from error
    # The codecs "utf-16" and "utf-32" read a byte order mark; those with an order in their name do not.
    mark = {"utf-16": 2, "utf-32": 4}.get(encoding, 0)
    return Utf8Text(body, _Places(body, encoding[:6] + "-le", mark))


def _check_utf8(data: bytes) -> None:
    """Raise Malformed for bytes that are no UTF-8. Piece by piece: a str of the whole can take four times its size."""
    at = len(data) if data.isascii() else 0
    while at < len(data):
        end = min(at + _PIECE, len(data))
        while at < end < len(data) and data[end] & 0xC0 == 0x80 and end > at + _PIECE - 4:
            end -= 1
        try:
            data[at:end].decode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise Malformed("the JSON cannot be read: it is no UTF-8", offset=at + error.start) from error
        at = end
