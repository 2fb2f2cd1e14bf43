"""What every report format is: reports of files in, one text out.

A format computes no verdict and drops no file on its own: what a scan said is data of `safeload.report`. Paths, members
and evidence are untrusted; a format for people sends every one of them through `escape.py`. Knows no other format.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from safeload.findings import Verdict
from safeload.report import Report, verdict_of


class Outcome(NamedTuple):
    """What one scan ended with. `seconds` is its wall time; `allow_empty` makes a scan of nothing clean."""

    reports: tuple[Report, ...]
    policy_digest: str
    seconds: float = 0.0
    allow_empty: bool = False

    @property
    def verdict(self) -> Verdict:
        """The whole verdict."""
        return verdict_of(self.reports, allow_empty=self.allow_empty)


class Style(NamedTuple):
    """How to show it to people; formats for machines take no notice.

    color     with terminal colors
    verbose   clean and skipped files too, and every finding
    quiet     the summary alone, and nothing when all is clean
    """

    color: bool = False
    verbose: bool = False
    quiet: bool = False


class Format(Protocol):
    """One report format. `name` is what `--format` takes."""

    name: str

    def render(self, outcome: Outcome, style: Style) -> str:
        """The whole report: "" or text that ends with a line end. The same outcome gives the same text."""
