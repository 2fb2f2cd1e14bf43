"""numpy's names with arguments and states that numpy never writes: sizes that lie, and what reaches further."""

from __future__ import annotations

import copyreg
import pickle

import numpy as np
import pytest
from numpy.random import _pickle as ctors

from safeload.findings import Verdict
from tests.vetted.vetted_driver import Judged, Made, clean, refusal

DANGEROUS, UNJUDGED, UNVETTED = Verdict.DANGEROUS, Verdict.UNJUDGED, Verdict.UNVETTED
RECONSTRUCT, SCALAR = np._core.multiarray._reconstruct, np._core.multiarray.scalar
FROM_BUFFER = np._core.numeric._frombuffer
BIT, GEN, STATE = (ctors.__dict__[f"__{name}_ctor"] for name in ("bit_generator", "generator", "randomstate"))
SEQUENCE = np.random.bit_generator.__dict__["__pyx_unpickle_SeedSequence"]
F4, OBJ = np.dtype("<f4"), np.dtype("O")


class Stranger:
    """A class outside the table."""


def arr(*state, build=True):
    return Made(RECONSTRUCT, np.ndarray, (0,), b"b", state=state if build else None)


def dt(name, *state):
    return Made(np.dtype, name, False, True, state=state or None)


PCG = np.random.PCG64(1).state
MT = np.random.MT19937(1).state
PHILOX = np.random.Philox(1).state
ENTROPY = np.zeros(4, "u4")

