"""FRAME lengths that lie. CPython's C reader ignored them for years, Python's never did (issues 128853 and 154848)."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from safeload.errors import Malformed
from safeload.machine import Global, run


def frame(size: int) -> bytes:
    return b"\x95" + size.to_bytes(8, "little")


HONEST = [
    b"\x80\x04" + frame(2) + b"N.",
    b"\x80\x04" + frame(0) + b"N.",
    b"\x80\x04" + frame(1) + b"N" + frame(1) + b".",
    b"\x80\x04" + frame(1) + b"N.",
    b"\x80\x04" + frame(6) + b"\x8c\x01a\x85\x94.",
    b"\x80\x04" + frame(1) + b"]" + b"X\x03\x00\x00\x00abc" + frame(2) + b"a.",
]


@pytest.mark.parametrize("data", HONEST)
def test_honest_frames(data: bytes) -> None:
    program = run(data)
    assert not program.notes
    assert program.value == pickle.loads(data) == pickle._loads(data)  # type: ignore[attr-defined]


def test_large_literals_between_frames() -> None:
    for protocol in (4, 5):
        for data in (
            pickle.dumps([b"x" * 70_000, "y" * 70_000, list(range(40_000))], protocol),
            pickle._dumps([b"x" * 70_000, "y" * 70_000, list(range(40_000))], protocol),  # type: ignore[attr-defined]
        ):
            assert data.count(b"\x95") > 1
            assert not run(data).notes


LYING = [
    # the frame ends inside a length, inside a literal, inside a line
    b"\x80\x04" + frame(2) + b"X\x01\x00\x00\x00a.",
    b"\x80\x04" + frame(2) + b"\x8c\x05abcde.",
    b"\x80\x04" + frame(3) + b"cos\nsystem\n.",
    b"\x80\x04" + frame(5) + b"cos\nsystem\n.",
    # ... or between an opcode and its argument
    b"\x80\x04" + frame(1) + b"K\x01.",
    # a frame in a frame, also as its last opcode
    b"\x80\x04" + frame(12) + b"N" + frame(1) + b"0N.",
    b"\x80\x04" + frame(10) + b"N" + frame(1) + b".",
    # a frame past the end of the stream, or of the input
    b"\x80\x04" + frame(3) + b"N.N",
    b"\x80\x04" + frame(100) + b"N.",
    b"\x80\x04" + frame(2**62) + b"N.",
]


@pytest.mark.parametrize("data", LYING)
def test_lying_frames_are_noted(data: bytes) -> None:
    assert run(data).notes


def test_the_published_divergence() -> None:
    """Issue 154848: what pickletools shows as one bytes literal is a call for some readers."""
    inner = b"cbuiltins\nprint\nVHello, world!\n\x85R("
    data = b"\x80\x05N(" + frame(2) + b"B\x07\x01\x00\x00" + b"\0\0" + inner.ljust(256 + 5, b"N") + b"1."
    assert run(data).notes


def test_a_frame_that_cannot_be() -> None:
    with pytest.raises(Malformed):
        run(b"\x80\x04" + frame(2**63) + b"N.")


def test_payloads_behind_a_lie_are_seen() -> None:
    program = run(b"\x80\x04" + frame(3) + b"\x8c\x05abcdecos\nsystem\n.")
    assert program.notes
    assert [type(e) for e in program.effects] == [Global]


def test_frames_through_a_window() -> None:
    for data in HONEST + LYING:
        whole = run(data)
        fed = run(b"", more=_byte_by_byte(data))
        assert [(n.message, n.offset) for n in fed.notes] == [(n.message, n.offset) for n in whole.notes]


def _byte_by_byte(data: bytes) -> Any:
    given = 0

    def more(_: int) -> bytes:
        nonlocal given
        given += 1
        return data[:given]

    return more
