"""What a tree gives back is what it was written from: types, bits, order, and which parts are one object."""

from __future__ import annotations

import collections
import io
import pickle
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import safeload
from safeload.findings import Verdict
from safeload.inputs import MemorySource
from safeload.limits import Limits
from safeload.loading import values
from safeload.loading.arrays import BUILDERS
from safeload.policy import Policy
from safeload.policy.rules import places
from safeload.scanning.scanner import Scan, scan_source
from safeload.tree import recipes, spelling
from safeload.tree.encode import contents, encode
from safeload.tree.interface import KEY
from safeload.tree.recipes import Recipe, named
from tests.loading.equality import difference
from tests.loading.zoo import PLAIN, TENSORS, VALUES, ramp
from tests.tree.shelf import Inline, Shelf, beside, packed

pytestmark = pytest.mark.filterwarnings("ignore")
ZOO = {**TENSORS, **VALUES}


def scanned(data: bytes) -> Scan:
    return scan_source(MemorySource(data, "x"), policy=Policy.default(), limits=Limits())


def saved(item: Any, **options: Any) -> bytes:
    out = io.BytesIO()
    torch.save(item, out, **options)
    return out.getvalue()


def through_tree(data: bytes) -> bytes:
    scan = scanned(data)
    assert scan.report.verdict is Verdict.CLEAN
    assert scan.document is not None
    return packed(scan.document)


@pytest.mark.parametrize("name", ZOO)
def test_everything_comes_back(name: str) -> None:
    data = saved(ZOO[name]())
    again = through_tree(data)
    assert scanned(again).report.findings == ()
    assert difference(safeload.load(again), safeload.load(data)) == ""


@pytest.mark.parametrize("name", [name for name in ZOO if name not in {"dtypes", "nested", "storages"}])
def test_everything_comes_back_from_legacy_files(name: str) -> None:
    data = saved(ZOO[name](), _use_new_zipfile_serialization=False)
    assert difference(safeload.load(through_tree(data)), safeload.load(data)) == ""


@pytest.mark.parametrize("name", [name for name in PLAIN if name in TENSORS])
def test_tensors_in_files_inside_a_pickle(name: str) -> None:
    data = pickle.dumps(PLAIN[name]())
    assert difference(safeload.load(through_tree(data)), safeload.load(data)) == ""


@pytest.mark.parametrize("name", [name for name in PLAIN if name not in TENSORS])
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_plain_values_are_written_the_same_whatever_spelled_them(name: str, protocol: int) -> None:
    if (name, protocol) == ("files", 0):
        pytest.skip("protocol 0 cannot pickle a BytesIO")
    data = pickle.dumps(PLAIN[name](), protocol)
    document = scanned(data).document
    assert document is not None
    text = encode(document, Inline())
    again = packed(document)
    assert difference(safeload.load(again), safeload.load(data)) == ""
    second = scanned(again).document
    assert second is not None
    if not contents(document).blobs and "set" not in text:
        assert encode(second, Inline()) == text


def test_a_training_checkpoint() -> None:
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 1))
    adam = torch.optim.AdamW(net.parameters(), lr=0.1)
    steps = torch.optim.lr_scheduler.MultiStepLR(adam, [1, 2])
    for _ in range(3):
        net(torch.randn(8, 4)).sum().backward()
        adam.step()
        steps.step()
    checkpoint = {
        "model": net.state_dict(),
        "optimizer": adam.state_dict(),
        "scheduler": steps.state_dict(),
        "rng": {"torch": torch.get_rng_state(), "python": random.getstate(), "numpy": np.random.get_state()},
        "loss": torch.tensor(float("nan")),
        "best": float("inf"),
        "epoch": 3,
    }
    data = saved(checkpoint)
    loaded = safeload.load(through_tree(data))
    assert difference(loaded, torch.load(io.BytesIO(data), weights_only=False)) == ""
    assert list(loaded["model"]) == list(net.state_dict())
    assert loaded["model"]._metadata == net.state_dict()._metadata
    assert type(loaded["model"]) is collections.OrderedDict
    torch.set_rng_state(loaded["rng"]["torch"])
    random.setstate(loaded["rng"]["python"])
    np.random.set_state(loaded["rng"]["numpy"])


