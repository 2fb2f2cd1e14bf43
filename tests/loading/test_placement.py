"""map_location in all its forms, against torch.load where both can be compared on a machine without accelerators."""

from __future__ import annotations

import io
from typing import Any

import pytest
import torch

import safeload
from samples.assemble import storage, tensor
from samples.files_of_torch import zip_of
from tests.loading.equality import difference
from tests.loading.test_equal import saved

pytestmark = pytest.mark.usefixtures("quiet")
TIED = torch.arange(6.0)
ITEM = {"a": TIED, "b": TIED[2:], "c": torch.ones(2, dtype=torch.int64), "empty": torch.empty(0)}


def tagged(location: str) -> bytes:
    return zip_of({"w": tensor(storage(location=location))}).build()


@pytest.mark.parametrize(
    "given",
    [None, "cpu", torch.device("cpu"), {"cpu": "cpu"}, {"cuda:0": "cpu"}, {},
     lambda held, tag: held, lambda held, tag: None],
    ids=["none", "str", "device", "dict", "dict-other", "dict-empty", "callable", "callable-none"],
)  # fmt: skip
def test_forms_on_the_cpu(given: Any) -> None:
    data = saved(ITEM)
    assert difference(safeload.load(data, given), torch.load(io.BytesIO(data), given, weights_only=False)) == ""


@pytest.mark.parametrize("given", ["meta", torch.device("meta"), {"cpu": "meta"}])
def test_meta_when_the_caller_asks(given: Any) -> None:
    data = saved(ITEM)
    got, wanted = safeload.load(data, given), torch.load(io.BytesIO(data), given, weights_only=False)
    for key in ITEM:
        assert (got[key].device.type, got[key].shape, got[key].stride()) == (
            "meta", wanted[key].shape, wanted[key].stride(),
        )  # fmt: skip


@pytest.mark.parametrize("given", [None, {}, {"cuda:0": "cpu"}, lambda held, tag: None, lambda held, tag: held, "cpu"])
def test_a_meta_tag_of_the_file_never_drops_the_data(given: Any) -> None:
    assert safeload.load(tagged("meta"), given)["w"].tolist() == [1.0] * 4


@pytest.mark.skipif(torch.cuda.is_available(), reason="the device of the tag exists here")
@pytest.mark.parametrize("location", ["cuda:0", "cuda", "cuda:7", "mps", "xpu:0", "hpu", "npu:1", "mtia"])
def test_a_device_that_is_not_here_becomes_the_cpu(location: str) -> None:
    got = safeload.load(tagged(location))["w"]
    assert (got.device.type, got.tolist()) == ("cpu", [1.0] * 4)
    assert safeload.load(tagged(location), {location: "cpu"})["w"].tolist() == [1.0] * 4
    assert safeload.load(tagged(location), "meta")["w"].is_meta


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA exists here")
def test_a_device_that_the_caller_names_and_is_not_here_is_an_error_of_ours() -> None:
    for given in ("cuda", torch.device("cuda", 0), {"cpu": "cuda"}):
        with pytest.raises(safeload.LoadFailed):
            safeload.load(saved(ITEM), given)


def test_a_callable_is_called_once_for_each_storage() -> None:
    calls: list[tuple[type, int, str]] = []

    def place(held: Any, location: str) -> Any:
        calls.append((type(held), held.nbytes(), location))
        return held

    data = saved(ITEM)
    safeload.load(data, place)
    ours = list(calls)
    calls.clear()
    torch.load(io.BytesIO(data), place, weights_only=False)
    assert sorted(ours, key=str) == sorted(calls, key=str)
    assert sorted(n for _, n, _ in ours) == [0, 16, 24]
    assert {(kind, location) for kind, _, location in ours} == {(torch.UntypedStorage, "cpu")}


def test_what_a_callable_returns_is_used() -> None:
    def doubled(held: Any, location: str) -> Any:
        made = torch.UntypedStorage(held.nbytes())
        made.copy_(held)
        torch.tensor([], dtype=torch.float32).set_(made).mul_(2)
        return made

    got = safeload.load(saved({"a": TIED, "b": TIED[2:]}), doubled)
    assert got["a"].tolist() == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    assert got["a"].untyped_storage().data_ptr() == got["b"].untyped_storage().data_ptr()

    def typed(held: Any, location: str) -> Any:
        return torch.storage.TypedStorage(wrap_storage=held, dtype=torch.uint8, _internal=True)

    assert safeload.load(saved(TIED), typed).tolist() == TIED.tolist()


def test_what_a_callable_must_return() -> None:
    with pytest.raises(safeload.UsageError, match="must return a storage or None, not str"):
        safeload.load(saved(ITEM), lambda held, location: "cpu")


def test_a_callable_that_returns_too_little_is_an_error_of_ours() -> None:
    small = torch.ones(1).untyped_storage()
    with pytest.raises(safeload.UsageError, match="returned a storage of 4 bytes for one of 24"):
        safeload.load(saved(TIED), lambda held, location: small)
    assert small.nbytes() == 4


def test_sparse_and_uninitialized_follow() -> None:
    item = [torch.eye(2).to_sparse(), torch.nn.UninitializedParameter(), torch.nn.Parameter(torch.ones(2))]
    for got in safeload.load(saved(item), "meta"):
        assert got.device.type == "meta"


def test_what_torch_has_not_on_a_device_is_an_error_of_ours() -> None:
    data = saved(torch.quantize_per_tensor(TIED, 0.5, 0, torch.qint8))
    with pytest.raises(safeload.LoadFailed, match="_empty_affine_quantized") as caught:
        safeload.load(data, "meta")
    assert len(str(caught.value)) < 500