CALLS = [
    (Made(RECONSTRUCT, np.ndarray, (1 << 40,), b"b"), DANGEROUS, "shape (0,)"),
    (Made(RECONSTRUCT, np.ndarray, (0,), b"O"), DANGEROUS, "type b"),
    (Made(RECONSTRUCT, np.ndarray, [0], b"b"), DANGEROUS, "must be tuple"),
    (Made(RECONSTRUCT, Stranger, (0,), b"b"), UNVETTED, "other than numpy.ndarray"),
    (Made(RECONSTRUCT, np.float32, (0,), b"b"), DANGEROUS, "other than numpy.ndarray"),
    (Made(RECONSTRUCT, np.ndarray, (0,)), DANGEROUS, "takes 3"),
    (Made(np.ndarray, (1 << 40,)), DANGEROUS, "never called"),
    (Made(np.float32, 1), DANGEROUS, "never called"),
    (arr(1, (2,), F4, False, bytes(7)), DANGEROUS, "7 bytes for 2 elements"),
    (arr(1, (2,), F4, False, bytes(9)), DANGEROUS, "9 bytes for 2 elements"),
    (arr(1, (-2,), F4, False, b""), DANGEROUS, "out of range"),
    (arr(1, (1 << 40, 1 << 40), F4, False, b""), UNJUDGED, "larger than any memory"),
    (arr(1, (1 << 62, 0, 4), F4, False, b""), UNJUDGED, "larger than any memory"),
    (arr(1, (1,) * 65, F4, False, bytes(4)), DANGEROUS, "64 dimensions"),
    (arr(1, (True,), F4, False, bytes(4)), DANGEROUS, "must be an int, not bool"),
    (arr(1, [1], F4, False, bytes(4)), DANGEROUS, "64 dimensions"),
    (arr(1, (1.0,), F4, False, bytes(4)), DANGEROUS, "must be an int"),
    (arr(2, (1,), F4, False, bytes(4)), DANGEROUS, "version 1"),
    (arr(True, (1,), F4, False, bytes(4)), DANGEROUS, "version 1"),
    (arr(1, (1,), F4, 2, bytes(4)), DANGEROUS, "version 1"),
    (arr(1, (1,), "f4", False, bytes(4)), DANGEROUS, "numpy dtype"),
    (arr(1, (1,), Made(Stranger), False, bytes(4)), UNVETTED, "dtype outside"),
    (arr(1, (1,), F4, False, [1.0]), DANGEROUS, "as bytes"),
    (arr(1, (1,), F4, False, Made(Stranger)), UNVETTED, "outside"),
    (arr(1, (1,), F4, False), DANGEROUS, "5 parts"),
    (arr(1, (1,), OBJ, False, bytes(8)), DANGEROUS, "list of exactly"),
    (arr(1, (2,), OBJ, False, [1]), DANGEROUS, "list of exactly"),
    (arr(1, (1,), np.dtype(("i4", (2,))), False, bytes(8)), UNVETTED, "subarray"),
    (Made(RECONSTRUCT, np.ndarray, (0,), b"b", items=[1]), DANGEROUS, "5 parts"),
    (Made(RECONSTRUCT, np.ndarray, (0,), b"b", state={"a": 1}), DANGEROUS, "5 parts"),
    (Made(SCALAR, F4, bytes(3)), DANGEROUS, "3 bytes"),
    (Made(SCALAR, F4), DANGEROUS, "takes 2"),
    (Made(SCALAR, OBJ, bytes(8)), DANGEROUS, "needs objects"),
    (Made(SCALAR, OBJ, [1]), DANGEROUS, "must be bytes"),
    (Made(SCALAR, "f4", bytes(4)), DANGEROUS, "numpy dtype"),
    (Made(SCALAR, F4, bytes(4), state=1), DANGEROUS, "never changed"),
    (Made(FROM_BUFFER, bytes(4), F4, (2,), "C"), DANGEROUS, "4 bytes"),
    (Made(FROM_BUFFER, bytes(4), F4, (-1,), "C"), DANGEROUS, "out of range"),
    (Made(FROM_BUFFER, bytes(4), F4, (1,), "A"), DANGEROUS, "order"),
    (Made(FROM_BUFFER, bytes(4), F4, (1,), "K"), DANGEROUS, "order"),
    (Made(FROM_BUFFER, bytes(4), F4, (1,), "C", (0,)), DANGEROUS, "order"),
    (Made(FROM_BUFFER, bytes(4), F4, (1, 1), "K", (0, 0)), DANGEROUS, "each axis once"),
    (Made(FROM_BUFFER, bytes(4), F4, (1, 1), "K", (0, 2)), DANGEROUS, "each axis once"),
    (Made(FROM_BUFFER, bytes(8), OBJ, (1,), "C"), DANGEROUS, "needs objects"),
    (Made(FROM_BUFFER, "abcd", F4, (1,), "C"), DANGEROUS, "bytes or bytearray"),
    (dt("f3"), UNVETTED, "not modelled"),
    (dt("float32"), UNVETTED, "not modelled"),
    (dt("V9999999999"), UNJUDGED, "2 GiB"),
    (dt("U999999999"), UNJUDGED, "2 GiB"),
    (Made(np.dtype, Stranger, False, True), UNVETTED, "outside"),
    (Made(np.dtype, [("a", "f4")], False, True), DANGEROUS, "must be str"),
    (Made(np.dtype, "f4", 2, True), DANGEROUS, "0 or 1"),
    (Made(np.dtype, "f4", None, True), DANGEROUS, "must be bool or int"),
    (dt("f4", 3, "<", None, None, None, 8, 4, 0), DANGEROUS, "size that is not"),
    (dt("f4", 3, "<", None, None, None, -1, 4, 0), DANGEROUS, "size that is not"),
    (dt("S3", 3, "|", None, None, None, 1 << 30, 1, 0), DANGEROUS, "size that is not"),
    (dt("U3", 3, "<", None, None, None, 3, 4, 8), DANGEROUS, "size that is not"),
    (dt("f4", 4, "<", None, None, None, -1, -1, 0), DANGEROUS, "version"),
    (dt("f4", 3, "<", None, None, None, -1, -1, 0, None), DANGEROUS, "version"),
    (dt("f4", 2, "<", None, None, None, -1, -1, 0), DANGEROUS, "out of range"),
    (dt("f4", 3, "!", None, None, None, -1, -1, 0), DANGEROUS, "byte order"),
    (dt("f4", 3, "<", None, None, {}, -1, -1, 0), DANGEROUS, "without names"),
    (dt("f4", 3, "<", None, ("a",), {"a": (F4, 0)}, 4, 4, 0), DANGEROUS, "size that is not"),
    (dt("V4", 3, "|", None, ("a",), {"a": (F4, 1)}, 4, 1, 16), DANGEROUS, "ends after"),
    (dt("V4", 3, "|", None, ("a",), {"a": (F4, -4)}, 4, 1, 16), DANGEROUS, "out of range"),
    (dt("V4", 3, "|", None, ("a",), {"a": (F4, 0)}, 8, 1, 16), DANGEROUS, "size that is not"),
    (dt("V4", 3, "|", None, ("a", "b"), {"a": (F4, 0)}, 4, 1, 16), DANGEROUS, "without a field"),
    (dt("V4", 3, "|", None, ("a", "a"), {"a": (F4, 0)}, 4, 1, 16), DANGEROUS, "do not list"),
    (dt("V4", 3, "|", None, ("a",), {"a": (F4, 0), "b": (F4, 0)}, 4, 1, 16), DANGEROUS, "do not list"),
    (dt("V4", 3, "|", None, ("a",), {"a": ("f4", 0)}, 4, 1, 16), DANGEROUS, "numpy dtype"),
    (dt("V4", 3, "|", None, ("a",), None, 4, 1, 16), DANGEROUS, "without fields"),
    (dt("V8", 3, "|", None, ("a",), {"a": (OBJ, 0)}, 8, 1, 16), UNVETTED, "objects in fields"),
    (dt("V8", 3, "|", (F4, (3,)), None, None, 8, 4, 0), DANGEROUS, "another size"),
    (dt("V8", 3, "|", (F4, (2,)), ("a",), {"a": (F4, 0)}, 8, 4, 0), DANGEROUS, "no dtype and shape"),
    (dt("V8", 3, "|", (OBJ, (1,)), None, None, 8, 4, 0), UNVETTED, "objects in fields"),
    (dt("M8", 4, "<", None, None, None, -1, -1, 0, None), DANGEROUS, "without a unit"),
    (dt("M8", 4, "<", None, None, None, -1, -1, 0, (None, (b"xx", 1, 1, 1))), DANGEROUS, "no unit"),
    (dt("M8", 4, "<", None, None, None, -1, -1, 0, (None, (b"ns", 0, 1, 1))), DANGEROUS, "out of range"),
    (dt("M8", 4, "<", None, None, None, -1, -1, 0, ({"a": 1}, (b"ns", 1, 1, 1))), UNVETTED, "metadata"),
    (Made(np.dtype, "f4", False, True, state={"a": 1}), DANGEROUS, "8 or 9 parts"),
    (Made(BIT, "os"), DANGEROUS, "name or class"),
    (Made(BIT, Stranger), UNVETTED, "outside"),
    (Made(BIT, 1), DANGEROUS, "name or class"),
    (Made(BIT, "PCG64", state={}), DANGEROUS, "state of PCG64"),
    (Made(BIT, "PCG64", state=MT), DANGEROUS, "state of PCG64"),
    (Made(BIT, "PCG64", state={**PCG, "extra": 1}), DANGEROUS, "no other keys"),
    (Made(BIT, "PCG64", state={**PCG, "has_uint32": 2}), DANGEROUS, "out of range"),
    (Made(BIT, "PCG64", state={**PCG, "state": {"state": 1 << 128, "inc": 1}}), DANGEROUS, "out of range"),
    (Made(BIT, "PCG64", state={**PCG, "state": {"state": 1.0, "inc": 1}}), DANGEROUS, "must be an int"),
    (Made(BIT, "PCG64", state=(PCG, 1)), DANGEROUS, "SeedSequence"),
    (Made(BIT, "PCG64", state=(PCG, Made(Stranger))), UNVETTED, "seed sequence outside"),
    (Made(BIT, "MT19937", state={**MT, "state": {"key": np.zeros(623, "u4"), "pos": 1}}), DANGEROUS, "another size"),
    (Made(BIT, "MT19937", state={**MT, "state": {"key": np.zeros(624, "f4"), "pos": 1}}), DANGEROUS, "another size"),
    (Made(BIT, "MT19937", state={**MT, "state": {"key": [0] * 624, "pos": 1}}), DANGEROUS, "as an array"),
    (Made(BIT, "MT19937", state={**MT, "state": {"key": np.zeros(624, "u4"), "pos": 625}}), DANGEROUS, "out of range"),
    (Made(BIT, "Philox", state={**PHILOX, "buffer_pos": 5}), DANGEROUS, "out of range"),
    (Made(GEN, "MT19937", eval), DANGEROUS, "constructor of bit generators"),
    (Made(GEN, "MT19937", Stranger), DANGEROUS, "constructor of bit generators"),
    (Made(GEN, "os"), DANGEROUS, "name or class"),
    (Made(GEN, Made(SEQUENCE, np.random.SeedSequence, 1, None)), DANGEROUS, "takes a bit generator"),
    (Made(GEN, "PCG64", state={"a": 1}), DANGEROUS, "state of PCG64"),
    (Made(STATE, "MT19937", state=MT), DANGEROUS, "state of RandomState"),
    (Made(STATE, "MT19937", state={**MT, "has_gauss": 0, "gauss": 0}), DANGEROUS, "float"),
    (Made(STATE, "MT19937", state={**MT, "has_gauss": 2, "gauss": 0.0}), DANGEROUS, "out of range"),
    (Made(SEQUENCE, np.float32, 1, None), DANGEROUS, "takes SeedSequence"),
    (Made(SEQUENCE, Stranger, 1, None), UNVETTED, "takes SeedSequence"),
    (Made(SEQUENCE, np.random.SeedSequence, 1, ()), DANGEROUS, "takes SeedSequence"),
    (Made(SEQUENCE, np.random.SeedSequence, 1, None, state=(1, 0, ENTROPY, 5, ())), DANGEROUS, "another size"),
    (Made(SEQUENCE, np.random.SeedSequence, 1, None, state=(-1, 0, ENTROPY, 4, ())), DANGEROUS, "out of range"),
    (Made(SEQUENCE, np.random.SeedSequence, 1, None, state=(1, 0, ENTROPY, 4, None)), DANGEROUS, "spawn key"),
    (Made(SEQUENCE, np.random.SeedSequence, 1, None, state=(1, 0, ENTROPY, 1 << 20, ())), DANGEROUS, "out of range"),
    (Made(copyreg._reconstructor, np.ndarray, object, None), UNVETTED, "no such form"),
]  # fmt: skip


