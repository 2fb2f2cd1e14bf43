"""What lets a file pass: packs, baselines and named policies change exit codes, and never a verdict."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from tests.cli.configured_project import OTHER, golden, project, run

SUMMARY = "All that is not clean was accepted, and does not count for the exit code: the verdicts stay.\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = project(tmp_path / "project")
    monkeypatch.chdir(place)
    return place


@pytest.mark.parametrize("workers", [(), ("--jobs", "1")])
def test_record_safe(here: Path, workers: tuple[str, ...]) -> None:
    result = run("scan", "models/unvetted.pkl", "--policy", "pack.toml", *workers)
    assert result.exit_code == 0
    assert result.stdout.startswith("UNVETTED   models/unvetted.pkl")
    assert "    pass   record-safe: ours, read as a record\n" in result.stdout
    assert result.stdout.startswith("unvetted: 1 file in ", result.stdout.rindex("\n", 0, -1) + 1)
    assert result.stdout.endswith(SUMMARY)
    assert run("scan", "models/unvetted.pkl", *workers).exit_code == 1


def test_record_safe_in_json(here: Path) -> None:
    (here / "models/unvetted.pkl").rename(here / "unvetted.pkl")
    (here / "other.pkl").write_bytes(OTHER)
    result = run("scan", "unvetted.pkl", "other.pkl", "--policy", "pack.toml", "--format", "json")
    assert result.exit_code == 1
    first, second = json.loads(result.stdout)["files"]
    assert (first["verdict"], first["accepted"]) == ("unvetted", True)
    assert first["findings"][0]["accepted"] == "record-safe: ours, read as a record"
    assert (second["verdict"], second["accepted"]) == ("unvetted", False)
    assert second["findings"][0]["accepted"] == ""


def test_record_safe_excuses_nothing_else(here: Path) -> None:
    assert run("scan", "models", "--policy", "pack.toml").exit_code == 1
    assert run("scan", "models/unvetted.pkl", "models/unjudged.pkl", "--policy", "pack.toml").exit_code == 2


def test_policies_by_name(here: Path) -> None:
    assert run("scan", "models/clean.pkl", "--policy", "strict").exit_code == 0
    assert run("scan", "models/clean.pkl", "--policy", "weights-only", "--jobs", "1").exit_code == 0
    assert run("scan", "models/unvetted.pkl", "--policy", "strict").exit_code == 1
    assert run("scan", "models/clean.pkl", "--policy", "lax").exit_code == 2  # a file, which is not there


def test_strict_excuses_nothing(here: Path) -> None:
    for excuse in (("--fail-on", "dangerous"), ("--baseline", "b.toml")):
        result = run("scan", "models/clean.pkl", "--policy", "strict", *excuse)
        assert result.exit_code == 2
        assert "the policy 'strict' excuses nothing" in result.stderr


def test_strict_minds_a_remark(here: Path, root: Path) -> None:
    import io
    import zipfile

    import torch

    out = io.BytesIO()
    torch.save({"w": torch.zeros(1)}, out)
    with zipfile.ZipFile(out, "a") as archive:
        archive.comment = b"made by a script"
    (here / "remark.pt").write_bytes(out.getvalue())
    assert run("scan", "remark.pt").exit_code == 0
    result = run("scan", "remark.pt", "--policy", "strict", "--quiet")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("remark.pt: clean, with a remark that 'strict' minds: zip-comment: ")


def baseline(*args: str) -> None:
    written = run("baseline", "write", *args, "-o", "known.toml", "--reason", "ours", "--expires", "2099-12-31")
    assert written.exit_code == 0, written.output


def test_a_baseline(here: Path) -> None:
    baseline("models/unvetted.pkl", "models/dangerous.pkl")
    result = run("scan", "models/unvetted.pkl", "models/dangerous.pkl", "--baseline", "known.toml")
    assert result.exit_code == 0
    assert result.stdout.startswith("UNVETTED   models/unvetted.pkl")
    assert "DANGEROUS  models/dangerous.pkl" in result.stdout
    assert result.stdout.count("    pass   baseline: ours\n") == 2
    assert result.stdout.endswith(SUMMARY)
    assert "dangerous: 2 files in " in result.stdout


def test_a_changed_file_is_new_and_a_moved_one_is_not(here: Path) -> None:
    baseline("models/unvetted.pkl")
    (here / "models/unvetted.pkl").rename(here / "moved.pkl")
    assert run("scan", "moved.pkl", "--baseline", "known.toml").exit_code == 0
    (here / "moved.pkl").write_bytes(OTHER)
    result = run("scan", "moved.pkl", "--baseline", "known.toml")
    assert result.exit_code == 1
    assert result.stderr == (
        "known.toml: 1 entry matched nothing here:\n"
        "  known.toml:3: unknown-global project.Model in models/unvetted.pkl\n"
    )
    assert run("scan", "moved.pkl", "--baseline", "known.toml", "-q").stderr == ""


def test_the_whole_hash_binds_the_weights(here: Path) -> None:
    import torch

    # Saved once: torch names the storages of such a file by their addresses, which a second saving would change.
    content = {"w": torch.full((4,), 1.0), "n": Unknown()}
    torch.save(content, here / "m.pt", _use_new_zipfile_serialization=False)
    raw = (here / "m.pt").read_bytes()
    ones = struct.pack("<4f", *[1.0] * 4)
    assert raw.count(ones) == 1

    def save(value: float) -> None:
        # Two files that differ in a weight only: nothing of it is read for the verdict.
        (here / "m.pt").write_bytes(raw.replace(ones, struct.pack("<4f", *[value] * 4)))

    save(1.0)
    baseline("m.pt")
    baseline_text = Path("known.toml").read_text()
    assert "\nsha256" not in baseline_text
    save(2.0)
    known = run("scan", "m.pt", "--baseline", "known.toml").exit_code
    save(1.0)
    baseline("m.pt", "--full-hash")
    assert run("scan", "m.pt", "--baseline", "known.toml").exit_code == 0
    save(2.0)
    assert run("scan", "m.pt", "--baseline", "known.toml").exit_code == 1
    assert known == 0


class Unknown:
    """A class that no rule knows."""


def test_an_expired_entry_fails_whatever_is_scanned(here: Path, root: Path) -> None:
    baseline("models/unvetted.pkl")
    text = Path("known.toml").read_text().replace("2099-12-31", "2020-01-31")
    Path("known.toml").write_text(text)
    result = run("scan", "models/unvetted.pkl", "--baseline", "known.toml")
    assert result.exit_code == 1
    golden(root, "baseline-expired.txt", result.stderr)
    assert run("scan", "models/clean.pkl", "--baseline", "known.toml").exit_code == 2


def test_an_entry_without_a_reason_is_an_error(here: Path) -> None:
    baseline("models/unvetted.pkl")
    Path("known.toml").write_text(Path("known.toml").read_text().replace('reason = "ours"\n', ""))
    result = run("scan", "models/unvetted.pkl", "--baseline", "known.toml")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "Error: known.toml:3: [[entry]] needs 'reason': say why this is let pass\n"


def test_a_baseline_inside_a_downloaded_folder_is_refused(here: Path) -> None:
    baseline("models/unvetted.pkl")
    Path("known.toml").rename("models/known.toml")
    result = run("scan", "models", "--baseline", "models/known.toml")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "a baseline is not read from a folder that is scanned" in result.stderr
    # The project's own folder may hold it: one stands in it.
    Path("models/known.toml").rename("known.toml")
    (here / "models/dangerous.pkl").unlink()
    (here / "models/unjudged.pkl").unlink()
    assert run("scan", ".", "--baseline", "known.toml").exit_code == 0
