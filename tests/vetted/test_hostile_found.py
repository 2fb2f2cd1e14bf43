"""Streams that were once judged wrongly, or took time or memory out of all proportion: refused, and soon."""

from __future__ import annotations

import io
import pickle
import struct
import time

import numpy as np
import pytest

import safeload
from safeload.findings import Verdict

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.filterwarnings("ignore:Sparse"),
    pytest.mark.filterwarnings("ignore:The PyTorch API of nested"),
]
CLEAN, UNJUDGED, DANGEROUS = Verdict.CLEAN, Verdict.UNJUDGED, Verdict.DANGEROUS


def text(value: str) -> bytes:
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def named(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def judged(data: bytes, **limits: int) -> tuple[Verdict, str]:
    """The verdict and the message of the first finding."""
    report = safeload.scan(data, limits=safeload.Limits(**limits))
    return report.verdict, report.findings[0].message if report.findings else ""


def within(data: bytes, seconds: float) -> Verdict:
    start = time.monotonic()
    found = safeload.scan(data).verdict
    assert time.monotonic() - start < seconds
    return found


class Reduced:
    """Pickles as the call `func(*args)`."""

    def __init__(self, func, *args) -> None:
        self.made = (func, args)

    def __reduce__(self):
        return self.made


def saved(func, *args) -> bytes:
    out = io.BytesIO()
    torch.save(Reduced(func, *args), out)
    return out.getvalue()


# -- sparse and nested tensors


@pytest.mark.parametrize(("coalesced", "verdict"), [(True, DANGEROUS), (False, CLEAN)])
def test_entries_of_a_sparse_tensor_without_sparse_dimensions(coalesced: bool, verdict: Verdict) -> None:
    parts = (torch.zeros((0, 2), dtype=torch.int64), torch.zeros(2), torch.Size(()), coalesced)
    assert judged(saved(torch._utils._rebuild_sparse_tensor, torch.sparse_coo, parts))[0] == verdict


def test_one_entry_of_a_sparse_tensor_without_sparse_dimensions() -> None:
    parts = (torch.zeros((0, 1), dtype=torch.int64), torch.zeros(1), torch.Size(()), True)
    assert judged(saved(torch._utils._rebuild_sparse_tensor, torch.sparse_coo, parts)) == (CLEAN, "")


NESTED = [
    ([[1 << 40, 1 << 20]], [[0, 0]], [0], UNJUDGED, "a copy of this tensor would take 4611686018427387904 bytes"),
    ([[1 << 40, 1 << 40]], [[0, 0]], [0], DANGEROUS, "multiply to more than 64 bits"),
    ([[1 << 24]] * 4, [[0]] * 4, [0, 1, 2, 3], UNJUDGED, "a copy of this tensor would take 268435456 bytes"),
    ([[1 << 22]] * 4, [[0]] * 4, [0, 1, 2, 3], CLEAN, ""),  # 64 MiB, which expansion_bytes allows
]


@pytest.mark.parametrize(("sizes", "strides", "starts", "verdict", "message"), NESTED)
def test_pieces_of_a_nested_tensor_that_repeat_its_elements(sizes, strides, starts, verdict, message) -> None:
    tables = [torch.tensor(table, dtype=torch.int64) for table in (sizes, strides, starts)]
    found = judged(saved(torch._utils._rebuild_nested_tensor, torch.zeros(4), *tables))
    assert found[0] == verdict
    assert message in found[1]


# -- parameters

PARAMETER = named("torch._utils", "_rebuild_parameter") + b"q\x000" + named("torch.nn.parameter", "Parameter") + b")"


@pytest.mark.parametrize(("wraps", "verdict"), [(5, CLEAN), (50, UNJUDGED)])
def test_parameters_of_parameters(wraps: int, verdict: Verdict) -> None:
    assert judged(b"\x80\x02" + PARAMETER + b"Rq\x01" + b"0h\x00h\x01\x89N\x87Rq\x01" * wraps + b".")[0] == verdict


def test_many_parameters_of_parameters_take_little_time() -> None:
    assert within(b"\x80\x02" + PARAMETER + b"Rq\x01" + b"0h\x00h\x01\x89N\x87Rq\x01" * 20_000 + b".", 5) == UNJUDGED


def test_a_parameter_that_becomes_its_own_data() -> None:
    state = b"(h\x01N" + named("collections", "OrderedDict") + b")R\x89Ntb"
    for states in (state, state * 2):
        assert within(b"\x80\x02" + PARAMETER + b"\x81q\x01" + states + b".", 5) == UNJUDGED


# -- keys


def colliding(count: int) -> list[tuple[int, int]]:
    """Pairs of ints whose tuples all hash like (1, 2) on CPython of 64 bits."""
    mask, first, second, fifth = (1 << 64) - 1, 11400714785074694791, 14029467366897019727, 2870177450012600261
    modulus = (1 << 61) - 1

    def rotated(x: int, by: int) -> int:
        return ((x << by) | (x >> (64 - by))) & mask

    against, back = pow(first, -1, 1 << 64), pow(second, -1, 1 << 64)
    want = rotated((((hash((1, 2)) - (2 ^ (fifth ^ 3527539))) & mask) * against) & mask, 33)
    found: list[tuple[int, int]] = []
    left = 0
    while len(found) < count:
        left += 1
        right = ((want - (rotated((fifth + left * second) & mask, 31) * first & mask)) * back) & mask
        right -= (right >> 63) << 64
        if -modulus < right < modulus and right != -1:
            found.append((left, right))
    assert len({hash(pair) for pair in found}) == 1
    return found


def pair(numbers: tuple[int, int]) -> bytes:
    return b"".join(b"\x8a\x09" + number.to_bytes(9, "little", signed=True) for number in numbers) + b"\x86"


@pytest.mark.parametrize("start", [b"}", named("collections", "OrderedDict") + b")R"], ids=["dict", "OrderedDict"])
def test_keys_of_numbers_set_one_at_a_time_have_one_budget(start: bytes) -> None:
    body = b"".join(pair((number, 1)) + b"Ns" for number in range(300))
    assert judged(b"\x80\x02" + start + body + b".", numeric_tuple_keys=100)[0] == UNJUDGED
    assert judged(b"\x80\x02" + start + body + b".", numeric_tuple_keys=300)[0] == CLEAN


@pytest.mark.parametrize(("count", "verdict"), [(100, CLEAN), (101, UNJUDGED)])
def test_elements_with_one_hash(count: int, verdict: Verdict) -> None:
    items = b"](" + b"".join(map(pair, colliding(count))) + b"e"
    assert judged(b"\x80\x02" + named("builtins", "set") + items + b"\x85R.")[0] == verdict


def test_one_colliding_list_for_many_sets_takes_little_time() -> None:
    keys = b"]q\x01(" + b"".join(map(pair, colliding(5_000))) + b"e0"
    calls = named("builtins", "set") + b"q\x000](" + b"h\x00h\x01\x85R" * 200 + b"e."
    assert within(b"\x80\x02" + keys + calls, 5) == UNJUDGED


@pytest.mark.parametrize(("height", "verdict"), [(4, CLEAN), (7, UNJUDGED), (60, UNJUDGED)])
def test_towers_of_sets_that_share_their_parts(height: int, verdict: Verdict) -> None:
    level = b"h\x00](h\x01h\x01\x86e\x85Rq\x010"
    data = b"\x80\x02" + named("builtins", "frozenset") + b"q\x000" + text("z") + b"q\x010" + level * height + b"h\x01."
    assert within(data, 5) == verdict


@pytest.mark.parametrize("inner", [b"h\x01\x85", b"h\x01h\x01\x86\x85"])
def test_an_element_whose_part_cannot_be_hashed(inner: bytes) -> None:
    data = b"\x80\x02" + named("builtins", "list") + b")Rq\x010" + named("builtins", "set") + b"]" + inner + b"a\x85R."
    found = judged(data)
    assert (found[0], "a list cannot be a key" in found[1]) == (UNJUDGED, True)


# -- numpy


def dtype(name: str, order: str, flags: bytes = b"\x89\x88") -> bytes:
    state = b"(K\x03" + text(order) + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    return named("numpy", "dtype") + text(name) + flags + b"\x87R" + state


EMPTY = named("numpy._core.multiarray", "_reconstruct") + named("numpy", "ndarray") + b"K\x00\x85C\x01b\x87R"


@pytest.mark.parametrize("flags", [b"\x89\x89", b"K\x00K\x00"])
@pytest.mark.parametrize(("order", "verdict"), [("<", CLEAN), (">", UNJUDGED)])
def test_a_dtype_that_numpy_shares_ignores_its_state(flags: bytes, order: str, verdict: Verdict) -> None:
    assert judged(b"\x80\x03" + dtype("i4", order, flags) + b".")[0] == verdict
    assert judged(b"\x80\x03" + dtype("i4", order) + b".")[0] == CLEAN


@pytest.mark.parametrize("name", ["M8", "m8"])
def test_a_date_without_unit(name: str) -> None:
    found = judged(b"\x80\x03" + dtype(name, "<") + b".")
    assert (found[0], found[1]) == (DANGEROUS, "numpy.dtype is a date without a unit")


def test_a_tensor_of_an_array_that_gets_its_content_later() -> None:
    made = named("torch._utils", "_rebuild_device_tensor_from_numpy") + b"(h\x00" + named("torch", "int8") + text("cpu")
    state = b"(K\x01K\x02\x85" + dtype("f8", "<") + b"\x89C\x10" + bytes(16) + b"tb0"
    found = judged(b"\x80\x03" + EMPTY + b"q\x00" + made + b"\x89tRq\x01h\x00" + state + b"h\x01.")
    assert (found[0], "changed after the call" in found[1]) == (UNJUDGED, True)


def test_a_tensor_of_an_array_that_has_its_content() -> None:
    data = pickle.dumps(
        Reduced(torch._utils._rebuild_device_tensor_from_numpy, np.ones(2), torch.float64, "cpu", False)
    )
    assert judged(data) == (CLEAN, "")


# -- objects that CPython leaves unusable


@pytest.mark.parametrize(("module", "name"), [("uuid", "UUID"), ("collections", "ChainMap")])
@pytest.mark.parametrize("form", [b")\x81", b"0ccopy_reg\n__newobj__\n(c%s\n%s\ntR"], ids=["newobj", "copyreg"])
def test_an_object_without_its_state(module: str, name: str, form: bytes) -> None:
    filled = form.replace(b"%s", module.encode(), 1).replace(b"%s", name.encode())
    found = judged(b"\x80\x02" + named(module, name) + filled + b".")
    assert (found[0], "is made without its" in found[1]) == (UNJUDGED, True)
