"""Vetted names with arguments that no pickler writes: each is refused, and says why."""

from __future__ import annotations

import _codecs
import argparse
import collections
import copyreg
import datetime
import decimal
import fractions
import io
import pathlib
import pickle
import random
import types
import uuid

import pytest

from safeload.findings import Verdict
from safeload.limits import Limits
from safeload.vetted.interface import Context
from tests.vetted.spelled import judged, named
from tests.vetted.vetted_driver import Judged, Made, clean, refusal

DANGEROUS, UNJUDGED, UNVETTED = Verdict.DANGEROUS, Verdict.UNJUDGED, Verdict.UNVETTED


class Stranger:
    """A class outside the table."""


def unicode_text(text: str) -> bytes:
    raw = text.encode()
    return b"X" + len(raw).to_bytes(4, "little") + raw


CALLS = [
    (Made(collections.OrderedDict, "import os"), DANGEROUS, "list"),
    (Made(collections.OrderedDict, [1]), DANGEROUS, "pairs"),
    (Made(collections.OrderedDict, [[1, 2, 3]]), DANGEROUS, "pairs"),
    (Made(collections.OrderedDict, ["ab"]), DANGEROUS, "pairs"),
    (Made(collections.OrderedDict, {}, {}), DANGEROUS, "0 to 1"),
    (Made(collections.OrderedDict, [[[], 1]]), UNJUDGED, "cannot be a key"),
    (Made(collections.OrderedDict, state={"keys": 1}), DANGEROUS, "belongs to the class"),
    (Made(collections.OrderedDict, state={"__class__": 1}), DANGEROUS, "belongs to the class"),
    (Made(collections.OrderedDict, state={1: 1}), DANGEROUS, "must be str"),
    (Made(collections.OrderedDict, state=[1]), DANGEROUS, "dict of attributes"),
    (Made(collections.OrderedDict, state=({}, {"keys": 1})), DANGEROUS, "dict of attributes"),
    (Made(collections.OrderedDict, items=[1]), DANGEROUS, "items and attributes only"),
    (Made(collections.OrderedDict, state=Made(Stranger)), UNVETTED, "outside"),
    (Made(collections.Counter, "aab"), DANGEROUS, "dict"),
    (Made(collections.Counter, [1, 2]), DANGEROUS, "dict"),
    (Made(collections.Counter, bytearray(9)), DANGEROUS, "dict"),
    (Made(collections.Counter, {}, state={"most_common": 1}), DANGEROUS, "belongs to the class"),
    (Made(collections.defaultdict, eval), UNVETTED, "factory outside"),
    (Made(collections.defaultdict, Stranger), UNVETTED, "factory outside"),
    (Made(collections.defaultdict, type), DANGEROUS, "no plain type"),
    (Made(collections.defaultdict, object), DANGEROUS, "no plain type"),
    (Made(collections.defaultdict, _codecs.encode), DANGEROUS, "no plain type"),
    (Made(collections.defaultdict, Made(collections.OrderedDict)), DANGEROUS, "no plain type"),
    (Made(collections.defaultdict, list, [[1, 2]]), DANGEROUS, "0 to 1"),
    (Made(collections.defaultdict, list, state={"default_factory": 1}), DANGEROUS, "items only"),
    (Made(collections.deque, "ab"), DANGEROUS, "list or tuple"),
    (Made(collections.deque, bytearray(3)), DANGEROUS, "list or tuple"),
    (Made(collections.deque, [], -1), DANGEROUS, "out of range"),
    (Made(collections.deque, [], True), DANGEROUS, "must be an int, not bool"),
    (Made(collections.deque, [], 1.0), DANGEROUS, "must be an int"),
    (Made(collections.deque, state={"a": 1}), DANGEROUS, "elements only"),
    (Made(set, "ab"), DANGEROUS, "list"),
    (Made(set, bytearray(1)), DANGEROUS, "list"),
    (Made(set, Made(range, 0, 10**9, 1)), DANGEROUS, "list"),
    (Made(set, [[]]), UNJUDGED, "cannot be a key"),
    (Made(set, [{}]), UNJUDGED, "cannot be a key"),
    (Made(set, [Made(list)]), UNJUDGED, "cannot be a key"),
    (Made(set, [], []), DANGEROUS, "0 to 1"),
    (Made(set, Made(Stranger)), UNVETTED, "outside"),
    (Made(frozenset, 3), DANGEROUS, "list"),
    (Made(bytearray, 1 << 33), DANGEROUS, "bytes or str"),
    (Made(bytearray, [1]), DANGEROUS, "bytes or str"),
    (Made(bytearray, "a", "rot13"), DANGEROUS, "latin-1"),
    (Made(bytearray, "a"), DANGEROUS, "latin-1"),
    (Made(bytearray, b"a", "latin-1"), DANGEROUS, "latin-1"),
    (Made(bytearray, "\u0100", "latin-1"), UNJUDGED, "U+00FF"),
    (Made(bytearray, b"a", items=[1]), DANGEROUS, "never changed"),
    (Made(bytes, 1 << 33), DANGEROUS, "list"),
    (Made(bytes, [256]), DANGEROUS, "out of range"),
    (Made(bytes, [True]), DANGEROUS, "must be an int, not bool"),
    (Made(bytes, "a", "utf-8"), DANGEROUS, "0 to 1"),
    (Made(_codecs.encode, "a", "zlib"), DANGEROUS, "latin1 only"),
    (Made(_codecs.encode, "a", "punycode"), DANGEROUS, "latin1 only"),
    (Made(_codecs.encode, "a", "utf-8"), DANGEROUS, "latin1 only"),
    (Made(_codecs.encode, "a", "LATIN1"), DANGEROUS, "latin1 only"),
    (Made(_codecs.encode, "a"), DANGEROUS, "takes 2"),
    (Made(_codecs.encode, "a", "latin1", "ignore"), DANGEROUS, "takes 2"),
    (Made(_codecs.encode, b"a", "latin1"), DANGEROUS, "must be str"),
    (Made(_codecs.encode, "\u20ac", "latin1"), UNJUDGED, "U+00FF"),
    (Made(complex, 1, 2), DANGEROUS, "must be float"),
    (Made(complex, "1+2j"), DANGEROUS, "takes 2"),
    (Made(slice, 1, 2), DANGEROUS, "takes 3"),
    (Made(slice, Made(Stranger), 2, 3), UNVETTED, "outside"),
    (Made(slice, "a", 2, 3), UNVETTED, "ints or None"),
    (Made(range, 0, 1, 0), DANGEROUS, "step 0"),
    (Made(range, 0, 1 << 65, 1), DANGEROUS, "out of range"),
    (Made(range, 0, True, 1), DANGEROUS, "must be int, not bool"),
    (Made(list, [1]), DANGEROUS, "takes 0"),
    (Made(dict, {}), DANGEROUS, "takes 0"),
    (Made(dict, pairs=[([], 1)]), UNJUDGED, "cannot be a key"),
    (Made(dict, state={"a": 1}), DANGEROUS, "items only"),
    (Made(object, 1), DANGEROUS, "takes 0"),
    (Made(object, state={"a": 1}), DANGEROUS, "never changed"),
    (Made(type, 1), DANGEROUS, "takes None"),
    (Made(type, Made(Stranger)), DANGEROUS, "takes None"),
    (Made(type, "X", (), {}), DANGEROUS, "takes 1"),
    (Made(int, "1"), DANGEROUS, "never called"),
    (Made(str, b"a"), DANGEROUS, "never called"),
    (Made(argparse.Namespace, 1), DANGEROUS, "takes 0"),
    (Made(argparse.Namespace, state={"__dict__": {}}), DANGEROUS, "belongs to the class"),
    (Made(argparse.Namespace, state={"_get_kwargs": 1}), DANGEROUS, "belongs to the class"),
    (Made(argparse.Namespace, state={"a b": 1}), UNVETTED, "no identifier"),
    (Made(argparse.Namespace, state=({"a": 1}, {"b": 2})), DANGEROUS, "dict of attributes"),
    (Made(argparse.Namespace, pairs=[("a", 1)]), DANGEROUS, "dict of attributes"),
    (Made(types.SimpleNamespace, {"a": 1}), DANGEROUS, "takes 0"),
    (Made(types.SimpleNamespace, state={"__class__": 1}), DANGEROUS, "belongs to the class"),
    (Made(pathlib.PosixPath, "a\0b"), DANGEROUS, "NUL"),
    (Made(pathlib.PosixPath, b"a"), DANGEROUS, "str"),
    (Made(pathlib.PosixPath, *["a"] * 5000), DANGEROUS, "0 to 4096"),
    (Made(pathlib.PosixPath, "a" * 70_000), UNJUDGED, "longer"),
    (Made(pathlib.PosixPath, "a", state={"_str": "b"}), DANGEROUS, "never changed"),
    (Made(datetime.date, 2020, 1, 2), DANGEROUS, "takes 1"),
    (Made(datetime.date, b"\x07\xe4\x01"), DANGEROUS, "4 bytes"),
    (Made(datetime.date, "\u20ac" * 4), UNJUDGED, "U+00FF"),
    (Made(datetime.date, b"\x07\xe4\x02\x1e"), UNJUDGED, "no date"),
    (Made(datetime.date, b"\0\0\1\1"), UNJUDGED, "no date"),
    (Made(datetime.time, b"\x18\0\0\0\0\0"), UNJUDGED, "no time"),
    (Made(datetime.time, b"\0\0\0\xff\xff\xff"), UNJUDGED, "no time"),
    (Made(datetime.time, b"\0\0\0\0\0\0", "UTC"), DANGEROUS, "time zone"),
    (Made(datetime.datetime, b"\0" * 10), UNJUDGED, "no date and time"),
    (Made(datetime.datetime, b"\x07\xe4\1\1\0\0\0\0\0\0", Made(Stranger)), UNVETTED, "time zone outside"),
    (Made(datetime.timedelta, 1, 2), DANGEROUS, "takes 3"),
    (Made(datetime.timedelta, 10**9, 0, 0), DANGEROUS, "out of range"),
    (Made(datetime.timedelta, 0, 86_400, 0), DANGEROUS, "out of range"),
    (Made(datetime.timedelta, 0, 0.5, 0), DANGEROUS, "must be int"),
    (Made(datetime.timezone, 3600), DANGEROUS, "timedelta"),
    (Made(datetime.timezone, datetime.timedelta(1)), UNJUDGED, "whole day"),
    (Made(datetime.timezone, datetime.timedelta(-1)), UNJUDGED, "whole day"),
    (Made(datetime.timezone, datetime.timedelta(0), "x" * 2000), UNJUDGED, "longer"),
    (Made(uuid.UUID, "0" * 32), DANGEROUS, "never called"),
    (Made(uuid.SafeUUID, 1), DANGEROUS, "takes 0, -1 or None"),
    (Made(uuid.SafeUUID, False), DANGEROUS, "takes 0, -1 or None"),
    (Made(decimal.Decimal, 1), DANGEROUS, "must be str"),
    (Made(decimal.Decimal, "1E+9999999"), UNJUDGED, "modest exponent"),
    (Made(decimal.Decimal, "1" * 5000), UNJUDGED, "too many digits"),
    (Made(decimal.Decimal, "1\n"), UNJUDGED, "no decimal"),
    (Made(decimal.Decimal, "\u0661"), UNJUDGED, "no decimal"),
    (Made(fractions.Fraction, 1), DANGEROUS, "two ints"),
    (Made(fractions.Fraction, 1, 0), UNJUDGED, "denominator 0"),
    (Made(fractions.Fraction, "1/0"), UNJUDGED, "denominator 0"),
    (Made(fractions.Fraction, "1e999999999"), UNJUDGED, "no fraction"),
    (Made(fractions.Fraction, 1.5, 2), DANGEROUS, "int or str"),
    (Made(fractions.Fraction, 1 << 20_000, 1), DANGEROUS, "out of range"),
    (Made(io.BytesIO, b"a"), DANGEROUS, "takes 0"),
    (Made(io.BytesIO, state=(b"a", -1, None)), DANGEROUS, "out of range"),
    (Made(io.BytesIO, state=(b"a", 0, {"read": 1})), DANGEROUS, "no attributes"),
    (Made(io.BytesIO, state=("a", 0, None)), DANGEROUS, "bytes"),
    (Made(io.BytesIO, state={"a": 1}), DANGEROUS, "tuple"),
    (Made(io.StringIO, state=("a", "x", 0, None)), DANGEROUS, "newline"),
    (Made(io.StringIO, state=("a", "\n", 0, {"a": 1})), DANGEROUS, "no attributes"),
    (Made(random.Random, 1), DANGEROUS, "takes 0"),
    (Made(random.Random, state=(3, (0,) * 624, None)), DANGEROUS, "625"),
    (Made(random.Random, state=(3, (1 << 32,) * 625, None)), DANGEROUS, "out of range"),
    (Made(random.Random, state=(3, (0,) * 624 + (626,), None)), DANGEROUS, "out of range"),
    (Made(random.Random, state=(3, (0,) * 625, "x")), DANGEROUS, "float or None"),
    (Made(random.Random, state=(1, (0,) * 625, None)), DANGEROUS, "out of range"),
    (Made(copyreg._reconstructor, eval, object, "1"), DANGEROUS, "object and None"),
    (Made(copyreg._reconstructor, argparse.Namespace, dict, {}), DANGEROUS, "object and None"),
    (Made(copyreg._reconstructor, type, object, None), DANGEROUS, "no such form"),
    (Made(copyreg._reconstructor, Stranger, Stranger, None), UNVETTED, "object and None"),
    (Made(copyreg._reconstructor, _codecs.encode, object, None), UNVETTED, "no such form"),
    (Made(copyreg._reconstructor, Stranger, object), DANGEROUS, "takes 3"),
    (Made(copyreg._reconstructor, argparse.Namespace, object, None, state={"__class__": 1}), DANGEROUS, "belongs"),
    (Made(copyreg._reconstructor, uuid.UUID, object, None, state={"int": 1 << 128}), DANGEROUS, "out of range"),
    (Made(copyreg._reconstructor, uuid.UUID, object, None, state={"int": True}), DANGEROUS, "must be an int"),
    (Made(copyreg._reconstructor, uuid.UUID, object, None, state={"int": 1, "hex": 2}), DANGEROUS, "number"),
    (Made(copyreg._reconstructor, uuid.UUID, object, None, state={"int": 1, "is_safe": 5}), DANGEROUS, "safe"),
    (Made(copyreg._reconstructor, collections.ChainMap, object, None, state={"maps": [1]}), DANGEROUS, "mappings"),
    (Made(copyreg._reconstructor, collections.ChainMap, object, None, state={"a": [1]}), DANGEROUS, "its maps"),
    (Made(getattr, Stranger, "__init__"), DANGEROUS, "no enum member"),
    (Made(getattr, Stranger, "_hidden"), DANGEROUS, "no enum member"),
    (Made(getattr, Stranger, "a.b"), DANGEROUS, "no enum member"),
    (Made(getattr, collections.OrderedDict, "fromkeys"), DANGEROUS, "outside the table"),
    (Made(getattr, Made(Stranger), "a"), DANGEROUS, "no bare class"),
    (Made(getattr, Made(getattr, Stranger, "a"), "b"), DANGEROUS, "no bare class"),
    (Made(getattr, Stranger, "a", None), DANGEROUS, "takes 2"),
]


