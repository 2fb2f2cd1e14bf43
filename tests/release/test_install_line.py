"""Until there is a release nobody is told to install safeload by its name, and every page shows one address."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from safeload.install import ADDRESS, install_line

BY_NAME = re.compile(r"""\b(?:pip|pipx|uv)\b[^\n#|;&]*?\binstall\b[^\n#|;&]*?[\s"']safeload(?=["'\s\[=<>~!,;`]|$)""")
"""A line that has pip, pipx or uv install the package of that name from a registry."""

PAGES = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "Dockerfile", "action.yml", ".pre-commit-hooks.yaml")
FOLDERS = ("docs", "rules", "safeload", ".github")


@pytest.fixture(scope="module")
def texts(root: Path) -> dict[str, str]:
    """Every page and file that a reader or a user may see: path -> text."""
    paths = [root / name for name in PAGES]
    for folder in FOLDERS:
        paths += [path for path in sorted((root / folder).rglob("*")) if path.is_file() and path.suffix != ".pyc"]
    return {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in paths}


@pytest.fixture(scope="module")
def project(root: Path) -> dict[str, Any]:
    return dict(tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"])


def by_name(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if BY_NAME.search(line)]


def test_no_page_and_no_message_says_to_install_by_name(texts: dict[str, str]) -> None:
    assert {path: found for path, text in texts.items() if (found := by_name(text))} == {}


@pytest.mark.parametrize(
    "line",
    [
        "pip install safeload",
        "    pip install 'safeload[torch]'",
        'python -m pip install -q "safeload[convert]>=0.1"',
        "this needs torch: pip install 'safeload[torch]'\"",
        "- pip install --quiet safeload",
        "pipx install safeload",
        "or type `uv pip install safeload`, and",
        'pip install --force-reinstall --no-deps safeload",',
    ],
)
def test_a_line_that_installs_by_name_is_seen(line: str) -> None:
    assert by_name(line) == [line.strip()]


@pytest.mark.parametrize(
    "line",
    [
        "pip install '.[torch]'  # in a clone of safeload",
        "pip install git+https://github.com/OWNER/safeload@v0.1.0",
        "pip install .",
        "name: Install safeload",
        "pre-commit installs safeload from source",
        "safeload is installed from a clone",
    ],
)
def test_other_lines_pass(line: str) -> None:
    assert by_name(line) == []


def test_the_line_can_be_typed_in_a_clone() -> None:
    assert install_line() == "pip install .  # in a clone of safeload"
    assert install_line("torch") == "pip install '.[torch]'  # in a clone of safeload"
    assert install_line(options="--no-deps") == "pip install --no-deps .  # in a clone of safeload"


def test_every_extra_that_is_named_exists(texts: dict[str, str], project: dict[str, Any]) -> None:
    named = {
        node.args[0].value
        for path, text in texts.items()
        if path.endswith(".py")
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "install_line" and node.args
        if isinstance(node.args[0], ast.Constant)
    }
    named |= {extra for text in texts.values() for extra in re.findall(r"install '\.\[(\w+)\]'", text)}
    assert named == {"torch", "convert", "explain", "sandbox"}
    assert named <= project["optional-dependencies"].keys()


def addresses(text: str) -> set[str]:
    """Every address of the project in a text, as far as its name: with a host, or as GitHub's actions spell it."""
    found = set(re.findall(r"https?://[\w.-]+/[\w.-]+/safeload\b", text))
    return found | {f"https://github.com/{owner}/safeload" for owner in re.findall(r"uses: ([\w.-]+)/safeload@", text)}


def test_every_page_shows_one_address(root: Path, texts: dict[str, str]) -> None:
    others = {
        name: (root / name).read_text(encoding="utf-8") for name in ("pyproject.toml", "CITATION.cff", "CHANGELOG.md")
    }
    found = {path: spelled for path, text in {**texts, **others}.items() if (spelled := addresses(text))}
    assert {path: spelled for path, spelled in found.items() if spelled != {ADDRESS}} == {}
    # Where it has to stand, it does: a page that lost its link would pass otherwise.
    pages = {"pyproject.toml", "CITATION.cff", "SECURITY.md", ".github/ISSUE_TEMPLATE/config.yml", "docs/ci.md"}
    assert pages <= found.keys()


def test_an_address_of_another_owner_is_seen() -> None:
    assert addresses("see https://github.com/somebody/safeload/issues") == {"https://github.com/somebody/safeload"}
    assert addresses("      - uses: somebody/safeload@v1") == {"https://github.com/somebody/safeload"}


def test_the_metadata_lead_to_pages_of_the_project(root: Path, project: dict[str, Any]) -> None:
    urls: dict[str, str] = project["urls"]
    assert urls.keys() == {"Homepage", "Documentation", "Changelog", "Issues", "Security"}
    assert [url for url in urls.values() if url != ADDRESS and not url.startswith(ADDRESS + "/")] == []
    paths = [url.partition("/main/")[2] for url in urls.values() if "/main/" in url]
    assert paths == ["docs", "CHANGELOG.md"]
    assert [path for path in paths if not (root / path).exists()] == []
