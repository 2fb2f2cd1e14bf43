"""The report formats, in the order `--help` names them. A file of a format is read when the format is used."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from safeload.reports.interface import Format, Outcome, Style


class Named(NamedTuple):
    """A format by its name; what makes it is called when it has something to render.

    explains, details   whether it makes use of `Outcome.rules` and `Outcome.details`, which cost time to come by
    """

    name: str
    made: Callable[[], Format]
    explains: bool = False
    details: bool = False

    def render(self, outcome: Outcome, style: Style) -> str:
        """See `Format.render`."""
        return self.made().render(outcome, style)


def _text() -> Format:
    from safeload.reports.text import Text

    return Text()


def _json() -> Format:
    from safeload.reports.json import Json

    return Json()


def _sarif() -> Format:
    from safeload.reports.sarif import Sarif

    return Sarif()


def _junit() -> Format:
    from safeload.reports.junit import JUnit

    return JUnit()


def _github() -> Format:
    from safeload.reports.github import Github

    return Github()


def _markdown() -> Format:
    from safeload.reports.markdown import Markdown

    return Markdown()


def _html() -> Format:
    from safeload.reports.html.report import Html

    return Html()


FORMATS: tuple[Named, ...] = (
    Named("text", _text),
    Named("json", _json),
    Named("sarif", _sarif, explains=True),
    Named("junit", _junit),
    Named("github", _github),
    Named("markdown", _markdown),
    Named("html", _html, explains=True, details=True),
)

__all__ = ["FORMATS", "Format", "Named", "Outcome", "Style"]