@pytest.mark.parametrize(("value", "verdict", "message"), CALLS, ids=range(len(CALLS)))
@pytest.mark.parametrize("protocol", [3, 5])
def test_refused(value, verdict, message, protocol):
    found = refusal(rewound(value, protocol))
    assert found[0] == verdict
    assert message in found[2]


def rewound(value: Made, protocol: int) -> bytes:
    """The pickle of a Made; its iterators are spent by pickling, so each is made anew."""
    func, args, state, items, pairs = value.reduced
    kept = [list(part) if part is not None else None for part in (items, pairs)]
    value.reduced = (func, args, state, *(part and iter(part) for part in kept))
    data = pickle.dumps(value, protocol)
    value.reduced = (func, args, state, *(part and iter(part) for part in kept))
    return data


@pytest.mark.parametrize(
    "call",
    [
        b"cbuiltins\nset\n(]q\x00K\x01atR",
        b"ccollections\nOrderedDict\n(]q\x00]K\x01aK\x02aatR",
        b"ccollections\ndeque\n(]q\x00K\x01atR",
        b"cbuiltins\nbytes\n(]q\x00K\x01atR",
        b"cbuiltins\nfrozenset\n(]q\x00K\x01atR",
    ],
)
def test_lists_changed_after_the_call(call):
    assert refusal(b"\x80\x03" + call + b"h\x00K\x07a0.") == (
        UNJUDGED,
        "argument-shape",
        "arguments were changed after the call",
    )
    clean(b"\x80\x03" + call + b".")


