"""Strided tensors as torch saves them: clean, and denoted exactly, whatever the dtype, geometry and format."""

from __future__ import annotations

import pytest

from safeload.document.document import Built, StorageValue, Symbol, TensorSpec, WrappedTensor, resolve
from tests.vetted.torch_saving import BOTH, WAYS, Way, denoted, pickled, storages, strided, values

torch = pytest.importorskip("torch")

DTYPES = (
    "float64", "float32", "float16", "bfloat16", "complex128", "complex64", "complex32", "int64", "int32", "int16",
    "int8", "uint64", "uint32", "uint16", "uint8", "bool", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz",
    "float8_e5m2fnuz", "float8_e8m0fnu", "float4_e2m1fn_x2", "bits1x8", "bits2x4", "bits4x2", "bits8", "bits16",
)  # fmt: skip
UNTYPED = {
    "complex32", "uint64", "uint32", "uint16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz",
    "float8_e8m0fnu", "float4_e2m1fn_x2", "bits1x8", "bits2x4", "bits4x2", "bits8", "bits16",
}  # fmt: skip
"""dtypes without a storage class: torch saves them over untyped storages."""


def exactly(spec: TensorSpec, tensor) -> None:
    """Every field of `spec` is what torch says of `tensor`."""
    assert (spec.shape, spec.stride, spec.offset) == (
        tuple(tensor.shape),
        tensor.stride(),
        tensor.storage_offset(),
    )
    assert f"torch.{spec.dtype}" == str(tensor.dtype)
    assert spec.requires_grad is tensor.requires_grad
    assert (spec.conj, spec.neg) == (tensor.is_conj(), tensor.is_neg())
    assert spec.storage is not None
    assert spec.storage.nbytes == tensor.untyped_storage().nbytes()


def raw(tensor) -> bytes:
    """The bytes of a contiguous tensor."""
    return bytes(tensor.untyped_storage().tolist())


@pytest.mark.parametrize("way", BOTH, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype(dtype: str, way: Way) -> None:
    tensor = torch.arange(1, 17, dtype=torch.uint8)
    if dtype == "bool":
        tensor = tensor % 2
    tensor = tensor.view(getattr(torch, dtype))
    document = denoted(tensor, way)
    spec = strided(document.root)
    exactly(spec, tensor)
    assert spec.storage is not None
    assert spec.storage.dtype == (None if dtype in UNTYPED else dtype)
    assert values(document, spec) == raw(tensor)


BASE = torch.arange(24, dtype=torch.float32)
GEOMETRIES = {
    "scalar": BASE[5],
    "vector": BASE,
    "matrix": BASE.view(4, 6),
    "transposed": BASE.view(4, 6).t(),
    "slice": BASE[3:9],
    "stepped": BASE[1::5],
    "column": BASE.view(4, 6)[:, 2],
    "channels last": torch.arange(24.0).view(1, 2, 3, 4).contiguous(memory_format=torch.channels_last),
    "expanded": torch.tensor([7.0]).expand(3, 5),
    "empty": torch.empty(0),
    "empty in two dimensions": torch.empty(0, 3),
    "empty slice": BASE[24:],
    "overlapping windows": BASE.unfold(0, 4, 1),
    "sixty-four dimensions": torch.zeros((1,) * 64),
    "requires grad": torch.ones(2, requires_grad=True),
    "gradient of a view": torch.ones(4, requires_grad=True).detach()[1:3].requires_grad_(),
    "conjugate": torch.tensor([1 + 2j, 3 - 1j]).conj(),
    "negative": torch.tensor([1 + 2j, 3 - 1j]).conj().imag,
}


@pytest.mark.parametrize("way", BOTH, ids=str)
@pytest.mark.parametrize("name", GEOMETRIES)
def test_every_geometry(name: str, way: Way) -> None:
    tensor = GEOMETRIES[name]
    document = denoted({"x": tensor}, way)
    assert isinstance(document.root, dict)
    spec = strided(document.root["x"])
    exactly(spec, tensor)
    plain = tensor.detach().resolve_neg().resolve_conj() if not (tensor.is_conj() or tensor.is_neg()) else None
    if plain is not None:
        assert values(document, spec) == raw(plain.contiguous().clone())


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_every_format_and_protocol(way: Way) -> None:
    state = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2)).state_dict()
    document = denoted(state, way)
    root = resolve(document.root)
    assert type(root) is Built
    assert root.kind == "collections.OrderedDict"
    assert isinstance(root.items, dict)
    assert list(root.items) == list(state)
    for key, tensor in state.items():
        spec = strided(root.items[key])
        exactly(spec, tensor)
        assert values(document, spec) == raw(tensor)
    assert root.state is not None
    assert root.state.keys() == {"_metadata"}
    metadata = resolve(root.state["_metadata"])
    assert type(metadata) is Built
    assert metadata.items == {"": {"version": 1}, "0": {"version": 1}, "1": {"version": 2}}


