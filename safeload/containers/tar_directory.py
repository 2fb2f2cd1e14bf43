"""The members of a tar, strictly: what `tarfile` would guess at or skip in silence is Malformed here.

Mirrors CPython's Lib/tarfile.py for ustar, pax and GNU headers. Reads headers only and knows nothing of the members'
contents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from safeload.containers.sniff import is_tar_header
from safeload.errors import LimitExceeded, Malformed

BLOCK = 512

_REGULAR = frozenset({b"0", b"\0", b"7"})
_KINDS = {b"1": "hard link", b"2": "symbolic link", b"3": "device", b"4": "device", b"5": "directory", b"6": "pipe"}
# Extension headers describe the next member; none that is real comes near this length.
_EXTENSION = 1 << 20
# What a pax header may say without changing where bytes lie.
_PAX_HARMLESS = frozenset(
    {"path", "linkpath", "mtime", "atime", "ctime", "uid", "gid", "uname", "gname", "comment", "charset", "hdrcharset"}
)
# Zeros after the end are padding; archives are padded to some multiple of 512, mostly 10,240.
_PADDING = 1 << 20


class Entry(NamedTuple):
    """One member: its name, "file" or another kind, where its bytes lie, and where its header starts."""

    name: str
    kind: str
    offset: int
    size: int
    header: int


def entries(read: Callable[[int, int], bytes], size: int, limit: int) -> Iterator[Entry]:
    """The members of the tar of `size` bytes that `read(offset, length)` gives, at most `limit` of them.

    Raises Malformed, and LimitExceeded for more members. Every byte is a header, a member's, or zero.
    """
    at = count = 0
    name: str | None = None
    while at < size:
        if size - at < BLOCK:
            raise Malformed("truncated: the tar ends inside a header", offset=at)
        block = read(at, BLOCK)
        if not any(block):
            break
        if not is_tar_header(block):
            raise Malformed("no tar header where one must be: its checksum is wrong", offset=at)
        count += 1
        if count > limit:
            raise LimitExceeded(f"the tar has more than {limit} members", limit="members", offset=at)
        kind, length = block[156:157], _number(block[124:136], at + 124)
        data = at + BLOCK
        if length > size - data:
            raise Malformed(f"truncated: a member needs {length} bytes and {size - data} are left", offset=at)
        if kind in {b"x", b"g", b"L", b"K"}:
            if length > _EXTENSION:
                raise Malformed(f"a tar extension header of {length} bytes", offset=at)
            text = read(data, length) if length else b""
            name = _extended_name(kind, text, data) or name
        else:
            entry = _entry(block, kind, name, data, length)
            if entry.kind != "file" and length:
                # tarfile takes such bytes for the next header, GNU tar skips them.
                raise Malformed(f"a {entry.kind} in the tar has bytes of its own", offset=at)
            yield entry
            name = None
        at = data + -(-length // BLOCK) * BLOCK
    if name is not None:
        raise Malformed("truncated: a tar extension header without its member", offset=min(at, size))
    if at < size:
        _want_zeros(read, at, size)


def _entry(block: bytes, kind: bytes, name: str | None, data: int, length: int) -> Entry:
    if name is None:
        name = _text(block[:100])
        prefix = _text(block[345:500])
        if prefix:
            name = f"{prefix}/{name}"
    word = "file" if kind in _REGULAR else _KINDS.get(kind, "unknown kind of member")
    # Before ustar a folder was a file whose name ends with a slash.
    if kind == b"\0" and name.endswith("/"):
        word = "directory"
    return Entry(name, word, data, length, data - BLOCK)


def _extended_name(kind: bytes, text: bytes, offset: int) -> str | None:
    """The next member's name out of an extension header, or None when it gives none."""
    if kind == b"L":
        return _text(text)
    if kind == b"K":
        return None
    keywords = _pax(text, offset)
    # SECURITY: these move or resize the next member, and tar programs disagree about them.
    if kind == b"g" and not keywords.keys() <= _PAX_HARMLESS - {"path", "linkpath"}:
        raise Malformed("the tar's global header changes members", offset=offset)
    changing = keywords.keys() - _PAX_HARMLESS
    if any(key == "size" or key.startswith("GNU.") for key in changing):
        raise Malformed("the tar has sparse or resized members, which are not read", offset=offset)
    path = keywords.get("path") if kind == b"x" else None
    return path.rstrip("/") if path else None


def _pax(text: bytes, offset: int) -> dict[str, str]:
    """Keyword -> value of a pax header: records of "length keyword=value newline"."""
    keywords: dict[str, str] = {}
    at = 0
    while at < len(text):
        space = text.find(b" ", at, at + 8)
        digits = text[at:space] if space > 0 else b""
        if not digits.isdigit():
            raise Malformed("the tar's pax header does not parse", offset=offset + at)
        end = at + int(digits)
        key, equals, value = text[space + 1 : end].partition(b"=")
        if end > len(text) or not equals or not key or not value.endswith(b"\n"):
            raise Malformed("the tar's pax header does not parse", offset=offset + at)
        word = key.decode("utf-8", "backslashreplace")
        if word in keywords:
            raise Malformed(f"the tar's pax header says {word[:60]!r} twice", offset=offset + at)
        keywords[word] = value[:-1].decode("utf-8", "backslashreplace")
        at = end
    return keywords


def _number(field: bytes, offset: int) -> int:
    """A size: octal digits, or base 256 after 0x80. Signs, underscores and prefixes, which `int` takes, are refused."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.split(b"\0")[0].strip(b" ")
    if digits.strip(b"01234567"):
        raise Malformed("a tar header holds a size that is no octal number", offset=offset)
    return int(digits or b"0", 8)


def _text(field: bytes) -> str:
    return field.split(b"\0")[0].decode("utf-8", "backslashreplace")


def _want_zeros(read: Callable[[int, int], bytes], at: int, size: int) -> None:
    """Raise Malformed unless only zeros follow the end mark, and not too many of them."""
    if size - at > _PADDING or any(read(at, size - at)):
        raise Malformed("bytes follow the end of the tar; another program may see another file in them", offset=at)
