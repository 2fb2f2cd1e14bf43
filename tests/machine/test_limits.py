"""Limits, bombs and windows: what a few bytes can ask for, and what the machine gives them."""

from __future__ import annotations

import gc
import pickle
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from safeload.errors import LimitExceeded, Malformed, UsageError
from safeload.limits import Limits
from safeload.machine import Program, run
from tests.machine.oracle import our_log


def refused(data: bytes, limit: str, **limits: int) -> LimitExceeded:
    with pytest.raises(LimitExceeded) as caught:
        run(data, limits=Limits(**limits))
    assert caught.value.limit == limit
    assert limit in str(caught.value)
    assert isinstance(caught.value.partial, Program)
    assert caught.value.offset is not None
    return caught.value


def test_opcodes() -> None:
    assert run(b"N0" * 4 + b"N.", limits=Limits(opcodes=10)).opcodes == 10
    assert refused(b"N0" * 5 + b"N.", "opcodes", opcodes=10).partial.opcodes == 10
    assert refused(b"N0" * 500_000, "opcodes", opcodes=300_000).offset == 300_000


def test_memo() -> None:
    three = b"Nq\x00q\x01r\xff\x00\x00\x00"
    assert run(three + b"q\x00.", limits=Limits(memo=3)).whole
    refused(three + b"q\x02.", "memo", memo=3)
    refused(b"N" + b"\x94" * 200_000 + b".", "memo", memo=100_000)


def test_stack() -> None:
    assert run(b"(" + b"N" * 8 + b"t.", limits=Limits(stack=20)).whole
    refused(b"N" * 100 + b".", "stack", stack=20)
    refused(b"(" * 100 + b".", "stack", stack=20)
    refused(b"(N" * 100 + b".", "stack", stack=20)
    refused(b"(" * 400_000, "stack", stack=200_000)


def test_many_marks_do_not_take_quadratic_time() -> None:
    started = time.perf_counter()
    refused(b"(" * 60_000 + b"N0" * 200_000, "opcodes", stack=60_001, opcodes=400_000)
    assert time.perf_counter() - started < 20


@pytest.mark.parametrize(
    "data",
    [
        b"X\x0b\x00\x00\x00" + b"a" * 11 + b".",
        b"\x8c\x0b" + b"a" * 11 + b".",
        b"U\x0b" + b"a" * 11 + b".",
        b"B\x0b\x00\x00\x00" + b"a" * 11 + b".",
        b"S'" + b"a" * 11 + b"'\n.",
        b"V" + b"a" * 11 + b"\n.",
        b"V" + b"a" * 11,
        b"P" + b"a" * 11 + b"\n.",
        b"c" + b"a" * 11 + b"\nb\n.",
        # a length is judged before one byte of the literal is asked for
        b"X\xff\xff\xff\xff",
        b"\x8d" + b"\xff" * 7 + b"\x7f",
        b"\x8e" + b"\xff" * 7 + b"\x7f",
        b"\x96" + b"\xff" * 7 + b"\x7f",
    ],
)
def test_string_bytes(data: bytes) -> None:
    refused(data, "string_bytes", string_bytes=10)


def test_integer_bytes() -> None:
    assert run(b"\x8a\x04\x00\x00\x00\x01.", limits=Limits(integer_bytes=4)).value == 1 << 24
    refused(b"\x8a\x05\x00\x00\x00\x01\x00.", "integer_bytes", integer_bytes=4)
    refused(b"\x8b\xff\xff\xff\x7f", "integer_bytes")
    refused(b"I12345\n.", "integer_bytes", integer_bytes=4)
    refused(b"F1.2345\n.", "integer_bytes", integer_bytes=4)


def test_key_elements() -> None:
    key = b"(" + b"\x8c\x01a" * 9 + b"t"
    assert run(b"}" + key + b"Ns.", limits=Limits(key_elements=10)).whole
    refused(b"}" + key + b"\x85Ns.", "key_elements", key_elements=10)
    refused(b"\x8f(" + key + b"\x85\x90.", "key_elements", key_elements=10)
    refused(b"((" + key + b"\x85t\x91.", "key_elements", key_elements=10)
    refused(b"}(" + b"N" * 1_000_000 + b"tNs.", "key_elements")