def test_newobj_functions():
    assert refusal(b"\x80\x03ccopyreg\n__newobj_ex__\ncargparse\nNamespace\n)}\x87R.")[0] == UNVETTED
    assert refusal(b"\x80\x03ccopyreg\n__newobj_ex__\ncm\nC\n]}\x87R.")[0] == DANGEROUS
    made = clean(b"\x80\x03ccopyreg\n__newobj_ex__\ncm\nC\n)}" + unicode_text("a") + b"K\x01s\x87R.")
    assert (made.module, made.qualname, made.args, made.kwargs) == ("m", "C", (), {"a": 1})
    assert refusal(b"\x80\x03ccopyreg\n__newobj__\ncbuiltins\ntype\n" + unicode_text("X") + b"\x86R.")[0] == DANGEROUS
    assert refusal(b"\x80\x03ccopyreg\n__newobj__\n)R.")[0] == DANGEROUS


def test_records_keep_what_they_are_given():
    made = clean(b"\x80\x03ccopyreg\n__newobj__\ncm\nC\n\x85R(K\x01K\x02e(K\x03e.")
    assert made.items == [1, 2, 3]
    made = clean(b"\x80\x03ccopyreg\n__newobj__\ncm\nC\n\x85R(K\x01K\x02u.")
    assert made.items == [(1, 2)]
    assert refusal(b"\x80\x03ccopyreg\n__newobj__\ncm\nC\n\x85R}b}b.")[0] == UNJUDGED


