"""Tensors made of other tensors or of arrays (sparse, nested, parameters): each part is held to the whole."""

from __future__ import annotations

import io
import pickle

import numpy as np
import pytest

from safeload.findings import Verdict
from tests.vetted.spelled import judged, named, text, within
from tests.vetted.test_numpy_dtypes import dtype

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.filterwarnings("ignore:Sparse"),
    pytest.mark.filterwarnings("ignore:The PyTorch API of nested"),
]
CLEAN, UNJUDGED, DANGEROUS = Verdict.CLEAN, Verdict.UNJUDGED, Verdict.DANGEROUS


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


PARAMETER = named("torch._utils", "_rebuild_parameter") + b"q\x000" + named("torch.nn.parameter", "Parameter") + b")"


@pytest.mark.parametrize(("wraps", "verdict"), [(5, CLEAN), (50, UNJUDGED)])
def test_parameters_of_parameters(wraps: int, verdict: Verdict) -> None:
    assert judged(b"\x80\x02" + PARAMETER + b"Rq\x01" + b"0h\x00h\x01\x89N\x87Rq\x01" * wraps + b".")[0] == verdict


@pytest.mark.slow
def test_many_parameters_of_parameters_take_little_time() -> None:
    assert within(b"\x80\x02" + PARAMETER + b"Rq\x01" + b"0h\x00h\x01\x89N\x87Rq\x01" * 20_000 + b".", 5) == UNJUDGED


def test_a_parameter_that_becomes_its_own_data() -> None:
    state = b"(h\x01N" + named("collections", "OrderedDict") + b")R\x89Ntb"
    for states in (state, state * 2):
        assert within(b"\x80\x02" + PARAMETER + b"\x81q\x01" + states + b".", 5) == UNJUDGED


EMPTY = named("numpy._core.multiarray", "_reconstruct") + named("numpy", "ndarray") + b"K\x00\x85C\x01b\x87R"


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
