"""`_codecs.encode(text, "latin1")`: how pickles of protocol 0 to 2 spell bytes.

Semantics: CPython Lib/pickle.py `save_bytes`. Every other codec is refused: a codec is any function in a registry. Some
take quadratic time (punycode, idna), some decompress.
"""

from __future__ import annotations

from safeload.findings import Verdict
from safeload.machine.program import Call
from safeload.vetted.consumption import known, latin1
from safeload.vetted.interface import Constructor, Context, ShapeError


def encode(call: Call, ctx: Context) -> bytes:
    """The bytes that `text` spells, one for each character."""
    text, codec = known(call, str, str)
    if codec not in ("latin1", "latin-1"):
        raise ShapeError(f"encodes with {str(codec)[:60]!r}; bytes are pickled with latin1 only")
    data = latin1(ctx, text, call.offset)
    if data is None:
        raise ShapeError("takes text", Verdict.UNJUDGED)
    return data


CONSTRUCTORS: tuple[Constructor, ...] = (Constructor("latin1-bytes", encode),)