def cycles() -> dict[str, Any]:
    inside: list[Any] = []
    inside.append(inside)
    keyed: dict[Any, Any] = {}
    keyed["self"] = keyed
    ordered: Any = collections.OrderedDict()
    ordered["self"] = ordered
    held: Any = ([], {})
    held[0].append(held)
    held[1]["up"] = held
    deque: Any = collections.deque()
    deque.append([deque])
    array = np.empty(2, dtype=object)
    array[0] = array
    return {"list": inside, "dict": keyed, "ordered": ordered, "tuple": held, "deque": deque, "array": array}


@pytest.mark.parametrize("name", cycles())
def test_cycles(name: str) -> None:
    data = pickle.dumps(cycles()[name])
    again = safeload.load(through_tree(data))
    assert difference(again, safeload.load(data)) == ""


@pytest.mark.parametrize(
    "value",
    [
        0, -1, 2**53 - 1, 2**53, -(2**53), 2**64, -(2**4000), True, None, 0.0, -0.0, 1e22, 1e-300, 5e-324, 0.1,
        float("inf"), float("-inf"), float("nan"), complex(-0.0, float("nan")), "", "a\0\x1f\x7f\x80é€😀", "\ud800",
        "\udc00x", "\udc00\ud800", b"", bytes(range(256)), bytes(3000), bytearray(b"x"), bytearray(3000), "x" * 3000,
        (), ((),), [[]],
        {1: 2, None: 3, (1, "a"): 4, 1.5: 5}, {"": {}}, {"\ud800": 1}, {"k" * 300: 1}, set(), {1, "a", (2, b"3")},
        frozenset(), frozenset({frozenset({1})}), {frozenset({1, 2}): 1}, [1] * 3, [True, 1, 1.0],
    ],
)  # fmt: skip
def test_values(value: Any) -> None:
    data = pickle.dumps([value, {"x": value}])
    loaded = safeload.load(through_tree(data))
    assert difference(loaded, pickle.loads(data)) == ""


def test_the_bits_of_a_nan_survive() -> None:
    odd = np.frombuffer(bytes.fromhex("010000000000f87f"), dtype="<f8")[0].item()
    loaded = safeload.load(through_tree(pickle.dumps([odd])))
    assert np.float64(loaded[0]).tobytes().hex() == "010000000000f87f"


def test_structured_and_titled_dtypes() -> None:
    kinds = [
        np.dtype([("a", "<i4"), ("b", ">f8", (2, 3)), ("c", [("d", "S3"), ("e", "<M8[25s]")])]),
        np.dtype({"names": ["x", "y"], "formats": ["<u2", "<U4"], "offsets": [4, 8], "itemsize": 32}),
        np.dtype([(("Title", "t"), "<f4")]),
        np.dtype(("<f4", (2,))), np.dtype("O"), np.dtype("<m8"), np.dtype("V0"), np.dtype("|b1"), np.dtype(">c16"),
    ]  # fmt: skip
    items = [*kinds, *(np.zeros((2, 3), dtype=kind) for kind in kinds[:3]), np.zeros((2, 3), dtype=kinds[0], order="F")]
    data = pickle.dumps(items)
    assert difference(safeload.load(through_tree(data)), pickle.loads(data)) == ""


def test_shared_objects_are_written_once_however_often_they_stand() -> None:
    big, text = bytes(range(256)) * 40, "t" * 5000
    doubled: Any = ["leaf"]
    for _ in range(40):
        doubled = [doubled, doubled]
    document = scanned(pickle.dumps([[big, text] * 1000, doubled])).document
    assert document is not None
    assert len(encode(document, Inline())) < 120_000
    loaded = safeload.load(packed(document), limits=Limits(expanded=1 << 50))
    assert loaded[0] == [big, text] * 1000
    inner = loaded[1]
    for _ in range(40):
        assert inner[0] is inner[1]
        inner = inner[0]


