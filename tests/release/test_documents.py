"""What those who join read and fill in: it leads a report to the right door, and agrees with the project."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from safeload.install import ADDRESS

yaml = pytest.importorskip("yaml")

PRIVATELY = f"{ADDRESS}/security/advisories/new"
FORMS = ("bug", "false-alarm")


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def project(root: Path) -> dict[str, Any]:
    return dict(tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"])


def test_a_bypass_has_one_door_and_it_is_private(root: Path) -> None:
    config = read(root / ".github/ISSUE_TEMPLATE/config.yml")
    assert config["blank_issues_enabled"] is False
    assert [link["url"] for link in config["contact_links"]] == [PRIVATELY]
    assert f"<{PRIVATELY}>" in (root / "SECURITY.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", FORMS)
def test_a_form_can_be_filled_in(root: Path, name: str) -> None:
    form = read(root / f".github/ISSUE_TEMPLATE/{name}.yml")
    assert form.keys() == {"name", "description", "labels", "body"}
    kinds = [part["type"] for part in form["body"]]
    assert kinds[0] == "markdown"
    assert "SECURITY.md" in form["body"][0]["attributes"]["value"]
    assert set(kinds[1:]) <= {"textarea", "input"}
    asked = [part["id"] for part in form["body"][1:]]
    assert len(asked) == len(set(asked)) >= 3
    assert [part["id"] for part in form["body"][1:] if not part["attributes"]["label"]] == []
    assert any(part.get("validations", {}).get("required") for part in form["body"])


def test_there_are_no_other_forms(root: Path) -> None:
    found = {path.stem for path in (root / ".github/ISSUE_TEMPLATE").iterdir()}
    assert found == {"config", *FORMS}


def test_a_pull_request_is_asked_for_what_contributing_asks(root: Path) -> None:
    text = (root / ".github/PULL_REQUEST_TEMPLATE.md").read_text(encoding="utf-8")
    contributing = (root / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert "make check" in text
    assert "make check" in contributing
    (heading,) = re.findall(r'CONTRIBUTING\.md, "([^"]+)"', text)
    assert f"## {heading}\n" in contributing


@pytest.mark.parametrize(
    "name", ["SECURITY.md", "CODE_OF_CONDUCT.md", "CONTRIBUTING.md", ".github/PULL_REQUEST_TEMPLATE.md"]
)
def test_links_between_pages_lead_somewhere(root: Path, name: str) -> None:
    page = root / name
    links = re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_security_keeps_to_the_promise(root: Path) -> None:
    """The three rows of its table are the three lines of the promise that the README opens with."""
    promise = re.findall(r"^> (.+)$", (root / "README.md").read_text(encoding="utf-8"), re.MULTILINE)[:3]
    rows = re.findall(r"^\| ([A-Z][^|]+) \|", (root / "SECURITY.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(promise) == len(rows) == 3
    assert rows[2] == promise[2].rstrip(".")
    assert [row.split(",")[0].split()[:4] for row in rows] == [line.split(",")[0].split()[:4] for line in promise]


def test_the_citation_is_of_this_version_and_of_all_who_wrote_it(root: Path, project: dict[str, Any]) -> None:
    citation = read(root / "CITATION.cff")
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= citation.keys()
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
    assert (citation["title"], citation["repository-code"]) == (project["name"], ADDRESS)
    assert citation["authors"] == [{"name": "safeload contributors"}]


def test_the_hooks_of_contributors_run_what_is_installed(root: Path, project: dict[str, Any]) -> None:
    """Nothing is fetched: the versions are those of constraints.txt, and what runs is what `make lint` runs."""
    (repo,) = read(root / ".pre-commit-config.yaml")["repos"]
    assert repo["repo"] == "local"
    assert {hook["language"] for hook in repo["hooks"]} == {"system"}
    commands = [tuple(word for word in hook["entry"].split() if not word.startswith("-")) for hook in repo["hooks"]]
    assert commands == [("ruff", "format"), ("ruff", "check"), ("mypy",)]
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    assert [words for words in commands if f"$(BIN)/{' '.join(words)}" not in makefile] == []
    tools = {re.split(r"[<>=~]", need)[0] for need in project["optional-dependencies"]["dev"]}
    assert {words[0] for words in commands} <= tools
