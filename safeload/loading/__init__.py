"""Document -> torch. Only this folder and those above it may import torch.

A gerund, because the public function `safeload.load` has the noun.
"""

from __future__ import annotations

from safeload.errors import MissingExtra

try:
    import torch
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise MissingExtra("loading needs torch, which is not installed: pip install 'safeload[torch]'") from error
else:
    del torch

from safeload.loading.load import load

__all__ = ["load"]