@pytest.mark.parametrize("way", BOTH, ids=str)
def test_views_share_their_storage_and_ties_their_object(way: Way) -> None:
    base = torch.arange(6.0)
    tied = torch.nn.Parameter(torch.ones(2))
    document = denoted({"all": base, "part": base[2:], "a": tied, "b": tied, "other": torch.zeros(6)}, way)
    root = document.root
    assert isinstance(root, dict)
    keys = {name: strided(root[name]).storage for name in ("all", "part", "other")}
    assert keys["all"] == keys["part"] != keys["other"]
    assert strided(root["part"]).offset == 2
    assert root["a"] is root["b"]
    assert len(document.storages) == 3


@pytest.mark.parametrize("way", BOTH, ids=str)
def test_parameters_and_buffers(way: Way) -> None:
    tagged = torch.nn.Parameter(torch.ones(3), requires_grad=False)
    tagged.tag = {"name": "x"}
    plain = torch.ones(2)
    plain.note = "seen"
    things = {
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "tagged": tagged,
        "plain": plain,
        "buffer": torch.nn.Buffer(torch.ones(2)),
        "nested": torch.nn.Parameter(torch.nn.Parameter(torch.ones(2))),
    }
    root = denoted(things, way).root
    assert isinstance(root, dict)
    found = {name: resolve(root[name]) for name in things}
    assert {name: (w.kind, w.requires_grad, w.state) for name, w in found.items() if isinstance(w, WrappedTensor)} == {
        "parameter": ("Parameter", True, None),
        "tagged": ("Parameter", False, {"tag": {"name": "x"}}),
        "plain": ("Tensor", False, {"note": "seen"}),
        "nested": ("Parameter", True, None),
        # torch keeps no class for it: a Buffer is a Tensor with two attributes.
        "buffer": ("Tensor", False, {"persistent": True, "_is_buffer": True}),
    }
    for name, tensor in things.items():
        leaf = found[name]
        while isinstance(leaf, WrappedTensor):
            leaf = resolve(leaf.data)
        assert strided(leaf).shape == tuple(tensor.shape)


@pytest.mark.parametrize("way", BOTH, ids=str)
def test_tensors_without_data(way: Way) -> None:
    root = denoted({"meta": torch.empty(2, 3, device="meta").t()}, way).root
    assert isinstance(root, dict)
    assert resolve(root["meta"]) == TensorSpec(None, "float32", (3, 2), (1, 3), 0)
    lazy = torch.nn.LazyLinear(4).state_dict()
    leaves = {key: resolve(leaf) for key, leaf in resolve(denoted(lazy, way).root).items.items()}
    assert {key: (type(leaf), leaf.kind, leaf.requires_grad) for key, leaf in leaves.items()} == {
        "weight": (WrappedTensor, "UninitializedParameter", True),
        "bias": (WrappedTensor, "UninitializedParameter", True),
    }
    lazy = {"mean": torch.nn.UninitializedBuffer()}
    buffer = resolve(denoted(lazy, way).root["mean"])
    assert (buffer.kind, buffer.requires_grad) == ("UninitializedBuffer", False)


@pytest.mark.parametrize("way", BOTH, ids=str)
@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
def test_storages_as_values(way: Way) -> None:
    tensor = torch.tensor([1, 2, 3], dtype=torch.int16)
    document = denoted([tensor.storage(), torch.ones(2, dtype=torch.uint8).untyped_storage()], way)
    assert isinstance(document.root, list)
    leaves = [resolve(item) for item in document.root]
    assert [type(leaf) for leaf in leaves] == [StorageValue] * len(leaves)
    assert [(leaf.typed, leaf.storage.nbytes) for leaf in leaves] == [(True, 6), (False, 2)]
    assert (leaves[0].storage.dtype, leaves[0].storage.nbytes) == ("int16", 6)
    assert {data for _, data in storages(document)} == {b"\1\0\2\0\3\0", b"\1\1"}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_plain_pickle_of_a_tensor(protocol: int) -> None:
    tensor = torch.arange(6.0)[2:]
    document = pickled({"x": tensor}, protocol)
    assert isinstance(document.root, dict)
    spec = strided(document.root["x"])
    exactly(spec, tensor)
    assert values(document, spec) == raw(tensor.clone())


@pytest.mark.parametrize("way", BOTH, ids=str)
def test_small_values(way: Way) -> None:
    root = denoted(
        [torch.Size([2, 3]), torch.device("cuda:1"), torch.device("cpu"), torch.float16, torch.strided, torch.qint8,
         torch.per_tensor_affine, torch.sparse_coo],
        way,
    ).root  # fmt: skip
    assert isinstance(root, list)
    found = [resolve(item) for item in root]
    assert [(b.kind, b.args) for b in found if isinstance(b, Built)] == [
        ("torch.Size", ((2, 3),)),
        ("torch.device", ("cuda", 1)),
        ("torch.device", ("cpu",)),
    ]
    assert found[3:] == [
        Symbol(name)
        for name in (
            "torch.float16",
            "torch.strided",
            "torch.qint8",
            "torch.per_tensor_affine",
            "torch.sparse_coo",
        )
    ]
