"""The sample files: written anew to the byte, judged as the index says, and never run."""

from __future__ import annotations

import hashlib
import io
import tomllib
from pathlib import Path

import pytest

from safeload.findings import Verdict
from safeload.scanning.scanner import scan
from samples.build import SAMPLES, write
from samples.sample import Sample
from tests.conftest import ROOT

FOLDER = ROOT / "samples"
GROUPS = {"benign", "bytes", "memory", "names", "opcodes", "silence"}
BY_PATH = {sample.path: sample for sample in SAMPLES}

WEIGHTS_ONLY = (
    "attributes", "bfloat16", "big-endian", "checkpoint", "conjugate", "deflated", "empty-tensor", "float8", "legacy",
    "legacy-views", "meta", "nested", "parameter-0.3", "quantized", "quantized-channels", "resaved", "small-values",
    "sparse", "sparse-csr", "state-dict", "state-dict-1.6", "tied-weights", "torch-0.3-tensor",
)  # fmt: skip
"""Benign samples that torch itself loads under weights_only: they are what they say."""


def index(folder: Path) -> list[dict[str, object]]:
    return tomllib.loads((folder / "index.toml").read_text(encoding="ascii"))["sample"]


def test_the_committed_files_are_those_that_the_builder_writes(tmp_path: Path) -> None:
    write(tmp_path)
    assert (tmp_path / "index.toml").read_bytes() == (FOLDER / "index.toml").read_bytes()
    built = {p.relative_to(tmp_path).as_posix(): p.read_bytes() for p in (tmp_path / "files").rglob("*") if p.is_file()}
    there = {p.relative_to(FOLDER).as_posix(): p.read_bytes() for p in (FOLDER / "files").rglob("*") if p.is_file()}
    assert built.keys() == there.keys()
    assert [path for path, data in built.items() if there[path] != data] == []


def test_the_index_is_true() -> None:
    entries = index(FOLDER)
    assert [entry["path"] for entry in entries] == sorted(BY_PATH)
    for entry in entries:
        data = (FOLDER / "files" / str(entry["path"])).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (entry["size"], entry["sha256"]), entry["path"]
        assert entry.keys() == {"path", "what", "verdict", "rules", "size", "sha256"}
        assert str(entry["what"]).isprintable()


def test_there_are_enough_and_they_are_small() -> None:
    assert len(SAMPLES) == len(BY_PATH) >= 60
    assert sum(sample.hostile for sample in SAMPLES) >= 40
    assert {path.partition("/")[0] for path in BY_PATH} == GROUPS
    assert max(len(sample.data) for sample in SAMPLES) < 20_000
    assert sum(len(sample.data) for sample in SAMPLES) < 1_000_000


def test_no_hostile_sample_is_expected_to_be_clean() -> None:
    assert [s.path for s in SAMPLES if s.hostile and s.verdict == "clean"] == []
    assert {s.verdict for s in SAMPLES if not s.hostile} == {"clean", "unvetted"}


@pytest.mark.parametrize("path", sorted(BY_PATH))
def test_a_sample_is_judged_as_the_index_says(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    sample = BY_PATH[path]
    monkeypatch.chdir(tmp_path)
    report = scan(FOLDER / "files" / path)
    told = {f.rule for f in report.findings if f.verdict is not Verdict.SKIPPED}
    assert (report.verdict.value, tuple(sorted(told))) == (sample.verdict, sample.rules)
    # The payloads print a line or make a file where they run.
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", sorted(BY_PATH))
def test_a_verdict_does_not_depend_on_how_the_bytes_come(path: str) -> None:
    sample = BY_PATH[path]
    from_bytes = scan(sample.data)
    from_stream = scan(io.BytesIO(sample.data))
    from_file = scan(FOLDER / "files" / path)
    for report in (from_stream, from_file):
        assert (report.verdict, report.container, report.judged_sha256) == (
            from_bytes.verdict,
            from_bytes.container,
            from_bytes.judged_sha256,
        )
        assert [(f.rule, f.member, f.offset, f.evidence) for f in report.findings] == [
            (f.rule, f.member, f.offset, f.evidence) for f in from_bytes.findings
        ]


@pytest.mark.parametrize("sample", [s for s in SAMPLES if s.hostile], ids=lambda s: s.path)
def test_every_hostile_sample_says_where_and_what_to_do(sample: Sample) -> None:
    report = scan(sample.data)
    worst = report.findings[0]
    assert report.verdict is worst.verdict is not Verdict.CLEAN
    assert worst.message
    assert worst.remedy or worst.rule in {"limit-reached"}
    if worst.offset is not None and not worst.member:
        assert 0 <= worst.offset <= len(sample.data)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", WEIGHTS_ONLY)
def test_torch_loads_the_benign_samples(name: str) -> None:
    torch = pytest.importorskip("torch")
    value = torch.load(io.BytesIO(BY_PATH[f"benign/{name}.pt"].data), weights_only=True)
    assert len(value) > 0


WHOLE_EARLY = {"torch-0.1.tar", "two-objects.pkl"}
"""Samples of which a beginning is a whole file: a tar ends in zeros that mean nothing, a pickle stands alone."""


@pytest.mark.slow
@pytest.mark.parametrize("sample", [s for s in SAMPLES if not s.hostile], ids=lambda s: s.path)
def test_a_piece_of_a_benign_sample_is_neither_clean_nor_dangerous(sample: Sample) -> None:
    found = {scan(sample.data[:size]).verdict for size in range(1, len(sample.data), 11)}
    name = sample.path.removeprefix("benign/")
    # Cut between the name and its call, a bare `getattr` is left.
    assert name == "enum-member.pkl" or Verdict.DANGEROUS not in found
    assert name in WHOLE_EARLY or Verdict.CLEAN not in found
