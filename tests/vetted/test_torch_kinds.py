"""Sparse, quantized and nested tensors, and the state of trainings, as torch saves them: clean and denoted exactly."""

from __future__ import annotations

import random
import struct

import pytest

from safeload.document.document import Built, NestedTensorSpec, QuantizedSpec, SparseSpec, WrappedTensor, resolve
from safeload.findings import Verdict
from tests.vetted.torch_saving import BOTH, WAYS, Way, denoted, saved, scanned, strided, values

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.filterwarnings("ignore:Sparse"),
    pytest.mark.filterwarnings("ignore:The PyTorch API of nested"),
    pytest.mark.filterwarnings("ignore:TypedStorage"),
    pytest.mark.filterwarnings("ignore:torch.quantize_per"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

DENSE = torch.tensor([[0.0, 2, 0, 4], [1, 0, 0, 0]])
COMPRESSED = {
    "torch.sparse_csr": (DENSE.to_sparse_csr, "crow_indices", "col_indices"),
    "torch.sparse_csc": (DENSE.to_sparse_csc, "ccol_indices", "row_indices"),
    "torch.sparse_bsr": (lambda: DENSE.to_sparse_bsr((1, 2)), "crow_indices", "col_indices"),
    "torch.sparse_bsc": (lambda: DENSE.to_sparse_bsc((1, 2)), "ccol_indices", "row_indices"),
}


def as_longs(tensor) -> bytes:
    """The elements of an int64 tensor."""
    flat = tensor.flatten().tolist()
    return struct.pack(f"<{len(flat)}q", *flat)


def test_the_attributes_of_tensors_are_all_listed() -> None:
    from safeload.vetted.torch.attributes import TENSOR_ATTRIBUTES

    present = {name for cls in (torch.Tensor, torch.nn.Parameter) for name in dir(cls) if not name.startswith("__")}
    assert present - TENSOR_ATTRIBUTES == set()


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("coalesced", [True, False])
def test_coordinates(way: Way, coalesced: bool) -> None:
    tensor = torch.sparse_coo_tensor([[1, 0, 1], [2, 1, 0]], [1.0, 2.0, 3.0], (2, 4))
    tensor = tensor.coalesce() if coalesced else tensor
    document = denoted(tensor, way)
    spec = resolve(document.root)
    assert type(spec) is SparseSpec
    assert (spec.layout, spec.shape, spec.coalesced) == ("torch.sparse_coo", (2, 4), coalesced)
    assert spec.checked == (as_longs(tensor._indices()),)
    assert strided(spec.indices[0]).shape == (2, 3)
    assert values(document, spec.values) == struct.pack("<3f", *tensor._values().tolist())


def test_coordinates_of_blocks_and_of_nothing() -> None:
    hybrid = torch.sparse_coo_tensor([[0, 2]], torch.arange(6.0).view(2, 3), (4, 3))
    empty = torch.sparse_coo_tensor(torch.empty(2, 0, dtype=torch.int64), torch.empty(0), (3, 3))
    scalar = torch.sparse_coo_tensor(torch.empty(0, 1, dtype=torch.int64), torch.ones(1), ())
    for tensor in (hybrid, empty, scalar):
        spec = resolve(denoted(tensor, BOTH[0]).root)
        assert type(spec) is SparseSpec
        assert spec.shape == tuple(tensor.shape)


@pytest.mark.parametrize("way", BOTH, ids=str)
@pytest.mark.parametrize("layout", COMPRESSED)
def test_compressed(layout: str, way: Way) -> None:
    make, outer, inner = COMPRESSED[layout]
    tensor = make()
    document = denoted({"w": tensor}, way)
    assert isinstance(document.root, dict)
    spec = resolve(document.root["w"])
    assert type(spec) is SparseSpec
    assert (spec.layout, spec.shape, spec.coalesced) == (layout, (2, 4), None)
    assert spec.checked == (as_longs(getattr(tensor, outer)()), as_longs(getattr(tensor, inner)()))
    assert spec.values.shape == tuple(tensor.values().shape)


def test_compressed_with_batches_and_small_indices() -> None:
    batch = torch.stack([DENSE, DENSE]).to_sparse_csr()
    small = torch.sparse_csr_tensor(
        torch.tensor([0, 1, 2], dtype=torch.int32), torch.tensor([1, 0], dtype=torch.int32), torch.ones(2), (2, 2)
    )
    for tensor in (batch, small):
        spec = resolve(denoted(tensor, BOTH[0]).root)
        assert type(spec) is SparseSpec
        assert spec.shape == tuple(tensor.shape)


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("dtype", ["qint8", "quint8", "qint32"])
def test_quantized_by_tensor(dtype: str, way: Way) -> None:
    tensor = torch.quantize_per_tensor(torch.arange(6.0).view(2, 3), 0.5, 3, getattr(torch, dtype))
    document = denoted(tensor, way)
    spec = resolve(document.root)
    assert type(spec) is QuantizedSpec
    assert (spec.scheme, spec.scale, spec.zero_point, spec.axis) == ("torch.per_tensor_affine", 0.5, 3, None)
    assert (spec.data.dtype, spec.data.shape, spec.data.stride) == (dtype, (2, 3), (3, 1))
    form = {"qint8": "<6b", "quint8": "<6B", "qint32": "<6i"}[dtype]
    assert values(document, spec.data) == struct.pack(form, *tensor.int_repr().flatten().tolist())


@pytest.mark.parametrize("way", BOTH, ids=str)
@pytest.mark.parametrize("scheme", ["per_channel_affine", "per_channel_affine_float_qparams"])
def test_quantized_by_channel(scheme: str, way: Way) -> None:
    zeros = torch.tensor([1, 2, 3]) if scheme == "per_channel_affine" else torch.tensor([0.5, 1.5, 2.5])
    tensor = torch.quantize_per_channel(
        torch.arange(6.0).view(2, 3), torch.tensor([0.5, 1.0, 2.0]), zeros, 1, torch.quint8
    )
    spec = resolve(denoted(tensor, way).root)
    assert type(spec) is QuantizedSpec
    # torch writes one name for both schemes; the type of the zero points tells them apart.
    assert (spec.scheme, spec.scale, spec.axis) == (f"torch.{scheme}", [0.5, 1.0, 2.0], 1)
    assert spec.zero_point == zeros.tolist()


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_nested_strided(way: Way) -> None:
    tensor = torch.nested.nested_tensor([torch.arange(6.0).view(2, 3), torch.ones(1, 4)])
    document = denoted(tensor, way)
    spec = resolve(document.root)
    assert type(spec) is NestedTensorSpec
    assert (spec.sizes, spec.strides, spec.offsets) == (((2, 3), (1, 4)), ((3, 1), (4, 1)), (0, 6))
    assert values(document, spec.buffer) == struct.pack("<10f", *range(6), 1, 1, 1, 1)


def test_nested_jagged_is_not_in_the_table() -> None:
    tensor = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged)
    assert scanned(saved(tensor, BOTH[0])).report.verdict is Verdict.UNVETTED


