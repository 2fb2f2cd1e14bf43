"""`--staged`: what git's index holds is judged, and the work tree is not asked."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from safeload.errors import InputError, UsageError
from safeload.integrations.git import repository as git_repository
from safeload.integrations.git.repository import Repository

from .conftest import DANGEROUS, PICKLE, SAFETENSORS, Repo, clean_environment


def test_a_partially_staged_file_is_judged_as_staged(repo: Repo) -> None:
    repo.put("a.pt", DANGEROUS)
    repo.git("add", "a.pt")
    repo.put("a.pt", PICKLE)
    assert repo.safeload("hook", "scan", "--", "a.pt").returncode == 0
    for names in ([], ["--", "a.pt"], ["--", str(repo.path / "a.pt")], ["--", "./a.pt"]):
        done = repo.safeload("hook", "scan", "--staged", *names)
        assert done.returncode == 1
        assert "DANGEROUS" in done.stdout
    repo.git("add", "a.pt")
    repo.put("a.pt", DANGEROUS)
    assert repo.safeload("hook", "scan", "--staged", "--", "a.pt").returncode == 0


def test_without_names_it_is_what_a_commit_would_bring(repo: Repo) -> None:
    repo.put("old.pt", DANGEROUS)
    repo.put("gone.pt", DANGEROUS)
    repo.put("w.safetensors", SAFETENSORS)
    # Before the first commit the whole index is new.
    repo.git("add", "-A")
    assert repo.safeload("hook", "scan", "--staged").returncode == 1
    repo.commit()
    (repo.path / "gone.pt").unlink()
    repo.put("sub/new.pt", PICKLE)
    repo.git("add", "-A")
    done = repo.safeload("hook", "scan", "--staged", "--verbose")
    assert done.returncode == 0
    assert "sub/new.pt" in done.stdout
    assert "old.pt" not in done.stdout
    assert repo.safeload("hook", "no-pickle", "--staged").returncode == 1
    repo.commit()
    assert repo.safeload("hook", "scan", "--staged").returncode == 0


def test_a_renamed_pickle_is_new(repo: Repo) -> None:
    repo.put("a.pt", PICKLE)
    repo.commit()
    repo.git("mv", "a.pt", "README")
    done = repo.safeload("hook", "no-pickle", "--staged")
    assert (done.returncode, done.stdout.splitlines()[0]) == (1, "PICKLE  README  torch-zip: holds a pickle")


def test_from_a_folder_below_names_are_relative_to_it(repo: Repo) -> None:
    repo.put("a.pt", DANGEROUS)
    repo.put("sub/a.pt", PICKLE)
    repo.git("add", "-A")
    sub = repo.path / "sub"
    assert repo.safeload("hook", "scan", "--staged", "--", "a.pt", cwd=sub).returncode == 0
    assert repo.safeload("hook", "scan", "--staged", "--", "../a.pt", cwd=sub).returncode == 1
    done = repo.safeload("hook", "scan", "--staged", "--", "../../a.pt", cwd=sub)
    assert done.returncode == 2
    assert "outside the repository" in done.stderr


def test_what_is_not_in_the_index_is_unjudged(repo: Repo) -> None:
    repo.put("a.pt", PICKLE)
    done = repo.safeload("hook", "scan", "--staged", "--", "a.pt")
    assert done.returncode == 2
    assert "not-staged" in done.stdout


def test_links_and_submodules_hold_no_file(repo: Repo) -> None:
    repo.put("a.pt", DANGEROUS)
    repo.commit()
    (repo.path / "link.pt").symlink_to("a.pt")
    repo.git("add", "link.pt")
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},module")
    done = repo.safeload("hook", "scan", "--staged", "--verbose")
    assert done.returncode == 0
    assert "a link: git keeps the name of its target" in done.stdout
    assert "a submodule" in done.stdout


def test_an_undecided_merge_is_unjudged(repo: Repo) -> None:
    repo.put("a.pt", PICKLE)
    oid = repo.git("hash-object", "-w", "a.pt").strip()
    lines = "".join(f"100644 {oid} {stage}\ta.pt\n" for stage in (1, 2, 3))
    subprocess.run(["git", "update-index", "--index-info"], cwd=repo.path, input=lines, text=True, check=True,
                   env=clean_environment())  # fmt: skip
    done = repo.safeload("hook", "scan", "--staged", "--", "a.pt")
    assert done.returncode == 2
    assert "a merge left it undecided" in done.stdout


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are no bytes here")
@pytest.mark.parametrize(
    "name", [b"\xff\xfe\n.pt", b"*", b":(glob)**", b"-x", b" ", b'"a\\t"', "\u0444\u2028".encode()]
)
def test_any_name_is_found_in_the_index(repo: Repo, name: bytes) -> None:
    repo.put("other.pt", PICKLE)
    with open(os.path.join(os.fsencode(repo.path), name), "wb") as file:
        file.write((repo.samples / DANGEROUS).read_bytes())
    repo.git("add", "-A")
    for extra in ([], [b"--", name]):
        done = subprocess.run(
            [sys.executable.encode(), b"-m", b"safeload", b"hook", b"scan", b"--staged", *extra],
            cwd=repo.path, env=clean_environment(), capture_output=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (1, b"")
        assert done.stdout.startswith(b"DANGEROUS")
    assert b"(1 dangerous)" in done.stdout


def test_the_index_that_git_names_counts(repo: Repo) -> None:
    """`git commit FILE` commits from an index of its own, which the hook is told by its environment."""
    repo.put("a.pt", DANGEROUS)
    repo.git("add", "a.pt")
    other = str(repo.path / ".git" / "other-index")
    repo.put("a.pt", PICKLE)
    repo.git("add", "a.pt", GIT_INDEX_FILE=other)
    assert repo.safeload("hook", "scan", "--staged").returncode == 1
    assert repo.safeload("hook", "scan", "--staged", GIT_INDEX_FILE=other).returncode == 0


def test_a_hook_of_git_itself_refuses_the_commit(repo: Repo) -> None:
    hook = repo.path / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m safeload hook scan --staged\n')
    hook.chmod(0o755)
    good, bad = repo.put("good.pt", PICKLE), repo.put("bad.pt", DANGEROUS)
    repo.git("add", "-A")
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-q", "-m", "x"]
    one = subprocess.run(
        [*command, good.name], cwd=repo.path, env=clean_environment(), capture_output=True, check=False
    )
    assert one.returncode == 0, one.stderr
    two = subprocess.run([*command, bad.name], cwd=repo.path, env=clean_environment(), capture_output=True, check=False)
    assert two.returncode != 0
    assert b"DANGEROUS" in two.stdout + two.stderr


def test_replaced_objects_do_not_hide_what_is_committed(repo: Repo) -> None:
    repo.put("a.pt", DANGEROUS)
    repo.put("b.pt", PICKLE)
    repo.git("add", "-A")
    repo.git("replace", repo.git("rev-parse", ":a.pt").strip(), repo.git("rev-parse", ":b.pt").strip())
    assert repo.safeload("hook", "scan", "--staged", "--", "a.pt").returncode == 1


def test_the_repository_cannot_run_a_program(repo: Repo) -> None:
    touched = repo.path.parent / "touched"
    program = repo.path.parent / "program"
    program.write_text(f"#!/bin/sh\ntouch '{touched}'\n")
    program.chmod(0o755)
    repo.put("a.pt", PICKLE)
    repo.git("add", "-A")
    for key in (
        "core.fsmonitor",
        "diff.external",
        "diff.x.textconv",
        "filter.x.smudge",
        "core.pager",
        "alias.ls-files",
    ):
        repo.git("config", key, str(program))
    repo.put(".gitattributes", b"* diff=x filter=x\n")
    done = repo.safeload(
        "hook", "scan", "--staged", GIT_EXTERNAL_DIFF=str(program), GIT_PAGER=str(program), GIT_TRACE="1"
    )
    assert done.returncode == 0, done.stderr
    assert not touched.exists()


def test_without_git_or_a_repository_it_says_so(repo: Repo, tmp_path: Path) -> None:
    done = repo.safeload("hook", "scan", "--staged", cwd=tmp_path, GIT_CEILING_DIRECTORIES=str(tmp_path.parent))
    assert done.returncode == 2
    assert "not a git repository" in done.stderr
    done = repo.safeload("hook", "scan", "--staged", PATH=str(tmp_path))
    assert done.returncode == 2
    assert "git is not installed" in done.stderr
    # File names alone need no git.
    path = shutil.copy(repo.samples / PICKLE, tmp_path)
    assert repo.safeload("hook", "scan", "--", str(path), PATH=str(tmp_path)).returncode == 0


def test_one_process_gives_many_contents_also_after_a_missing_one(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in clean_environment().items():
        monkeypatch.setenv(name, value)
    repo.put("a", b"one\n")
    repo.put("b", b"")
    repo.put("c", b"\n" * 3_000_000)
    repo.git("add", "-A")
    here = Repository(str(repo.path))
    staged = here.staged()
    blobs = here.blobs()
    try:
        for name, content in (("a", b"one\n"), ("b", b""), ("c", b"\n" * 3_000_000), ("a", b"one\n")):
            source = blobs.open(staged[name].oid, name)
            assert source.read(0, source.size) == content
            source.close()
            with pytest.raises(InputError):
                blobs.open("1" * 40, "missing")
        with pytest.raises(InputError):
            blobs.open("HEAD\n" + staged["a"].oid, "x")
    finally:
        blobs.close()
    with pytest.raises(InputError, match="more than 3"):
        here.content(staged["a"].oid, 3)


def test_revisions_are_no_options(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in clean_environment().items():
        monkeypatch.setenv(name, value)
    head = repo.commit()
    here = Repository(str(repo.path))
    assert here.commit("HEAD") == head
    assert here.commit("--all") is None
    assert here.commit("absent") is None
    monkeypatch.setattr(git_repository.shutil, "which", lambda name: None)
    with pytest.raises(UsageError, match="not installed"):
        Repository(str(repo.path))