def test_deep_trees_are_written_and_read_without_recursion() -> None:
    limits = Limits(depth=2000)
    data = _deep_pickle(400)
    scan = scan_source(MemorySource(data, "x"), policy=Policy.default(), limits=limits)
    assert scan.document is not None
    text = encode(scan.document, Inline())
    second = scan_source(MemorySource(packed(scan.document), "y"), policy=Policy.default(), limits=limits)
    assert second.report.verdict is Verdict.CLEAN
    assert second.document is not None
    assert encode(second.document, Inline()) == text


def _deep_pickle(levels: int) -> bytes:
    step = b"ccollections\nOrderedDict\n)R(U\x01k"
    return b"\x80\x02" + step * levels + b"U\x03end" + b"\x85u" * levels + b"."


def test_a_tree_beside_its_file(tmp_path: Path) -> None:
    data = saved({"w": ramp(3), "epoch": 7})
    document = scanned(data).document
    assert document is not None
    path = tmp_path / "model.safetensors"
    beside(document, path)
    assert (tmp_path / "model.tree.json").exists()
    assert difference(safeload.load(path), {"w": ramp(3), "epoch": 7}) == ""


def test_text_that_json_would_change_is_refused() -> None:
    with pytest.raises(safeload.SafeloadError, match="surrogate"):
        through_tree(pickle.dumps(["\ud83d\ude00"]))


def test_dropped_objects_leave_a_record_and_a_remark() -> None:
    data = b"\x80\x02}(U\x01acproject\nConfig\n)\x81}U\x01xK\x01sbU\x01bK\x02u."
    document = scanned(data).document
    assert document is not None
    assert [record.qualname for record in contents(document).records] == ["Config"]
    again = packed(document, drop=True)
    scan = scanned(again)
    assert scan.report.verdict is Verdict.CLEAN
    (finding,) = scan.report.findings
    assert (finding.rule, finding.name, finding.member) == ("tree-dropped", "project.Config", KEY)
    loaded = safeload.load(again)
    assert loaded["b"] == 2
    assert (loaded["a"].module, loaded["a"].qualname, loaded["a"].args) == ("project", "Config", None)
    with pytest.raises(safeload.SafeloadError, match=r"project\.Config is outside the vetted table"):
        packed(document)


def test_a_state_dict_made_here_is_written_like_one_of_a_file() -> None:
    made: Any = collections.OrderedDict(a=1)
    made._metadata = collections.OrderedDict([("", {"version": 1})])
    document = scanned(pickle.dumps(None)).document
    assert document is not None
    document.root = made
    loaded = safeload.load(packed(document))
    assert loaded == made
    assert loaded._metadata == made._metadata


def test_there_is_a_call_for_everything_that_can_be_built() -> None:
    kinds = {*values.IMMEDIATE, *values.EMPTY, *BUILDERS} - {"numpy.ndarray.transpose"}
    assert kinds == set(spelling._BUILT)


def test_every_vetted_name_has_a_name_that_denotes_it() -> None:
    policy = Policy.default()
    for rule in policy.rules.vetted:
        for module, name in places(rule):
            decision = policy.decide(module, name)
            spelled = named(decision.denotes)
            assert not isinstance(spelled, Recipe)
            where, _, last = spelled.rpartition(".")
            assert policy.decide(where, last).denotes == decision.denotes
    for layout in ("torch.jagged", "torch._mkldnn"):
        assert isinstance(recipes.named(layout), Recipe)


def test_files_of_the_house_have_a_plan_that_lists_what_is_asked() -> None:
    document = scanned(saved({"w": ramp(2), "n": np.zeros(500), "s": ramp(4).untyped_storage()})).document
    assert document is not None
    found = contents(document)
    assert [len(part) for part in found] == [1, 1, 1, 0, 0]
    assert (found.blobs[0].dtype, found.blobs[0].shape) == ("float64", (500,))
    assert '"bytes_of":"blob.0"' in Shelf(document).text(document)
