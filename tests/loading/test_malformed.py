"""Malformed input, row by row: our own error and its rule, or the harmless result; in bounded time and memory.

Each file is loaded in a process of its own, with a limit on memory, by `contained`.
"""

from __future__ import annotations

import struct

import pytest

from samples.assemble import PROTO2, name, pickle, tensor
from samples.files_of_torch import legacy, zip_of
from tests.loading.contained import Outcome, outcome
from tests.loading.hostile import ROWS, Row, bomb

MIB = 1 << 20


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_row(row: Row) -> None:
    found = outcome(row.data, row.options, path=row.path)
    assert found.effects == ()
    assert found.grown < 100 * MIB
    if row.value:
        assert (found.error, found.value) == ("", row.value)
    else:
        assert (found.error, found.verdict, found.rules) == ("UnsafeCheckpoint", row.verdict, row.rules)


def test_row_names_are_unique() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)


def test_two_gib_of_deflate_in_two_megabytes() -> None:
    data = bomb()
    assert len(data) < 4 * MIB
    found = outcome(data, path="x.pt")
    assert found.error == "UnsafeCheckpoint"
    assert "zip-limit" in found.rules
    assert found.grown < 50 * MIB


def test_a_path_called_safetensors_is_read_by_its_content() -> None:
    found = outcome(zip_of({"w": tensor()}).build(), path="model.safetensors")
    assert found.value == "{'w': cpu float32 (4,) [1.0, 1.0, 1.0, 1.0]}"


def test_a_hostile_pickle_called_safetensors() -> None:
    found = outcome(pickle(name("os", "system")), path="model.safetensors")
    assert (found.error, found.verdict, found.rules) == ("UnsafeCheckpoint", "dangerous", ("runs-programs",))


TRUNCATED = zip_of({"w": tensor()}).build(), legacy({"w": 1}, {})


@pytest.mark.parametrize("data", TRUNCATED, ids=["zip", "legacy"])
def test_cut_anywhere(data: bytes) -> None:
    from safeload import SafeloadError, load

    for end in range(0, len(data), 7):
        with pytest.raises(SafeloadError):
            load(data[:end])


def test_the_containment_would_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    # Memory: a literal of 64 MiB does not fit into 16 MiB, and comes out as an error of ours or not at all.
    literal = b"\x80\x04\x8e" + struct.pack("<Q", 64 * MIB) + bytes(64 * MIB) + b"."
    assert outcome(literal, path="x.pkl", memory=16 * MIB).error == "LoadFailed"
    # An error that is not ours is told apart.
    assert outcome(PROTO2 + b"N.", {"map_location": _Explodes()}) == outcome(PROTO2 + b"N.")


class _Explodes:
    def __call__(self, storage: object, location: str) -> None:
        raise KeyError("never called: the file has no storage")


def test_errors_of_the_caller_are_told_apart() -> None:
    found: Outcome = outcome(zip_of({"w": tensor()}).build(), {"map_location": _Explodes()})
    assert (found.error, found.ours) == ("KeyError", False)
