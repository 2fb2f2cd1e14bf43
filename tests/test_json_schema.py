"""docs/schema/safeload.scan-1.json, docs/json.md and the wire fields of report.py say the same, and output obeys it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner

from safeload.cli import app
from safeload.findings import Finding, Severity, Verdict
from safeload.report import SCHEMA, Report, dumps

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "json.md"

FULL = Report(
    "model.pt",
    Verdict.DANGEROUS,
    findings=(Finding("runs-programs", Verdict.DANGEROUS, Severity.CRITICAL, "calls it", "do not load it"),),
)


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    path = ROOT / "docs" / "schema" / "safeload.scan-1.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def validator(schema: dict[str, Any]) -> Any:
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def parts(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Each kind of object in the schema, by the heading of docs/json.md that it stands under."""
    return {
        "The document": schema,
        "summary": schema["$defs"]["summary"],
        "A file": schema["$defs"]["file"],
        "A finding": schema["$defs"]["finding"],
    }


def wire() -> dict[str, dict[str, Any]]:
    """One real object of each kind."""
    document = json.loads(dumps((FULL,), "0" * 64))
    (file,) = document["files"]
    return {
        "The document": document,
        "summary": document["summary"],
        "A file": file,
        "A finding": file["findings"][0],
    }


def test_the_schema_has_every_field_and_no_other(schema: dict[str, Any]) -> None:
    real = wire()
    for title, part in parts(schema).items():
        assert list(part["properties"]) == list(real[title]), title
        assert sorted(part["required"]) == sorted(real[title]), title
        assert part.get("additionalProperties", True) is True, "readers accept added fields"
        for name, field in part["properties"].items():
            assert "$ref" in field or "description" in field or "const" in field, f"{title}: {name}"
    assert schema["properties"]["schema"]["const"] == SCHEMA


def test_the_schema_has_every_verdict_and_severity(schema: dict[str, Any]) -> None:
    assert set(schema["$defs"]["verdict"]["enum"]) == {str(verdict) for verdict in Verdict}
    finding = schema["$defs"]["finding"]["properties"]
    assert set(finding["severity"]["enum"]) == {severity.value for severity in Severity}
    assert set(finding["verdict"]["enum"]) == {str(verdict) for verdict in Verdict}


def tables(text: str) -> Iterator[tuple[str, list[str]]]:
    """The first column of the table below each heading."""
    for match in re.finditer(r"^## (.+)\n((?:(?!## ).*\n)*)", text, re.MULTILINE):
        yield match[1], re.findall(r"^\| `([^`]+)`", match[2], re.MULTILINE)


def test_the_page_has_every_field(schema: dict[str, Any]) -> None:
    described = dict(tables(PAGE.read_text(encoding="utf-8")))
    real = wire()
    assert described["A file"] == list(real["A file"])
    assert described["A finding"] == list(real["A finding"])
    assert {name.partition(".")[0] for name in described["The document"]} == set(real["The document"])


def test_the_example_of_the_page_obeys_the_schema(validator: Any) -> None:
    text = PAGE.read_text(encoding="utf-8")
    example = json.loads(text.partition("```json\n")[2].partition("```")[0])
    validator.validate(example)
    assert list(example["files"][0]) == list(wire()["A file"])
    assert list(example["files"][0]["findings"][0]) == list(wire()["A finding"])


@pytest.mark.parametrize("folder", ["names", "opcodes", "bytes", "memory", "benign"])
def test_scans_of_samples_obey_the_schema(folder: str, validator: Any) -> None:
    place = ROOT / "samples" / "files" / folder
    result = CliRunner().invoke(app, ["scan", "--no-config", "--format", "json", str(place)])
    document = json.loads(result.stdout)
    assert document["summary"]["files"] > 5
    validator.validate(document)


def test_odd_scans_obey_the_schema(tmp_path: Path, validator: Any) -> None:
    (tmp_path / "readme.md").write_text("# no model")
    (tmp_path / "empty.pt").touch()
    for args in ([str(tmp_path)], [str(tmp_path / "missing.pt")], ["--allow-empty", str(tmp_path)], ["-"]):
        result = CliRunner().invoke(app, ["scan", "--no-config", "--format", "json", *args], input=b"N.")
        validator.validate(json.loads(result.stdout))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema",), "safeload.scan/2"),
        (("files", 0, "verdict"), "fine"),
        (("files", 0, "size"), -1),
        (("files", 0, "findings", 0, "offset"), "12"),
        (("files", 0, "findings", 0, "severity"), "urgent"),
        (("files", 0, "judged_sha256"), "abc"),
    ],
)
def test_what_does_not_obey_is_seen(path: tuple[Any, ...], value: Any, validator: Any) -> None:
    document = json.loads(dumps((FULL,), "0" * 64))
    validator.validate(document)
    inner = document
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(document)
