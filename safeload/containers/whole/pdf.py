"""PDF (ISO 32000): objects, cross references and trailers from the header to the last `%%EOF`, and nothing else.

The content of objects is not looked into: with attachments, scripts or an archive in a stream it is still a document.
"""

from __future__ import annotations

import re

from safeload.containers.whole.interface import PDF, Whole, WholeFormat, need
from safeload.containers.whole.view import FileView
from safeload.errors import Malformed

_SPACE = rb"[\0\t\n\f\r ]"
_HEAD = re.compile(rb"%PDF-[12]\.[0-9]" + _SPACE)
# What may stand between objects. SECURITY: less than the specification allows: no zeros, and comments of text only. It
# allows any byte in a comment, and a whole archive would fit into one.
_BLANK = re.compile(rb"(?:[\t\n\f\r ]++|%%EOF(?=[\r\n ]|\Z)|%(?!%EOF)[^\0-\x08\x0a-\x1f]*+(?=[\r\n]))*+")
_OBJECT = re.compile(rb"([0-9]{1,10})" + _SPACE + rb"+([0-9]{1,5})" + _SPACE + rb"+obj(?![A-Za-z0-9])")
_XREF = re.compile(
    rb"xref" + _SPACE + rb"+(?:[0-9]{1,10}" + _SPACE + rb"+[0-9]{1,10}" + _SPACE + rb"+"
    rb"(?:[0-9]{10} [0-9]{5} [nf]" + _SPACE + rb"{1,3}+)*+)++"
)
_TRAILER = re.compile(rb"trailer(?![A-Za-z0-9])")
_START = re.compile(rb"startxref" + _SPACE + rb"+([0-9]{1,12})(?=" + _SPACE + rb")")
# One value inside an object, but for text in parentheses, which nests.
_TOKEN = re.compile(
    rb"[\0\t\n\f\r ]++|%[^\r\n]*+|<<|>>|\[|\]|<[0-9A-Fa-f\0\t\n\f\r ]*+>|/[^\0\t\n\f\r ()<>\[\]{}/%]*+"
    rb"|[^\0\t\n\f\r ()<>\[\]{}/%]++|\("
)
_TEXT = re.compile(rb"(?:[^()\\]++|\\.)*+", re.DOTALL)
_LENGTH = re.compile(
    rb"/Length" + _SPACE + rb"+([0-9]{1,12})(?!" + _SPACE + rb"+[0-9]{1,5}" + _SPACE + rb"+R)" + rb"(?![0-9])"
)
_AFTER_STREAM = re.compile(_SPACE + rb"{0,3}endstream(?![A-Za-z0-9])")
_LAST = re.compile(rb"%%EOF(?:\r\n|\r|\n)?\Z")


def holds(view: FileView) -> Whole:
    """See `WholeFormat.holds`."""
    data = view.get(0, view.size)
    need(_HEAD.match(data) is not None and _LAST.search(data, max(0, len(data) - 8)) is not None, 0)
    at = 0
    places: set[int] = set()
    start = -1
    while True:
        at = _end(_BLANK.match(data, at), at)
        if at == len(data):
            break
        view.step()
        found = _OBJECT.match(data, at)
        if found:
            places.add(at)
            at = _object(view, data, found.end())
        elif data.startswith(b"xref", at):
            places.add(at)
            at = _end(_XREF.match(data, at), at)
            at = _end(_TRAILER.match(data, at), at)
            at = _values(view, data, at, b"")
        else:
            mark = _START.match(data, at)
            if mark is None:
                raise Malformed("the structure does not hold", offset=at)
            at, start = mark.end(), int(mark[1])
    # SECURITY: the last startxref counts: readers begin there, whatever stands before it.
    need(start in places, at)
    return Whole(PDF, "PDF document")


def _end(found: re.Match[bytes] | None, at: int) -> int:
    if found is None:
        raise Malformed("the structure does not hold", offset=at)
    return found.end()


def _object(view: FileView, data: bytes, at: int) -> int:
    """Where the object whose value begins at `at` ends."""
    begin = at
    at = _values(view, data, at, b"endobj")
    if data.startswith(b"endobj", at):
        return at + 6
    # A stream: its bytes begin behind the line end.
    need(data.startswith(b"stream", at), at)
    said = _LENGTH.search(data, begin, at)
    at += 6
    at += 2 if data.startswith(b"\r\n", at) else 1
    after = _AFTER_STREAM.match(data, at + int(said[1])) if said else None
    if after is None:
        # The length is in another object, or wrong: the stream then ends at the first "endstream".
        found = data.find(b"endstream", at)
        need(found >= 0, at)
        view.step((found - at) // 4096)
        at = found + 9
    else:
        at = after.end()
    at = _end(_BLANK.match(data, at), at)
    need(data.startswith(b"endobj", at), at)
    return at + 6


def _values(view: FileView, data: bytes, at: int, stop: bytes) -> int:
    """Where the values from `at` are followed by `stop` or a stream; without `stop`, where the first one ends."""
    opened: list[bytes] = []
    while True:
        view.step()
        found = _TOKEN.match(data, at)
        if found is None:
            raise Malformed("the structure does not hold", offset=at)
        token = found[0] if found.end() - at < 8 else b""
        if not opened and stop and token in (stop, b"stream"):
            return at
        at = found.end()
        match token:
            case b"<<" | b"[":
                opened.append(token)
            case b">>" | b"]":
                need(bool(opened) and opened.pop() == (b"<<" if token == b">>" else b"["), at)
                if not opened and not stop:
                    return at
            case b"(":
                at = _text(view, data, at)


def _text(view: FileView, data: bytes, at: int) -> int:
    """Where the text behind a parenthesis ends."""
    depth = 1
    while depth:
        view.step()
        at = _end(_TEXT.match(data, at), at)
        need(at < len(data) and data[at] in b"()", at)
        depth += 1 if data[at] == 0x28 else -1
        at += 1
    return at


FORMS: tuple[WholeFormat, ...] = (WholeFormat(((0, b"%PDF-"),), holds),)
