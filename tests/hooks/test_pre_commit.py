"""The hooks under the real pre-commit, with the entries of .pre-commit-hooks.yaml as they are published."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from .conftest import DANGEROUS, PICKLE, SAFETENSORS, Repo, clean_environment

yaml = pytest.importorskip("yaml")

pytestmark = pytest.mark.skipif(
    find_spec("pre_commit") is None and os.environ.get("CI") != "true",
    reason="pre-commit is not installed: pip install pre-commit",
)


@pytest.fixture(scope="module")
def hooks(root: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load((root / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")))


def pre_commit(repo: Repo, *arguments: str) -> tuple[int, str]:
    home = repo.path.parent / "home"
    done = subprocess.run(
        [sys.executable, "-m", "pre_commit", *arguments],
        cwd=repo.path, env=clean_environment(PRE_COMMIT_HOME=str(home), PRE_COMMIT_COLOR="never", HOME=str(home)),
        capture_output=True, text=True, errors="surrogateescape", check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def hooked(repo: Repo, hooks: list[dict[str, Any]]) -> Repo:
    """A repository with both hooks: as published, but run by this Python instead of an installed copy."""
    local = [
        {
            **hook,
            "language": "system",
            "entry": hook["entry"].replace("safeload", f"{shlex.quote(sys.executable)} -m safeload", 1),
        }
        for hook in hooks
    ]
    config = {"repos": [{"repo": "local", "hooks": local}]}
    repo.put(".pre-commit-config.yaml", yaml.safe_dump(config).encode())
    repo.git("add", "-A")
    return repo


def test_the_manifest_is_valid(root: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pre_commit", "validate-manifest", str(root / ".pre-commit-hooks.yaml")],
        env=clean_environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "")


def test_the_manifest_says_what_it_has_to(hooks: list[dict[str, Any]]) -> None:
    assert [hook["id"] for hook in hooks] == ["safeload-scan", "safeload-no-pickle"]
    for hook in hooks:
        # Names and types are what an attacker chooses; a name is never an option.
        assert (hook["language"], hook["types"], hook["args"][-1]) == ("python", ["file"], "--")
        assert not {"files", "types_or", "exclude", "exclude_types"} & hook.keys()


def test_safetensors_source_and_text_pass(hooked: Repo) -> None:
    hooked.put("w.safetensors", SAFETENSORS)
    hooked.put("x.py", b"import pickle\n")
    hooked.put("notes.txt", b"words\n")
    hooked.git("add", "-A")
    code, text = pre_commit(hooked, "run")
    assert code == 0, text
    assert text.count("Passed") == 2


@pytest.mark.parametrize("name", ["model.pt", "notes.txt", "setup.py", "no-ending", "image.png", "--fail-on=dangerous"])
def test_a_pickle_is_rejected_whatever_its_name(hooked: Repo, name: str) -> None:
    hooked.put(name, DANGEROUS)
    hooked.git("add", "-A")
    code, text = pre_commit(hooked, "run")
    assert code == 1
    assert text.count("Failed") == 2
    assert f"PICKLE  {name}" in text
    assert f"DANGEROUS  {name}" in text


def test_a_clean_pickle_is_rejected_by_no_pickle_alone(hooked: Repo) -> None:
    hooked.put("a.pt", PICKLE)
    hooked.git("add", "-A")
    assert pre_commit(hooked, "run", "safeload-scan")[0] == 0
    code, text = pre_commit(hooked, "run", "safeload-no-pickle")
    assert code == 1
    assert "safeload convert a.pt" in text


def test_a_partially_staged_file_is_judged_as_staged(hooked: Repo) -> None:
    hooked.put("a.pt", DANGEROUS)
    hooked.git("add", "-A")
    hooked.put("a.pt", SAFETENSORS)
    assert pre_commit(hooked, "run")[0] == 1
    assert (hooked.path / "a.pt").read_bytes() == (hooked.samples / SAFETENSORS).read_bytes()
    hooked.git("add", "-A")
    hooked.put("a.pt", DANGEROUS)
    code, text = pre_commit(hooked, "run")
    assert code == 0, text


def test_the_commit_itself_is_refused(hooked: Repo) -> None:
    assert pre_commit(hooked, "install")[0] == 0
    hooked.put("notes.txt", PICKLE)
    hooked.git("add", "-A")
    home = hooked.path.parent / "home"
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-q", "-m", "x"]
    environment = clean_environment(PRE_COMMIT_HOME=str(home), HOME=str(home))
    done = subprocess.run(command, cwd=hooked.path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "PICKLE  notes.txt" in done.stdout + done.stderr
    hooked.put("notes.txt", SAFETENSORS)
    hooked.git("add", "-A")
    done = subprocess.run(command, cwd=hooked.path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
