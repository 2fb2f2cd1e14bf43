"""docs/ci.md: its examples are read as their readers read them, and the GitLab job's lines are run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .conftest import DANGEROUS, PICKLE, Repo, clean_environment

yaml = pytest.importorskip("yaml")


@pytest.fixture(scope="module")
def blocks(root: Path) -> dict[str, Any]:
    """The YAML examples by the file name in their first line."""
    text = (root / "docs" / "ci.md").read_text(encoding="utf-8")
    found = re.findall(r"```yaml\n# (\S+)\n(.*?)```", text, flags=re.DOTALL)
    return {name: yaml.safe_load(block) for name, block in found}


def test_the_examples_are_there(blocks: dict[str, Any]) -> None:
    assert blocks.keys() == {".pre-commit-config.yaml", ".github/workflows/safeload.yml", ".gitlab-ci.yml"}


def test_the_pre_commit_example_names_the_hooks(blocks: dict[str, Any], root: Path) -> None:
    published = yaml.safe_load((root / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    named = [hook["id"] for hook in blocks[".pre-commit-config.yaml"]["repos"][0]["hooks"]]
    assert named == [hook["id"] for hook in published]


def test_the_github_example_gives_inputs_that_exist(blocks: dict[str, Any], root: Path) -> None:
    action = yaml.safe_load((root / "action.yml").read_text(encoding="utf-8"))
    workflow = blocks[".github/workflows/safeload.yml"]
    steps = workflow["jobs"]["safeload"]["steps"]
    assert steps[1]["with"].keys() <= action["inputs"].keys()
    assert workflow["permissions"] == {"contents": "read", "security-events": "write"}
    table = (root / "docs" / "ci.md").read_text(encoding="utf-8")
    assert [name for name in action["inputs"] if f"| `{name}` |" not in table] == []


@pytest.mark.parametrize(("sample", "code"), [(PICKLE, 0), (DANGEROUS, 1)])
def test_the_gitlab_job(blocks: dict[str, Any], repo: Repo, sample: str, code: int) -> None:
    job = blocks[".gitlab-ci.yml"]["safeload"]
    repo.put("README", b"x")
    base = repo.commit()
    repo.put("models/a.pt", sample)
    repo.commit()
    install, scan = job["script"]
    assert install.startswith("pip install")
    tool = repo.path.parent / "bin" / "safeload"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m safeload "$@"\n')
    tool.chmod(0o755)
    environment = clean_environment(CI_MERGE_REQUEST_IID="7", CI_MERGE_REQUEST_DIFF_BASE_SHA=base)
    environment["PATH"] = f"{tool.parent}:{environment['PATH']}"
    done = subprocess.run(
        ["sh", "-c", scan], cwd=repo.path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (code, "")
    for path in (*job["artifacts"]["paths"], job["artifacts"]["reports"]["junit"]):
        assert (repo.path / path).stat().st_size > 0
    assert "<testsuite" in (repo.path / "safeload.xml").read_text()
