"""The walk that builds a Document, attacked: cycles, sharing, hashes, numbers at their edges, deep and wide trees."""

from __future__ import annotations

import collections
import decimal
import fractions
import pickle
import struct
import time
import uuid
from typing import Any

import numpy as np
import pytest
import torch

import safeload
from samples.assemble import (
    MARK,
    ORDERED_DICT,
    POP,
    PROTO2,
    Code,
    build,
    call,
    get,
    name,
    new,
    put,
    storage,
    tensor,
    value,
)
from samples.assemble import pickle as stream
from samples.benign import ARRAY, LATIN, NDARRAY, dtype
from samples.files_of_torch import zip_of
from samples.memory import UTILS
from tests.loading.contained import outcome
from tests.loading.equality import difference
from tests.loading.test_equal import saved


def test_one_tuple_on_a_cycle_stays_one_tuple() -> None:
    held: Any = collections.OrderedDict()
    ring = (held, 1)
    held["ring"], held["pair"], held["again"] = ring, (ring, [ring]), {ring[1]: ring}
    for item in (ring, held, [ring, held]):
        data = pickle.dumps(item)
        assert difference(safeload.load(data), pickle.loads(data)) == ""
    got = safeload.load(pickle.dumps(ring))
    assert got[0]["ring"] is got
    assert got[0]["pair"][0] is got
    assert got[0]["pair"][1][0] is got


@pytest.mark.parametrize("kind", ["dict", "OrderedDict", "list", "Namespace", "record"])
def test_many_containers_that_lead_back_to_one_tuple(kind: str) -> None:
    # Twenty thousand containers in one tuple, each of which holds that tuple.
    count = 20_000
    made, before, after = {
        "dict": (b"}", value("ring"), b"s"),
        "OrderedDict": (call(name("collections", "OrderedDict")), value("ring"), b"s"),
        "list": (b"]", b"", b"a"),
        "Namespace": (new(name("argparse", "Namespace")), b"}" + value("ring"), b"sb"),
        "record": (new(name("a_project", "Net")), b"}" + value("ring"), b"sb"),
    }[kind]
    parts = b"".join(put(Code(made), index) + POP for index in range(count))
    ring = put(Code(MARK + b"".join(map(get, range(count))) + b"t"), count) + POP
    links = b"".join(get(index) + before + get(count) + after + POP for index in range(count))
    start = time.monotonic()
    found = outcome(PROTO2 + parts + ring + links + get(count) + b".", {"unvetted": "record"}, path="x.pkl")
    assert found.error == ""
    assert found.grown < 150 << 20
    assert time.monotonic() - start < 10


def test_what_holds_itself_without_a_container_is_refused() -> None:
    # A frozenset that is made from a list that holds the frozenset: the list is changed after the call.
    item = call(name("builtins", "frozenset"), put([], 1))
    data = PROTO2 + put(item, 2) + POP + get(1) + get(2) + b"a."
    with pytest.raises(safeload.UnsafeCheckpoint, match="changed after"):
        safeload.load(data)


def test_an_array_that_holds_itself() -> None:
    item = np.empty(3, dtype=object)
    item[:] = [item, [item], 1]
    got = safeload.load(pickle.dumps(item))
    assert got[0] is got
    assert got[1][0] is got


def test_arrays_inside_arrays_of_objects() -> None:
    item = np.empty((2, 2), dtype=object)
    item[0, 0], item[0, 1], item[1, 0] = np.array(5), np.arange(3), [1, [2]]
    item[1, 1] = np.empty(1, dtype=object)
    for given in (item, item.T, np.asfortranarray(item), item[:1, 0]):
        for protocol in (2, 4, 5):
            data = pickle.dumps(given, protocol)
            assert difference(safeload.load(data), pickle.loads(data)) == ""


def test_the_list_of_an_object_array_cannot_be_shared() -> None:
    # One list is the content of an array and a value of its own.
    kind = build(call(name("numpy", "dtype"), "O8", False, True), (3, "|", None, None, None, -1, -1, 63))
    content = put([tensor()], 1)
    array = build(
        call(ARRAY, NDARRAY, (0,), call(LATIN, "b", "latin1")), (1, (1,), kind, False, Code(content))
    )  # fmt: skip
    try:
        got = safeload.load(zip_of([array, get(1)]).build())
    except safeload.SafeloadError:
        return
    assert isinstance(got[0][0], torch.Tensor)
    assert got[0][0] is got[1][0]


COLLIDING: dict[str, Any] = {
    "Decimal": lambda i: decimal.Decimal(5 + i * ((1 << 61) - 1)),
    "Fraction": lambda i: fractions.Fraction(5 + i * ((1 << 61) - 1)),
    "UUID": lambda i: uuid.UUID(int=5 + i * ((1 << 61) - 1)),
    "complex": lambda i: complex(float(i), 0.0) if i < 0 else complex(-1000003.0 * i, float(i)),
}


