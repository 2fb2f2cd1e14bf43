"""The workflows of GitHub: least permissions, pinned actions, every system and Python, and linters that do bite.

What actionlint and zizmor find, `make workflows` says; here is what they do not know of this project.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml")

NAMES = ("fuzz", "release", "tests", "wheels")
PUBLISHES = ("release", "publish")
READS = {"contents": "read"}
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")

BROKEN = """
name: broken
on: [issues]
jobs:
  broken:
    runs-on: ubuntu-24.04
    steps:
      - uses: actions/checkout@v4
      - run: echo "${{ github.event.issue.title }}"
"""


@pytest.fixture(scope="module")
def workflows(root: Path) -> dict[str, dict[Any, Any]]:
    """Each workflow by its name. YAML reads the key `on` as true."""
    folder = root / ".github/workflows"
    return {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.yml"))}


@pytest.fixture(scope="module")
def pyproject(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))


def jobs(workflows: dict[str, dict[Any, Any]]) -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
    for workflow, content in workflows.items():
        for name, job in content["jobs"].items():
            yield (workflow, name), job


def test_all_are_there(workflows: dict[str, dict[Any, Any]]) -> None:
    assert tuple(workflows) == NAMES


def test_nobody_may_more_than_read_but_the_job_that_publishes(workflows: dict[str, dict[Any, Any]]) -> None:
    assert [name for name, content in workflows.items() if content["permissions"] != {}] == []
    permissions = {where: job["permissions"] for where, job in jobs(workflows)}
    assert permissions.pop(PUBLISHES) == {"id-token": "write"}
    assert {where: given for where, given in permissions.items() if given != READS} == {}


def test_the_job_that_publishes_runs_nothing_of_the_project(workflows: dict[str, dict[Any, Any]]) -> None:
    job = workflows[PUBLISHES[0]]["jobs"][PUBLISHES[1]]
    used = [step["uses"].partition("@")[0] for step in job["steps"]]
    assert used == ["actions/download-artifact", "pypa/gh-action-pypi-publish"]
    assert [step for step in job["steps"] if "run" in step] == []
    assert job["steps"][-1]["with"] == {"attestations": True}
    assert job["environment"] == "release"


def test_a_release_is_what_was_built_and_tested(workflows: dict[str, dict[Any, Any]]) -> None:
    release = workflows["release"]["jobs"]
    assert release["publish"]["needs"] == "build"
    assert (release["build"]["uses"], release["build"]["needs"]) == ("$/.github/workflows/wheels.yml", "version")
    uploaded = [
        step["with"]["name"] for _, job in jobs(workflows) for step in job.get("steps", []) if "upload" in str(step)
    ]
    assert sorted(uploaded) == ["broken", "dist-${{ matrix.os }}", "dist-source"]
    assert release["publish"]["steps"][0]["with"]["pattern"] == "dist-*"


def test_every_action_is_pinned_and_leaves_no_token_behind(root: Path, workflows: dict[str, dict[Any, Any]]) -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in sorted((root / ".github/workflows").glob("*.yml")))
    named = re.findall(r"uses: ([^\n$]+)", text)
    assert [line for line in named if not re.fullmatch(PINNED.pattern + r" # v\d+\.\d+\.\d+", line)] == []
    assert len(set(named)) == len({line.partition("@")[0] for line in named}), "one action, two versions"
    for where, job in jobs(workflows):
        for step in job.get("steps", []):
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"] == {"persist-credentials": False}, where


def test_no_run_waits_for_ever_or_beside_another(workflows: dict[str, dict[Any, Any]]) -> None:
    assert [name for name, content in workflows.items() if "group" not in content["concurrency"]] == []
    assert [where for where, job in jobs(workflows) if "uses" not in job and not 0 < job["timeout-minutes"] < 360] == []


def test_the_suite_runs_on_each_system_and_python(
    workflows: dict[str, dict[Any, Any]], pyproject: dict[str, Any]
) -> None:
    job = workflows["tests"]["jobs"]["suite"]
    matrix = job["strategy"]["matrix"]
    assert {name.partition("-")[0] for name in matrix["os"]} == {"ubuntu", "macos", "windows"}
    assert matrix["python"] == ["3.11", "3.12", "3.13", "3.14"]
    assert pyproject["project"]["requires-python"] == f">={matrix['python'][0]}"
    assert {extra["torch"] for extra in matrix["include"]} == {"oldest", "newest"}
    (torch,) = (need for need in pyproject["project"]["optional-dependencies"]["torch"] if need.startswith("torch>="))
    (install,) = (step["run"] for step in job["steps"] if step.get("name") == "Install")
    assert f"torch='torch=={torch.removeprefix('torch>=')}.*'" in install


def test_wheels_are_built_for_each_python_and_tested_with_the_pinned_pytest(
    root: Path, workflows: dict[str, dict[Any, Any]], pyproject: dict[str, Any]
) -> None:
    wheels = pyproject["tool"]["cibuildwheel"]
    pythons = workflows["tests"]["jobs"]["suite"]["strategy"]["matrix"]["python"]
    assert wheels["build"].split() == [f"cp{python.replace('.', '')}-*" for python in pythons]
    assert "skip" not in wheels, "manylinux and musllinux are both built"
    systems = workflows["wheels"]["jobs"]["wheels"]["strategy"]["matrix"]["os"]
    assert {name.partition("-")[0] for name in systems} == {"ubuntu", "macos", "windows"}
    pins = (root / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert [need for need in wheels["test-requires"] if need not in pins] == []
    for part in (wheels, *wheels["overrides"]):
        script = part["test-command"].removeprefix("python {project}/").split()[0]
        assert (root / script).is_file()
        assert set(part["test-extras"]) <= pyproject["project"]["optional-dependencies"].keys()


def test_a_night_has_a_seed_of_its_own(workflows: dict[str, dict[Any, Any]]) -> None:
    steps = workflows["fuzz"]["jobs"]["fuzz"]["steps"]
    (command,) = (step["run"] for step in steps if "run" in step)
    assert command == 'make fuzz SEED="$(date -u +%Y%m%d)"'
    assert steps[-1]["if"] == "failure()"
    folders = steps[-1]["with"]["path"].split()
    assert folders == ["build/disagreements", "build/archives", "build/mutants"]


def test_make_fuzz_leaves_its_files_where_they_are_uploaded_from(
    root: Path, workflows: dict[str, dict[Any, Any]]
) -> None:
    lines = (root / "Makefile").read_text(encoding="utf-8").splitlines()
    outs = [line.split("--out ")[1].split()[0] for line in lines if "--out " in line]
    assert workflows["fuzz"]["jobs"]["fuzz"]["steps"][-1]["with"]["path"].split() == outs


@pytest.mark.parametrize(
    "command", [("actionlint", "-no-color"), ("zizmor", "--offline", "--no-progress")], ids=lambda command: command[0]
)
def test_the_linters_bite(command: tuple[str, ...], tmp_path: Path) -> None:
    program = shutil.which(command[0], path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip(f"{command[0]} is not installed: it is one of the tools of the extra dev")
    path = tmp_path / ".github/workflows/broken.yml"
    path.parent.mkdir(parents=True)
    path.write_text(BROKEN, encoding="utf-8")
    done = subprocess.run([program, *command[1:], str(path)], capture_output=True, text=True, check=False)
    assert done.returncode > 0
    assert "github.event.issue.title" in done.stdout
