"""`safeload.load(..., attestation=)`: one more condition on the very bytes that are loaded, and never the only one."""

from __future__ import annotations

import io
import json
import pickle as standard
from pathlib import Path
from typing import Any

import pytest
import torch

import safeload
from safeload.attesting import statement
from safeload.errors import InputNotFound, NotAttested, UnsafeCheckpoint
from safeload.inputs import FileSource, MemorySource
from safeload.policy import Policy
from samples.assemble import ECHO, name, pickle, tensor
from samples.files_of_torch import zip_of
from tests.attesting.certified import certificate, forged

GOOD = zip_of({"w": tensor()}).build()
OTHER = zip_of({"v": tensor()}).build()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "model.pt"
    file.write_bytes(GOOD)
    return file


def test_each_way_to_give_a_file_and_a_certificate(path: Path) -> None:
    given = certificate(GOOD)
    beside = path.with_suffix(".json")
    beside.write_text(json.dumps(given))
    for form in (given, beside, str(beside), beside.read_bytes(), io.BytesIO(beside.read_bytes())):
        assert torch.equal(safeload.load(path, attestation=form)["w"], torch.ones(4))
    for f in (path, str(path), GOOD, io.BytesIO(GOOD), io.BytesIO(b"before" + GOOD)):
        if isinstance(f, io.BytesIO) and f.getvalue() != GOOD:
            f.seek(6)
        assert torch.equal(safeload.load(f, attestation=given)["w"], torch.ones(4))


@pytest.mark.parametrize(
    "options", [{"mmap": True}, {"mmap": False}, {"engine": "torch"}, {"weights_only": True}], ids=repr
)
def test_it_goes_with_the_other_arguments(path: Path, options: dict[str, Any]) -> None:
    assert torch.equal(
        safeload.load(path, attestation=certificate(GOOD, full_hash=True), **options)["w"], torch.ones(4)
    )


def test_a_certificate_that_does_not_hold_keeps_the_file_out(path: Path) -> None:
    with pytest.raises(NotAttested, match=r"model\.pt was not loaded: .*the certificate says") as caught:
        safeload.load(path, attestation=certificate(OTHER))
    assert isinstance(caught.value, UnsafeCheckpoint)
    assert isinstance(caught.value, standard.UnpicklingError)
    assert caught.value.report.verdict == "clean"
    for nothing in (b"", b"{}", {}):
        with pytest.raises(NotAttested):
            safeload.load(path, attestation=nothing)
    with pytest.raises(InputNotFound):
        safeload.load(path, attestation=path.with_suffix(".none"))


def test_the_judging_is_never_skipped() -> None:
    dangerous = zip_of({"w": tensor(), "x": ECHO}).build()
    unvetted = pickle(name("project", "Model"))
    for data, of in ((dangerous, "os.system"), (unvetted, "project.Model")):
        with pytest.raises(UnsafeCheckpoint) as caught:
            safeload.load(data, attestation=forged(data, [of]))
        assert not isinstance(caught.value, NotAttested)
    with pytest.raises(NotAttested, match="closed list"):
        safeload.load(unvetted, unvetted="record", attestation=forged(unvetted, ["project.Model"]))


def test_rules_must_be_those_of_the_load(path: Path, tmp_path: Path) -> None:
    pack = tmp_path / "pack.toml"
    pack.write_text('[[narrow]]\nmodule = "collections"\nnames = ["Counter"]\n')
    given = certificate(GOOD, policy=Policy.from_file(pack))
    with pytest.raises(NotAttested, match="other rules"):
        safeload.load(path, attestation=given)
    for policy in (pack, Policy.from_file(pack)):
        assert safeload.load(path, policy=policy, attestation=given)["w"].shape == (4,)


def test_what_is_verified_is_what_was_judged(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is replaced between judging and verifying: the verifier meets the bytes that were judged, or refuses."""
    given = certificate(GOOD)
    derive, sources = statement.derive, []

    def swapped(source: Any) -> Any:
        sources.append(source)
        path.write_bytes(OTHER)
        return derive(source)

    monkeypatch.setattr(statement, "derive", swapped)
    with pytest.raises(safeload.SafeloadError):
        safeload.load(path, attestation=given)
    with pytest.raises(NotAttested):
        safeload.load(path, attestation=given)  # the other file, from the beginning
    safeload.load(GOOD, attestation=given)
    assert [type(s) for s in sources] == [FileSource, FileSource, MemorySource]


def test_without_a_certificate_nothing_is_verified(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statement, "derive", lambda source: pytest.fail("the verifier ran"))
    assert safeload.load(path)["w"].shape == (4,)
