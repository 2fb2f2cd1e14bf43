"""The loader's tables are those that the vetted shapes and rules write: nothing missing, nothing beside."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import torch

import safeload
from safeload.loading.arrays import BUILDERS
from safeload.loading.values import EMPTY, IMMEDIATE
from safeload.policy import table
from safeload.policy.rules import VettedRule, places
from samples.assemble import name, pickle

# Written by shapes, and made by what holds them: `tensors.wrapped`.
INSIDE = {"torch.Tensor"}


def strings(node: ast.AST, constants: dict[str, str]) -> set[str]:
    """What an expression may be, as far as it is written in the file."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return {node.value}
    if isinstance(node, ast.Name) and node.id in constants:
        return {constants[node.id]}
    if isinstance(node, ast.JoinedStr):
        head = node.values[0]
        assert isinstance(head, ast.Constant), ast.unparse(node)
        return {f"{head.value}*"}
    raise AssertionError(f"cannot be read: {ast.unparse(node)}")


def kinds_written(root: Path) -> set[str]:
    """The first argument of every `Built(...)` in safeload/vetted."""
    found: set[str] = set()
    for path in sorted((root / "safeload/vetted").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants = {
            target.id: item.value.value
            for item in tree.body
            if isinstance(item, ast.Assign) and isinstance(item.value, ast.Constant)
            for target in item.targets
            if isinstance(target, ast.Name) and isinstance(item.value.value, str)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Built":
                found |= strings(node.args[0], constants)
    return found


def test_every_kind_has_a_maker_and_every_maker_a_kind(root: Path) -> None:
    written = kinds_written(root)
    assert "datetime.datetime" in written
    made = {*IMMEDIATE, *EMPTY, *BUILDERS}
    exact = {kind for kind in written if not kind.endswith("*")}
    prefixes = tuple(kind[:-1] for kind in written if kind.endswith("*"))
    assert prefixes == ("numpy.random.",)
    assert exact - made == set()
    assert {kind for kind in made if kind not in exact and not kind.startswith(prefixes)} - INSIDE == set()


def test_no_kind_has_two_makers() -> None:
    assert len({*IMMEDIATE, *EMPTY, *BUILDERS}) == len(IMMEDIATE) + len(EMPTY) + len(BUILDERS)


def vetted_places() -> list[tuple[str, str]]:
    rules = (VettedRule(*row) for row in table.VETTED)
    return sorted({place for rule in rules if rule.verdict == "clean" for place in places(rule)})


@pytest.mark.parametrize("module", sorted({module for module, _ in vetted_places()}))
def test_every_vetted_name_loads_as_a_value(module: str) -> None:
    for _, attribute in (place for place in vetted_places() if place[0] == module):
        got = safeload.load(pickle(name(module, attribute)))
        if isinstance(got, safeload.Record):
            assert got.args is None
        else:
            # What it is, it is called: torch's dtypes and layouts, classes, annotations, constants.
            called = {str(got), getattr(got, "__name__", ""), getattr(got, "_name", "")}
            known = {"NoneType", "ellipsis", "NotImplementedType", "object_", "longdouble", "clongdouble"}
            assert any(attribute.rstrip("_") in text for text in called) or called & known or module == "numpy"


# Names that are functions or constructors stay inert as values: nobody saves them, and calling is for the table.
INERT = {
    "_codecs", "numpy._core.multiarray", "numpy.core.multiarray", "numpy._core.numeric", "numpy.core.numeric",
    "numpy.random._pickle", "numpy.random", "numpy.random.bit_generator", "copyreg", "torch._utils", "torch._tensor",
    "torch.tensor", "torch.storage", "torch.serialization", "torch.sparse", "torch.cuda", "torch.cuda.sparse",
}  # fmt: skip


def test_what_stays_inert_as_a_value() -> None:
    for module, attribute in vetted_places():
        got = safeload.load(pickle(name(module, attribute)))
        if module in INERT:
            assert isinstance(got, safeload.Record), (module, attribute)
        if module in ("builtins", "typing", "numpy.dtypes") and attribute != "type":
            assert not isinstance(got, safeload.Record), (module, attribute)


@pytest.mark.parametrize("kind", ["float32", "bfloat16", "float8_e4m3fn", "int4", "qint8", "bits16", "complex32"])
def test_dtypes_are_torchs(kind: str) -> None:
    if not hasattr(torch, kind):
        pytest.skip(f"this torch has no {kind}")
    assert safeload.load(pickle(name("torch", kind))) is getattr(torch, kind)
