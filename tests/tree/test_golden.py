"""The text of small trees, to the letter: what other readers of the format rely on."""

from __future__ import annotations

import collections
import datetime
import io
import json
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import safeload
from safeload.document.document import Document, StorageSpec, TensorSpec
from safeload.document.elements import elements
from safeload.document.record import Record
from safeload.inputs import MemorySource
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.scanning.scanner import scan_source
from safeload.tree import recipes
from safeload.tree.encode import contents, encode
from safeload.tree.interface import KEY, Kept, Placed
from safeload.tree.objects import _TAGS
from tests.tree.shelf import CODES, Inline, pack

# torch warns of its own typed storages and of quantization.
pytestmark = pytest.mark.filterwarnings("ignore")
HEAD = '{"format":"safeload.tree","version":1,"root":'


def document(data: bytes) -> Document:
    found = scan_source(MemorySource(data, "x"), policy=Policy.default(), limits=Limits()).document
    assert found is not None
    return found


def cycle() -> Any:
    made: list[Any] = [1]
    made.append(made)
    return made


SHARED = [0.5]
GOLDEN: list[tuple[Any, str]] = [
    (None, "null"),
    ([1, True, 0.5, -0.0, "é"], '[1,true,0.5,-0.0,"\\u00e9"]'),
    (2**53, '{"int":"0x20000000000000"}'),
    (float("nan"), '{"float":"nan"}'),
    (2 + 1j, '{"call":"builtins.complex","args":[2.0,1.0]}'),
    ({"a": {}, "b": (1,)}, '{"map":{"a":{"map":{}},"b":{"tuple":[1]}}}'),
    ({1: "a", "b": None}, '{"dict":[[1,"a"],["b",null]]}'),
    ({3, 1, 2}, '{"set":[1,2,3]}'),
    (b"abc", '{"bytes":"YWJj"}'),
    (bytearray(b"abc"), '{"bytearray":"YWJj"}'),
    ([SHARED, SHARED], '[{"id":1,"list":[0.5]},{"ref":1}]'),
    (cycle(), '{"id":1,"list":[1,{"ref":1}]}'),
    (int, '{"name":"builtins.int"}'),
    (
        collections.OrderedDict(a=1),
        '{"call":"collections.OrderedDict","changes":[["setitem",["a",1]]]}',
    ),
    (
        collections.deque([1], 3),
        '{"call":"collections.deque","args":[[],3],"changes":[["append",[1]]]}',
    ),
    (
        datetime.datetime(2024, 2, 1, 3, tzinfo=datetime.UTC),
        '{"call":"datetime.datetime","args":[{"bytes":"B+gCAQMAAAAAAA=="},'
        '{"call":"datetime.timezone","args":[{"call":"datetime.timedelta","args":[0,0,0]}]}]}',
    ),
    (
        np.arange(2, dtype="<i2"),
        '{"call":"numpy._core.numeric._frombuffer","args":[{"bytes":"AAABAA=="},'
        '{"call":"numpy.dtype","args":["<i2"]},{"tuple":[2]},"C"]}',
    ),
    (
        np.float32(1),
        '{"call":"numpy._core.multiarray.scalar","args":[{"call":"numpy.dtype","args":["<f4"]},{"bytes":"AACAPw=="}]}',
    ),
]


@pytest.mark.parametrize(("value", "text"), GOLDEN, ids=range(len(GOLDEN)))
def test_values(value: Any, text: str) -> None:
    got = encode(document(pickle.dumps(value)), Inline())
    assert got == f"{HEAD}{text}}}"
    assert json.loads(got)


class ByName:
    """The plan of a converter that stores each tensor contiguous, under the next of `names`."""

    def __init__(self, names: Mapping[int, str], kept: Mapping[str, Kept], aside: tuple[str, ...]) -> None:
        self.storages = kept
        self.aside = aside
        self._names = names

    def tensor(self, spec: TensorSpec, home: Document) -> Placed:
        name = self._names[id(spec)]
        return Placed(name, spec.shape) if name in self.storages and spec.dtype == "complex128" else Placed(name)

    def storage(self, spec: StorageSpec, home: Document) -> str:
        raise AssertionError("no storage in this file")

    def blob(self, owner: object, part: str) -> str | None:
        return None

    def drops(self, record: Record) -> bool:
        return False


