"""`safeload scan --format html`: details come with the page, and cost nothing where no page is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

import safeload.explaining.details
from safeload.cli import app

RUNS = b"\x80\x02cposix\nsystem\n(S'echo safeload-sample'\ntR."


def test_a_page_has_opcodes(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(RUNS)
    done = CliRunner().invoke(app, ["scan", str(tmp_path), "--format", "html", "-o", str(tmp_path / "out.html")])
    assert (done.exit_code, done.output) == (1, "")
    page = (tmp_path / "out.html").read_text(encoding="ascii")
    assert page.startswith("<!doctype html>\n")
    assert "calls posix.system with &#x27;echo safeload-sample&#x27;" in page
    assert "It is the usual payload of a malicious checkpoint." in page


def test_other_formats_read_a_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise AssertionError("details were computed")

    monkeypatch.setattr(safeload.explaining.details, "details", refuse)
    (tmp_path / "a.pkl").write_bytes(RUNS)
    for form in ("text", "json", "sarif", "markdown"):
        assert CliRunner().invoke(app, ["scan", str(tmp_path), "--format", form]).exit_code == 1
