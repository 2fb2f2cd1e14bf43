"""Real objects of the standard library, pickled at every protocol, against literals."""

from __future__ import annotations

import argparse
import collections
import datetime
import decimal
import fractions
import io
import pathlib
import pickle
import random
import types
import typing
import uuid

import pytest

from safeload.document.document import resolve
from tests.vetted.spelled import BY_VALUE
from tests.vetted.vetted_driver import NAMES, Judged, clean, plain

UTC = ("datetime.timezone", (("datetime.timedelta", (0, 0, 0), None, None),), None, None)
SUN = datetime.timezone(datetime.timedelta(hours=-5, microseconds=1), "sun")
with_metadata = collections.OrderedDict(a=1)
with_metadata._metadata = {"": {"version": 1}}
unsafe = uuid.UUID(int=7)
object.__setattr__(unsafe, "is_safe", uuid.SafeUUID.unsafe)
moved = io.BytesIO(b"abc")
moved.seek(2)
twister = random.Random(1)
twister.gauss(0, 1)

CASES = [
    (collections.OrderedDict(), ("collections.OrderedDict", (), {}, None)),
    (collections.OrderedDict(b=[1], a=2), ("collections.OrderedDict", (), {"b": [1], "a": 2}, None)),
    (with_metadata, ("collections.OrderedDict", (), {"a": 1}, {"_metadata": {"": {"version": 1}}})),
    (collections.Counter("aab"), ("collections.Counter", (), {"a": 2, "b": 1}, None)),
    (collections.defaultdict(list, {1: [2]}), ("collections.defaultdict", ("<builtins.list>",), {1: [2]}, None)),
    (collections.defaultdict(int), ("collections.defaultdict", ("<builtins.int>",), {}, None)),
    (collections.defaultdict(None, x=1), ("collections.defaultdict", (), {"x": 1}, None)),
    (collections.deque([1, 2]), ("collections.deque", (None,), [1, 2], None)),
    (collections.deque([1, 2], 3), ("collections.deque", (3,), [1, 2], None)),
    (collections.ChainMap({1: 2}, {}), ("collections.ChainMap", (), [{1: 2}, {}], None)),
    ({1, "a", (2, 3)}, {1, "a", (2, 3)}),
    (set(), set()),
    (frozenset([1, None]), frozenset([1, None])),
    (frozenset(), frozenset()),
    (bytearray(b"ab\xff"), bytearray(b"ab\xff")),
    (bytearray(), bytearray()),
    (b"\x00\xff", b"\x00\xff"),
    (b"", b""),
    (1.5 - 2j, 1.5 - 2j),
    (slice(1, None, -2), ("builtins.slice", (1, None, -2), None, None)),
    (range(3, 0, -1), ("builtins.range", (3, 0, -1), None, None)),
    (..., "<builtins.Ellipsis>"),
    (NotImplemented, "<builtins.NotImplemented>"),
    (type(None), "<types.NoneType>"),
    (type(...), "<types.EllipsisType>"),
    ([int, float, str, bool], ["<builtins.int>", "<builtins.float>", "<builtins.str>", "<builtins.bool>"]),
    ([list, dict, tuple, object], ["<builtins.list>", "<builtins.dict>", "<builtins.tuple>", "<builtins.object>"]),
    (typing.Any, "<typing.Any>"),
    (argparse.Namespace(lr=0.1, opt=None), ("argparse.Namespace", (), None, {"lr": 0.1, "opt": None})),
    (argparse.Namespace(), ("argparse.Namespace", (), None, None)),
    (types.SimpleNamespace(a=[1]), ("types.SimpleNamespace", (), None, {"a": [1]})),
    (pathlib.PurePosixPath("/a/b"), ("pathlib.PurePosixPath", ("/", "a", "b"), None, None)),
    (pathlib.Path("a"), ("pathlib.PurePosixPath", ("a",), None, None)),
    (pathlib.PureWindowsPath("c:/a"), ("pathlib.PureWindowsPath", ("c:\\", "a"), None, None)),
    (datetime.date(2024, 2, 29), ("datetime.date", (2024, 2, 29), None, None)),
    (datetime.time(23, 59, 58, 999999), ("datetime.time", (23, 59, 58, 999999, None, 0), None, None)),
    (datetime.datetime(1, 1, 1), ("datetime.datetime", (1, 1, 1, 0, 0, 0, 0, None, 0), None, None)),
    (
        datetime.datetime(9999, 12, 31, 1, 2, 3, 4, tzinfo=datetime.UTC),
        ("datetime.datetime", (9999, 12, 31, 1, 2, 3, 4, UTC, 0), None, None),
    ),
    (datetime.timedelta(-1, 2, 3), ("datetime.timedelta", (-1, 2, 3), None, None)),
    (SUN, ("datetime.timezone", (("datetime.timedelta", (-1, 68400, 1), None, None), "sun"), None, None)),
    (uuid.UUID(int=5), ("uuid.UUID", (5, None), None, None)),
    (unsafe, ("uuid.UUID", (7, -1), None, None)),
    # Python 3.11.0 to 3.11.3 pickled it by `getattr`, which is refused.
    *([(uuid.SafeUUID.safe, ("uuid.SafeUUID", (0,), None, None))] if BY_VALUE else []),
    (decimal.Decimal("-1.50E+7"), ("decimal.Decimal", ("-1.50E+7",), None, None)),
    (decimal.Decimal("NaN"), ("decimal.Decimal", ("NaN",), None, None)),
    (decimal.Decimal("-Infinity"), ("decimal.Decimal", ("-Infinity",), None, None)),
    (fractions.Fraction(-1, 3), ("fractions.Fraction", (-1, 3), None, None)),
    (twister, ("random.Random", twister.getstate(), None, None)),
]  # fmt: skip
LATER = [
    (moved, ("io.BytesIO", (b"abc", 2), None, None)),
    (io.StringIO("a\nb", newline=""), ("io.StringIO", ("a\nb", "", 0), None, None)),
]


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(("value", "expected"), CASES, ids=lambda v: type(v).__name__)
def test_every_protocol(value, expected, protocol):
    assert plain(clean(pickle.dumps(value, protocol))) == expected


