"""The pages against the code: links, commands and their options, names of the Python interface, generated pages."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import click
import pytest

import safeload
from safeload.cli import COMMANDS, app
from tests.docs.blocks import blocks, commands, links, prose, slugs, words

ROOT = Path(__file__).resolve().parent.parent.parent

PAGES = tuple(
    path.relative_to(ROOT).as_posix()
    for path in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("[brs]*/README.md")])
)

PLACEHOLDERS = {"COMMAND", "TOPIC", "X"}
"""Words that stand for a command or a topic in the running text."""


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def test_the_pages_are_found() -> None:
    assert {"README.md", "CHANGELOG.md", "docs/json.md", "docs/quickstart.md", "rules/README.md"} <= set(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = read(page)
    broken = []
    for link in links(text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        if (
            not target.exists()
            or not target.resolve().is_relative_to(ROOT)
            or (anchor and anchor not in slugs(target.read_text(encoding="utf-8")))
        ):
            broken.append(link)
    assert broken == []


def checked(command: str) -> None:
    """Goes through the words of a command as the command line would. Raises what it raises."""
    given = words(command)[1:]
    found: click.Command = app
    context = click.Context(app, info_name="safeload", **app.context_settings)
    while isinstance(found, click.Group) and given and not given[0].startswith("-"):
        name = given.pop(0)
        step = found.get_command(context, name)
        if step is None:
            raise click.UsageError(f"no command {name!r}")
        found, context = step, click.Context(step, info_name=name, parent=context)
    if isinstance(found, click.Group):
        options = {option for param in found.get_params(context) for option in param.opts}
        if not given or not set(given) <= options:
            raise click.UsageError(f"no command in {command!r}")
        return
    try:
        found.make_context("x", given, parent=context.parent)
    except click.exceptions.Exit as done:  # --help
        if done.exit_code:
            raise


def printed() -> Iterator[tuple[str, str]]:
    """Each command in a block of a page, with its place; and those in the epilogs of `--help`."""
    for page in PAGES:
        for block in blocks(read(page)):
            for line, command in commands(block):
                yield f"{page}:{line}", command


@pytest.mark.parametrize(("place", "command"), list(printed()), ids=lambda value: value[:60])
def test_printed_commands_are_ones(place: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # no configuration of a project applies
    try:
        checked(command)
    except click.UsageError as error:
        pytest.fail(f"{place}: {command}: {error.format_message()}")


@pytest.mark.parametrize(
    "command",
    [
        "safeload sacn x",
        "safeload scan --jbos 2 x",
        "safeload scan --jobs two x",
        "safeload scan --format pdf x",
        "safeload attest x y",
        "safeload attest",
        "safeload",
        "safeload scan",
        "safeload run --epochs 3 train.py",
    ],
)
def test_commands_that_are_none_are_seen(command: str) -> None:
    with pytest.raises(click.UsageError):
        checked(command)


def test_commands_are_found_in_a_page() -> None:
    page = (
        "# x\n\n    safeload scan a  # word\n\n```yaml\n- run: safeload scan b\n```\n"
        "```sh\ncurl -s URL | safeload scan -\nsafeload scan c && safeload doctor > x\nsafeload \\\n  scan d\n```\n"
        "```python\nsafeload scan no\n```\n"
    )
    found = [" ".join(words(command)) for block in blocks(page) for _, command in commands(block)]
    assert found == ["safeload scan a", "safeload scan b", "safeload scan -", "safeload scan c", "safeload scan d"]


def inline() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for text in re.findall(r"`(safeload [a-z][^`\n]*)`", prose(read(page))):
            yield page, text


@pytest.mark.parametrize(("page", "text"), sorted(set(inline())), ids=lambda value: value[:60])
def test_commands_in_running_text_exist(page: str, text: str) -> None:
    given = text.replace("\\|", "|").split("|")[0].split()[1:]
    found: click.Command = app
    context = click.Context(app, **app.context_settings)
    while isinstance(found, click.Group) and given and re.fullmatch(r"[a-z-]+", given[0]):
        step = found.get_command(context, given.pop(0))
        assert step is not None, f"{page}: {text}"
        found, context = step, click.Context(step, parent=context)
    known = {option for param in found.get_params(context) for option in (*param.opts, *param.secondary_opts)}
    if found.name != "run":  # what follows a script belongs to the script
        options = {word.split("=")[0] for word in given if re.match(r"--?[a-z]", word)}
        assert options - known == set(), f"{page}: {text}"


def test_every_command_is_in_the_readme() -> None:
    named = {words(c)[1] for b in blocks(read("README.md")) for _, c in commands(b) if len(words(c)) > 1}
    named |= {text.split()[1] for page, text in inline() if page == "README.md"}
    later = {"completion", "config", "rules"}
    assert {name for name, _, _ in COMMANDS} - named - later == set()


@pytest.mark.parametrize("page", PAGES)
def test_python_in_the_pages_is_python(page: str) -> None:
    for block in blocks(read(page)):
        if block.kind == "python":
            compile(block.text, f"{page}:{block.line}", "exec")
            used = set(re.findall(r"\bsafeload\.([A-Za-z_]+)", block.text))
            assert {name for name in used if not hasattr(safeload, name) and name != "restricted"} == set(), page


@pytest.mark.slow
def test_the_rule_reference_is_up_to_date() -> None:
    path = ROOT / "rules" / "reference.py"
    spec = importlib.util.spec_from_file_location("rules_reference", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert read("docs/rules.md") == module.render(module.read_folder(path.parent)), "run python rules/reference.py"
    ids = re.findall(r"^### (.+)$", read("rules/README.md"), re.MULTILINE)
    assert re.findall(r"^### (.+)$", read("docs/rules.md"), re.MULTILINE) == ids
