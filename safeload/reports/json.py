"""`--format json`: the document of `safeload.report`, for programs.

Pure ASCII, without control characters, and without what a build server would take for a command (see `escape.py`).
"""

from __future__ import annotations

from safeload.report import dumps
from safeload.reports import escape
from safeload.reports.interface import Outcome, Style


class Json:
    """The wire format `safeload.scan/1`."""

    name = "json"

    def render(self, outcome: Outcome, style: Style) -> str:
        """The document; the style changes nothing."""
        text = dumps(outcome.reports, outcome.policy_digest, allow_empty=outcome.allow_empty, excluded=outcome.excluded)
        return escape.in_json(text)
