"""Every report format, to the byte, and what no format may let through."""

from __future__ import annotations

import json
import os
import re
import unicodedata

import pytest

from safeload.reports import FORMATS, Style
from tests.reports.outcomes import (
    ALIKE,
    CASES,
    CLEAN,
    COLOR,
    GOLDEN,
    HOSTILE,
    OUTCOMES,
    PLAIN,
    QUIET,
    VERBOSE,
    WICKED,
    outcome,
    rendered,
)


@pytest.mark.skipif(os.name == "nt", reason="names are quoted for another shell there")
@pytest.mark.parametrize("name", CASES)
def test_golden(name: str) -> None:
    assert rendered(name).decode("utf-8") == (GOLDEN / name).read_bytes().decode("utf-8")


def test_every_golden_file_is_used() -> None:
    assert {path.name for path in GOLDEN.glob("scan-*")} == set(CASES)


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
@pytest.mark.parametrize("style", [Style(), VERBOSE, QUIET])
def test_hostile_text_reaches_no_terminal(form: object, style: Style) -> None:
    text = form.render(outcome(*HOSTILE, WICKED), style)  # type: ignore[attr-defined]
    bad = {c for c in text if c != "\n" and unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp", "Mn"}}
    assert bad == set()
    assert "p\u043esix" not in text


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
@pytest.mark.parametrize("name", OUTCOMES)
@pytest.mark.parametrize("style", [Style(), VERBOSE])
def test_no_text_of_a_file_is_a_command_to_a_build_server(form: object, name: str, style: Style) -> None:
    text = form.render(OUTCOMES[name], style)  # type: ignore[attr-defined]
    assert re.search(r"##\[|##vso\[", text, re.IGNORECASE) is None
    if form.name != "github":  # type: ignore[attr-defined]
        assert re.search(r"^\s*::", text, re.MULTILINE) is None


def test_every_format_has_a_hostile_golden_file() -> None:
    assert {form for form, result, _ in CASES.values() if result == OUTCOMES["wicked"]} == {f.name for f in FORMATS}
    assert ALIKE.keys() == {form.name for form in FORMATS}


def test_json_gives_back_what_came_in() -> None:
    text = next(f for f in FORMATS if f.name == "json").render(outcome(*HOSTILE), Style())
    assert text.isascii()
    files = json.loads(text)["files"]
    assert [f["path"] for f in files] == [r.path for r in HOSTILE]
    wicked = next(f for f in FORMATS if f.name == "json").render(outcome(WICKED), Style())
    assert json.loads(wicked)["files"][0]["path"] == WICKED.path
    assert files[0]["findings"][0]["evidence"] == HOSTILE[0].findings[0].evidence
    assert files[0]["findings"][0]["member"] == HOSTILE[0].findings[0].member


def test_json_takes_no_notice_of_the_style() -> None:
    form = next(f for f in FORMATS if f.name == "json")
    assert form.render(outcome(*PLAIN), COLOR) == form.render(outcome(*PLAIN), QUIET)


def test_quiet_says_nothing_of_what_is_clean() -> None:
    text = next(f for f in FORMATS if f.name == "text")
    assert text.render(outcome(CLEAN), QUIET) == ""
    assert text.render(outcome(allow_empty=True), QUIET) == ""
    assert text.render(outcome(), QUIET).startswith("unjudged: 0 files")


def test_only_skipped_is_not_clean() -> None:
    text = next(f for f in FORMATS if f.name == "text")
    skipped = PLAIN[4]
    said = text.render(outcome(skipped), Style())
    assert said.startswith("unjudged: 1 file")
    assert "every file was skipped" in said
    allowed = text.render(outcome(skipped, allow_empty=True), Style())
    assert allowed.startswith("clean: 1 file")
    assert "every file was skipped, and that is allowed here" in allowed
