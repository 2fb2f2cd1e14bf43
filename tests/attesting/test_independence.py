"""The verifier stands alone: what it may import, how long it may be, and that it sees what a blind machine does not."""

from __future__ import annotations

import ast
import io
import json
import subprocess
import sys
import tokenize
from pathlib import Path
from typing import Any

import pytest

from safeload import scan
from safeload.attesting.certificate import certificate
from safeload.attesting.verifier import SHAPES
from safeload.errors import NotAttested
from safeload.findings import Verdict
from safeload.inputs import MemorySource
from safeload.limits import Limits
from safeload.machine import Call, Global, Program
from safeload.policy import Policy
from safeload.scanning import reader as reading
from safeload.scanning.scanner import scan_source
from safeload.scanning.streams import Heard
from safeload.vetted import CONSTRUCTORS
from samples.assemble import ECHO, name, old_storage, pickle, tensor
from samples.files_of_torch import legacy, zip_of
from tests.attesting.certified import POLICY, attested, check

ALONE = ("verifier.py", "statement.py")
MAY_IMPORT = {"safeload.errors", "safeload.source", "safeload.attesting.verifier"}
LINES = 300


def imported(text: str) -> set[str]:
    """The modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("." * node.level + (node.module or ""))
    return found


def lines_of_code(text: str) -> int:
    """Lines that hold more than a comment, a docstring or nothing."""
    documents = {
        line
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    nothing = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    held = {
        line
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type not in nothing
        for line in range(token.start[0], token.end[0] + 1)
    }
    return len(held - documents)


@pytest.mark.parametrize("file", ALONE)
def test_it_shares_no_code_with_what_it_checks(root: Path, file: str) -> None:
    found = imported((root / "safeload" / "attesting" / file).read_text(encoding="utf-8"))
    ours = {module for module in found if module.partition(".")[0] in ("safeload", "")}
    assert ours <= MAY_IMPORT
    others = {module.partition(".")[0] for module in found - ours}
    assert others <= sys.stdlib_module_names - {"pickle", "pickletools", "zipfile", "tarfile", "importlib"}


def test_nothing_of_what_it_checks_is_even_loaded() -> None:
    code = (
        "import sys, safeload.attesting.statement\n"
        "print(*sorted(m for m in sys.modules if m.startswith('safeload') or m in ('pickletools', 'zipfile')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [
        "safeload", "safeload.attesting", "safeload.attesting.statement", "safeload.attesting.verifier",
        "safeload.errors", "safeload.source",
    ]  # fmt: skip


def test_it_stays_short(root: Path) -> None:
    text = (root / "safeload" / "attesting" / "verifier.py").read_text(encoding="utf-8")
    assert lines_of_code(text) < LINES
    assert lines_of_code('"""a\nb"""\n\nx = 1  # c\n# d\ny = (\n    2,\n)\n') == 4


def test_its_closed_list_is_a_part_of_ours() -> None:
    """A name with another shape could never be verified; one outside the table would widen what is trusted."""
    assert set(SHAPES.values()) <= set(CONSTRUCTORS)
    decided = {of: POLICY.decide(*of.rsplit(".", 1)).shape for of in SHAPES}
    assert decided == SHAPES


BAD = ECHO


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """One bug in the machine: it does not see os.system, neither the name nor its calls."""
    interpret = reading.interpret

    def seen(effect: object) -> bool:
        node: Any = effect.func if isinstance(effect, Call) else effect
        return not (isinstance(node, Global) and node.module == "os")

    def blinded(*args: Any) -> Program:
        program = interpret(*args)
        program.effects = [effect for effect in program.effects if seen(effect)]
        return program

    monkeypatch.setattr(reading, "interpret", blinded)


PLACES = {
    "zip": zip_of({"w": tensor(), "x": BAD}).build(),
    "legacy": legacy({"w": tensor(old_storage()), "x": BAD}, {"0": (4, b"\0" * 16)}),
    "pickle": pickle({"x": BAD}),
    "name alone": pickle({"x": name("os", "system")}),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.usefixtures("blind")
def test_one_bug_in_the_machine_gives_no_trusted_verdict(place: str) -> None:
    data = PLACES[place]
    source = MemorySource(data)
    heard: list[Heard] = []
    found = scan_source(source, policy=POLICY, limits=Limits(), witness=heard.append)
    assert found.report.verdict is Verdict.CLEAN  # the bug
    given = certificate(source, found, heard, POLICY, Limits())
    assert "system" not in json.dumps(given)
    with pytest.raises(NotAttested, match=r"'os\.system' is not in the verifier's closed list"):
        check(data, given)
    assert attested(data).statement is None  # so the command writes nothing


def test_without_the_bug_it_is_dangerous() -> None:
    assert {place: scan(data).verdict for place, data in PLACES.items()} == dict.fromkeys(PLACES, Verdict.DANGEROUS)
    assert Policy.default().digest == POLICY.digest
