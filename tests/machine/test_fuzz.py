"""Any bytes: the error contract of the machine, and agreement with CPython's readers wherever it is judged.

What is judged is a Program without notes. It and CPython may differ in these ways only, all of them effects that no
table can vet, recorded so that interpretation goes on:
- an extension code, or a buffer that was not handed over: CPython refuses them;
- a change (BUILD, SETITEM, ...) of plain data that is not of its kind, a call of something that is no global or result
  of a call, or with keywords that are no text: CPython mostly raises TypeError or AttributeError.
"""

from __future__ import annotations

import pickletools
import random
from collections.abc import Iterator
from typing import Any

import pytest

from safeload.errors import LimitExceeded, Malformed
from safeload.limits import Limits
from safeload.machine import Buffer, Call, Extension, Global, Mutation, Persistent, Program, run
from tests.machine.oracle import C_ORACLE, PYTHON_ORACLE, Rejected, disagreement
from tests.machine.streams import damaged, noise, woven

ROUNDS = 8_000


@pytest.fixture
def little_memory() -> Iterator[None]:
    """CPython allocates what a literal declares before it reads it: keep that from hurting."""
    resource = pytest.importorskip("resource")
    try:
        with open("/proc/self/statm") as file:
            size = int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        pytest.skip("the size of this process is unknown here")
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (size + (1 << 30), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def cannot_be_vetted(program: Program) -> bool:
    """Does `program` hold an effect that CPython may refuse where the machine goes on?"""
    for effect in program.effects:
        if isinstance(effect, Extension | Buffer):
            return True
        if isinstance(effect, Mutation) and not isinstance(effect.target, Call | Persistent | Global):
            return True
        if isinstance(effect, Call):
            kwargs: Any = effect.kwargs or {}
            if not isinstance(effect.func, Global | Call | Persistent) or not all(isinstance(k, str) for k in kwargs):
                return True
            if effect.kind.startswith("newobj") and not isinstance(effect.func, Global):
                return True
    return False


def check_error(error: Malformed | LimitExceeded, data: bytes) -> None:
    """Every error tells where, and what was understood before."""
    assert isinstance(error.partial, Program)
    assert not error.partial.whole
    assert error.offset is not None
    assert 0 <= error.offset <= len(data)


def globals_of(program: Program) -> list[Global]:
    return [effect for effect in program.effects if isinstance(effect, Global)]


def judge(data: bytes) -> str:
    """What became of `data`; fails on any breach of the contract."""
    try:
        program = run(data)
    except (Malformed, LimitExceeded) as error:
        check_error(error, data)
        # A refusal must be CPython's too, unless the stream was not canonical before.
        if isinstance(error, LimitExceeded) or error.partial.notes or cannot_be_vetted(error.partial):
            return "unjudged"
        if "computed" in str(error):
            return "unjudged"
        for kind in (C_ORACLE, PYTHON_ORACLE):
            with pytest.raises(Rejected):
                disagreement(error.partial, data, kind=kind)
        return "refused"
    assert program.whole
    assert data[program.end - 1 : program.end] == b"."
    if program.notes or cannot_be_vetted(program):
        return "unjudged"
    try:
        # Whatever is canonical, all three readers of the standard library read alike.
        assert disagreement(program, data, kind=C_ORACLE) == ""
        assert disagreement(program, data, kind=PYTHON_ORACLE) == ""
    except Rejected as rejected:
        if isinstance(rejected.error, MemoryError):
            return "unjudged"
        raise
    if all(effect.raw_module.isascii() and effect.raw_name.isascii() for effect in globals_of(program)):
        # pickletools alone wants names in ASCII
        read = [(op.name, at) for op, _, at in pickletools.genops(data)]
        assert (len(read), read[-1]) == (program.opcodes, ("STOP", program.end - 1))
    return "accepted"


@pytest.mark.parametrize("make", [woven, damaged, noise])
def test_any_bytes(make: Any, little_memory: None) -> None:
    rng = random.Random(f"safeload {make.__name__}")
    seen = {"accepted": 0, "refused": 0, "unjudged": 0}
    for _ in range(ROUNDS):
        data = make(rng)
        try:
            seen[judge(data)] += 1
        except BaseException:
            print(f"input: {data!r}")
            raise
    assert all(count > ROUNDS // 1000 for count in seen.values()), seen


def test_tiny_limits_are_kept_by_any_bytes() -> None:
    rng = random.Random("limits")
    for _ in range(3000):
        limits = Limits(
            opcodes=rng.randrange(1, 20),
            memo=rng.randrange(1, 4),
            stack=rng.randrange(1, 10),
            string_bytes=rng.randrange(1, 5),
            integer_bytes=rng.randrange(1, 5),
            key_elements=rng.randrange(1, 4),
            numeric_tuple_keys=1,
            nested_files=1,
        )
        data = rng.choice([woven, damaged])(rng)
        try:
            program = run(data, limits=limits)
        except (Malformed, LimitExceeded) as error:
            program = error.partial
        else:
            assert program.opcodes <= limits.opcodes
        assert program.opcodes <= limits.opcodes + 1