def test_a_pair_changed_after_the_call():
    data = b"\x80\x03ccollections\nOrderedDict\n(]]q\x00K\x01aK\x02aatRh\x00K\x07a0."
    assert refusal(data)[:2] == (UNJUDGED, "argument-shape")


def test_a_dict_changed_after_the_call():
    data = b"\x80\x03ccollections\nCounter\n(}q\x00K\x01K\x02stRh\x00K\x07K\x08s0."
    assert refusal(data)[:2] == (UNJUDGED, "argument-shape")


def test_a_state_changed_after_build():
    head = b"\x80\x03cargparse\nNamespace\n)\x81}q\x00" + unicode_text("a") + b"K\x01sb"
    clean(head + b".")
    assert refusal(head + b"h\x00" + unicode_text("__class__") + b"K\x01s0.")[0] == UNJUDGED


def test_values_may_change_after_the_call():
    clean(b"\x80\x03ccollections\nOrderedDict\n(]]K\x01a]q\x00aatRh\x00K\x07a0.")


@pytest.mark.parametrize("name", ["collections\ndefaultdict", "collections\ndeque", "collections\nCounter"])
def test_newobj_takes_nothing(name):
    assert refusal(b"\x80\x03c" + name.encode() + b"\n]\x85\x81.")[:2] == (DANGEROUS, "argument-shape")


