"""MPEG audio (ISO/IEC 11172-3, 13818-3): frames one behind the other, between an ID3v2 tag and an ID3v1 tag."""

from __future__ import annotations

from safeload.containers.whole.interface import AUDIO, Whole, WholeFormat, need
from safeload.containers.whole.view import FileView

# kbit/s by index, for (MPEG 1?, layer); the index 0 says that the length is not told, 15 is none.
_RATES = {
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_HERTZ = (44100, 48000, 32000)
# What an encoder puts into its first frame: how many frames and bytes there are.
_COUNTS = (b"Xing", b"Info")
_FEWEST = 3


def holds(view: FileView) -> Whole:
    """See `WholeFormat.holds`."""
    at, end = _tag_before(view), view.size
    if end >= 128 and view.get(end - 128, 3) == b"TAG":
        end -= 128
    first, kept, frames = at, 0, 0
    while at < end:
        view.step()
        head = view.number(at, 4)
        # Version, layer and sampling rate are those of the first frame; sync is part of the comparison.
        same = head & 0xFFFE0C00
        if not frames:
            need(head >> 21 == 0x7FF, at)
            kept = same
        need(same == kept, at)
        at += frame_length(head, at)
        frames += 1
    need(at == end and frames >= _FEWEST, at)
    _counted(view, first, end, frames)
    return Whole(AUDIO, "MPEG audio")


def _tag_before(view: FileView) -> int:
    """Where the frames begin (ID3v2, section 3)."""
    if view.get(0, 3) != b"ID3":
        return 0
    head = view.get(3, 7)
    need(head[0] in (2, 3, 4) and max(head[3:]) < 128, 3)
    size = head[3] << 21 | head[4] << 14 | head[5] << 7 | head[6]
    # In version 4 a footer of 10 bytes may follow.
    size += 10 if head[0] == 4 and head[2] & 0x10 else 0
    need(10 + size < view.size, 3)
    return 10 + size


def frame_length(head: int, at: int) -> int:
    """Bytes of the frame with this header."""
    version, layer, rate, hertz = head >> 19 & 3, 4 - (head >> 17 & 3), head >> 12 & 15, head >> 10 & 3
    need(version != 1 and layer != 4 and 0 < rate < 15 and hertz < 3, at)
    one = version == 3
    bits = _RATES[one, layer][rate - 1] * 1000
    sampled = _HERTZ[hertz] >> {3: 0, 2: 1, 0: 2}[version]
    padding = head >> 9 & 1
    if layer == 1:
        return (12 * bits // sampled + padding) * 4
    return (144 if layer == 2 or one else 72) * bits // sampled + padding


def _counted(view: FileView, first: int, end: int, frames: int) -> None:
    """Compare with what the first frame says of the file, when it says anything."""
    head = view.number(first, 4)
    one, mono = head >> 19 & 3 == 3, head >> 6 & 3 == 3
    at = first + 4 + (17 if mono else 32) if one else first + 4 + (9 if mono else 17)
    if at + 16 > end or view.get(at, 4) not in _COUNTS:
        return
    flags = view.number(at + 4, 4)
    at += 8
    if flags & 1:
        # Some count the frame that says it, some do not.
        need(view.number(at, 4) in (frames, frames - 1), at)
        at += 4
    if flags & 2:
        need(end - first - view.number(at, 4) in (0, frame_length(head, first)), at)


FORMS = (
    WholeFormat(((0, b"ID3"),), holds),
    # The second byte holds version, layer and whether a checksum follows.
    WholeFormat(
        tuple((0, bytes((0xFF, second))) for second in range(0xE2, 0x100) if second & 6 and second & 24 != 8), holds
    ),
)