@pytest.mark.parametrize("kind", ["sparse", "quantized"])
def test_parameters_of_other_kinds(kind: str) -> None:
    inner = DENSE.to_sparse() if kind == "sparse" else torch.quantize_per_tensor(DENSE, 1.0, 0, torch.qint8)
    leaf = resolve(denoted(torch.nn.Parameter(inner, requires_grad=False), BOTH[0]).root)
    assert type(leaf) is WrappedTensor
    assert type(resolve(leaf.data)) is (SparseSpec if kind == "sparse" else QuantizedSpec)


def trained():
    """A model, its optimizer and two schedulers after a step."""
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3), torch.nn.LSTM(3, 2))
    made = []
    for optimizer in (
        torch.optim.Adam(model.parameters(), amsgrad=True),
        torch.optim.SGD(model.parameters(), 0.1, momentum=0.9),
        torch.optim.RMSprop(model.parameters()),
    ):
        model(torch.ones(2, 4))[0].sum().backward()
        optimizer.step()
        made.append(optimizer)
    return model, made


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_whole_training(way: Way) -> None:
    model, optimizers = trained()
    first = optimizers[0]
    schedulers = (
        torch.optim.lr_scheduler.StepLR(first, 3),
        torch.optim.lr_scheduler.MultiStepLR(first, [2, 4]),
        torch.optim.lr_scheduler.CosineAnnealingLR(first, 10),
        torch.optim.lr_scheduler.ReduceLROnPlateau(first),
        torch.optim.lr_scheduler.OneCycleLR(first, 0.1, 20),
    )
    checkpoint = {
        "model": model.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        "schedulers": [scheduler.state_dict() for scheduler in schedulers],
        "averaged": torch.optim.swa_utils.AveragedModel(model).state_dict(),
        "rng": torch.get_rng_state(),
        "python": random.Random(1).getstate(),
        "epoch": 3,
        "loss": torch.tensor(0.25),
        "history": [{"step": 1, "loss": 0.5}, {"step": 2, "loss": float("nan")}],
    }
    root = denoted(checkpoint, way).root
    assert isinstance(root, dict)
    assert root.keys() == checkpoint.keys()
    assert root["python"] == random.Random(1).getstate()
    assert strided(root["rng"]).shape == tuple(torch.get_rng_state().shape)
    assert root["optimizers"][0]["param_groups"][0]["betas"] == optimizers[0].param_groups[0]["betas"]
    model_root = resolve(root["model"])
    assert type(model_root) is Built
    assert len(model_root.items or ()) == len(model.state_dict())


def test_numpy_random_state_beside_torch() -> None:
    numpy = pytest.importorskip("numpy")
    denoted({"numpy": numpy.random.RandomState(1).get_state(), "w": torch.ones(2)}, BOTH[0])


def test_whole_modules_are_unvetted_and_never_dangerous() -> None:
    model, optimizers = trained()
    for value in (model, optimizers[0], torch.nn.TransformerEncoderLayer(4, 2, batch_first=True)):
        report = scanned(saved(value, BOTH[0])).report
        assert report.verdict is Verdict.UNVETTED, [f for f in report.findings if f.verdict is not Verdict.UNVETTED]
