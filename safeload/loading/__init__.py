"""Document -> torch objects. Only this folder and those above it may import torch.

The name is a gerund because `safeload.load` is a public function.
"""

from __future__ import annotations

from safeload.errors import MissingExtra
from safeload.install import install_line

try:
    import torch
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise MissingExtra(f"loading needs torch, which is not installed: {install_line('torch')}") from error
else:
    del torch

from safeload.loading.load import load

__all__ = ["load"]