def test_tensors_stored_one_by_one() -> None:
    w = torch.nn.Parameter(torch.arange(6.0).reshape(2, 3).t())
    z = torch.tensor([1 + 2j], dtype=torch.complex128)
    q = torch.quantize_per_tensor(torch.ones(2), 0.5, 1, torch.qint8)
    out = io.BytesIO()
    torch.save({"w": w, "tied": w, "z": z, "q": q}, out)
    made = document(out.getvalue())
    found = contents(made)
    assert [spec.dtype for spec, _ in found.tensors] == ["float32", "complex128", "qint8"]
    names = {id(spec): name for (spec, _), name in zip(found.tensors, ("w", "z", "q"), strict=True)}
    kept = {"z": Kept("complex128"), "q": Kept("qint8")}
    text = encode(made, ByName(names, kept, ("copy",)))
    assert text == (
        '{"format":"safeload.tree","version":1,"storages":{"q":{"dtype":"qint8"},"z":{"dtype":"complex128"}},'
        '"aside":["copy"],"root":{"map":{'
        '"w":{"id":1,"call":"torch._utils._rebuild_parameter","args":[{"tensor":"w"},true,null]},"tied":{"ref":1},'
        '"z":{"tensor":"z","shape":[1]},'
        '"q":{"call":"torch._utils._rebuild_qtensor","args":[{"storage":"q"},0,{"tuple":[2]},{"tuple":[1]},'
        '{"tuple":[{"name":"torch.per_tensor_affine"},0.5,1]},false,null]}}}}'
    )
    tensors: dict[str, tuple[str, tuple[int, ...], bytes]] = {}
    for spec, home in found.tensors:
        assert spec.storage is not None
        extent = home.storages[spec.storage.key]
        data = elements(spec, home.source.read(extent.offset, extent.length))
        name = names[id(spec)]
        code, shape = {"z": ("F64", (1, 2)), "q": ("I8", (2,))}.get(name, (CODES.get(spec.dtype, ""), spec.shape))
        tensors[name] = (code, shape, data)
    tensors["copy"] = ("U8", (1,), b"x")
    loaded = safeload.load(pack(tensors, {KEY: text}))
    assert list(loaded) == ["w", "tied", "z", "q"]
    assert loaded["w"] is loaded["tied"]
    assert isinstance(loaded["w"], torch.nn.Parameter)
    assert torch.equal(loaded["w"], w)
    assert torch.equal(loaded["z"], z)
    assert torch.equal(loaded["q"].int_repr(), q.int_repr())


def test_the_description_names_every_tag_and_every_call(root: Path) -> None:
    text = (root / "docs/tree-format.md").read_text(encoding="utf-8")
    assert [tag for tag in _TAGS if f'{{"{tag}"' not in text] == []
    sources = "".join(path.read_text(encoding="utf-8") for path in (root / "safeload/tree").glob("recipes*.py"))
    calls = {*recipes.BUILT, *re.findall(r'"((?:numpy|torch)(?:\.\w+)+)"', sources)}
    values = {
        "numpy.ndarray",
        "numpy.ndarray.transpose",
        "torch.Tensor",
        "torch.jagged",
        "torch._mkldnn",
        "torch.from_numpy",
    }
    assert [call for call in sorted(calls - values) if not named_in(call, text)] == []


def named_in(call: str, text: str) -> bool:
    """Bit generators are named by what makes them, SeedSequence and Generator too."""
    return call in text or call.startswith("numpy.random.")


def test_the_example_of_the_description(root: Path) -> None:
    text = (root / "docs/tree-format.md").read_text(encoding="utf-8")
    example = text.partition("```json")[2].partition("```")[0]
    tensors = {"w": ("F32", (1,), bytes(4)), "q": ("I8", (1,), b"0"), "model.copy": ("U8", (1,), b"0")}
    loaded = safeload.load(pack(tensors, {KEY: example}))
    assert loaded == {"epoch": 3, "w": torch.zeros(1), "betas": (0.9, 0.999), "q": b"0"}


def test_a_file_without_a_tree_is_a_flat_dict() -> None:
    data = pack({"b": ("F32", (1,), bytes(4)), "a": ("I8", (2,), b"\1\2")}, {"format": "pt"})
    loaded = safeload.load(data)
    assert {name: tensor.tolist() for name, tensor in loaded.items()} == {"b": [0.0], "a": [1, 2]}


def test_tensors_over_one_storage_and_their_flags() -> None:
    text = (
        f'{HEAD}[{{"tensor":"w"}},{{"tensor":"w","shape":[2],"stride":[2],"offset":1}},'
        '{"tensor":"w","dtype":"int32","shape":[4]},{"tensor":"w","requires_grad":true},{"storage":"w","untyped":true}]}'
    )
    loaded = safeload.load(pack({"w": ("F32", (4,), np.arange(4, dtype="<f4").tobytes())}, {KEY: text}))
    assert loaded[0].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert loaded[1].tolist() == [1.0, 3.0]
    assert loaded[2].dtype == torch.int32
    assert loaded[3].requires_grad
    assert len({t.untyped_storage().data_ptr() for t in loaded[:4]} | {loaded[4].data_ptr()}) == 1
    assert loaded[4].nbytes() == 16


def test_devices_stay_in_the_document() -> None:
    text = '{"format":"safeload.tree","version":1,"storages":{"w":{"location":"cuda:1"}},"root":{"tensor":"w"}}'
    made = document(pack({"w": ("F32", (1,), bytes(4))}, {KEY: text}))
    (found,) = contents(made).tensors
    assert found[0] == TensorSpec(StorageSpec("w", "float32", 4, "cuda:1"), "float32", (1,), (1,))
