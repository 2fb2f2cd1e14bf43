"""Proofs that a file is no model but, to its last byte, a picture, a font, sound, a film, a document or a program.

Each format has one file here, with a proof over all of its bytes. A file with any byte before, behind or between the
parts that its format describes is not proven. Formats that could hold a model (zip, gzip, tar, HDF5, npy) are not here.

SECURITY: a proof says that ONE reading of the file is complete and harmless. The caller has to make sure that there is
no other reading: as a pickle, as a zip by its end, as a tar.
"""

from __future__ import annotations

from safeload.containers.whole import fonts, images, media, pdf, programs, tables
from safeload.containers.whole.interface import Whole, WholeFormat
from safeload.containers.whole.view import Blocks, FileView
from safeload.errors import LimitExceeded, Malformed
from safeload.limits import Limits
from safeload.source import Source

__all__ = ["FORMS", "Whole", "whole"]

FORMS: tuple[WholeFormat, ...] = (
    *images.FORMS,
    *fonts.FORMS,
    *media.FORMS,
    *pdf.FORMS,
    *programs.FORMS,
    *tables.FORMS,
)
"""Every format, in the order in which they are tried."""

_HEAD = 64


def whole(source: Source, limits: Limits) -> Whole | None:
    """What `source` is, when the structure of one format holds to its last byte; else None.

    All of its bytes then count as judged (`Source.pass_over`). Raises LimitExceeded when the file begins like a format
    and is larger than `limits.passive_bytes`, or has more parts than `limits.passive_steps`.
    """
    head = source.peek(0, _HEAD)
    forms = [form for form in FORMS if any(head.startswith(magic, at) for at, magic in form.starts)]
    if not forms:
        return None
    if source.size > limits.passive_bytes:
        raise LimitExceeded(f"a file of {source.size} bytes, too large to be read whole", limit="passive_bytes")
    blocks = Blocks(source, limits)
    for form in forms:
        try:
            found = form.holds(FileView(blocks, 0, source.size))
        except Malformed:
            continue
        blocks.rest()
        return found
    return None
