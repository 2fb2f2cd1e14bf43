"""Names for leaves: what they are, that they are unique, and that no structure multiplies them without end."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import pytest

from safeload.document.cell import Cell
from safeload.document.document import ArraySpec, Built, Document, Enclosed, Symbol, TensorSpec
from safeload.document.record import Record
from safeload.errors import LimitExceeded
from safeload.inputs import MemorySource
from safeload.limits import Limits
from safeload.tree.paths import named_leaves


def tensor(number: int = 0) -> TensorSpec:
    return TensorSpec(None, "float32", (number,), (1,))


def cell(value: object) -> Cell:
    made = Cell()
    made.value = value
    return made


def names(root: object, limits: Limits | None = None) -> dict[str, Any]:
    return named_leaves(root, lambda value: isinstance(value, TensorSpec), limits or Limits())


T = tensor()


@pytest.mark.parametrize(
    ("root", "expected"),
    [
        ({"a.weight": T, "b": T}, ["a.weight", "b"]),
        ({"m": {"a": T, "n": 1}, "l": [T, (1, T)]}, ["m.a", "l.0", "l.1.1"]),
        (T, ["tensor"]),
        (cell(cell(T)), ["tensor"]),
        ({"x": cell({"y": cell(T)})}, ["x.y"]),
        ({0: {"exp": T}, None: T, (1, "k"): T, 2.5: T}, ["0.exp", "None", "(1,k)", "2.5"]),
        ({True: T, b"b": T}, ["True", "b'b'"]),
        ({1 << 20000: T}, [hex(1 << 20000)]),
        ({"": T, "a": {"": T}}, ["", "a."]),
        (Built("collections.OrderedDict", (), {"a": T}, {"extra": T}), ["a", "extra"]),
        (Built("collections.deque", (None,), [1, T]), ["1"]),
        (Built("argparse.Namespace", (), None, {"mean": T}), ["mean"]),
        ({cell(Symbol("torch.int8")): T, cell(Built("datetime.date", (1, 1, 1))): T}, ["torch.int8", "datetime.date"]),
        (Record("m", "C", (), None, {"w": T, "r": Record("m", "D", (), None, {"b": T})}), ["w", "r.b"]),
        (Record("m", "C", (T, 1), {"k": T}, None, [T, ("key", T)]), ["0", "k", "0~2", "key"]),
        (Record("m", "C", (), None, ({"a": T}, {"slot": T})), ["a", "slot"]),
        (Record("m", "C", (), None, (T, 3)), ["state.0"]),
        (Record("m", "C", (), None, T), ["state"]),
        ({"o": ArraySpec("|O", (2,), False, b"", [1, T])}, ["o.1"]),
        ({"e": Enclosed(Document({"w": T}, MemorySource(b"")))}, ["e.w"]),
        (Enclosed(Document({"w": T}, MemorySource(b""))), ["w"]),
        (Enclosed(Document(T, MemorySource(b""))), ["tensor"]),
        ({"s": {1, 2}, "f": frozenset([cell(T)])}, []),
        ([], []), (None, []), ({"epoch": 3}, []),
    ],
)  # fmt: skip
def test_names(root: object, expected: list[str]) -> None:
    assert list(names(root)) == expected


def test_every_place_has_a_name_of_its_own() -> None:
    one, two, three, four = map(tensor, range(4))
    root = {"a.b": one, "a": {"b": two}, "a.b~2": three, 0: four, "0": one}
    assert names(root) == {"a.b": one, "a.b~2": two, "a.b~2~2": three, "0": four, "0~2": one}


@pytest.mark.slow
def test_many_collisions_take_no_quadratic_time() -> None:
    root = {cell(Symbol("same")): tensor(n) for n in range(50_000)}
    start = time.perf_counter()
    assert len(names(root)) == 50_000
    assert time.perf_counter() - start < 5


def test_ties_stand_under_every_name() -> None:
    shared = {"w": T}
    found = names({"a": shared, "b": shared, "c": T})
    assert list(found) == ["a.w", "b.w", "c"]
    assert {id(leaf) for leaf in found.values()} == {id(T)}


def test_a_container_is_never_entered_inside_itself() -> None:
    loop: dict[str, Any] = {"w": T}
    loop["self"] = loop
    loop["list"] = [loop, {"back": loop, "x": T}]
    assert list(names(loop)) == ["w", "list.1.x"]


def test_doubling_structures_reach_the_limit() -> None:
    level: object = [T]
    for _ in range(60):
        level = [level, level]
    start = time.perf_counter()
    with pytest.raises(LimitExceeded, match="names=VALUE") as raised:
        names(level, Limits()._replace(names=100_000))
    assert raised.value.limit == "names"
    assert time.perf_counter() - start < 5


def test_doubling_structures_without_tensors_cost_nothing() -> None:
    level: object = [1]
    for _ in range(200):
        level = [level, level, {"x": level}]
    start = time.perf_counter()
    assert list(names({"a": level, "b": T})) == ["b"]
    assert time.perf_counter() - start < 1


def test_what_stands_beside_a_shared_tensor_is_looked_at_once() -> None:
    level: object = [*range(200_000), T]
    for _ in range(12):
        level = [level, level]
    start = time.perf_counter()
    assert len(names(level)) == 4096
    assert time.perf_counter() - start < 5


def test_long_names_count_too() -> None:
    level: object = {"k": T}
    for n in range(2000):
        level = {"x" * 1000 + str(n): level, "y": T}
    with pytest.raises(LimitExceeded):
        names(level, Limits()._replace(names=5000))


def test_deep_structures_do_not_recurse() -> None:
    level: object = T
    for _ in range(3000):
        level = [level]
    assert list(names(level)) == [".".join("0" * 3000)]


def test_naming_needs_no_torch() -> None:
    code = "import safeload.tree.paths, sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
