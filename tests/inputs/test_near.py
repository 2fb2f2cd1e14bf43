"""What lies beside a file is asked by name, in any case and with any ending, and listed once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from safeload.inputs.near import Beside, among


def test_a_name_is_found_with_any_ending_and_in_any_case(tmp_path: Path) -> None:
    for name in ("evil.py", "Other.cpython-311-x86_64-linux-gnu.so", "package"):
        (tmp_path / name).touch()
    beside = Beside(str(tmp_path))
    assert [beside(name) for name in ("evil", "EVIL", "evil.py", "other", "package", "evi", "none")] == [
        True, True, True, True, True, False, False,
    ]  # fmt: skip
    assert among(["Stra\u00dfe.py"], "STRASSE")


def test_a_folder_is_listed_once_however_many_names_a_text_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed: list[str] = []
    real = os.listdir
    monkeypatch.setattr(os, "listdir", lambda folder: listed.append(folder) or real(folder))
    beside = Beside(str(tmp_path))
    assert not any(beside(f"module{number}") for number in range(1000))
    assert listed == [str(tmp_path)]


def test_a_folder_that_cannot_be_listed_may_hold_anything(tmp_path: Path) -> None:
    assert Beside(str(tmp_path / "none"))("anything")
