"""Policies by name, and what strict takes away."""

from __future__ import annotations

import datetime
import io
import pickle
import zipfile
from pathlib import Path

import pytest
import torch

import safeload
from safeload.errors import UnsafeCheckpoint, UsageError
from safeload.findings import Finding, Severity, Verdict
from safeload.policy import NAMES, Policy
from safeload.project import configuration
from safeload.report import Report, left

DATE = pickle.dumps(datetime.date(2024, 1, 2), 2)
CLEAN = b"\x80\x04K\x01."


def remarked() -> bytes:
    """A checkpoint with a comment on its archive: clean, with a remark."""
    out = io.BytesIO()
    torch.save({"w": torch.zeros(2)}, out)
    with zipfile.ZipFile(out, "a") as archive:
        archive.comment = b"made by a script"
    return out.getvalue()


def test_names() -> None:
    assert NAMES == configuration.POLICIES
    assert Policy.named("standard") is Policy.default()
    assert Policy.named("weights-only").digest == Policy.default().weights_only().digest != Policy.default().digest
    assert Policy.named("strict").digest == Policy.default().digest
    with pytest.raises(UsageError, match="there is no policy 'lax'; the policies are weights-only, standard, strict"):
        Policy.named("lax")


def test_find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Policy.find(None) is Policy.default()
    strict = Policy.find("strict")
    assert strict.strict
    assert Policy.find(strict) is strict
    monkeypatch.chdir(tmp_path)
    Path("strict").write_text('[[known]]\nmodule = "m"\nname = "n"\nlibrary = "l"\nwhat = "w"\n')
    assert Policy.find("strict").strict
    assert Policy.find("./strict").decide("m", "n").library == "l"


def test_scan_inspect_and_diff_take_what_find_takes() -> None:
    assert safeload.scan(DATE, policy="standard").verdict is Verdict.CLEAN
    assert safeload.scan(DATE, policy="weights-only").verdict is Verdict.UNVETTED
    assert safeload.inspect(DATE, policy="weights-only").report.verdict is Verdict.UNVETTED
    assert safeload.diff(DATE, CLEAN, policy="weights-only").a.report.verdict is Verdict.UNVETTED
    for call in (safeload.scan, safeload.inspect):
        with pytest.raises(UsageError, match="the policies are weights-only"):
            call(CLEAN, policy="strct")


def test_weights_only_takes_torchs_list() -> None:
    assert safeload.scan(DATE).verdict is Verdict.CLEAN
    assert safeload.scan(DATE, policy=Policy.named("weights-only")).verdict is Verdict.UNVETTED
    with pytest.raises(UnsafeCheckpoint):
        safeload.load(DATE, policy="weights-only")


def test_strict_minds_remarks() -> None:
    data = remarked()
    report = safeload.scan(data, policy=Policy.named("strict"))
    assert report.verdict is Verdict.CLEAN
    assert [finding.rule for finding in report.findings] == ["zip-comment"]
    assert (left(report), left(report, strict=True)) == (Verdict.CLEAN, Verdict.UNVETTED)
    assert safeload.load(data)["w"].tolist() == [0, 0]
    with pytest.raises(UnsafeCheckpoint, match="it is clean, and the policy 'strict' admits no remark"):
        safeload.load(data, policy="strict")
    assert safeload.load(CLEAN, policy="strict") == 1


def test_strict_accepts_nothing() -> None:
    unvetted = b"cproject\nModel\n."
    with pytest.raises(UnsafeCheckpoint, match="verdict: unvetted"):
        safeload.load(unvetted, policy="strict")
    for excuse in ({"unvetted": "record"}, {"trust": "torch.nn"}):
        with pytest.raises(UsageError, match="'strict' admits no records"):
            safeload.load(CLEAN, policy="strict", **excuse)
    found = Finding("unknown-global", Verdict.UNVETTED, Severity.LOW, "m", accepted="baseline: r")
    assert left(Report("x", Verdict.UNVETTED, findings=(found,)), strict=True) is Verdict.UNVETTED


def test_strict_stays_strict_when_it_is_narrowed() -> None:
    assert Policy.named("strict").weights_only().strict
    assert not Policy.named("weights-only").strict
