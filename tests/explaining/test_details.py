"""Opcodes around findings: the right ones, of the bytes that were judged, and not too many."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from safeload import scan
from safeload.explaining import opcodes
from safeload.explaining.details import detail, details
from safeload.findings import Verdict
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.report import Report
from safeload.reports.details import Detail

RUNS = b"cposix\nsystem\n(S'echo safeload-sample'\ntR"


def of(report: Report) -> Detail:
    return detail(report, policy=Policy.default(), limits=Limits())


def written(folder: Path, data: bytes, name: str = "a.pkl") -> Report:
    (folder / name).write_bytes(data)
    return scan(folder / name)


def shown(report: Report, at: int = 0) -> list[tuple[int, str, bool]]:
    finding = report.findings[at]
    assert finding.stream is not None
    assert finding.offset is not None
    return [(line.offset, line.name, line.here) for line in of(report).opcodes[finding.stream, finding.offset]]


def test_the_opcodes_around_a_call(tmp_path: Path) -> None:
    report = written(tmp_path, b"\x80\x02" + RUNS + b".")
    assert shown(report) == [
        (0, "PROTO", False), (2, "GLOBAL", False), (16, "MARK", False), (17, "STRING", False), (41, "TUPLE", False),
        (42, "REDUCE", True), (43, "STOP", False),
    ]  # fmt: skip
    lines = of(report).opcodes[0, 42]
    assert lines[5].note == "calls posix.system with 'echo safeload-sample'"
    assert (lines[3].argument, lines[3].depth, lines[5].depth) == ("'echo safeload-sample'", 3, 1)


def test_no_more_than_asked_for(tmp_path: Path) -> None:
    report = written(tmp_path, b"\x80\x02" + b"K\x010" * 50 + RUNS + b"0" + b"K\x010" * 50 + b"N.")
    lines = shown(report)
    assert [here for _, _, here in lines] == [False] * opcodes.BEFORE + [True] + [False] * opcodes.BEHIND
    assert [name for _, name, _ in lines][-6:] == ["TUPLE", "REDUCE", "POP", "BININT1", "POP", "BININT1"]


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_offsets_are_those_of_findings_in_members(tmp_path: Path, compression: int) -> None:
    data = b"\x80\x02" + RUNS + b"."
    with zipfile.ZipFile(tmp_path / "a.pt", "w", compression) as archive:
        archive.writestr("a/data.pkl", data)
        archive.writestr("a/version", b"3\n")
    report = scan(tmp_path / "a.pt")
    finding = next(f for f in report.findings if f.rule == "runs-programs")
    assert (finding.member, finding.offset) == ("a/data.pkl", 42)
    line = next(line for line in of(report).opcodes[finding.stream or 0, 42] if line.here)
    assert (line.offset, line.name) == (42, "REDUCE")


def test_a_later_pickle_of_the_file(tmp_path: Path) -> None:
    first = pickle.dumps([1, 2], 2)
    report = written(tmp_path, first + b"\x80\x02" + RUNS + b".")
    found = next(f for f in report.findings if f.rule == "runs-programs")
    lines = of(report).opcodes[found.stream or 0, found.offset or 0]
    assert [line.name for line in lines if line.here] == ["REDUCE"]
    assert found.offset == len(first) + 42
    assert lines[0].offset == len(first)


def test_where_the_machine_stops(tmp_path: Path) -> None:
    report = written(tmp_path, b"\x80\x02]K\x01\xf0")
    malformed = next(f for f in report.findings if f.verdict is Verdict.UNJUDGED)
    lines = of(report).opcodes[0, malformed.offset or 0]
    assert [(line.offset, line.name, line.here) for line in lines][-1] == (5, "0xf0", True)
    assert lines[-1].note.startswith("stops here: ")


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_bytes(path.read_bytes().replace(b"safeload", b"otherone")),
        lambda path: path.write_bytes(path.read_bytes()[:10]),
        lambda path: path.write_bytes(b""),
    ],
)
def test_a_changed_file_gives_nothing(tmp_path: Path, change: Callable[[Path], Any]) -> None:
    report = written(tmp_path, b"\x80\x02" + RUNS + b".")
    change(tmp_path / "a.pkl")
    assert of(report) == Detail(
        note="The file changed after it was judged, so neither its opcodes nor its bytes are shown."
    )


def test_a_file_that_is_gone_gives_nothing(tmp_path: Path) -> None:
    report = written(tmp_path, b"\x80\x02" + RUNS + b".")
    (tmp_path / "a.pkl").unlink()
    assert of(report) == Detail(
        note="The file could not be read again, so neither its opcodes nor its bytes are shown."
    )


def test_opcodes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = written(tmp_path, b"\x80\x02" + b"K\x010" * 500 + RUNS + b".")
    monkeypatch.setattr(opcodes, "OPCODES", 500)
    assert of(report) == Detail(note="Opcodes are shown for findings among the first 500 of a file.")


def test_nothing_is_walked_that_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Findings near the beginning are shown, however long the pickle is."""
    report = written(tmp_path, b"\x80\x02" + RUNS + b"0" + b"K\x010" * 500 + b"N.")
    monkeypatch.setattr(opcodes, "OPCODES", 100)
    found = of(report)
    assert found.note == ""
    assert len(found.opcodes[0, 42]) == 6 + opcodes.BEHIND


def test_the_end_of_the_walk_is_not_shown_as_the_end_of_the_pickle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = written(tmp_path, b"\x80\x02" + RUNS + b".")
    monkeypatch.setattr(opcodes, "OPCODES", 5)  # REDUCE, the finding, is the sixth
    assert of(report).opcodes == {}
    monkeypatch.setattr(opcodes, "OPCODES", 6)
    assert [line.name for line in of(report).opcodes[0, 42]][-1] == "REDUCE"


def test_findings_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = b"".join(RUNS.replace(b"sample", b"%06d" % number) + b"0" for number in range(9))
    report = written(tmp_path, b"\x80\x02" + calls + b"N.")
    assert len(report.findings) == 9
    monkeypatch.setattr(opcodes, "FINDINGS", 4)
    assert set(of(report).opcodes) == {(f.stream, f.offset) for f in report.findings[:4]}


def test_files_are_bounded_and_the_worst_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reports = [
        written(tmp_path, pickle.dumps([1]), "clean.pkl"),
        written(tmp_path, b"\x80\x02" + RUNS + b".", "bad.pkl"),
        Report("-", Verdict.CLEAN, judged_sha256="0" * 64),
        Report("readme.md", Verdict.SKIPPED),
        Report("gone.pt", Verdict.UNJUDGED),
    ]
    monkeypatch.setattr("safeload.explaining.details.FILES", 1)
    found = details(reports, policy=Policy.default(), limits=Limits())
    assert set(found) == {reports[0].path, reports[1].path, "-"}
    assert found[reports[1].path].opcodes
    assert found[reports[0].path] == Detail(note="Opcodes and bytes are shown for the 1 worst files of a report.")
    assert "Standard input" in found["-"].note


def test_every_sample_can_be_detailed(root: Path) -> None:
    """Whatever is in a file: no exception, and every line belongs to what it stands beside."""
    for path in sorted((root / "samples" / "files").rglob("*")):
        if not path.is_file() or path.stat().st_size > 100_000:
            continue
        report = scan(path)
        found = of(report)
        for (_, offset), lines in found.opcodes.items():
            here = [line for line in lines if line.here]
            assert len(here) == 1, path
            assert here[0].offset <= offset, path
        if found.bytes is not None:
            assert sum(part.size for part in found.bytes.parts) == found.bytes.size, path