@pytest.mark.parametrize("protocol", range(2, 6))
@pytest.mark.parametrize(("value", "expected"), LATER, ids=lambda v: type(v).__name__)
def test_protocols_from_two(value, expected, protocol):
    assert plain(clean(pickle.dumps(value, protocol))) == expected


@pytest.mark.parametrize("protocol", [4, 5])
def test_fold(protocol):
    value = [datetime.time(1, fold=1), datetime.datetime(2020, 10, 25, 2, fold=1)]
    assert plain(clean(pickle.dumps(value, protocol))) == [
        ("datetime.time", (1, 0, 0, 0, None, 1), None, None),
        ("datetime.datetime", (2020, 10, 25, 2, 0, 0, 0, None, 1), None, None),
    ]


@pytest.mark.parametrize("protocol", range(6))
def test_identity_is_kept(protocol):
    shared = collections.OrderedDict(a=1)
    judged = Judged(pickle.dumps([shared, shared, collections.OrderedDict(a=1)], protocol))
    first, second, third = judged.value
    assert first is second
    assert first is not third


@pytest.mark.parametrize("protocol", range(6))
def test_a_mapping_that_holds_itself(protocol):
    value = collections.OrderedDict()
    value["self"] = value
    built = clean(pickle.dumps(value, protocol))
    assert resolve(built.items["self"]) is built


def test_types_are_exact():
    made = clean(pickle.dumps([{1}, frozenset([1]), bytearray(b"a"), b"a", 1j], 2))
    assert [type(resolve(item)) for item in made] == [set, frozenset, bytearray, bytes, complex]


PYTHON_2 = [
    (
        b"\x80\x02ccollections\nOrderedDict\n](](U\x01aK\x01e](U\x01bK\x02ee\x85R.",
        ("collections.OrderedDict", (), {"a": 1, "b": 2}, None),
    ),
    (b"\x80\x02c__builtin__\nset\n](K\x01K\x02e\x85R.", {1, 2}),
    (
        b"\x80\x02ccollections\ndefaultdict\nc__builtin__\nlong\n\x85R.",
        ("collections.defaultdict", ("<builtins.int>",), {}, None),
    ),
    (b"\x80\x02c__builtin__\nxrange\nK\x00K\x03K\x01\x87R.", ("builtins.range", (0, 3, 1), None, None)),
    (b"\x80\x02c__builtin__\nbytearray\nX\x02\x00\x00\x00\xc3\xbfX\x07\x00\x00\x00latin-1\x86R.", bytearray(b"\xff")),
    (b"\x80\x03cbuiltins\nbytes\n](K\x01K\xffe\x85R.", b"\x01\xff"),
    (b"\x80\x02cdatetime\ndate\nU\x04\x07\xe4\x01\x02\x85R.", ("datetime.date", (2020, 1, 2), None, None)),
    (b"\x80\x02cfractions\nFraction\nX\x04\x00\x00\x00-1/3\x85R.", ("fractions.Fraction", (-1, 3), None, None)),
    (
        b"\x80\x03cpathlib._local\nWindowsPath\nX\x01\x00\x00\x00a\x85R.",
        ("pathlib.PureWindowsPath", ("a",), None, None),
    ),
    (
        b"\x80\x02ccopy_reg\n__newobj__\ncargparse\nNamespace\n\x85R}X\x01\x00\x00\x00aK\x01sb.",
        ("argparse.Namespace", (), None, {"a": 1}),
    ),
    (b"\x80\x02c__builtin__\ndict\n)RX\x01\x00\x00\x00aK\x01s.", {"a": 1}),
    (b"\x80\x02c__builtin__\nlist\n)R(K\x01K\x02e.", [1, 2]),
]


@pytest.mark.parametrize(("data", "expected"), PYTHON_2)
def test_other_writers(data, expected):
    assert plain(clean(data, encoding="latin1")) == expected


def test_records_through_copyreg():
    data = b"\x80\x02ccopy_reg\n_reconstructor\nc__main__\nNet\nc__builtin__\nobject\nN\x87R}X\x01\x00\x00\x00aK\x01sb."
    assert plain(clean(data)) == ("Record", "__main__.Net", (), {"a": 1}, None)


def test_records_of_mappings_through_copyreg():
    data = b"ccopy_reg\n_reconstructor\n(c__main__\nBag\nc__builtin__\ndict\n(I1\nI2\ndtR."
    assert plain(clean(data)) == ("Record", "__main__.Bag", ({1: 2},), None, None)


def test_enum_member_by_name():
    data = b"\x80\x04\x8c\x08builtins\x8c\x07getattr\x93\x8c\x01m\x8c\x01C\x93\x8c\x05EPOCH\x86R."
    assert plain(clean(data)) == ("Record", "m.C", ("EPOCH",), None, None)


def test_every_rule_has_a_shape():
    from tests.vetted.vetted_driver import CONSTRUCTORS

    shapes = {shape for shape, _ in NAMES.values()}
    assert shapes - set(CONSTRUCTORS) == {"value-only"}
    assert set(CONSTRUCTORS) - shapes == set()
