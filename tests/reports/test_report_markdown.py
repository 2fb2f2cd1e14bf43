"""The Markdown report as it is rendered: whatever stands in a file is text in a code span, and nothing else."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from safeload.findings import Finding, Severity, Verdict
from safeload.report import Report
from safeload.reports import FORMATS, Style, escape
from safeload.reports.markdown import LONGEST, ROWS
from tests.reports.outcomes import MANY, OUTCOMES, PLAIN, QUIET, VERBOSE, WICKED_PARTS, outcome

MARKDOWN = next(form for form in FORMATS if form.name == "markdown")
# Raw HTML and links stay on: what they would do to a page must show.
READER = MarkdownIt("commonmark", {"html": True}).enable("table")

OURS = {
    "heading_open", "heading_close", "paragraph_open", "paragraph_close", "inline", "text", "code_inline",
    "strong_open", "strong_close", "table_open", "table_close", "thead_open", "thead_close", "tbody_open",
    "tbody_close", "tr_open", "tr_close", "th_open", "th_close", "td_open", "td_close",
}  # fmt: skip
# What a page finds in text that is no code: addresses, mentions, references, math, emoji, footnotes.
FOUND_IN_TEXT = re.compile(r"://|www\.|@|#|\$|<|>|\[|\]|\\|&|:\w+:")


def tokens(text: str) -> list[Token]:
    return [inner for token in READER.parse(text) for inner in (token, *(token.children or ()))]


def cells(text: str) -> list[list[str]]:
    """The body of the table: the source of each cell."""
    parsed = READER.parse(text)
    rows: list[list[str]] = []
    for before, token in pairwise(parsed):
        if before.type == "tr_open":
            rows.append([])
        if before.type == "td_open":
            rows[-1].append(token.content)
    return [row for row in rows if row]


@pytest.mark.parametrize("name", OUTCOMES)
@pytest.mark.parametrize("style", [Style(), VERBOSE])
def test_nothing_but_a_table_of_texts(name: str, style: Style) -> None:
    text = MARKDOWN.render(OUTCOMES[name], style)
    found = tokens(text)
    assert {token.type for token in found} - OURS == set()
    loose = [token.content for token in found if token.type == "text"]
    assert [words for words in loose if FOUND_IN_TEXT.search(words)] == []
    assert {len(row) for row in cells(text)} <= {5}
    page = READER.render(text)
    assert re.findall(r"<(?:a|img|script|!--)\b", page) == []


@pytest.mark.parametrize("part", [*WICKED_PARTS, "`", "``", "\\", "a`", "|", "\\|", "", " ", "`|`", "a\\"])
def test_every_text_stays_in_its_span(part: str) -> None:
    finding = Finding("runs-programs", Verdict.DANGEROUS, Severity.HIGH, part, part, part, 1, 0, part, part)
    result = outcome(
        Report(part, Verdict.DANGEROUS, findings=(finding,)),
        Report(part, Verdict.DANGEROUS, findings=(finding._replace(accepted=part),)),
        Report(part, Verdict.SKIPPED, reason=part),
    )
    text = MARKDOWN.render(result, VERBOSE)
    found = tokens(text)
    assert {token.type for token in found} - OURS == set()
    rows = cells(text)
    assert [len(row) for row in rows] == [5, 5, 5]
    spans = [token.content for token in found if token.type == "code_inline"]
    shown = escape.exact(part).replace("`", "\\x60").replace("|", "\\x7c")
    assert len(shown) <= LONGEST
    if part.strip():
        assert spans.count(shown) >= 4
    loose = {token.content.strip() for token in found if token.type == "text"}
    assert part.strip() == "" or not any(part in words for words in loose)


def test_rows() -> None:
    rows = cells(MARKDOWN.render(outcome(*PLAIN), Style()))
    assert [(row[0], row[1]) for row in rows] == [
        ("**dangerous**", "`models/evil.pt`"),
        ("**unjudged**", "`models/half.pt`"),
        ("**unvetted**", "`models/own class.ckpt`"),
    ]
    assert rows[0][2:] == [
        "`runs-programs` `calls posix.system: starts a program` `posix.system('echo pwned')`",
        "`archive/data.pkl at 0x1f (byte 31)`",
        "`do not load this file`",
    ]
    assert len(cells(MARKDOWN.render(outcome(*PLAIN), VERBOSE))) == 6
    assert cells(MARKDOWN.render(outcome(*PLAIN), QUIET)) == []
    assert MARKDOWN.render(outcome(PLAIN[0]), QUIET) == ""
    assert len(cells(MARKDOWN.render(outcome(*MANY), Style()))) == 4
    assert len(cells(MARKDOWN.render(outcome(*MANY), VERBOSE))) == 21


@pytest.mark.slow
def test_a_page_has_an_end() -> None:
    text = MARKDOWN.render(outcome(*[PLAIN[1]] * (ROWS + 5)), Style())
    assert len(cells(text)) == ROWS
    assert "5 more rows are left out" in text
    worst = Finding(
        *(["runs-programs", Verdict.DANGEROUS, Severity.HIGH] + ["\u202e" * 9999] * 3 + [1, 0] + ["|" * 9999] * 2)
    )
    large = MARKDOWN.render(outcome(*[Report("`" * 9999, Verdict.DANGEROUS, findings=(worst,))] * ROWS), Style())
    assert len(large.encode()) < 1 << 20
