"""What patterns leave out: git's own answers, links, several folders, and what is no pattern."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from safeload.errors import UsageError
from safeload.inputs.selecting import below, selection
from safeload.inputs.walk import select
from safeload.report import Excluded

TREE = ("a/b/c.pt", "a/b/d.txt", "a/c.pt", "b/c.pt", "b/[q]", "c.pt", "d.txt", "e/a/b/x", "#h", "!k")


def put(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def kept(top: Path, exclude: tuple[str, ...] = (), include: tuple[str, ...] = ()) -> tuple[list[str], Excluded]:
    found = select([str(top)], selection(exclude, include))
    return [os.path.relpath(target.path, top).replace(os.sep, "/") for target in found.targets], found.excluded


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in TREE:
        put(tmp_path / "t" / name)
    return tmp_path / "t"


@pytest.mark.parametrize(
    "patterns",
    [
        ("*.pt",),
        ("/*.pt",),
        ("a/",),
        ("a",),
        ("a/b",),
        ("/a/", "!/a/b/"),
        ("a/*", "!a/b/"),
        ("a/**", "!a/c.pt"),
        ("/b", "[ab]", "!**/"),
        ("**/b/c.pt",),
        ("e/**/x",),
        ("*", "!*/", "!*.pt"),
        ("!c.pt", "c.pt"),
        ("c.pt", "!/c.pt"),
        ("*.pt", "!a/"),
        ("\\[q\\]", "\\#h", "\\!k"),
        ("[!c]*",),
        ("?/?/*",),
        ("d.txt  ",),
    ],
)
def test_git_leaves_out_the_same(tree: Path, tmp_path: Path, patterns: tuple[str, ...]) -> None:
    git = shutil.which("git")
    if git is None:
        pytest.skip("no git here")
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    (tmp_path / "patterns").write_text("\n".join(patterns) + "\n")
    subprocess.run([git, "init", "-q", str(tree)], env=environment, check=True)
    command = [git, "ls-files", "-z", "-o", "--exclude-from", str(tmp_path / "patterns")]
    listed = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=True).stdout
    assert sorted(kept(tree, (*patterns, ".git/"))[0]) == sorted(filter(None, listed.split("\0")))


def test_what_is_left_out_is_counted(tree: Path) -> None:
    assert kept(tree, ("a/", "*.txt"))[1] == Excluded(files=1, folders=2)
    assert kept(tree, ("e", "*.txt"), ("*.pt",)) == (["a/b/c.pt", "a/c.pt", "b/c.pt", "c.pt"], Excluded(5, 1))
    assert kept(tree, (), ("a/", "!*.txt")) == (["a/b/c.pt", "a/c.pt", "e/a/b/x"], Excluded(7))
    assert kept(tree, ("*",)) == ([], Excluded(4, 3))
    assert kept(tree)[1] == Excluded()


def test_a_named_file_is_judged(tree: Path) -> None:
    patterns = selection(("*",))
    found = select([str(tree / "c.pt"), str(tree)], patterns)
    assert [(target.path, target.explicit) for target in found.targets] == [(str(tree / "c.pt"), True)]
    assert found.excluded == Excluded(3, 3)


def test_from_a_top_named_files_are_left_out_too(tree: Path) -> None:
    paths = [str(tree / name) for name in ("a", "c.pt", "d.txt", "absent.pt")]
    found = select(paths, selection(("/a/b/", "/c.pt", "absent.pt")), str(tree))
    names = [os.path.relpath(target.path, tree) for target in found.targets]
    assert (names, found.excluded) == (["a/c.pt", "d.txt", "absent.pt"], Excluded(1, 1))
    elsewhere = put(tree.parent / "other" / "c.pt")
    assert len(select([str(elsewhere)], selection(("*",)), str(tree)).targets) == 1


def test_what_another_named_folder_brings_in_is_not_left_out(tree: Path) -> None:
    patterns = selection(("/a/",))
    for paths in ([tree, tree / "a"], [tree / "a", tree]):
        found = select(map(str, paths), patterns)
        assert len(found.targets) == len(TREE)
        assert found.excluded == Excluded()
    found = select([str(tree), str(tree / "a")], selection(("/a/c.pt",)))
    assert (len(found.targets), found.excluded) == (len(TREE), Excluded())


@pytest.mark.skipif(sys.platform == "win32", reason="needs links")
def test_a_link_is_an_entry_of_its_own(tree: Path) -> None:
    (tree / "l.pt").symlink_to("a/c.pt")
    (tree / "m").symlink_to("a")
    (tree / "n").symlink_to("b")
    found = {
        os.path.relpath(target.path, tree): target.problem.rule if target.problem else target.skip
        for target in select([str(tree)], selection(("a/",))).targets
    }
    assert found["l.pt"] == ""
    assert found["m"] == "outward-link"
    assert "scanned in its own place" in found["n"]
    # What a pattern for files says nothing about: the folder behind the link.
    names, excluded = kept(tree, (), ("*.pt",))
    assert [name for name in names if name in "mn"] == ["m", "n"]
    assert "m" not in kept(tree, ("a", "m"))[0]
    assert excluded == Excluded(6)


def test_names_of_any_kind(tmp_path: Path) -> None:
    if sys.platform in ("win32", "darwin"):
        pytest.skip("needs names that are bytes")
    for name in (b"a\xff.pt", b"x\ny/z.txt", b"x.txt\n"):
        path = os.path.join(os.fsencode(tmp_path), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb"):
            pass
    assert kept(tmp_path, ("a*.pt",)) == (["x\ny/z.txt", "x.txt\n"], Excluded(1))
    assert kept(tmp_path, ("*.txt",)) == (["a\udcff.pt", "x.txt\n"], Excluded(1))
    assert kept(tmp_path, ("/x?y/",)) == (["a\udcff.pt", "x.txt\n"], Excluded(0, 1))


def test_no_ignore_file_leaves_anything_out(tree: Path) -> None:
    for name in (".gitignore", ".ignore", ".safeloadignore", ".dockerignore", ".git/info/exclude"):
        put(tree / name, "*\n")
    assert len(kept(tree, ("nothing",))[0]) == len(TREE) + 5
    assert kept(tree, ("nothing",))[1] == Excluded()


@pytest.mark.parametrize(
    "pattern",
    ["", "  ", "/", "!", "!/", "# x", "a\nb", "a\0b", "[", "x[ab", "[]", "a\\", "a\\/", "[z-a]", "[[:alpha:]]"],
)
def test_what_is_no_pattern(pattern: str) -> None:
    for patterns in (((pattern,), ()), ((), ("*.pt", pattern))):
        with pytest.raises(UsageError) as caught:
            selection(*patterns)
        assert repr(pattern) in str(caught.value)


def test_without_patterns_there_is_no_selection() -> None:
    assert selection() is None


def test_the_way_below_a_folder(tree: Path) -> None:
    assert below(str(tree / "a" / "x"), str(tree)) == "a/x"
    assert below(str(tree), str(tree)) == ""
    assert below(f"{tree}{os.sep}a{os.sep}", str(tree)) == "a"
    assert below(f"{tree}{os.sep}a{os.sep}..", str(tree)) == ""
    assert below(str(tree.parent / "tt"), str(tree)) is None
    assert below(str(tree.parent), str(tree)) is None
