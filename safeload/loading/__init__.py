"""Document -> torch. The only folder below the integrations that may import torch."""

from __future__ import annotations

from safeload.loading.load import load

__all__ = ["load"]
