"""What the standard library pickles: the machine and CPython's C unpickler with inert names see the same."""

from __future__ import annotations

import argparse
import array
import collections
import datetime
import decimal
import enum
import fractions
import pathlib
import pickle
import random
import types
import uuid
from typing import Any

import pytest

from safeload.machine import Global, run
from tests.machine.oracle import PYTHON_ORACLE, cpython, difference, disagreement, our_log


class Colour(enum.Enum):
    RED = 1


Point = collections.namedtuple("Point", "x y")


class Slotted:
    __slots__ = ("a", "b")

    def __init__(self) -> None:
        self.a = 1
        self.b = [2]


class Plain:
    def __init__(self) -> None:
        self.a = 1
        self.me = self


class WithNew:
    def __getnewargs_ex__(self) -> tuple[tuple[int, ...], dict[str, int]]:
        return (1, 2), {"k": 3}


class MyList(list[Any]):
    pass


class MyDict(dict[Any, Any]):
    pass


class MySet(set[Any]):
    pass


def cyclic() -> list[Any]:
    ring: list[Any] = [1]
    table: dict[str, Any] = {"ring": ring}
    ring.append((table, ring))
    return ring


_SHARED = ["shared"]

DATA: dict[str, Any] = {
    "none": None,
    "bools": [True, False],
    "small ints": list(range(-300, 300)),
    "ints at borders": [s * (2**k + d) for k in range(72) for d in (-1, 0, 1) for s in (1, -1)],
    "big ints": [1 << 2000, -(1 << 2000), 1 << 2047, (1 << 2040) - 1, -(1 << 3000)],
    "floats": [0.0, -0.0, 1.5, 1e300, 5e-324, 1e16, 1e-7, 123456789.123456789, float("inf"), float("-inf")],
    "nan": [float("nan")],
    "text": ["", "a", "\u20ac", "\U0001f600", "a\nb\\u0041\\", "\x00\x1a\r", "x" * 255, "x" * 256, "x" * 70000],
    "surrogates": ["\ud800", "a\udfffb", "\udc80" * 300],
    "bytes": [b"", b"a", bytes(range(256)), b"x" * 255, b"x" * 256, b"x" * 70000],
    "bytearray": [bytearray(), bytearray(b"abc"), bytearray(70000)],
    "lists": [[], [1], [1, 2], [[]], list(range(2500))],
    "tuples": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), ((),), tuple(range(1000))],
    "dicts": [{}, {1: 2}, {"a": {"b": {}}}, {i: str(i) for i in range(2500)}, {(1, "a"): 1, (2, None): 2}],
    "keys": {1: 0, "1": 1, b"1": 2, 1.5: 3, None: 4, (): 5, (1, (2, "x")): 6, 2**40: 7, -1: 8},
    "sets": [set(), {1, 2}, {"a", (1, 2)}, set(range(2500))],
    "frozensets": [frozenset(), frozenset({1}), {frozenset({1, 2}): 3}, frozenset({frozenset({1})})],
    "shared": [_SHARED, _SHARED, {"k": _SHARED}],
    "cyclic": cyclic(),
    "deep": eval("[" * 80 + "]" * 80),
    "many strings": [f"layer.{i}.weight" for i in range(700)],
}
OBJECTS: dict[str, Any] = {
    "singletons": [Ellipsis, NotImplemented, int, type(None), len],
    "complex": [1 + 2j, complex("nan")],
    "ranges": [range(5), slice(1, 2, 3) if False else range(1, 9, 2)],
    "dates": [
        datetime.date(2020, 1, 2),
        datetime.datetime(2020, 1, 2, 3, 4, 5, 6, datetime.UTC),
        datetime.time(1, 2),
        datetime.timedelta(3, 4, 5),
        datetime.timezone(datetime.timedelta(hours=1), "x"),
    ],
    "numbers": [decimal.Decimal("1.50"), fractions.Fraction(1, 3)],
    "uuid": uuid.UUID(int=5),
    "paths": [pathlib.PurePosixPath("a/b"), pathlib.Path("x")],
    "ordered": collections.OrderedDict(a=1, b=[2]),
    "defaultdict": collections.defaultdict(list, {1: [2]}),
    "counter": collections.Counter("hello"),
    "deque": collections.deque([1, 2, 3], 5),
    "chainmap": collections.ChainMap({1: 2}, {3: 4}),
    "namedtuple": [Point(1, 2), Point(Point(3, 4), [])],
    "enum": [Colour.RED, {Colour.RED: 1}],
    "namespaces": [argparse.Namespace(a=1), types.SimpleNamespace(b=2)],
    "exceptions": [ValueError("x", 1), OSError(2, "no", "file"), KeyError()],
    "array": array.array("i", [1, 2, 3]),
    "objects": [Plain(), MyList([1, 2]), MyDict(a=1), MySet({1})],
    "functions": [cyclic, random.Random(1)],
}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", DATA)
def test_plain_data_is_the_same_data(name: str, protocol: int) -> None:
    data = pickle.dumps(DATA[name], protocol)
    program = run(data)
    assert not program.notes
    assert program.end == len(data)
    assert program.protocol == (protocol if protocol >= 2 else 0)
    assert disagreement(program, data) == ""
    if not program.effects:
        assert difference(program.value, pickle.loads(data)) == ""
    else:
        # what early protocols cannot spell (sets, bytes and so on) is a call
        assert protocol < 5


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", OBJECTS)
def test_objects_have_the_same_effects(name: str, protocol: int) -> None:
    data = pickle.dumps(OBJECTS[name], protocol)
    program = run(data)
    assert not program.notes
    assert program.effects
    assert disagreement(program, data) == ""


