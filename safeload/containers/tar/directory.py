"""The members of a tar, strictly: what `tarfile` would guess at or skip in silence is Malformed here.

Mirrors CPython's Lib/tarfile.py (3.8 to 3.14) for ustar, pax and GNU headers: a member's name is the one that tarfile
gives it. What another program would read differently is told with the member as a doubt, with the other names. Reads
headers only and knows nothing of the members' contents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from safeload.containers.sniff import is_tar_header
from safeload.containers.tar.extension import Extensions
from safeload.errors import LimitExceeded, Malformed

BLOCK = 512

_REGULAR = frozenset({b"0", b"\0", b"7"})
_KINDS = {b"1": "hard link", b"2": "symbolic link", b"3": "device", b"4": "device", b"5": "directory", b"6": "pipe"}
LINKS = frozenset({"hard link", "symbolic link"})
# Extension headers describe the next member; none that is real comes near this length.
_EXTENSION = 1 << 20
# Zeros after the end are padding; archives are padded to some multiple of 512, mostly 10,240.
_PADDING = 1 << 20
# Numbers besides the size: mode, owner, group, time, device.
_NUMBERS = ((100, 108), (108, 116), (116, 124), (136, 148), (329, 337), (337, 345))
# The largest size that a header's own field holds; larger ones stand in a pax header.
_LARGEST = 0o77777777777
# star keeps times behind the first 131 bytes of a prefix, the last of them a NUL.
_STAR_PREFIX = 130


class Entry(NamedTuple):
    """One member.

    name     as tarfile gives it; bytes that are no UTF-8 as backslash escapes
    kind     "file" or another word
    offset   where its bytes lie, `size` of them; `header` is where its own header starts
    target   of a link, where it leads
    doubts   why another program may read another member here, as clauses
    others   the names (or targets) that another program may give it
    """

    name: str
    kind: str
    offset: int
    size: int
    header: int
    target: str = ""
    doubts: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


def entries(read: Callable[[int, int], bytes], size: int, limit: int) -> Iterator[Entry]:
    """The members of the tar of `size` bytes that `read(offset, length)` gives, at most `limit` of them.

    Raises Malformed, and LimitExceeded for more members. Every byte is a header, a member's, or zero.
    """
    at = count = 0
    said = Extensions()
    while at < size:
        if size - at < BLOCK:
            raise Malformed("truncated: the tar ends inside a header", offset=at)
        block = read(at, BLOCK)
        if not any(block):
            break
        _want_header(block, at)
        count += 1
        if count > limit:
            raise LimitExceeded(f"the tar has more than {limit} members", limit="members", offset=at)
        kind, length = block[156:157], _size(block[124:136], at + 124)
        data = at + BLOCK
        extension = kind in {b"x", b"g", b"L", b"K"}
        if not extension and said.size is not None:
            length = _resized(kind, length, said.size, at)
        if length > size - data:
            raise Malformed(f"truncated: a member needs {length} bytes and {size - data} are left", offset=at)
        if extension:
            said.add(kind, _extension(read, data, length, size), data)
        else:
            entry = _entry(block, said, data, length)
            if entry.kind != "file" and length:
                # tarfile takes such bytes for the next header, GNU tar skips them.
                raise Malformed(f"a {entry.kind} in the tar has bytes of its own", offset=at)
            yield entry
            said = Extensions()
        at = data + -(-length // BLOCK) * BLOCK
    if said.count:
        raise Malformed("truncated: a tar extension header without its member", offset=min(at, size))
    if at > size:
        raise Malformed("truncated: the last block of the tar is cut", offset=size)
    if at < size:
        _want_zeros(read, at, size)


def _want_header(block: bytes, at: int) -> None:
    if not is_tar_header(block):
        raise Malformed("no tar header where one must be: its checksum is wrong", offset=at)
    for start, end in _NUMBERS:
        # SECURITY: tarfile ends the archive here without a word, other programs go on and see more members.
        if not _is_number(block[start:end]):
            raise Malformed("a tar header holds a field that is no number", offset=at + start)
    if block[156:157] in {b"S", b"X"}:
        raise Malformed("a sparse file or a header of Solaris in the tar, which is not read", offset=at + 156)


def _extension(read: Callable[[int, int], bytes], data: int, length: int, size: int) -> bytes:
    """The content of an extension header. Raises Malformed when bytes follow it in its last block."""
    if length > _EXTENSION:
        raise Malformed(f"a tar extension header of {length} bytes", offset=data - BLOCK)
    whole = min(-(-length // BLOCK) * BLOCK, size - data)
    text = read(data, whole) if whole else b""
    # SECURITY: tarfile reads to the end of the block, past the length that the header states.
    if any(text[length:]):
        raise Malformed("bytes follow the text of a tar extension header", offset=data + length)
    return text[:length]


def _entry(block: bytes, said: Extensions, data: int, length: int) -> Entry:
    kind, doubts = block[156:157], list(said.doubts)
    word = "file" if kind in _REGULAR else _KINDS.get(kind, "file")
    if word == "file" and kind not in _REGULAR:
        doubts.append(f"it is of the kind {kind!r}, a file to some programs and none to others")
    own = text_of(block[:100])
    # Before ustar a folder was a file whose name ends with a slash.
    if kind == b"\0" and own.endswith("/"):
        word = "directory"
        if said.names or said.targets:
            # Newer versions of tarfile say file.
            doubts.append("it is a folder by its own name, and has another name")
    given = _names(block, own.rstrip("/") if word == "directory" else own, said, doubts)
    if len(set(given)) > 1:
        doubts.append("it has several names")
    if not given[0]:
        doubts.append("it has no name")
    if word == "file" and (said.slashed or any(name.endswith("/") for name in given)):
        doubts.append("its name ends with a slash, which makes it a folder to some programs")
    targets = (said.targets or [text_of(block[157:257])]) if word in LINKS else [""]
    if len(set(targets)) > 1:
        doubts.append("it leads to several places")
    name = given[0].rstrip("/") if word == "directory" else given[0]
    others = (*given[1:], *targets[1:])
    return Entry(name, word, data, length, data - BLOCK, targets[0], tuple(doubts), others)


def _names(block: bytes, own: str, said: Extensions, doubts: list[str]) -> list[str]:
    """What programs may call a member, tarfile's name first. `own` is the name in its header."""
    prefix = text_of(block[345:500])
    whole = f"{prefix}/{own}" if prefix else own
    if said.names:
        # An empty name is taken by some and passed over by others.
        return [*said.names, whole] if "" in said.names else said.names
    if prefix and (block[257:263] != b"ustar\0" or (len(prefix) > _STAR_PREFIX and block[508:512] == b"tar\0")):
        doubts.append("its header is of a format in which no beginning of a name stands where one stands here")
        return [whole, own]
    return [whole]


