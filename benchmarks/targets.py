"""One thing that is to hold, and printing: what every run here ends with."""

from __future__ import annotations

from dataclasses import dataclass

HEAD = ("### Targets", "", "| target | measured | at most | |", "|---|---|---|---|")


@dataclass(frozen=True, slots=True)
class Target:
    """What was measured must not exceed the limit."""

    what: str
    measured: float
    limit: float
    unit: str = "x"

    @property
    def met(self) -> bool:
        return self.measured <= self.limit

    def line(self) -> str:
        verdict = "met" if self.met else "MISSED"
        return f"| {self.what} | {self.measured:.3g} {self.unit} | {self.limit:g} {self.unit} | {verdict} |"


def say(*lines: str) -> None:
    print(*lines, sep="\n", flush=True)