@pytest.mark.parametrize("name", ["builtins\nset", "builtins\nbytearray", "decimal\nDecimal", "datetime\ndate"])
def test_kinds_of_calls_are_exact(name):
    assert refusal(b"\x80\x03c" + name.encode() + b"\n)\x81.")[2] == "is never called like this"
    assert refusal(b"\x80\x03(i" + name.encode() + b"\n.")[2] == "is never called like this"


def test_arguments_that_are_no_tuple():
    assert refusal(b"\x80\x03cbuiltins\nset\n]R.")[:2] == (DANGEROUS, "argument-shape")


def test_equal_keys_of_unknown_value():
    key = b"cdatetime\ndate\nC\x04\x07\xe4\x01\x02\x85Rq\x01"
    clean(b"\x80\x03ccollections\nOrderedDict\n)R(" + key + b"K\x01K\x02K\x02u.")
    again = b"\x80\x03ccollections\nOrderedDict\n)R(" + key + b"K\x01h\x01K\x02u."
    assert refusal(again)[0] == UNJUDGED
    plain_again = b"\x80\x03ccollections\nOrderedDict\n)R(" + key + b"K\x01K\x05K\x02K\x05K\x03u."
    assert refusal(plain_again)[0] == UNJUDGED


def test_a_key_set_twice_keeps_its_place():
    made = clean(b"\x80\x03ccollections\nOrderedDict\n)R(K\x01K\x02K\x03K\x04K\x01K\x05u.")
    assert list(made.items.items()) == [(1, 5), (3, 4)]