def pickled(value: Made, protocol: int) -> bytes:
    func, args, state, items, pairs = value.reduced
    kept = list(items) if items is not None else None
    value.reduced = (func, args, state, kept and iter(kept), pairs)
    data = pickle.dumps(value, protocol)
    value.reduced = (func, args, state, kept and iter(kept), pairs)
    return data


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize(("value", "verdict", "message"), CALLS)
def test_refused(value, verdict, message, protocol):
    found = refusal(pickled(value, protocol))
    assert found[0] == verdict
    assert message in found[2]


def empty(name: str, count: int) -> bytes:
    return pickled(arr(1, (count,), dt(name, 3, "|", None, None, None, 0, 1, 0), False, b""), 4)


def test_elements_without_bytes():
    assert clean(empty("S0", 1000)).shape == (1000,)
    assert refusal(empty("S0", 1 << 40))[0] == UNJUDGED


DTYPE = b"cnumpy\ndtype\nX\x02\0\0\0i2\x89\x88\x87Rq\x01"
ORDER = b"(K\x03X\x01\0\0\0%sNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"
ARRAY = b"cnumpy._core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85C\x01b\x87Rq\x02"


def test_a_dtype_takes_its_state_once():
    clean(b"\x80\x03" + DTYPE + ORDER % b"<" + b".")
    assert refusal(b"\x80\x03" + DTYPE + ORDER % b"<" + ORDER % b">" + b".")[2] == "takes its state twice"


