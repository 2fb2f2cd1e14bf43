"""The tree of names: what repeats stands once, and no file makes it large or deep without end."""

from __future__ import annotations

import io
import pickle
from typing import Any

import torch

from safeload.inspecting.inspection import inspect
from safeload.inspecting.interface import Entry
from safeload.inspecting.nested import branches


def lines(item: Any) -> list[str]:
    file = io.BytesIO()
    torch.save(item, file)
    return [
        f"{'  ' * b.depth}{b.name} x{b.times} {b.tensors} {b.nbytes}"
        for b in branches(inspect(file.getvalue()).entries)
    ]


def test_like_layers_stand_once() -> None:
    state = {}
    for number in range(12):
        state[f"layers.{number}.w"] = torch.zeros(2, 3)
        state[f"layers.{number}.b"] = torch.zeros(3, dtype=torch.float64 if number == 7 else torch.float32)
    assert lines(state) == [
        " x1 24 444",
        "layers x1 24 444",
        "  {0..6} x7 14 252",
        "    w x1 1 24",
        "    b x1 1 12",
        "  7 x1 2 48",
        "    w x1 1 24",
        "    b x1 1 24",
        "  {8..11} x4 8 144",
        "    w x1 1 24",
        "    b x1 1 12",
    ]


def test_nested_dicts_and_dotted_names_are_one_tree() -> None:
    state = {"model": {"a.w": torch.zeros(1), "a.b": torch.zeros(1)}, "steps": [1, {"x": 2}]}
    assert lines(state) == [
        " x1 2 8",
        "model x1 2 8",
        "  a x1 2 8",
        "    w x1 1 4",
        "    b x1 1 4",
        "steps x1 0 0",
        "  0 x1 0 0",
        "  1 x1 0 0",
        "    x x1 0 0",
    ]


def test_a_gap_or_another_order_ends_a_run() -> None:
    state = {f"{n}.w": torch.zeros(1) for n in (0, 1, 3, 2, 4, 5)}
    assert [line.split()[0] for line in lines(state) if not line.startswith(" ")] == ["{0..1}", "3", "2", "{4..5}"]


def test_tied_bytes_count_once() -> None:
    entries = [Entry(name, name, 1, "tensor", nbytes=8) for name in ("a.x", "a.y")]
    assert [(b.name, b.nbytes) for b in branches(entries, {"a.y"})] == [("a", 8), ("x", 8), ("y", 0)]


def test_every_entry_is_in_the_tree() -> None:
    names = ["a", "a.b", "a.b.c", "a..b", "", ".", "a.b~2", "x" * 300, "." * 500, "a\nb"]
    entries = [Entry(name, name, 1, "value", text="1") for name in names]
    assert sum(b.entry is not None for b in branches(entries)) == len(names)


def test_deep_and_wide_is_no_recursion() -> None:
    found = inspect(_deep(2000))
    assert len(branches(found.entries)) == len(found.entries)
    dots = [Entry("a." * 10_000 + str(n), "x", 1, "value") for n in range(50)]
    assert len(branches(dots)) < 50 * 3 + 40


def _deep(levels: int) -> bytes:
    """Lists in lists, without the recursion of a pickler."""
    return pickle.PROTO + b"\x04" + b"]" * levels + b"a" * (levels - 1) + b"."
