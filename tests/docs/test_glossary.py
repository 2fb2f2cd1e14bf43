"""The glossary against the code: every entry is in its place, and what it links to is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "glossary.md"

ENTRY = re.compile(r"^\*\*(?P<word>[^*]+)\*\*: (?P<text>.*)$", re.DOTALL)
LINK = re.compile(r"\[`(?P<name>safeload[\w.]*)`\]\((?P<target>[^)]+)\)$")

WORDS = frozenset({
    "archive kind", "baseline", "check", "checkpoint", "container", "Document", "effect", "finding", "gate",
    "judge", "judged ranges", "machine", "member", "pack", "policy", "Program", "program format", "reading",
    "record", "skipped", "statement", "stream", "tally", "TensorSpec", "unit", "verdict", "vetted",
})  # fmt: skip
"""Words that other pages use without explaining them."""


def entries() -> dict[str, str]:
    """Word -> its paragraph."""
    found = [ENTRY.match(part.strip()) for part in PAGE.read_text(encoding="utf-8").split("\n\n")]
    return {match["word"]: match["text"] for match in found if match is not None}


def defined(module: Path) -> set[str]:
    """The names that a module defines at its top."""
    names = set()
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                names.add(name)
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
    return names


def wrong(text: str) -> str:
    """What is wrong with the link of an entry, "" for nothing."""
    link = LINK.search(text)
    if link is None:
        return "it does not end with a link to the code"
    module = (PAGE.parent / link["target"]).resolve()
    if not module.is_file():
        return f"{link['target']} is no file"
    parts = module.relative_to(ROOT).with_suffix("").parts
    dotted = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    name = link["name"].removeprefix(dotted)
    if name == link["name"] or (name and name[1:] not in defined(module)):
        return f"{link['target']} has no {link['name']}"
    return ""


def test_every_entry_links_to_something_that_is_there() -> None:
    assert {word: fault for word, text in entries().items() if (fault := wrong(text))} == {}


def test_entries_are_in_alphabetical_order_and_none_is_missing() -> None:
    words = list(entries())
    assert words == sorted(words, key=str.casefold)
    assert set(words) >= WORDS
    assert len(words) == PAGE.read_text(encoding="utf-8").count("\n**")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("A word.", "it does not end with a link to the code"),
        ("A word. [`safeload.gone`](../safeload/gone.py)", "../safeload/gone.py is no file"),
        (
            "A word. [`safeload.findings.Gone`](../safeload/findings.py)",
            "../safeload/findings.py has no safeload.findings.Gone",
        ),
        (
            "A word. [`safeload.report.Report`](../safeload/findings.py)",
            "../safeload/findings.py has no safeload.report.Report",
        ),
        ("A word. [`safeload.findings.Finding`](../safeload/findings.py)", ""),
        ("A word. [`safeload.vetted`](../safeload/vetted/__init__.py)", ""),
    ],
)
def test_a_wrong_link_is_seen(text: str, fault: str) -> None:
    assert wrong(text) == fault
