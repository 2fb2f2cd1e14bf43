"""`--format json`: the document of `safeload.report`, for programs. Pure ASCII, without control characters."""

from __future__ import annotations

from safeload.report import dumps
from safeload.reports.interface import Outcome, Style


class Json:
    """The wire format `safeload.scan/1`."""

    name = "json"

    def render(self, outcome: Outcome, style: Style) -> str:
        """The document; the style changes nothing."""
        text = dumps(outcome.reports, outcome.policy_digest, allow_empty=outcome.allow_empty)
        # The one control character that JSON leaves as it is. It can stand inside strings only.
        return text.replace("\x7f", "\\u007f")