def test_numeric_tuple_keys() -> None:
    def table(keys: list[Any]) -> bytes:
        return pickle.dumps(dict.fromkeys(keys), 4)

    budget = Limits(numeric_tuple_keys=10)
    assert run(table([(i, i) for i in range(10)]), limits=budget).whole
    assert run(table([(i, "a") for i in range(100)]), limits=budget).whole
    assert run(table(list(range(100))), limits=budget).whole
    refused(table([(i, i) for i in range(11)]), "numeric_tuple_keys", numeric_tuple_keys=10)
    refused(table([(float(i), None) for i in range(11)]), "numeric_tuple_keys", numeric_tuple_keys=10)
    refused(table([frozenset({i}) for i in range(11)]), "numeric_tuple_keys", numeric_tuple_keys=10)
    # hashes of integers repeat modulo 2**61 - 1
    refused(table([i * (2**61 - 1) << 20 for i in range(1, 20)]), "numeric_tuple_keys", numeric_tuple_keys=10)


def test_nested_literals() -> None:
    literal = b"C\x0a\x80\x04ca\nb\n)R."
    assert len(run(b"(" + literal * 3 + b"t.", limits=Limits(nested_files=3)).blobs) == 3
    refused(b"(" + literal * 4 + b"t.", "nested_files", nested_files=3)


def test_unknown_options() -> None:
    with pytest.raises(UsageError):
        run(b"N.", encoding="idna")
    with pytest.raises(UsageError):
        run(b"N.", -1)
    with pytest.raises(Malformed):
        run(b"N.", 7)


# -- bombs

SPARSE = [b"Nr\xff\xff\xff\xff.", b"Np2147483648\n.", b"Np99999999999999999999\n."]


@pytest.mark.parametrize("data", SPARSE)
def test_a_huge_memo_index_allocates_nothing(data: bytes) -> None:
    tracemalloc.start()
    try:
        program = run(data)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    assert program.notes