@pytest.mark.parametrize("protocol", range(2, 6))
def test_slots_and_new_arguments(protocol: int) -> None:
    data = pickle.dumps([Slotted(), WithNew()], protocol)
    assert disagreement(run(data), data) == ""


@pytest.mark.parametrize("protocol", range(6))
def test_the_python_pickler_and_unpickler_agree_too(protocol: int) -> None:
    everything = [*DATA.values(), *OBJECTS.values()]
    data = pickle._dumps(everything, protocol)  # type: ignore[attr-defined]
    program = run(data)
    assert not program.notes
    value, log, end = cpython(data, PYTHON_ORACLE)
    assert end == program.end == len(data)
    assert difference([our_log(program), program.value], [log, value]) == ""


def test_buffers_out_of_band() -> None:
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(
        [pickle.PickleBuffer(b"abc"), pickle.PickleBuffer(bytearray(b"def"))], 5, buffer_callback=buffers.append
    )
    program = run(data)
    assert not program.notes
    assert [type(e).__name__ for e in program.effects] == ["Buffer", "Buffer"]
    inband = pickle.dumps([pickle.PickleBuffer(b"abc"), pickle.PickleBuffer(bytearray(b"def"))], 5)
    assert run(inband).value == [b"abc", bytearray(b"def")]


def test_several_pickles_in_a_row() -> None:
    parts = [pickle.dumps(value, protocol) for value, protocol in ((1, 0), ("a", 2), ([None], 4), ({1: 2}, 5))]
    data = b"".join(parts)
    position = 0
    found = []
    while position < len(data):
        program = run(data, position)
        assert (program.start, bool(program.notes)) == (position, False)
        found.append(program.value)
        position = program.end
    assert found == [1, "a", [None], {1: 2}]


@pytest.mark.parametrize("encoding", ["ASCII", "utf-8", "latin1", "bytes"])
@pytest.mark.parametrize("raw", [b"plain", "\u20ac".encode(), b"\xff\x00"])
def test_python_2_strings_in_every_encoding(encoding: str, raw: bytes) -> None:
    escaped = b"".join(b"\\x%02x" % byte for byte in raw)
    forms = [
        b"U" + bytes([len(raw)]) + raw + b".",
        b"T" + len(raw).to_bytes(4, "little") + raw + b".",
        b"S'" + escaped + b"'\n.",
    ]
    for data in forms:
        try:
            expected = pickle.loads(data, encoding=encoding)
        except UnicodeDecodeError:
            with pytest.raises(ValueError, match="python 2 str"):
                run(data, encoding=encoding)
        else:
            assert run(data, encoding=encoding).value == expected


def test_python_2_names_are_those_of_cpython() -> None:
    import _compat_pickle

    names = [*_compat_pickle.NAME_MAPPING, *((m, "anything") for m in _compat_pickle.IMPORT_MAPPING)]
    names += [(m, "x") for m in _compat_pickle.REVERSE_IMPORT_MAPPING] + [("__builtin__", "eval")]

    class Seen(Exception):
        pass

    def audited(event: str, args: tuple[Any, ...]) -> None:
        if listening and event == "pickle.find_class":
            seen.append(args)

    import sys

    listening = True
    sys.addaudithook(audited)
    for module, name in names:
        for protocol in (0, 2, 3, 4):
            seen: list[tuple[Any, ...]] = []
            data = b"\x80" + bytes([protocol]) + f"c{module}\n{name}\n.".encode()
            (found,) = run(data).effects
            assert isinstance(found, Global)
            expected = (module, name)
            if protocol < 3:
                expected = _compat_pickle.NAME_MAPPING.get(
                    expected, (_compat_pickle.IMPORT_MAPPING.get(module, module), name)
                )
            assert (found.module, found.name) == expected
            assert (found.raw_module, found.raw_name, found.protocol) == (module, name, protocol)
    listening = False