def test_keys_that_cost_too_much():
    doubling = b"K\x01" + b"2\x86" * 40
    assert refusal(b"\x80\x03cbuiltins\nset\n](" + doubling + b"e\x85R.")[0] == UNJUDGED


def test_colliding_elements():
    wide = set(range(1 << 60, (1 << 60) + 50))
    data = (
        b"\x80\x03cbuiltins\nset\n]("
        + b"".join(b"K\x01J%b\x86" % n.to_bytes(4, "little") for n in range(30))
        + b"e\x85R."
    )
    clean(data)
    assert clean(pickle.dumps(wide, 3)) == wide
    few = Limits(numeric_tuple_keys=20)
    assert refusal(data, limits=few)[0] == UNJUDGED


def test_a_deque_drops_from_its_left():
    assert clean(b"\x80\x03ccollections\ndeque\n)K\x02\x86R(K\x01K\x02K\x03e.").items == [2, 3]
    assert clean(b"\x80\x03ccollections\ndeque\n)K\x00\x86R(K\x01K\x02K\x03e.").items == []


def test_a_refused_call_is_not_repaired_by_its_state():
    data = b"\x80\x03cuuid\nUUID\nK\x01\x85\x81}" + unicode_text("int") + b"K\x05sb."
    judged = Judged(data)
    assert [error.verdict for error in judged.refused] == [DANGEROUS, UNVETTED]


def test_elements_read_over_and_over():
    class Counting(Context):
        spent = 0

    from safeload.vetted.consumption import READS_FREE, spend
    from safeload.vetted.interface import ShapeError

    ctx = Counting(Limits(), None, {}, None, None)
    spend(ctx, READS_FREE, 0)
    spend(ctx, 800, 100)
    with pytest.raises(ShapeError, match="over and over"):
        spend(ctx, 1, 100)


@pytest.mark.parametrize(("module", "name"), [("uuid", "UUID"), ("collections", "ChainMap")])
@pytest.mark.parametrize("form", [b")\x81", b"0ccopy_reg\n__newobj__\n(c%s\n%s\ntR"], ids=["newobj", "copyreg"])
def test_an_object_without_its_state(module: str, name: str, form: bytes) -> None:
    filled = form.replace(b"%s", module.encode(), 1).replace(b"%s", name.encode())
    found = judged(b"\x80\x02" + named(module, name) + filled + b".")
    assert (found[0], "is made without its" in found[1]) == (UNJUDGED, True)
