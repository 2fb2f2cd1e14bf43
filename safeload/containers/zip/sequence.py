"""Zips written one behind the other, as in a shard (`.distcp`) of torch's distributed checkpoints.

Each archive counts its offsets from its own beginning. The scanner judges each as a file of its own; no byte lies
between them. Reads end records only.

Layout: torch/distributed/checkpoint/filesystem.py (`_write_item`); `.metadata` there has offset and length of each.
"""

from __future__ import annotations

from safeload.containers.interface import ContainerLayout, Nested, Reading
from safeload.containers.zip.end import CENTRAL, RECORD
from safeload.containers.zip.flavour import SEQUENCE, flavours
from safeload.containers.zip.pieces import pieces
from safeload.containers.zip.rules import Notes
from safeload.document.document import Extent
from safeload.errors import LimitExceeded, Malformed
from safeload.limits import Limits
from safeload.source import Source


class ZipSequence:
    """See the module."""

    name = SEQUENCE

    def recognise(self, source: Source) -> bool:
        """See `Container.recognise`."""
        return SEQUENCE in flavours(source)

    def read(self, source: Source, limits: Limits) -> Reading:
        """See `Container.read`."""
        found = pieces(source)
        if not found:
            raise Malformed("the file is no row of zip archives")
        if len(found) > limits.members:
            raise LimitExceeded(f"the file holds {len(found)} archives", limit="members")
        notes = Notes()
        first, last = found[0], found[-1]
        # SECURITY: torch.load of the whole file takes the end record of the last archive, and counts its offsets from
        # the beginning of the file. That may lead to the records of the first archive, which is judged, or to no
        # record. Any other record there belongs to an archive that nobody would judge.
        for place, mark, expected in (
            (last.stated_record, RECORD, first.record),
            (last.stated_directory, CENTRAL, first.directory),
        ):
            if 0 <= place < source.size and place != expected and source.peek(place, 4) == mark:
                notes.add(
                    "zip-two-directories",
                    f"counted from the beginning of the file, the last archive's records lead to offset {place}, where "
                    "torch finds another archive than the ones in this row",
                    offset=place,
                )
        yield from notes.take()
        for number, piece in enumerate(found):
            length = piece.end - piece.start
            yield Nested(f"archive {number}", Extent(piece.start, length, length))
        return ContainerLayout(metadata={"archives": str(len(found))})
