"""Document -> safetensors: the bytes of a vetted checkpoint moved into a file that needs no unpickler. No torch.

`gate.py` decides what may be converted, `plan.py` what lies where, `writer.py` moves bytes, `verify.py` compares them
by code of its own, `output.py` shows the finished file under its name, `engine.py` is the order of it all. Further
forms (`sharded.py`, `folder.py`, `recursive.py`) are made of its parts; `forms.py` chooses between them, and has the
public `convert` and `verify` (not here: a function and the module `verify` cannot share a name).
"""

from __future__ import annotations

from safeload.converting.interface import Conversion, Options, Verification

__all__ = ["Conversion", "Options", "Verification"]
