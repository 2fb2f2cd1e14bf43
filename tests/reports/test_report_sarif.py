"""SARIF, held against the standard's own schema, read by a consumer of it, and taken apart."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import jsonschema
import pytest

from safeload.findings import Finding, Severity, Verdict
from safeload.report import Report
from safeload.reports import FORMATS, Outcome, Style, escape
from safeload.reports.sarif import address, percent
from tests.reports.outcomes import BEFORE, CLEAN, NAMES, ODD, OUTCOMES, PLAIN, RUNS, WICKED, WICKED_PARTS, outcome

SARIF = next(form for form in FORMATS if form.name == "sarif")
SCHEMA = Path(__file__).resolve().parent / "schemas" / "sarif-schema-2.1.0.json"


@pytest.fixture(scope="module")
def schema() -> Any:
    document = json.loads(SCHEMA.read_text(encoding="utf-8"))
    kind = jsonschema.validators.validator_for(document)
    kind.check_schema(document)
    return kind(document, format_checker=kind.FORMAT_CHECKER)


def run_of(result: Outcome) -> Any:
    log = json.loads(SARIF.render(result, Style()))
    (run,) = log["runs"]
    return run


@pytest.mark.parametrize("name", OUTCOMES)
def test_schema(name: str, schema: Any) -> None:
    text = SARIF.render(OUTCOMES[name], Style())
    assert text.isascii()
    assert [error.message for error in schema.iter_errors(json.loads(text))] == []


def test_the_schema_sees_what_it_is_for(schema: Any) -> None:
    log = json.loads(SARIF.render(outcome(*PLAIN), Style()))
    log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"] = 0
    del log["runs"][0]["results"][1]["message"]
    assert len([*schema.iter_errors(log)]) == 2


@pytest.mark.parametrize("name", OUTCOMES)
def test_a_consumer_reads_it(name: str, tmp_path: Path) -> None:
    file = tmp_path / "a.sarif"
    file.write_text(SARIF.render(OUTCOMES[name], Style()), encoding="utf-8")
    results = run_of(OUTCOMES[name])["results"]

    def sarif(*args: str) -> str:
        line = [sys.executable, "-m", "sarif", *args]
        return subprocess.run(line, capture_output=True, text=True, check=True, cwd=tmp_path).stdout

    said = sarif("summary", "a.sarif")
    for level in ("error", "warning", "note"):
        assert f"{level}: {sum(result['level'] == level for result in results)}" in said
    sarif("csv", "-o", "a.csv", "a.sarif")
    with open(tmp_path / "a.csv", newline="", encoding="utf-8") as read:
        rows = [*csv.DictReader(read)]
    assert sorted((row["Severity"], row["Code"], row["Line"]) for row in rows) == sorted(
        (result["level"], result["ruleId"], "1") for result in results
    )


def test_results_of_files_and_of_members() -> None:
    run = run_of(outcome(*PLAIN))
    runs, names, cut, remark = run["results"]
    assert [(r["ruleId"], r["level"]) for r in run["results"]] == [
        ("runs-programs", "error"),
        ("unknown-global", "warning"),
        ("truncated", "error"),
        ("big-endian", "note"),
    ]
    assert [run["tool"]["driver"]["rules"][r["ruleIndex"]]["id"] for r in run["results"]] == [
        r["ruleId"] for r in run["results"]
    ]
    # A member is a logical location, and the offset counts in an artifact inside the file's.
    (location,) = runs["locations"]
    assert location["physicalLocation"]["region"] == {"startLine": 1}
    assert location["physicalLocation"]["artifactLocation"]["uri"] == "models/evil.pt"
    assert location["physicalLocation"]["artifactLocation"]["uriBaseId"] == "%SRCROOT%"
    (logical,) = location["logicalLocations"]
    assert logical == {
        "name": "archive/data.pkl",
        "fullyQualifiedName": "models/evil.pt!archive/data.pkl",
        "kind": "member",
    }
    (related,) = runs["relatedLocations"]
    assert related["physicalLocation"]["region"] == {"byteOffset": 31, "byteLength": 1}
    member = run["artifacts"][related["physicalLocation"]["artifactLocation"]["index"]]
    assert member["location"]["uri"] == "/archive/data.pkl"
    assert run["artifacts"][member["parentIndex"]]["location"]["uri"] == "models/evil.pt"
    # Without a member the offset is the file's.
    assert cut["locations"][0]["physicalLocation"]["region"] == {
        "startLine": 1,
        "byteOffset": 1 << 20,
        "byteLength": 1,
    }
    assert "relatedLocations" not in cut
    assert [r["properties"].get("security-severity") for r in (runs, names, cut, remark)] == ["9.5", "5.5", "5.5", None]
    assert runs["message"]["text"].split("\n") == [
        "calls posix.system: starts a program",
        "What: posix.system('echo pwned')",
        "Where: archive/data.pkl at 0x1f (byte 31)",
        "What to do: do not load this file",
    ]


def test_every_file_is_an_artifact_and_what_was_skipped_a_notification() -> None:
    run = run_of(outcome(*PLAIN))
    files = [artifact for artifact in run["artifacts"] if "parentIndex" not in artifact]
    assert [unquote_to_bytes(file["location"]["uri"]).decode() for file in files] == [r.path for r in PLAIN]
    assert [file["properties"]["verdict"] for file in files] == [r.verdict for r in PLAIN]
    assert files[0]["length"] == 2048
    (skipped,) = run["invocations"][0]["toolExecutionNotifications"]
    assert (skipped["level"], skipped["message"]["text"]) == ("note", "skipped: text, no model")
    assert run["invocations"][0]["executionSuccessful"] is True
    assert run["properties"]["summary"]["verdict"] == "dangerous"


def test_rules_are_explained() -> None:
    rule = next(r for r in run_of(outcome(*PLAIN))["tool"]["driver"]["rules"] if r["id"] == "runs-programs")
    assert rule["shortDescription"]["text"] == "The name starts a program."
    said = "The name starts a program. It is the usual payload.\n\nReport it: to `whom` it concerns."
    assert rule["fullDescription"]["text"] == rule["help"]["text"] == said
    assert rule["defaultConfiguration"] == {"level": "error"}
    assert rule["properties"] == {"tags": ["security"], "security-severity": "9.5"}


def test_the_worst_finding_of_a_rule_is_its_severity() -> None:
    low, high = (RUNS._replace(severity=severity) for severity in (Severity.LOW, Severity.HIGH))
    (rule,) = run_of(outcome(CLEAN._replace(verdict=Verdict.DANGEROUS, findings=(low, high, low))))["tool"]["driver"][
        "rules"
    ]
    assert rule["properties"]["security-severity"] == "8.0"


def marks(*findings: Finding, path: str = "a.pt") -> list[str]:
    results = run_of(outcome(Report(path, Verdict.DANGEROUS, findings=findings)))["results"]
    assert all(len(set(r["partialFingerprints"].values())) == 1 for r in results)
    return [r["partialFingerprints"]["safeloadFinding/v1"] for r in results]


def test_fingerprints() -> None:
    (mark,) = marks(RUNS)
    assert re.fullmatch(r"[0-9a-f]{32}:1", mark)
    # What is said may change; what it is about may not.
    assert marks(RUNS._replace(message="else", evidence="", remedy="", severity=Severity.LOW)) == [mark]
    for change in ({"rule": "network"}, {"name": "os.system"}, {"member": "x.pkl"}, {"offset": 32}, {"offset": None}):
        assert marks(RUNS._replace(**change)) != [mark]  # type: ignore[arg-type]
    # Parts of one field do not run into the next.
    assert marks(RUNS._replace(name="a", member="bc")) != marks(RUNS._replace(name="ab", member="c"))
    assert marks(RUNS, RUNS) == [mark, mark[:-1] + "2"]
    assert marks(NAMES, RUNS)[1] == mark
    two = run_of(outcome(*(Report(p, Verdict.DANGEROUS, findings=(RUNS,)) for p in "ab")))["results"]
    assert {r["partialFingerprints"]["safeloadFinding/v1"] for r in two} == {mark}


def test_what_was_accepted_is_suppressed() -> None:
    (result,) = run_of(outcome(BEFORE))["results"]
    assert result["suppressions"] == [{"kind": "external", "justification": "baseline: known since May"}]


def test_no_failing_file_is_lost() -> None:
    for verdict, level in (("dangerous", "error"), ("unjudged", "error"), ("unvetted", "warning")):
        (result,) = run_of(outcome(Report("a.pt", Verdict(verdict))))["results"]
        assert (result["ruleId"], result["level"]) == (verdict, level)
    run = run_of(outcome(ODD[1]))
    assert [r["ruleId"] for r in run["results"]] == ["dangerous", "unknown-global"]
    (told,) = run["invocations"][0]["toolExecutionNotifications"]
    assert (told["level"], told["descriptor"]["id"]) == ("warning", "omitted")


def test_a_scan_of_nothing_did_not_succeed() -> None:
    for nothing in (outcome(), outcome(PLAIN[4])):
        invocation = run_of(nothing)["invocations"][0]
        assert invocation["executionSuccessful"] is False
        assert invocation["toolExecutionNotifications"][-1]["level"] == "error"
    assert run_of(outcome(allow_empty=True))["invocations"] == [
        {"executionSuccessful": True, "toolExecutionNotifications": []}
    ]


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("models/a b.pt", "models/a%20b.pt"),
        ("a:b#c?d%e.pt", "a%3Ab%23c%3Fd%25e.pt"),
        ("модель.pt", "%D0%BC%D0%BE%D0%B4%D0%B5%D0%BB%D1%8C.pt"),
        ("\udcff\n", "%FF%0A"),
        ("\ud800", "%ED%A0%80"),
        ("../x", "../x"),
        ("<bytes>", "%3Cbytes%3E"),
        ("-", "-"),
    ],
)
def test_relative_addresses(path: str, uri: str) -> None:
    assert address(path) == {"uri": uri, "uriBaseId": "%SRCROOT%"}


@pytest.mark.parametrize(
    ("path", "uri"), [("/tmp/a b", "file:///tmp/a%20b"), ("//x/y", "file:///x/y"), ("C:/m/a.pt", "file:///C:/m/a.pt")]
)
def test_absolute_addresses(path: str, uri: str) -> None:
    assert address(path) == {"uri": uri}


def test_addresses_start_from_the_folder_of_the_scan() -> None:
    run = run_of(outcome(*ODD))
    uris = [a["location"]["uri"] for a in run["artifacts"] if "parentIndex" not in a]
    assert uris == ["old.pt", "lost.pt", "twice%20%231.pt"]
    other = run_of(outcome(*ODD)._replace(folder="/abs/proj"))
    assert other["artifacts"][2]["location"]["uri"] == "file:///abs/project/twice%20%231.pt"


def strings(value: object) -> list[str]:
    """Every text in a document, keys included."""
    if isinstance(value, dict):
        return [*value, *(text for inner in value.values() for text in strings(inner))]
    if isinstance(value, list):
        return [text for inner in value for text in strings(inner)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize("part", [*WICKED_PARTS, WICKED.path])
def test_texts_hold_no_link_no_place_holder_and_no_control(part: str) -> None:
    finding = Finding(part, Verdict.DANGEROUS, Severity.HIGH, part, part, part, 1, 0, part, part, part)
    run = run_of(
        outcome(Report(part, Verdict.DANGEROUS, findings=(finding,)), Report(part, Verdict.SKIPPED, reason=part))
    )
    found = strings(run)
    assert [text for text in found if not all(c.isascii() and (c.isprintable() or c == "\n") for c in text)] == []
    (result,) = run["results"]
    messages = [
        result["message"]["text"],
        result["suppressions"][0]["justification"],
        run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"],
        *(rule[key]["text"] for rule in run["tool"]["driver"]["rules"] for key in ("help", "fullDescription")),
    ]
    assert [text for text in messages if "](" in text or re.search(r"\{\d", text)] == []
    assert result["properties"]["evidence"] == escape.exact(part)
    assert unquote_to_bytes(run["artifacts"][0]["location"]["uri"]) == unquote_to_bytes(percent(part))
