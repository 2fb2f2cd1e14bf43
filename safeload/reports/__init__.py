"""The report formats, in the order `--help` names them."""

from __future__ import annotations

from safeload.reports.interface import Format, Outcome, Style
from safeload.reports.json import Json
from safeload.reports.text import Text

FORMATS: tuple[Format, ...] = (Text(), Json())

__all__ = ["FORMATS", "Format", "Outcome", "Style"]