def test_a_dtype_changed_after_its_array():
    whole = b"\x80\x03" + ARRAY + b"(K\1K\1\x85" + DTYPE + b"%s\x89C\2\1\0tb"
    clean(whole % (ORDER % b"<") + b".")
    assert refusal(whole % b"" + b"h\1" + ORDER % b">" + b"0.")[0] == UNJUDGED


def test_an_array_takes_its_state_once():
    state = b"(K\1K\1\x85" + DTYPE + ORDER % b"<" + b"\x89C\2\1\0tb"
    clean(b"\x80\x03" + ARRAY + state + b".")
    assert refusal(b"\x80\x03" + ARRAY + state + state + b".")[2] == "an array takes its state once"


def test_a_buffer_changed_after_its_array():
    head = b"\x80\x05cnumpy._core.numeric\n_frombuffer\n(\x96\2\0\0\0\0\0\0\0\1\0q\5" + DTYPE + ORDER % b"<"
    tail = b"K\1\x85X\1\0\0\0CtR"
    clean(head + tail + b".")
    assert refusal(head + tail + b"h\5K\1a0.")[0] == UNJUDGED


def test_objects_changed_after_the_state():
    array = pickle.dumps(np.array([1], object), 3)
    place = array[array.index(b"]q") + 2]
    clean(array)
    assert refusal(array[:-1] + b"h%cK\x02a0." % place)[0] == UNJUDGED


def test_an_array_that_holds_itself():
    value = np.empty(1, object)
    value[0] = value
    made = Judged(pickle.dumps(value, 3))
    assert made.refused == []
    assert made.value.value.objects[0] is made.value


def test_doubling_dtypes():
    made = np.dtype([("a", "V0")])
    for _ in range(30):
        made = np.dtype([("a", made), ("b", made)])
    assert refusal(pickle.dumps(made, 3))[0] == UNJUDGED
