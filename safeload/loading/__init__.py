"""Document -> torch. The only folder below the integrations that may import torch."""

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
