"""Git LFS pointers in a clone: with the store laid out by hand, and with git-lfs itself where it is installed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from .conftest import DANGEROUS, DOT, PICKLE, SAFETENSORS, Repo


def pointer(data: bytes) -> bytes:
    oid = hashlib.sha256(data).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(data)}\n".encode()


def store(repo: Repo, sample: str) -> Path:
    """The sample in the store of the clone; its place."""
    data = (repo.samples / sample).read_bytes()
    oid = hashlib.sha256(data).hexdigest()
    path = repo.path / ".git" / "lfs" / "objects" / oid[:2] / oid[2:4] / oid
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def put_pointer(repo: Repo, name: str, sample: str) -> None:
    repo.put(name, pointer((repo.samples / sample).read_bytes()))


def test_the_object_is_judged_and_both_are_named(repo: Repo) -> None:
    put_pointer(repo, "a.pt", DANGEROUS)
    path = store(repo, DANGEROUS)
    for staged in ([], ["--staged"]):
        repo.git("add", "-A")
        done = repo.safeload("hook", "scan", *staged, "--", "a.pt")
        assert done.returncode == 1
        assert "DANGEROUS  a.pt" in done.stdout
        assert path.relative_to(repo.path).as_posix() in done.stdout
    done = repo.safeload("hook", "no-pickle", "--", "a.pt")
    assert (done.returncode, done.stdout.split()[:2]) == (1, ["PICKLE", "a.pt"])


def test_a_clean_object_passes_and_strict_does_not_mind_the_remark(repo: Repo) -> None:
    put_pointer(repo, "w.safetensors", SAFETENSORS)
    path = store(repo, SAFETENSORS)
    done = repo.safeload("hook", "scan", "--verbose", "--policy", "strict", "--", "w.safetensors")
    assert done.returncode == 0
    assert path.name in done.stdout
    assert repo.safeload("hook", "no-pickle", "--", "w.safetensors").returncode == 0


def test_from_below_and_from_a_second_worktree(repo: Repo, tmp_path: Path) -> None:
    repo.put("sub/x", b"x")
    put_pointer(repo, "sub/a.pt", PICKLE)
    repo.commit()
    store(repo, PICKLE)
    assert repo.safeload("hook", "scan", "--", "a.pt", cwd=repo.path / "sub").returncode == 0
    second = tmp_path / "second"
    repo.git("worktree", "add", "-q", str(second))
    done = repo.safeload("hook", "scan", "-v", "--", "sub/a.pt", cwd=second)
    assert done.returncode == 0
    assert "lfs/objects" in done.stdout


def test_what_is_not_fetched_is_unjudged(repo: Repo) -> None:
    put_pointer(repo, "a $(touch x).pt", PICKLE)
    for command in ("scan", "no-pickle"):
        done = repo.safeload("hook", command, "--", "a $(touch x).pt")
        assert done.returncode == 2
        assert "LFS pointer, not fetched: its file is not in this clone" in done.stdout
        assert "git lfs fetch --include 'a $(touch x).pt'" in done.stdout


def test_outside_of_a_repository_too(repo: Repo, tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(pointer(b"x"))
    done = repo.safeload("hook", "scan", "--", "a.pt", cwd=tmp_path, GIT_CEILING_DIRECTORIES=str(tmp_path.parent))
    assert done.returncode == 2
    assert "LFS pointer, not fetched" in done.stdout


def test_another_object_in_its_place_is_not_judged_for_it(repo: Repo) -> None:
    put_pointer(repo, "a.pt", PICKLE)
    path = store(repo, PICKLE)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    for content, why in ((bytes(data), "another sha256"), (data[:-1], "bytes where the pointer says")):
        path.write_bytes(content)
        done = repo.safeload("hook", "scan", "--", "a.pt")
        assert done.returncode == 2
        assert "LFS pointer, not fetched" in done.stdout
        assert why in done.stdout
    path.unlink()
    path.symlink_to(repo.put("elsewhere", PICKLE))
    assert repo.safeload("hook", "scan", "--", "a.pt").returncode == 2


@pytest.mark.parametrize("change", [b"\r\n", b"\nsize 1\n"])
def test_what_only_looks_like_a_pointer_is_unjudged(repo: Repo, change: bytes) -> None:
    store(repo, PICKLE)
    text = pointer((repo.samples / PICKLE).read_bytes())
    repo.put("a.pt", text.replace(b"\n", change) if change == b"\r\n" else text.rstrip() + change)
    for command in ("scan", "no-pickle"):
        done = repo.safeload("hook", command, "--", "a.pt")
        assert (done.returncode, "lfs-pointer" in done.stdout) == (2, True)


def test_a_pointer_to_a_pointer_is_not_followed_twice(repo: Repo) -> None:
    inner = pointer((repo.samples / PICKLE).read_bytes())
    store(repo, PICKLE)
    oid = hashlib.sha256(inner).hexdigest()
    path = repo.path / ".git" / "lfs" / "objects" / oid[:2] / oid[2:4] / oid
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(inner)
    repo.put("a.pt", pointer(inner))
    assert repo.safeload("hook", "scan", "--", "a.pt").returncode == 2


@pytest.mark.skipif(
    shutil.which("git-lfs") is None and os.environ.get("CI") != "true",
    reason="git-lfs is not installed: apt-get install git-lfs",
)
def test_with_git_lfs_itself(repo: Repo, tmp_path: Path) -> None:
    repo.git("lfs", "install", "--local", "--skip-repo")
    repo.git("lfs", "track", "*.pt", "*.bin")
    repo.put("bad.bin", DANGEROUS)
    repo.put("good.pt", PICKLE)
    repo.put("photo.bin", DOT)
    repo.git("add", "-A")
    assert repo.git("show", ":bad.bin").startswith("version https://git-lfs")
    done = repo.safeload("hook", "scan", "--staged", "-v")
    assert done.returncode == 1
    assert "DANGEROUS  bad.bin" in done.stdout
    assert "(1 dangerous, 1 clean, 2 skipped)" in done.stdout
    repo.commit()
    # A clone in which nothing was fetched, and one in which it was.
    for fetched in (False, True):
        clone = Repo(tmp_path / f"clone-{fetched}", repo.samples)
        url = repo.path.as_uri()
        repo.git("clone", "-q", url, str(clone.path), GIT_LFS_SKIP_SMUDGE="1")
        assert (clone.path / "bad.bin").read_bytes().startswith(b"version https://git-lfs")
        if fetched:
            clone.git("lfs", "fetch")
        done = clone.safeload("hook", "scan", "-v", "--", "bad.bin", "good.pt")
        assert done.returncode == (1 if fetched else 2)
        assert ("LFS pointer, not fetched" in done.stdout) is not fetched
        reported = subprocess.run(
            ["git", "lfs", "ls-files", "--json"], cwd=clone.path, capture_output=True, text=True, check=False
        )
        if fetched and reported.returncode == 0:
            oids = {entry["oid"] for entry in json.loads(reported.stdout)["files"] if entry["name"] != "photo.bin"}
            assert all(oid in done.stdout for oid in oids)