def _resized(kind: bytes, own: int, size: int, at: int) -> int:
    """The size of a member whose pax header states one: as programs write it when the header's field is too small."""
    if kind not in _REGULAR or not (own == size or (own in (0, _LARGEST) and size > _LARGEST)):
        raise Malformed("the tar has sparse or resized members, which are not read", offset=at)
    return size


def _size(field: bytes, offset: int) -> int:
    """A size: octal digits, or base 256 after 0x80. Signs, underscores and prefixes, which `int` takes, are refused."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    first, _, rest = field.partition(b"\0")
    digits = first.strip(b" ")
    # GNU tar passes over one NUL at the beginning, where tarfile reads 0.
    if digits.strip(b"01234567") or (not digits and rest.strip(b" \0")):
        raise Malformed("a tar header holds a size that is no octal number", offset=offset)
    return int(digits or b"0", 8)


def _is_number(field: bytes) -> bool:
    """Whether `tarfile.nti` takes it, in whatever spelling."""
    if field[0] in (0x80, 0xFF):
        return True
    try:
        int(field.split(b"\0")[0].decode("ascii").strip() or "0", 8)
    except ValueError:
        return False
    return True


def text_of(field: bytes) -> str:
    """The text of a field of a header: up to the first NUL."""
    return field.split(b"\0")[0].decode("utf-8", "backslashreplace")


def _want_zeros(read: Callable[[int, int], bytes], at: int, size: int) -> None:
    """Raise Malformed unless only zeros follow the end mark, and not too many of them."""
    if size - at > _PADDING or any(read(at, size - at)):
        raise Malformed("bytes follow the end of the tar; another program may see another file in them", offset=at)
