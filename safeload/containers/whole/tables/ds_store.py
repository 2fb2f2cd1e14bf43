"""What the Finder keeps of a folder (.DS_Store): blocks, in use or free, that cover the file without overlap.

Not documented by its maker; the allocator, the names of its table and the root block are as its readers found them.
"""

from __future__ import annotations

from struct import Struct

from safeload.containers.whole.interface import DATA, Whole, WholeFormat, need
from safeload.containers.whole.view import FileView

MAGIC = b"\0\0\0\1Bud1"
_HEADER = Struct(">4s4sIII16s")
# Offsets count from behind the first number; the header takes the first block of the smallest size.
_SHIFT, _SMALLEST = 4, 32
_ADDRESSES, _LEVELS = 256, 32
_MOST = 1 << 20
# A file grows by at most so much at once, in units.
_GROWTH, _UNIT = 8192, 2048


def holds(view: FileView) -> Whole:
    """See `WholeFormat.holds`."""
    _, _, root, length, again, _ = view.unpack(_HEADER, 0)
    need(root == again and root + length + _SHIFT <= view.size, 8)
    inner = view.part(root + _SHIFT, length)
    count = inner.number(0, 4)
    need(0 < count <= _MOST, 8)
    blocks = [(0, _SMALLEST)]
    for number in range(count):
        inner.step()
        address = inner.number(8 + 4 * number, 4)
        # A number that is not in use has no address.
        if address:
            blocks.append((address & ~31, 1 << (address & 31)))
    at = 8 + 4 * -(-count // _ADDRESSES) * _ADDRESSES
    need((root, length) in blocks and inner.zeros(8 + 4 * count, at), at)
    end = max(start + size for start, size in blocks)
    # SECURITY: free blocks keep what they held, but behind the last one in use the file has not been written yet.
    left = view.size - _SHIFT - end
    need(0 <= left < _GROWTH and (view.size - _SHIFT) % _UNIT == 0 and view.zeros(end + _SHIFT, view.size), end)
    names = inner.number(at, 4)
    need(names == 1 and inner.get(at + 4, 5) == b"\4DSDB" and inner.number(at + 9, 4) < count, at)
    at += 13
    for level in range(_LEVELS):
        free = inner.number(at, 4)
        at += 4
        for number in range(free):
            inner.step()
            blocks.append((inner.number(at + 4 * number, 4), 1 << level))
        at += 4 * free
    place = 0
    for start, size in sorted(blocks):
        need(start == place, start + _SHIFT)
        place += size
    need(place == 1 << 31, end)
    return Whole(DATA, "Finder settings")


FORMS = (WholeFormat(((0, MAGIC),), holds),)
