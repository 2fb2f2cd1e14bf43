"""The members of a tar, read strictly: Malformed where `tarfile` would guess, or silently skip bytes.

Mirrors CPython's Lib/tarfile.py (3.8 to 3.14) for ustar, pax and GNU headers: a member has the name that tarfile gives
it. Where another program would read the member differently, the member carries the reason as a doubt, and the other
names. Reads headers only, and knows nothing of the members' contents.

A tar has no directory: each program walks from header to header. Two programs that differ about one field (a size, an
end mark, a name in three places) see different members from there on.
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
# Bytes of an extension header, which describes the next member. Real ones have some hundred.
_EXTENSION = 1 << 20
# Zeros that may follow the end: writers pad to a multiple of 512, mostly 10,240.
_PADDING = 1 << 20
# Where the numbers besides the size stand: mode, owner, group, time, device.
_NUMBERS = ((100, 108), (108, 116), (116, 124), (136, 148), (329, 337), (337, 345))
# The largest size that fits into the field of a header. A larger one stands in a pax header.
_LARGEST = 0o77777777777
# star keeps times in the prefix field, behind 130 bytes of prefix and a NUL.
_STAR_PREFIX = 130


class TarEntry(NamedTuple):
    """One member of a tar.

    name          as tarfile gives it; bytes that are no UTF-8 as backslash escapes
    kind          "file", "directory", "hard link", "symbolic link", "device" or "pipe"
    offset, size  where its bytes lie, and how many
    header        where its own header starts, behind the extension headers
    target        where a link leads
    doubts        why another program may read another member here, as clauses
    others        the names (or targets) that another program may give it
    """

    name: str
    kind: str
    offset: int
    size: int
    header: int
    target: str = ""
    doubts: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


def entries(read: Callable[[int, int], bytes], size: int, limit: int) -> Iterator[TarEntry]:
    """The members of a tar of `size` bytes, which `read(offset, length)` gives.

    Raises Malformed, and LimitExceeded for more than `limit` members. When it raises nothing, every byte of the tar
    belongs to a header or a member, or is zero.
    """
    at = count = 0
    said = Extensions()
    while at < size:
        if size - at < BLOCK:
            raise Malformed("truncated: the tar ends inside a header", offset=at)
        block = read(at, BLOCK)
        if not any(block):
            break  # the end mark is two such blocks; tarfile stops at the first, and `_want_zeros` checks the rest
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
                # SECURITY: tarfile reads such bytes as the next header, GNU tar skips them: two lists of members.
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
        # SECURITY: tarfile ends the archive here without an error. Other programs go on, and see more members.
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
    # SECURITY: tarfile parses the whole last block, also the bytes behind the length that the header states: a name
    # could stand there that other programs do not see.
    if any(text[length:]):
        raise Malformed("bytes follow the text of a tar extension header", offset=data + length)
    return text[:length]


def _entry(block: bytes, said: Extensions, data: int, length: int) -> TarEntry:
    kind, doubts = block[156:157], list(said.doubts)
    word = "file" if kind in _REGULAR else _KINDS.get(kind, "file")
    if word == "file" and kind not in _REGULAR:
        doubts.append(f"it is of the kind {kind!r}, a file to some programs and none to others")
    own = text_of(block[:100])
    # In the format before ustar, a folder is a file whose name ends with a slash.
    if kind == b"\0" and own.endswith("/"):
        word = "directory"
        if said.names or said.targets:
            # Newer versions of tarfile take it for a file.
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
    return TarEntry(name, word, data, length, data - BLOCK, targets[0], tuple(doubts), others)


def _names(block: bytes, own: str, said: Extensions, doubts: list[str]) -> list[str]:
    """The names that programs may give a member, tarfile's first. `own` is the name in its header."""
    prefix = text_of(block[345:500])
    whole = f"{prefix}/{own}" if prefix else own
    if said.names:
        # Some programs take an empty name, others go back to the one in the header.
        return [*said.names, whole] if "" in said.names else said.names
    if prefix and (block[257:263] != b"ustar\0" or (len(prefix) > _STAR_PREFIX and block[508:512] == b"tar\0")):
        doubts.append("its header is of a format in which no beginning of a name stands where one stands here")
        return [whole, own]
    return [whole]


def _resized(kind: bytes, own: int, size: int, at: int) -> int:
    """The size of a member whose pax header states one.

    Programs write it when the size does not fit into the header's own field. In any other case two readers could take
    two sizes, and find the next header at two places: Malformed.
    """
    if kind not in _REGULAR or not (own == size or (own in (0, _LARGEST) and size > _LARGEST)):
        raise Malformed("the tar has sparse or resized members, which are not read", offset=at)
    return size


def _size(field: bytes, offset: int) -> int:
    """A size: octal digits, or base 256 after 0x80. Refuses signs, underscores and prefixes, which `int` would take."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    first, _, rest = field.partition(b"\0")
    digits = first.strip(b" ")
    # tarfile reads 0 when the field begins with a NUL, GNU tar reads what follows it.
    if digits.strip(b"01234567") or (not digits and rest.strip(b" \0")):
        raise Malformed("a tar header holds a size that is no octal number", offset=offset)
    return int(digits or b"0", 8)


def _is_number(field: bytes) -> bool:
    """Whether `tarfile.nti` takes the field for a number, in any spelling."""
    if field[0] in (0x80, 0xFF):
        return True
    try:
        int(field.split(b"\0")[0].decode("ascii").strip() or "0", 8)
    except ValueError:
        return False
    return True


def text_of(field: bytes) -> str:
    """The text in a field of a header, up to the first NUL."""
    return field.split(b"\0")[0].decode("utf-8", "backslashreplace")


def _want_zeros(read: Callable[[int, int], bytes], at: int, size: int) -> None:
    """Raise Malformed unless only zeros follow the end mark, and not too many of them."""
    if size - at > _PADDING or any(read(at, size - at)):
        raise Malformed("bytes follow the end of the tar; another program may see another file in them", offset=at)