@pytest.mark.parametrize("into", ["dict", "set", "frozenset", "OrderedDict", "defaultdict"])
@pytest.mark.parametrize("kind", sorted(COLLIDING))
def test_keys_of_one_hash_take_no_time(kind: str, into: str) -> None:
    keys = [COLLIDING[kind](i) for i in range(5000)]
    assert len({hash(key) for key in keys[:50]}) == 1
    head, pairs = {
        "dict": (b"}", True),
        "OrderedDict": (call(name("collections", "OrderedDict")), True),
        "defaultdict": (call(name("collections", "defaultdict")), True),
        "set": (b"\x8f", False),
        "frozenset": (b"", False),
    }[into]
    items = b"".join(opcodes(key) + (b"N" if pairs else b"") for key in keys)
    end = {"set": b"\x90", "frozenset": b"\x91"}.get(into, b"u")
    data = b"\x80\x04" + head + MARK + items + end + b"."
    start = time.monotonic()
    with pytest.raises(safeload.Malformed, match="have one hash"):
        safeload.load(data)
    assert time.monotonic() - start < 5


def opcodes(key: Any) -> bytes:
    if isinstance(key, decimal.Decimal):
        return call(name("decimal", "Decimal"), str(key))
    if isinstance(key, fractions.Fraction):
        return call(name("fractions", "Fraction"), f"{key.numerator}/1")
    if isinstance(key, uuid.UUID):
        return build(new(name("uuid", "UUID")), {"int": key.int})
    return call(name("builtins", "complex"), key.real, key.imag)


def test_a_thousand_different_keys_are_fine() -> None:
    for make in (decimal.Decimal, fractions.Fraction, lambda i: uuid.UUID(int=i), lambda i: complex(i, i), np.int64):
        item = {make(i): i for i in range(1000)}
        assert safeload.load(pickle.dumps(item)) == item
        assert safeload.load(pickle.dumps(set(item))) == set(item)


@pytest.mark.parametrize("twin", [(1, Code(call(name("decimal", "Decimal"), "1"))),
                                  (2.0, Code(call(name("fractions", "Fraction"), "2/1")))])  # fmt: skip
def test_keys_that_become_equal_are_refused(twin: tuple[Any, Code]) -> None:
    plain, made = twin
    for data in (
        PROTO2 + b"}(" + value(plain) + b"N" + made + b"Nu.",
        PROTO2 + call(name("collections", "OrderedDict")) + MARK + value(plain) + b"N" + made + b"Nu.",
        b"\x80\x04\x8f(" + value(plain) + made + b"\x90.",
        b"\x80\x04(" + value(plain) + made + b"\x91.",
    ):
        with pytest.raises(safeload.SafeloadError, match="equal once"):
            safeload.load(data)


@pytest.mark.parametrize("key", [call(name("decimal", "Decimal"), "sNaN"), new(name("types", "SimpleNamespace")),
                                 call(name("collections", "deque"))])  # fmt: skip
def test_keys_without_a_hash_are_an_error_of_ours(key: Code) -> None:
    for data in (PROTO2 + b"}" + key + b"Ns.", b"\x80\x04\x8f(" + key + b"\x90."):
        with pytest.raises(safeload.SafeloadError):
            safeload.load(data)


def numpy_array(kind: Code, shape: tuple[int, ...], raw: bytes) -> bytes:
    made = call(ARRAY, NDARRAY, (0,), call(LATIN, "b", "latin1"))
    return stream(build(made, (1, shape, kind, False, call(LATIN, raw.decode("latin1"), "latin1"))))


def test_texts_with_impossible_characters() -> None:
    kind = build(call(name("numpy", "dtype"), "U1", False, True), (3, "<", None, None, None, 4, 4, 8))
    found = outcome(numpy_array(kind, (1,), b"\xff\xff\xff\xff"), path="x.pkl")
    # numpy would notice when an element is read, with a SystemError.
    assert found.error == "LoadFailed"
    assert "no character" in found.message
    scalar = call(name("numpy.core.multiarray", "scalar"), kind, call(LATIN, "\xff\xff\xff\xff", "latin1"))
    assert outcome(stream(scalar), path="x.pkl").error == "LoadFailed"


@pytest.mark.parametrize("shape", [(1 << 62, 0), (0, 1 << 62, 4), (1,) * 65, (1 << 31, 1 << 31)])
def test_shapes_of_arrays(shape: tuple[int, ...]) -> None:
    found = outcome(numpy_array(dtype("f8"), shape, b""), path="x.pkl")
    assert found.error in ("", "LoadFailed", "UnsafeCheckpoint")
    assert found.grown < 50 << 20


def test_a_sparse_tensor_of_an_enormous_size() -> None:
    from samples.memory import VALUES, indices, sparse

    item = sparse("sparse_coo", indices("0", 2, 2), VALUES, (1 << 40, 1 << 40))
    data = zip_of({"w": item}, {"0": struct.pack("<4q", 0, 1 << 39, 0, 5), "1": bytes(8)}).build()
    found = outcome(data, path="x.pt")
    assert found.error in ("", "LoadFailed", "UnsafeCheckpoint")


