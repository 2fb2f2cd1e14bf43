"""What every report format is: reports of files in, one text out.

A format computes no verdict and drops no file on its own: what a scan said is data of `safeload.report`. Paths, members
and evidence are untrusted; a format for people sends every one of them through `escape.py`. Knows no other format.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from safeload.findings import Verdict
from safeload.report import Excluded, Report, summary_fields, verdict_of
from safeload.reports.details import Detail

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Outcome(NamedTuple):
    """What one scan ended with.

    seconds      its wall time
    allow_empty  a scan of nothing is clean
    details      what a report for people shows beyond findings, by `Report.path`
    rules        what each rule id means, its paragraphs as lines, for formats that explain the rules they name
    excluded     what the caller's patterns left out, which is in no other field
    folder       where it was started: absolute paths inside it are shown from there, where a format wants relative ones
    """

    reports: tuple[Report, ...]
    policy_digest: str
    seconds: float = 0.0
    allow_empty: bool = False
    details: Mapping[str, Detail] = _NOTHING
    rules: Mapping[str, str] = _NOTHING
    folder: str = ""
    excluded: Excluded = Excluded()

    @property
    def verdict(self) -> Verdict:
        """The whole verdict."""
        return verdict_of(self.reports, allow_empty=self.allow_empty)

    @property
    def summary(self) -> dict[str, object]:
        """The counts, as they are on the wire."""
        return summary_fields(self.reports, allow_empty=self.allow_empty, excluded=self.excluded)

    @property
    def unscanned(self) -> bool:
        """Whether it is unjudged because there was nothing to judge, so that no file of it says so."""
        return self.verdict == Verdict.UNJUDGED and all(r.verdict == Verdict.SKIPPED for r in self.reports)


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
