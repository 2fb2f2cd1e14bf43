"""Annotations, read by the rules of GitHub's runner: nothing from a file becomes a command or a property.

The parser below is written from the runner's own rules: a line that starts with `::` (after white space) is a command
up to the next `::`; properties are divided by commas, and each at its first `=`; %25, %0D and %0A are turned back in
text, %3A and %2C in properties too. A line that is none may hold `##[name properties]text` anywhere.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest

from safeload.findings import Finding, Severity, Verdict
from safeload.report import Report
from safeload.reports import FORMATS, Style, escape
from tests.reports.outcomes import MANY, OUTCOMES, PLAIN, VERBOSE, WICKED, WICKED_PARTS, outcome

GITHUB = next(form for form in FORMATS if form.name == "github")


class Command(NamedTuple):
    name: str
    properties: dict[str, str]
    text: str


def turned_back(text: str, also: str = "") -> str:
    """What the runner reads. Strict: a percent sign that is not one of its escapes is an error of ours."""
    known = {"%0D": "\r", "%0A": "\n", "%25": "%", "%3A": ":", "%2C": ","}
    allowed = ["%0D", "%0A", "%25", *(["%3A", "%2C"] if also else [])]

    def one(match: re.Match[str]) -> str:
        assert match[0] in allowed
        return known[match[0]]

    return re.sub(r"%(?:..)?", one, text)


def commands(text: str) -> tuple[list[Command], list[str]]:
    """The commands of a log, and its other lines."""
    found, others = [], []
    for line in text.split("\n"):
        if not line.lstrip().startswith("::"):
            others.append(line)
            continue
        head, _, data = line.lstrip()[2:].partition("::")
        name, _, given = head.partition(" ")
        properties = dict(pair.split("=", 1) for pair in given.split(",") if pair)
        found.append(Command(name, {k: turned_back(v, ":,") for k, v in properties.items()}, turned_back(data)))
    return found, others


@pytest.mark.parametrize("name", OUTCOMES)
def test_only_our_own_commands(name: str) -> None:
    found, others = commands(GITHUB.render(OUTCOMES[name], VERBOSE))
    assert {command.name for command in found} <= {"error", "warning", "notice"}
    assert {key for command in found for key in command.properties} <= {"file", "title"}
    assert len(others) == 2  # the summary and the end
    assert others[1] == ""
    assert "##[" not in others[0]


@pytest.mark.parametrize("part", WICKED_PARTS)
def test_what_comes_out_is_what_was_shown(part: str) -> None:
    finding = Finding("runs-programs", Verdict.DANGEROUS, Severity.HIGH, part, part, part, 1, 0, part, part, part)
    accepted = Report(part, Verdict.DANGEROUS, findings=(finding,))
    pressing = Report(part, Verdict.DANGEROUS, findings=(finding._replace(accepted=""),))
    ((notice, error), _) = commands(GITHUB.render(outcome(accepted, pressing), VERBOSE))
    assert (notice.name, error.name) == ("notice", "error")
    file = escape.bare(part)
    assert error.properties == {"file": file, "title": "dangerous: runs-programs"}
    shown = escape.exact(part)
    where = f"where: {escape.name(part)} at 0x1 (byte 1)"
    assert error.text.split("\n") == [shown, f"what: {shown}", where, f"do: {shown}"]
    assert notice.text.split("\n") == [shown, f"what: {shown}", where, f"accepted: {shown}"]


def test_levels_and_order() -> None:
    found, others = commands(GITHUB.render(outcome(*PLAIN), Style()))
    assert [(c.name, c.properties["file"], c.properties["title"]) for c in found] == [
        ("error", "models/evil.pt", "dangerous: runs-programs"),
        ("error", "models/half.pt", "unjudged: truncated"),
        ("warning", "models/own class.ckpt", "unvetted: unknown-global"),
    ]
    assert others[0].startswith("dangerous: 6 files")


def test_paths_start_from_the_folder_of_the_scan() -> None:
    odd = OUTCOMES["odd"]
    found, _ = commands(GITHUB.render(odd, VERBOSE))
    assert [c.properties["file"] for c in found] == ["lost.pt", "old.pt", "twice #1.pt"]
    outside, _ = commands(GITHUB.render(odd._replace(folder="/abs/pro"), Style()))
    assert outside[-1].properties["file"] == "/abs/project/twice #1.pt"


def test_what_was_accepted_is_told_on_request_only() -> None:
    old = outcome(OUTCOMES["odd"].reports[0])
    assert commands(GITHUB.render(old, Style()))[0] == []
    ((told,), _) = commands(GITHUB.render(old, VERBOSE))
    assert told.name == "notice"
    assert "accepted: baseline: known since May" in told.text


def test_findings_that_are_not_told_are_counted() -> None:
    ((told,), _) = commands(GITHUB.render(outcome(*MANY), Style()))
    # 20 findings, of which four are told; 70 were not kept.
    assert told.text.endswith("and 86 more; safeload scan --verbose ./-many.pkl")
    ((lost,), _) = commands(GITHUB.render(outcome(OUTCOMES["odd"].reports[1]), Style()))
    assert "and 7 more; safeload scan --verbose lost.pt" in lost.text


def test_a_long_name_hides_nothing_of_the_rest() -> None:
    long = "x" * 99_999
    finding = Finding("runs-programs", Verdict.DANGEROUS, Severity.HIGH, long, long, long, 1, 0, long, long)
    ((told,), _) = commands(GITHUB.render(outcome(Report("a", Verdict.DANGEROUS, findings=(finding,) * 9)), Style()))
    assert [line[:7] for line in told.text.split("\n")[-5:]] == ["xxxxxxx", "what: x", "where: ", "do: xxx", "and 5 m"]
    assert len(told.text) < 4096


def test_a_scan_of_nothing_is_an_error() -> None:
    for nothing in (outcome(), outcome(PLAIN[4])):
        ((told,), _) = commands(GITHUB.render(nothing, Style()))
        assert (told.name, told.properties) == ("error", {"title": "safeload judged nothing"})
    assert commands(GITHUB.render(outcome(allow_empty=True), Style()))[0] == []


def test_the_parser_sees_what_it_is_for() -> None:
    (forged,), _ = commands(f"::error file={WICKED_PARTS[0].split('::')[0].strip()},line=1::x\n")
    assert forged.properties == {"file": "a", "line": "1"}
    with pytest.raises(AssertionError):
        turned_back("100%")
    assert WICKED.path.count("\n") == 1