def test_empty_tensors_of_enormous_sizes() -> None:
    for shape in ((0, 1 << 61, 1 << 61), (1 << 61, 1 << 61, 0), (1 << 61, 0)):
        found = outcome(zip_of({"w": tensor(size=shape, stride=(1,) * len(shape))}).build(), path="x.pt")
        assert found.error in ("", "LoadFailed", "UnsafeCheckpoint")


def test_a_hundred_thousand_views_of_one_storage() -> None:
    held = put(storage(), 1) + POP
    one = call(name(UTILS, "_rebuild_tensor_v2"), get(1), 0, (4,), (1,), False, ORDERED_DICT)
    data = zip_of(Code(held + b"](" + one * 100_000 + b"e")).build()
    got = safeload.load(data)
    assert len(got) == 100_000
    assert got[0] is not got[1]
    assert got[0].data_ptr() == got[-1].data_ptr()


CHAINS: dict[str, Code] = {
    "arrays": Code(
        ARRAY + NDARRAY + value((0,)) + call(LATIN, "b", "latin1") + b"\x87R" + MARK + value(1) + value((1,))
        + build(call(name("numpy", "dtype"), "O8", False, True), (3, "|", None, None, None, -1, -1, 63))
        + b"\x89]" + get(7) + b"atb"
    ),
    "tensors": call(
        name("torch._tensor", "_rebuild_from_type_v2"), name(UTILS, "_rebuild_meta_tensor_no_storage"),
        name("torch", "Tensor"), (name("torch", "float32"), (1,), (1,), False), {"below": get(7)},
    ),
    "namespaces": build(new(name("argparse", "Namespace")), {"inner": get(7)}),
    "deques": call(name("collections", "deque"), [get(7)]),
    "records": build(new(name("a_project", "Net")), {"inner": get(7)}),
    "arguments": new(name("a_project", "Net"), get(7)),
    "ordered": Code(call(name("collections", "OrderedDict")) + value("k") + get(7) + b"s"),
    "tuples": Code(get(7) + b"\x85"),
}  # fmt: skip


@pytest.mark.parametrize("kind", sorted(CHAINS))
@pytest.mark.parametrize(("depth", "loads"), [(80, True), (30_000, False)])
def test_chains(kind: str, depth: int, loads: bool) -> None:
    keep = b"r" + struct.pack("<I", 7) + POP
    body = PROTO2 + b"N" + keep + (CHAINS[kind] + keep) * depth + get(7) + b"."
    found = outcome(body, {"unvetted": "record"}, path="x.pkl", memory=4 << 30)
    if loads:
        # repr of what was loaded may recurse too deep; the load itself does not.
        assert found.error in ("", "RecursionError")
    else:
        assert (found.error, found.verdict, found.rules) == (
            "UnsafeCheckpoint", "unjudged",
            ("limit-reached", "unknown-global") if kind in ("records", "arguments") else ("limit-reached",),
        )  # fmt: skip


def test_positions_of_files() -> None:
    for position in (0, 3, 1 << 40, (1 << 63) - 1):
        held = build(new(name("_io", "BytesIO")), (b"abc", position, None))
        assert safeload.load(stream(held, b"\x80\x03")).tell() == position


def test_states_of_random_generators() -> None:
    words = tuple(range(624))
    good = stream(build(call(name("random", "Random")), (3, (*words, 624), None)))
    assert safeload.load(good).getstate() == (3, (*words, 624), None)
    for bad in ((3, (*words, 625), None), (3, (*words[:-1], 1 << 32, 1), None), (3, words, None), (3, (*words, 1), 1)):
        with pytest.raises(safeload.UnsafeCheckpoint):
            safeload.load(stream(build(call(name("random", "Random")), bad)))


def test_parameters_of_numpy_arrays_as_xla_saves_them() -> None:
    array = np.arange(4, dtype=np.float32)
    made = call(
        name(UTILS, "_rebuild_device_tensor_from_numpy"), Code(pickle.dumps(array, 2)[2:-1]), name("torch", "float32"),
        "xla:0", False,
    )  # fmt: skip
    item = call(name(UTILS, "_rebuild_parameter"), made, True, call(name("collections", "OrderedDict")))
    got = safeload.load(zip_of({"w": item}).build())["w"]
    assert type(got) is torch.nn.Parameter
    assert (got.tolist(), got.requires_grad, got.dtype) == ([0.0, 1.0, 2.0, 3.0], True, torch.float32)


def test_a_load_leaves_the_bytes_it_was_given() -> None:
    data = bytearray(saved({"w": torch.ones(4)}))
    before = bytes(data)
    got = safeload.load(data)
    got["w"].zero_()
    assert bytes(data) == before
    frozen = bytes(data)
    safeload.load(frozen)["w"].fill_(7)
    assert frozen == before
