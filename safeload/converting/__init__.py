"""Document -> safetensors: moves the bytes of a judged checkpoint into a file that needs no unpickler. No torch.

A gerund, because the public function `safeload.convert` has the verb. `api.py` holds the public functions and chooses
the form of a conversion. `single.py` is one conversion in its order: `gate.py` admits, `plan/` lays out, `write/`
writes, `verify/` compares, and the file appears under its name. `many/` makes shards and folders out of these parts.
"""

from __future__ import annotations

from safeload.converting.interface import Conversion, Options, Verification

__all__ = ["Conversion", "Options", "Verification"]
