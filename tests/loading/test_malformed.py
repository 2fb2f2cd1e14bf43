"""Malformed input, row by row: our own error and its rule, or the harmless result; in bounded time and memory.

Each file is loaded in a process of its own, with a limit on memory, by `contained`.
"""

from __future__ import annotations

import os
import signal
import struct

import pytest

from samples.assemble import PROTO2, name, pickle, tensor
from samples.files_of_torch import legacy, zip_of
from tests.loading.contained import SECONDS, outcome
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


@pytest.mark.parametrize("room", [16, 40, 80, 120, 200, 300])
def test_not_enough_memory_is_an_error_of_ours(room: int) -> None:
    lists = PROTO2 + b"](" + b"]" * 400_000 + b"e."
    literal = b"\x80\x04\x8e" + struct.pack("<Q", 64 * MIB) + bytes(64 * MIB) + b"."
    for data in (lists, literal):
        found = outcome(data, path="x.pkl", memory=room * MIB)
        assert found.error in ("", "LoadFailed", "UnsafeCheckpoint"), found
        if room == 16:
            assert found.error != ""


class Misbehaves:
    """A map_location that does what a file must never do."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __call__(self, storage: object, location: str) -> None:
        if self.what == "raises":
            raise KeyError(location)
        if self.what == "imports":
            import this  # noqa: F401
        if self.what == "crashes":
            os.kill(os.getpid(), signal.SIGSEGV)
        while self.what == "never ends":
            pass


@pytest.mark.parametrize(
    ("what", "error", "effects"),
    [("raises", "KeyError", 0), ("imports", "", 1), ("crashes", "killed by 11", 0), ("never ends", "hangs", 0)],
)
def test_the_containment_notices(what: str, error: str, effects: int) -> None:
    found = outcome(
        zip_of({"w": tensor()}).build(),
        {"map_location": Misbehaves(what)},
        seconds=1 if what == "never ends" else SECONDS,
    )
    assert (found.error, found.ours) == (error, False)
    assert ("import: this" in found.effects) == bool(effects)
