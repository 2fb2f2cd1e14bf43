"""Which files a walk names, and which it refuses to follow or to open."""

from __future__ import annotations

import os
import socket
import stat
import sys
from pathlib import Path

import pytest

from safeload.findings import Verdict
from safeload.inputs import walk as module
from safeload.inputs.walk import Target, walk

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX files")


def put(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def seen(root: Path, *paths: Path) -> dict[str, str]:
    """Path below `root` -> "judge", "judge explicitly", the rule of a problem, or "skip: ..."."""
    targets = list(walk([str(path) for path in paths or (root,)]))
    names = [os.path.relpath(target.path, root) for target in targets]
    assert len(set(names)) == len(names)
    return {name.replace(os.sep, "/"): what(target) for name, target in zip(names, targets, strict=True)}


def what(target: Target) -> str:
    if target.problem:
        assert target.problem.verdict == Verdict.UNJUDGED
        assert target.problem.message
        assert target.problem.remedy
        return target.problem.rule
    if target.skip:
        assert not target.explicit
        return f"skip: {target.skip}"
    return "judge explicitly" if target.explicit else "judge"


def test_folders_in_order_with_hidden_files(tmp_path: Path) -> None:
    for name in ("b.pt", "a/z.pt", "a/.hidden/y.pt", ".x", "c/d/e/f.bin"):
        put(tmp_path / name)
    found = seen(tmp_path)
    assert list(found) == [".x", "a/.hidden/y.pt", "a/z.pt", "b.pt", "c/d/e/f.bin"]
    assert set(found.values()) == {"judge"}


def test_a_named_file_is_explicit(tmp_path: Path) -> None:
    file = put(tmp_path / "a.txt")
    assert seen(tmp_path, file) == {"a.txt": "judge explicitly"}
    assert list(walk(["-", str(file), "-"])) == [Target("-", True), Target(str(file), True)]


def test_a_named_file_stays_explicit_beside_its_folder(tmp_path: Path) -> None:
    file = put(tmp_path / "d/a.txt")
    put(tmp_path / "d/b.txt")
    expected = {"d/a.txt": "judge explicitly", "d/b.txt": "judge"}
    assert seen(tmp_path, tmp_path / "d", file) == expected
    assert seen(tmp_path, file, tmp_path / "d") == expected


def test_overlapping_folders_list_a_file_once(tmp_path: Path) -> None:
    put(tmp_path / "d/e/a")
    assert seen(tmp_path, tmp_path / "d", tmp_path / "d/e", tmp_path) == {"d/e/a": "judge"}


def test_what_is_missing_does_not_hide_the_rest(tmp_path: Path) -> None:
    file = put(tmp_path / "a")
    assert seen(tmp_path, tmp_path / "none", file, file / "below") == {
        "none": "not-found",
        "a": "judge explicitly",
        "a/below": "not-found",
    }
    assert [what(target) for target in walk(["", "a\0b"])] == ["not-found", "unreadable"]


def test_git_is_skipped_and_can_be_named(tmp_path: Path) -> None:
    put(tmp_path / ".git/objects/ab/cd")
    put(tmp_path / "sub/.git/x.pt")
    put(tmp_path / ".gitattributes")
    found = seen(tmp_path)
    assert found.pop(".gitattributes") == "judge"
    assert list(found) == [".git/objects/ab/cd", "sub/.git/x.pt"]
    assert all(value.startswith("skip: under .git") for value in found.values())
    assert seen(tmp_path, tmp_path / ".git") == {".git/objects/ab/cd": "judge"}
    assert seen(tmp_path, tmp_path / "sub/.git/x.pt") == {"sub/.git/x.pt": "judge explicitly"}


def test_a_named_folder_below_git_is_judged_beside_its_repository(tmp_path: Path) -> None:
    put(tmp_path / ".git/a/x")
    put(tmp_path / ".git/b/y")
    found = seen(tmp_path, tmp_path, tmp_path / ".git/a")
    assert found.pop(".git/b/y").startswith("skip: under .git")
    assert found == {".git/a/x": "judge"}


@posix
def test_a_path_that_goes_up_through_a_link_names_another_file(tmp_path: Path) -> None:
    put(tmp_path / "d/x")
    put(tmp_path / "other/deep/keep")
    put(tmp_path / "other/x")
    (tmp_path / "d/up").symlink_to(tmp_path / "other/deep")
    named = f"{tmp_path}/d/up/../x"
    found = [target.path for target in walk([named, str(tmp_path / "d")]) if what(target).startswith("judge")]
    assert found == [named, str(tmp_path / "d/x")]


@posix
def test_links_inside_are_judged_once(tmp_path: Path) -> None:
    put(tmp_path / "m.pt")
    (tmp_path / "a.pt").symlink_to("m.pt")
    (tmp_path / "z.pt").symlink_to("a.pt")
    found = seen(tmp_path)
    assert found.pop("a.pt") == "judge"
    assert list(found) == ["m.pt", "z.pt"]
    assert all(value == f"skip: the same file as {tmp_path}/a.pt, judged under that name" for value in found.values())


@posix
def test_hard_links_are_files_of_their_own(tmp_path: Path) -> None:
    os.link(put(tmp_path / "a"), tmp_path / "b")
    assert seen(tmp_path) == {"a": "judge", "b": "judge"}


@posix
def test_links_outward_are_listed_and_not_followed(tmp_path: Path) -> None:
    put(tmp_path / "out/secret")
    put(tmp_path / "outer/x")
    root = tmp_path / "out"
    (tmp_path / "in").mkdir()
    (tmp_path / "in/file").symlink_to(tmp_path / "out/secret")
    (tmp_path / "in/folder").symlink_to(root)
    (tmp_path / "in/gone").symlink_to("nowhere")
    (tmp_path / "in/loop").symlink_to("loop")
    (tmp_path / "in/null").symlink_to("/dev/null")
    assert seen(tmp_path / "in") == {
        "file": "outward-link",
        "folder": "outward-link",
        "gone": "broken-link",
        "loop": "broken-link",
        "null": "not-a-file",
    }
    evidence = [t.problem.evidence for t in walk([str(tmp_path / "in")]) if t.problem]
    assert str(tmp_path / "out/secret") in evidence
    # A folder whose name merely starts like the root is outside it.
    (tmp_path / "out/near").symlink_to(tmp_path / "outer/x")
    assert seen(tmp_path / "out") == {"near": "outward-link", "secret": "judge"}
    # Two named folders are both scanned.
    assert seen(tmp_path, tmp_path / "out", tmp_path / "outer")["out/near"] == "judge"


@posix
def test_a_named_link_is_followed_anywhere(tmp_path: Path) -> None:
    put(tmp_path / "out/a.pt")
    (tmp_path / "link").symlink_to("out/a.pt")
    (tmp_path / "dir").symlink_to("out")
    (tmp_path / "gone").symlink_to("none")
    assert seen(tmp_path, tmp_path / "link") == {"link": "judge explicitly"}
    assert seen(tmp_path, tmp_path / "dir") == {"dir/a.pt": "judge"}
    assert seen(tmp_path, tmp_path / "gone") == {"gone": "broken-link"}


@posix
def test_folder_links_end(tmp_path: Path) -> None:
    put(tmp_path / "a/b/x")
    (tmp_path / "a/up").symlink_to(tmp_path)
    (tmp_path / "a/self").symlink_to(".")
    found = seen(tmp_path)
    assert found.pop("a/b/x") == "judge"
    assert list(found) == ["a/self", "a/up"]
    assert all("scanned in its own place" in value for value in found.values())


@posix
def test_a_link_does_not_hide_behind_git(tmp_path: Path) -> None:
    put(tmp_path / ".git/hidden/model.pt")
    (tmp_path / "models").symlink_to(".git/hidden")
    (tmp_path / "model.pt").symlink_to(".git/hidden/model.pt")
    found = seen(tmp_path)
    assert found.pop(".git/hidden/model.pt").startswith("skip: under .git")
    assert found == {"model.pt": "judge", "models": "outward-link"}


@posix
def test_hub_cache(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "hub/models--a--b", tmp_path / "hub/models--c--d"
    put(ours / "blobs/123")
    put(theirs / "blobs/456")
    put(ours / "refs/main")
    snapshot = ours / "snapshots/rev"
    (snapshot / "deep").mkdir(parents=True)
    (snapshot / "model.bin").symlink_to("../../blobs/123")
    (snapshot / "deep/again.bin").symlink_to("../../../blobs/123")
    (snapshot / "stolen.bin").symlink_to(theirs / "blobs/456")
    (snapshot / "ref").symlink_to("../../refs/main")
    found = seen(snapshot)
    assert found.pop("model.bin").startswith("skip: the same file as")
    assert found == {"deep/again.bin": "judge", "stolen.bin": "outward-link", "ref": "outward-link"}
    # The names that people know are judged, the blobs behind them are the same files.
    whole = seen(ours)
    assert whole["snapshots/rev/deep/again.bin"] == "judge"
    assert whole["blobs/123"].startswith("skip: the same file as")
    assert seen(tmp_path / "hub")["models--a--b/snapshots/rev/stolen.bin"] == "judge"


@posix
def test_a_look_alike_of_the_hub_cache_is_outside(tmp_path: Path) -> None:
    put(tmp_path / "models--a/blobs/deep/1")
    put(tmp_path / "blobs/2")
    put(tmp_path / "models--a/snapshotsX/keep")
    (tmp_path / "models--a/snapshots").mkdir()
    (tmp_path / "models--a/snapshots/deep").symlink_to("../blobs/deep/1")
    (tmp_path / "models--a/snapshots/bare").symlink_to("../../blobs/2")
    assert seen(tmp_path / "models--a/snapshots") == {"bare": "outward-link", "deep": "outward-link"}
    put(tmp_path / "models--a/blobs/3")
    (tmp_path / "models--a/snapshotsX/l").symlink_to("../blobs/3")
    assert seen(tmp_path / "models--a/snapshotsX") == {"keep": "judge", "l": "outward-link"}


@posix
def test_nothing_but_files_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as sock:
        monkeypatch.chdir(tmp_path)  # the name of a socket is short
        sock.bind("socket")
        (tmp_path / "to-fifo").symlink_to("fifo")
        assert seen(tmp_path) == {"fifo": "not-a-file", "socket": "not-a-file", "to-fifo": "not-a-file"}
        assert seen(tmp_path, tmp_path / "fifo") == {"fifo": "not-a-file"}
        assert [what(target) for target in walk(["/dev/null"])] == ["not-a-file"]


@posix
def test_names_that_are_not_text(tmp_path: Path) -> None:
    name = os.fsdecode(b"bad-\xff\n.pt")
    put(tmp_path / name)
    assert [target.path for target in walk([str(tmp_path)])] == [str(tmp_path / name)]
    assert [target.path for target in walk([str(tmp_path / name)])] == [str(tmp_path / name)]


@posix
def test_a_folder_that_cannot_be_read_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "closed/x")
    put(tmp_path / "open/y")
    real = os.scandir

    def refuse(path: str) -> object:
        if path.endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert seen(tmp_path) == {"closed": "unreadable", "open/y": "judge"}


def test_a_very_deep_tree_is_walked(tmp_path: Path) -> None:
    deep = tmp_path
    for _ in range(300):
        deep = deep / "d"
    put(deep / "x")
    assert list(seen(tmp_path).values()) == ["judge"]


def test_without_what_only_some_systems_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Junctions of Windows before Python 3.12: a reparse tag instead of `is_junction`."""
    put(tmp_path / "real/x")

    class Entry:
        name = "junction"
        path = str(tmp_path / "real")

        def is_symlink(self) -> bool:
            return False

        def stat(self, *, follow_symlinks: bool) -> object:
            return type("Status", (), {"st_reparse_tag": 0xA0000003})()

    monkeypatch.setattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", 0xA0000003, raising=False)
    assert not module._is_junction(Entry())  # type: ignore[arg-type]
    monkeypatch.setattr(module.os, "name", "nt")
    assert module._is_junction(Entry())  # type: ignore[arg-type]
