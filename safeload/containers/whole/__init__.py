"""Files that are proven, to their last byte, to be no model: pictures, fonts, sound, films, documents, programs.

One format is one file, with a proof over all of its bytes; a file with anything before, behind or between what its
format describes is not proven. Containers that could hold a model (zip, gzip, tar, HDF5, npy) are not here.

SECURITY: a proof says that ONE reading of the file is harmless and complete. That no other reading exists (a pickle
machine, a zip by its end, a tar) is for the caller to ask.
"""

from __future__ import annotations

from safeload.containers.whole import fonts, images, media, pdf, programs, tables
from safeload.containers.whole.interface import Form, Whole
from safeload.containers.whole.view import Blocks, View
from safeload.errors import LimitExceeded, Malformed
from safeload.limits import Limits
from safeload.source import Source

__all__ = ["FORMS", "Whole", "whole"]

FORMS: tuple[Form, ...] = (
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

    All of it counts as judged then (`Source.pass_over`). Raises LimitExceeded when a format begins like the file, which
    is larger than `limits.passive_bytes`, or has more parts than `limits.passive_steps`.
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
            found = form.holds(View(blocks, 0, source.size))
        except Malformed:
            continue
        blocks.rest()
        return found
    return None
