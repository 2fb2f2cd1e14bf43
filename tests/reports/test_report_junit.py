"""JUnit, held against the schema of the server that most others follow, and read back as XML."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from lxml import etree

from safeload.findings import Finding, Severity, Verdict
from safeload.report import Report
from safeload.reports import FORMATS, Style, escape
from tests.reports.outcomes import ODD, OUTCOMES, PLAIN, WICKED_PARTS, outcome

JUNIT = next(form for form in FORMATS if form.name == "junit")
SCHEMA = Path(__file__).resolve().parent / "schemas" / "junit-10.xsd"


def read(result: object) -> etree._Element:
    return etree.fromstring(JUNIT.render(result, Style()).encode("utf-8"))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", OUTCOMES)
def test_schema(name: str) -> None:
    schema = etree.XMLSchema(etree.parse(SCHEMA))
    schema.assertValid(read(OUTCOMES[name]))
    long = OUTCOMES[name]._replace(seconds=12345.6789)
    schema.assertValid(read(long))


def test_the_schema_sees_what_it_is_for() -> None:
    schema = etree.XMLSchema(etree.parse(SCHEMA))
    assert not schema.validate(etree.fromstring("<testsuites><testsuite name='x'/></testsuites>"))


@pytest.mark.parametrize("name", OUTCOMES)
def test_counts_are_those_of_the_cases(name: str) -> None:
    (suite,) = read(OUTCOMES[name])
    assert suite.get("tests") == str(len(suite.findall("testcase")))
    for attribute, element in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert suite.get(attribute) == str(len(suite.findall(f"testcase/{element}")))


def test_one_case_for_each_file() -> None:
    (suite,) = read(outcome(*PLAIN, *ODD))
    assert [(case.get("name"), *(child.tag for child in case)) for case in suite.findall("testcase")] == [
        ("models/good.pt",),
        ("models/evil.pt", "failure"),
        ("models/own class.ckpt", "failure"),
        ("models/half.pt", "error"),
        ("models/README.md", "skipped"),
        ("models/be.pt", "system-out"),
        ("./old.pt", "system-out"),
        ("lost.pt", "failure"),
        ("/abs/project/twice #1.pt", "failure"),
    ]
    failure = suite.find("testcase/failure")
    assert (failure.get("type"), failure.get("message")) == (
        "runs-programs",
        "dangerous: calls posix.system: starts a program",
    )
    assert failure.text.split("\n") == [
        "runs-programs: calls posix.system: starts a program",
        "  what   posix.system('echo pwned')",
        "  where  archive/data.pkl at 0x1f (byte 31)",
        "  do     do not load this file",
    ]


def test_a_scan_of_nothing_is_an_error() -> None:
    for nothing in (outcome(), outcome(PLAIN[4])):
        (suite,) = read(nothing)
        assert suite.get("errors") == "1"
    (suite,) = read(outcome(allow_empty=True))
    assert (suite.get("tests"), suite.get("errors")) == ("0", "0")


@pytest.mark.parametrize("part", WICKED_PARTS)
def test_text_comes_through_and_makes_no_markup(part: str) -> None:
    finding = Finding("runs-programs", Verdict.DANGEROUS, Severity.HIGH, part, part, part, 1, 0, part, part)
    result = outcome(Report(part, Verdict.DANGEROUS, findings=(finding,)), Report(part, Verdict.SKIPPED, reason=part))
    text = JUNIT.render(result, Style())
    # XML 1.0 has no place for these, whether as they are or as references.
    assert re.search("[^\\n\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]|&#(?!x27;)", text) is None
    assert "]]>" not in text
    (suite,) = read(result)
    case, skipped = suite.findall("testcase")
    assert case.get("name") == skipped.get("name") == escape.bare(part)
    assert case[0].get("message") == f"dangerous: {escape.exact(part)}"
    assert case[0].text.split("\n")[1] == f"  what   {escape.exact(part)}"
    assert skipped[0].get("message") == escape.exact(part)
    assert {element.tag for element in suite.iter()} == {
        "testsuite", "properties", "property", "testcase", "failure", "skipped",
    }  # fmt: skip
