"""action.yml: read as a runner reads it, and its scripts run with bash as a runner runs them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .conftest import DANGEROUS, PICKLE, UNVETTED, Repo, clean_environment

yaml = pytest.importorskip("yaml")
bash = shutil.which("bash")


@pytest.fixture(scope="module")
def action(root: Path) -> dict[str, Any]:
    return dict(yaml.safe_load((root / "action.yml").read_text(encoding="utf-8")))


def test_inputs_and_outputs(action: dict[str, Any]) -> None:
    assert {"paths", "policy", "fail-on", "baseline", "version"} <= action["inputs"].keys()
    assert action["outputs"].keys() == {"verdict", "sarif"}
    assert action["runs"]["using"] == "composite"
    assert all(one["description"] for one in (*action["inputs"].values(), *action["outputs"].values()))


def scripts(action: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for step in action["runs"]["steps"] if "run" in step]


def test_no_expression_stands_in_a_script(action: dict[str, Any]) -> None:
    assert len(scripts(action)) == 3
    for step in scripts(action):
        assert "${{" not in step["run"], step["name"]
        assert step["shell"] == "bash"
        # What comes from the environment is one word, whatever is in it.
        # (The shell splits no value of an assignment.)
        unquoted = re.sub(r'"[^"]*"', "", re.sub(r"\b\w+=[^\s\"]+", "", step["run"]))
        assert "$" not in unquoted, step["name"]


def test_every_input_reaches_a_script_by_the_environment(action: dict[str, Any]) -> None:
    handed = " ".join(str(value) for step in scripts(action) for value in step["env"].values())
    used = handed + " ".join(str(step.get("if")) for step in action["runs"]["steps"])
    assert [name for name in action["inputs"] if f"inputs.{name}" not in used] == []


def test_other_actions_are_pinned(action: dict[str, Any]) -> None:
    uses = [step["uses"] for step in action["runs"]["steps"] if "uses" in step]
    assert [re.sub(r"@[0-9a-f]{40}$", "@COMMIT", name) for name in uses] == [
        "actions/setup-python@COMMIT",
        "github/codeql-action/upload-sarif@COMMIT",
    ]


def test_python_is_isolated_from_the_checkout(action: dict[str, Any]) -> None:
    lines = [line for step in scripts(action) for line in step["run"].splitlines() if " -m " in line]
    assert len(lines) == 3
    assert all('ython" -I -m ' in line or 'PYTHON" -I -m ' in line for line in lines)


class Runner:
    """Runs the scripts of one action in a checkout."""

    def __init__(self, action: dict[str, Any], repo: Repo, folder: Path, root: Path) -> None:
        self.action = action
        self.repo = repo
        self.temp = folder / "runner temp"
        self.temp.mkdir()
        self.root = root

    def step(self, name: str, inputs: dict[str, str], **more: str) -> subprocess.CompletedProcess[str]:
        step = next(step for step in scripts(self.action) if step["name"] == name)
        known = {f"inputs.{key}": value for key, value in inputs.items()}
        known |= {"steps.python.outputs.python-path": sys.executable, "runner.temp": str(self.temp)}
        env = {
            key: re.sub(r"\$\{\{ *(\S+) *\}\}", lambda found: known.get(found[1], ""), str(value))
            for key, value in step["env"].items()
        }
        script = self.temp / "script.sh"
        script.write_text(step["run"])
        files = {name: str(self.temp / name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        base = clean_environment(RUNNER_TEMP=str(self.temp), GITHUB_ACTIONS="true", **files)
        return subprocess.run(
            [bash or "bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=self.repo.path, env={**base, "GITHUB_ACTION_PATH": str(self.root), **env, **more},
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def install(self) -> None:
        """In place of the install step: an environment whose safeload is this checkout."""
        home = self.temp / "safeload-venv"
        subprocess.run([sys.executable, "-I", "-m", "venv", "--without-pip", str(home)], check=True)
        packages = next(home.glob("lib/python*/site-packages"))
        lines = [str(self.root), *(path for path in sys.path if path.endswith("site-packages"))]
        (packages / "safeload.pth").write_text("\n".join(lines) + "\n")


@pytest.fixture
def runner(action: dict[str, Any], repo: Repo, tmp_path: Path, root: Path) -> Runner:
    if bash is None or os.name == "nt":
        pytest.skip("no bash here")
    return Runner(action, repo, tmp_path, root)


def inputs(action: dict[str, Any], **given: str) -> dict[str, str]:
    defaults = {name: "" if "${{" in one["default"] else one["default"] for name, one in action["inputs"].items()}
    return defaults | {name.replace("_", "-"): value for name, value in given.items()}


def test_the_scan_step(runner: Runner, action: dict[str, Any]) -> None:
    runner.install()
    runner.repo.put("models/a.pt", PICKLE)
    base = runner.repo.commit()
    done = runner.step("Judge", inputs(action))
    assert (done.returncode, done.stderr) == (0, "")
    assert "verdict<<" in (runner.temp / "GITHUB_OUTPUT").read_text()
    assert (runner.temp / "safeload.sarif").is_file()
    runner.repo.put("a b/bad.pt", DANGEROUS)
    runner.repo.put("own.pt", UNVETTED)
    runner.repo.put("safeload.toml", b'fail-on = "dangerous"\n')
    # Found first by a Python that is not isolated.
    runner.repo.put("safeload/__init__.py", b"raise SystemExit(0)\n")
    runner.repo.put("sitecustomize.py", b"raise SystemExit(0)\n")
    runner.repo.commit()
    done = runner.step("Judge", inputs(action, paths="models\na b\n", base=base), GITHUB_EVENT_NAME="pull_request",
                       PYTHONPATH=str(runner.repo.path))  # fmt: skip
    assert done.returncode == 1
    assert "::error file=a b/bad.pt" in done.stdout
    assert "configuration-changed" in done.stdout
    assert "## safeload: dangerous" in (runner.temp / "GITHUB_STEP_SUMMARY").read_text()
    done = runner.step("Judge", inputs(action), GITHUB_EVENT_NAME="pull_request")
    assert (done.returncode, "--base must name" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    "name", ["paths", "policy", "fail_on", "baseline", "base", "exclude", "include", "allow_empty", "version"]
)
def test_no_input_is_run(runner: Runner, action: dict[str, Any], name: str) -> None:
    runner.install()
    runner.repo.put("a.pt", PICKLE)
    runner.repo.commit()
    given = inputs(action, **{name: "$(touch x)`touch x`\";touch x;'\n touch x"})
    for step in ("Fetch the base commit", "Judge"):
        runner.step(step, given)
    if name == "version":
        done = runner.step("Install safeload", given)
        assert (done.returncode, done.stdout) == (2, "::error::version is a release, as 1.2.3\n")
    assert [path.name for path in (*runner.repo.path.iterdir(), *runner.temp.iterdir()) if path.name == "x"] == []


@pytest.mark.parametrize("version", ["--pre", "1.0; x", "1.0 --pre", "@ https://example.org", "../x"])
def test_a_version_is_a_release(runner: Runner, action: dict[str, Any], version: str) -> None:
    assert runner.step("Install safeload", inputs(action, version=version)).returncode == 2


def test_the_install_step_asks_for_the_action_or_a_release(
    runner: Runner, action: dict[str, Any], tmp_path: Path
) -> None:
    """With a Python that only notes what it is asked for: an install needs a package index."""
    note = tmp_path / "asked"
    fake = tmp_path / "python"
    fake.write_text(
        f'#!/bin/sh\nif [ "$3" = venv ]; then mkdir -p "$4/bin"; cp "$0" "$4/bin/python"; fi\n'
        f'printf "%s|" "$PWD" "$@" >> "{note}"; echo >> "{note}"\n'
    )
    fake.chmod(0o755)
    runner.repo.put("pip.py", b"raise SystemExit('the wrong pip')\n")
    for version, what in (("", str(runner.root)), ("1.2.3", "safeload==1.2.3")):
        note.unlink(missing_ok=True)
        done = runner.step("Install safeload", inputs(action, version=version), SAFELOAD_ACTION_PYTHON=str(fake))
        assert (done.returncode, done.stderr) == (0, "")
        venv, pip = note.read_text().splitlines()
        assert venv == f"{runner.temp}|-I|-m|venv|safeload-venv|"
        assert pip == f"{runner.temp}|-I|-m|pip|install|--quiet|--disable-pip-version-check|{what}|"


def test_the_base_commit_is_fetched(runner: Runner, action: dict[str, Any], tmp_path: Path, repo: Repo) -> None:
    repo.put("a.pt", PICKLE)
    base = repo.commit()
    repo.put("b.pt", PICKLE)
    repo.commit()
    repo.git("config", "uploadpack.allowAnySHA1InWant", "true")
    clone = Repo(tmp_path / "clone", repo.samples)
    repo.git("clone", "-q", "--depth=1", repo.path.as_uri(), str(clone.path))
    runner.repo = clone
    runner.install()
    given = inputs(action, base=base)
    assert runner.step("Judge", given).returncode == 2
    assert runner.step("Fetch the base commit", given).returncode == 0
    assert runner.step("Judge", given).returncode == 0
    assert runner.step("Fetch the base commit", inputs(action, base="--upload-pack=touch x")).returncode == 2
    absent = runner.step("Fetch the base commit", inputs(action, base="1" * 40))
    assert (absent.returncode, "could not be fetched" in absent.stdout) == (0, True)
    assert runner.step("Judge", inputs(action, base="1" * 40)).returncode == 2