@pytest.mark.parametrize(
    "head", [b"X\xff\xff\xff\x3f", b"\x8d" + (1 << 30).to_bytes(8, "little"), b"T\xff\xff\xff\x3f"]
)
def test_a_declared_length_allocates_nothing(head: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(Malformed):
            run(head + b"abc")
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


ROOT = Path(__file__).parents[2]
DEPTH = 1_000_000
DEEP = {
    "lists from outside": b"]" * DEPTH + b"a" * (DEPTH - 1) + b".",
    "lists by marks": b"(" * DEPTH + b"l" * DEPTH + b".",
    "tuples": b")" + b"\x85" * DEPTH + b".",
    "tuples by marks": b"(" * DEPTH + b"t" * DEPTH + b".",
    "dicts": b"}" + b"N}" * DEPTH + b"s" * DEPTH + b".",
    "calls": b"cA\nB\n" + b")R" * DEPTH + b".",
    "calls of arguments": b"cA\nB\nq\x00)R" + b"q\x010h\x00h\x01\x85R" * (DEPTH // 4) + b".",
    "states": b"cA\nB\n)R" + b"2b" * DEPTH + b".",
    "states in states": b"cA\nB\nq\x00)R" + b"q\x010h\x00)Rh\x01b" * (DEPTH // 4) + b".",
    "persistent ids": b"N" + b"Q" * DEPTH + b".",
    "frozensets": b"(" * DEPTH,
}


@pytest.mark.parametrize("name", DEEP)
def test_depth_crashes_nothing(name: str) -> None:
    """In a process of its own: the failure would be a crash, in the run or when the value goes away."""
    script = (
        "import sys\n"
        "from safeload.errors import LimitExceeded, Malformed\n"
        "from safeload.machine import run\n"
        "data = sys.stdin.buffer.read()\n"
        "try:\n"
        "    program = run(data)\n"
        "    del program\n"
        "except (Malformed, LimitExceeded):\n"
        "    pass\n"
        "print('fine')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], input=DEEP[name], capture_output=True, check=False, cwd=ROOT)
    assert done.stdout == b"fine\n", done.stderr[-300:]


@pytest.mark.parametrize("form", [b"}%sNs.", b"\x8f(%s\x90.", b"(%s\x91.", b"(%sNd."])
def test_deep_and_doubling_keys_are_not_hashed(form: bytes) -> None:
    refused(form % (b")" + b"\x85" * 200_000), "key_elements")
    doubling = b")" + b"2\x86" * 60
    started = time.perf_counter()
    refused(form % doubling, "key_elements")
    assert time.perf_counter() - started < 1


def test_a_doubling_structure_stays_small() -> None:
    program = run(b"]" + b"2\x86" * 1000 + b".")
    assert program.opcodes == 2002


# -- windows


def windows(data: bytes, sizes: Callable[[int, int], int]) -> Callable[[int], bytes]:
    given = 0

    def more(needed: int) -> bytes:
        nonlocal given
        assert needed > given
        given = min(sizes(needed, given), len(data))
        return data[:given]

    return more


STREAMS = [
    pickle.dumps([1, "text", b"bytes", (1.5, None), {"k": {1, 2}}, 1 << 70, [complex(1, 2)], "x" * 9000], p)
    for p in range(6)
]
STREAMS += [b"I 0\ncos\nsystem\nX\x02\x00\x00\x00id\x85R\xff", b"V" + b"a" * 10_000 + b"\n.", b"cos\nsystem"]


@pytest.mark.parametrize("data", STREAMS)
@pytest.mark.parametrize(
    "sizes", [lambda needed, given: given + 1, lambda needed, given: needed, lambda needed, given: 2 * needed]
)
def test_a_window_gives_the_same_program(data: bytes, sizes: Callable[[int, int], int]) -> None:
    def outcome(**options: Any) -> tuple[Any, ...]:
        try:
            program, error = run(b"", **options) if options else run(data), None
        except Malformed as caught:
            program, error = caught.partial, (str(caught), caught.offset)
        notes = [(n.message, n.offset) for n in program.notes]
        offsets = [e.offset for e in program.effects]
        return program, (error, notes, offsets, program.end, program.opcodes, program.whole, program.protocol)

    whole, facts = outcome()
    fed, fed_facts = outcome(more=windows(data, sizes))
    assert facts == fed_facts
    assert spelled(whole) == spelled(fed)


def spelled(program: Program) -> str:
    """Every effect and the value, nodes by their number."""
    numbers = {id(effect): i for i, effect in enumerate(program.effects)}

    def spell(value: object) -> str:
        if id(value) in numbers:
            return f"#{numbers[id(value)]}"
        if isinstance(value, list | tuple | set):
            return f"{type(value).__name__}({', '.join(map(spell, value))})"
        if isinstance(value, dict):
            return f"dict({', '.join(spell(k) + ':' + spell(v) for k, v in value.items())})"
        return repr(value)

    return spell([list(line) for line in our_log(program)]) + spell(program.value)


def test_a_window_starts_where_the_stream_does() -> None:
    data = b"junk" + pickle.dumps(["a", 1])
    program = run(data[:5], 4, more=windows(data, lambda needed, given: needed))
    assert (program.start, program.end, program.value) == (4, len(data), ["a", 1])


def test_no_more_is_asked_than_a_literal_declares() -> None:
    asked: list[int] = []

    def more(needed: int) -> bytes:
        asked.append(needed)
        return b"X\x05\x00\x00\x00abc"

    with pytest.raises(Malformed):
        run(b"X\x05\x00\x00\x00", more=more)
    assert asked == [10, 10]


# -- garbage collection


def test_collection_is_off_only_during_a_run() -> None:
    states: list[bool] = []

    def more(_: int) -> bytes:
        states.append(gc.isenabled())
        return b"N."

    for before in (True, False):
        (gc.enable if before else gc.disable)()
        try:
            run(b"", more=more)
            with pytest.raises(Malformed):
                run(b"\xff")
            assert gc.isenabled() is before
        finally:
            gc.enable()
    assert states == [False, False]


def test_two_runs_at_once_leave_collection_as_it_was() -> None:
    entered, leave = threading.Event(), threading.Event()

    def more(_: int) -> bytes:
        entered.set()
        leave.wait(10)
        return b"N."

    thread = threading.Thread(target=lambda: run(b"", more=more))
    thread.start()
    entered.wait(10)
    run(b"N.")
    assert not gc.isenabled()
    leave.set()
    thread.join()
    assert gc.isenabled()


def test_a_failing_source_passes_through() -> None:
    def more(_: int) -> bytes:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        run(b"", more=more)
    assert gc.isenabled()
