"""What hooks leave out: names count for nothing there, patterns start from the top, and CI has those of its base."""

from __future__ import annotations

import json

import pytest

from .conftest import DANGEROUS, PICKLE, Repo


@pytest.mark.parametrize("command", ["scan", "no-pickle"])
def test_a_file_that_pre_commit_names_is_left_out(repo: Repo, command: str) -> None:
    repo.put("third_party/bad.pt", DANGEROUS)
    repo.put("notes.txt", b"hello\n")
    names = ("--", "third_party/bad.pt", "notes.txt")
    assert repo.safeload("hook", command, *names).returncode == 1
    done = repo.safeload("hook", command, "--exclude", "/third_party/", *names)
    assert (done.returncode, done.stderr, "1 file excluded" in done.stdout) == (0, "", True)
    assert repo.safeload("hook", command, "--include", "*.txt", *names).returncode == 0
    # From below, too, the patterns start at the top.
    below = ("--exclude", "/third_party/", "--", "bad.pt")
    assert repo.safeload("hook", command, *below, cwd=repo.path / "third_party").returncode == 0
    repo.put("safeload.toml", b'exclude = ["third_party/"]\n')
    assert repo.safeload("hook", command, *names).returncode == 0
    assert repo.safeload("hook", command, "--no-config", *names).returncode == 1


@pytest.mark.parametrize("command", ["scan", "no-pickle"])
def test_what_is_staged(repo: Repo, command: str) -> None:
    repo.put("a/bad.pt", DANGEROUS)
    repo.git("add", "-A")
    assert repo.safeload("hook", command, "--staged").returncode == 1
    for words in ((), ("--", "a/bad.pt")):
        done = repo.safeload("hook", command, "--staged", "--exclude", "a/bad.*", *words)
        assert (done.returncode, "1 file" in done.stdout, "nothing is staged" in done.stdout) == (0, True, False)
    assert repo.safeload("hook", command, "--staged", "--exclude", "a/bad.*", cwd=repo.path / "a").returncode == 0


def ci(repo: Repo, *arguments: str, **environment: str) -> tuple[int, list[str], int]:
    """Exit code, paths that are not clean, and how many were left out."""
    out = repo.path.parent / "report.json"
    done = repo.safeload("hook", "ci", "--report", f"json={out}", *arguments, **environment)
    assert done.stderr == ""
    document = json.loads(out.read_text())
    bad = [file["path"] for file in document["files"] if file["verdict"] not in ("clean", "skipped")]
    return done.returncode, bad, document["summary"]["excluded"]


def test_ci_takes_patterns_from_its_caller_and_its_base(repo: Repo) -> None:
    repo.put("models/a.pt", PICKLE)
    base = repo.commit()
    repo.put("models/old/bad.pt", DANGEROUS)
    repo.put("safeload.toml", b'exclude = ["old/"]\n')
    merged = repo.commit()
    # Brought along by the change: a finding, and not in force.
    assert ci(repo, "--base", base, "models") == (1, ["models/old/bad.pt", "safeload.toml"], 0)
    assert ci(repo, "--base", merged, "models") == (0, [], 1)
    assert ci(repo, "--base", merged, "models/a.pt", "models/old/bad.pt") == (0, [], 1)
    assert ci(repo, "--base", merged, "--exclude", "/models/old/", "models") == (0, [], 1)
    assert ci(repo, "--base", merged, "--exclude", "/old/", "models")[0] == 1
    lines = "/models/old\n\nno such*\n"
    assert ci(repo, "--base", merged, "models", SAFELOAD_ACTION_EXCLUDE=lines) == (0, [], 1)
    assert ci(repo, "--base", merged, "--exclude", "x", "models", SAFELOAD_ACTION_INCLUDE="a.pt\n") == (0, [], 1)
    done = repo.safeload("hook", "ci", "--exclude", "a\\", "models")
    assert (done.returncode, "'a\\\\' is no pattern" in done.stderr) == (2, True)
