"""A plain state_dict has a tree of a few words; whatever the names alone would not say, the tree spells out."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors
import torch
from click.testing import CliRunner
from safetensors.torch import save_file

import safeload
from safeload.cli import app
from tests.converting.making import saved
from tests.converting.same import different

EVERY = '{"tensors":"'


def tree_of(path: Path) -> str:
    with safetensors.safe_open(path, "pt") as file:
        found: str = file.metadata()["safeload.tree"]
        return found


def state() -> dict[str, Any]:
    torch.manual_seed(0)
    return {
        "z": torch.randn(3),
        "a.b": torch.ones(2, 2).t(),
        "c": torch.ones(0),
        "d": torch.ones(3, dtype=torch.bfloat16),
    }


def module_state() -> Any:
    return torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2)).state_dict()


PLAIN: dict[str, Callable[[], Any]] = {
    "dict": state,
    "OrderedDict": lambda: OrderedDict(state()),
    "state_dict": module_state,
    "scalar": lambda: {"s": torch.tensor(3.0)},
}


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_state_dict(name: str, tmp_path: Path) -> None:
    item = PLAIN[name]()
    source = saved(tmp_path / "x.pth", item)
    safeload.convert(source, tmp_path / "x.safetensors")
    text = tree_of(tmp_path / "x.safetensors")
    assert EVERY in text
    assert 'tensor":"' not in text
    found = safeload.load(tmp_path / "x.safetensors")
    assert not different(found, torch.load(source, weights_only=True))
    assert list(found) == list(item)
    assert getattr(found, "_metadata", None) == getattr(item, "_metadata", None)
    safeload.verify(source, tmp_path / "x.safetensors")


def test_options_that_leave_a_plain_dict(tmp_path: Path) -> None:
    source = saved(tmp_path / "x.pth", state())
    for number, options in enumerate(({"dtype": "fp16"}, {"rename": {"z": "y"}}, {"keys": ("a*", "c")})):
        out = tmp_path / f"{number}.safetensors"
        safeload.convert(source, out, **options)
        assert EVERY in tree_of(out)
        safeload.verify(source, out)
    assert list(safeload.load(tmp_path / "1.safetensors")) == ["y", "a.b", "c", "d"]


def attribute(value: Callable[[Any], Any]) -> Callable[[], Any]:
    def made() -> Any:
        item = OrderedDict(state())
        item._metadata = value(item)  # type: ignore[attr-defined]
        return item

    return made


def view() -> dict[str, torch.Tensor]:
    base = torch.arange(10.0)
    return {"base": base, "part": base[2:5]}


def tied() -> dict[str, torch.Tensor]:
    one = torch.ones(2)
    return {"a": one, "b": one}


OTHERS: dict[str, Callable[[], Any]] = {
    "a number beside": lambda: {**state(), "epoch": 3},
    "nested": lambda: {"model": state()},
    "a list": lambda: list(state().values()),
    "tied": tied,
    "a view": view,
    "tied, and another": lambda: dict(zip("ab", (torch.ones(3),) * 2, strict=True)) | {"c": torch.ones(2)},
    "requires grad": lambda: {"a": torch.ones(2, requires_grad=True)},
    "a Parameter": lambda: {"a": torch.nn.Parameter(torch.ones(2))},
    "lazily negated": lambda: {"a": torch.ones(2, dtype=torch.complex64).conj().imag},
    "quantized": lambda: {"a": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)},
    "complex128": lambda: {"a": torch.ones(2, dtype=torch.complex128)},
    "meta": lambda: {"a": torch.ones(2), "m": torch.ones(2, device="meta")},
    "sparse": lambda: {"a": torch.eye(2).to_sparse()},
    "a key that is no text": lambda: {1: torch.ones(2), "b": torch.ones(2)},
    "the tensor in an attribute": attribute(lambda item: {"again": item["z"]}),
    "a view in an attribute": attribute(lambda item: {"again": item["z"][1:]}),
    "another tensor in an attribute": attribute(lambda item: {"other": torch.ones(5)}),
}


@pytest.mark.filterwarnings("ignore:.*quantize")
@pytest.mark.parametrize("name", OTHERS)
def test_what_names_do_not_say_is_spelled_out(name: str, tmp_path: Path) -> None:
    item = OTHERS[name]()
    source = saved(tmp_path / "x.pth", item)
    safeload.convert(source, tmp_path / "x.safetensors")
    assert EVERY not in tree_of(tmp_path / "x.safetensors")
    assert not different(safeload.load(tmp_path / "x.safetensors"), safeload.load(source))
    safeload.verify(source, tmp_path / "x.safetensors")


def reordered(path: Path) -> None:
    """The same file with the entries of its header in another order; the data stay where they are."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    turned = dict(sorted(header.items()))
    assert list(turned) != list(header)
    text = json.dumps(turned, separators=(",", ":")).encode().ljust(size)
    path.write_bytes(data[:8] + text + data[8 + size :])


@pytest.mark.parametrize("recorded", [True, False])
def test_another_order_in_the_header_is_noticed(recorded: bool, tmp_path: Path) -> None:
    source, out = saved(tmp_path / "x.pth", state()), tmp_path / "x.safetensors"
    safeload.convert(source, out)
    if not recorded:
        data = out.read_bytes()
        out.write_bytes(data.replace(b'"safeload.convert"', b'"another.program."', 1))
    safeload.verify(source, out)
    reordered(out)
    assert list(safeload.load(out)) == ["a.b", "c", "d", "z"]
    with pytest.raises(safeload.NotEqual, match="order"):
        safeload.verify(source, out)


def again(path: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> None:
    """The file as another tool writes it that changes tensors and keeps the metadata."""
    with safetensors.safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not iterable
        save_file(change(tensors), path, file.metadata())


@pytest.mark.parametrize(
    "change",
    [
        lambda held: {f"new.{name}": tensor for name, tensor in held.items()},
        lambda held: {name: tensor for name, tensor in held.items() if name != "z"},
        lambda held: {**held, "more": torch.ones(2)},
    ],
    ids=["renamed", "dropped", "added"],
)
def test_a_tool_that_changes_names_is_noticed(change: Any, tmp_path: Path) -> None:
    source, out = saved(tmp_path / "x.pth", OrderedDict(state())), tmp_path / "x.safetensors"
    safeload.convert(source, out)
    again(out, change)
    report = safeload.scan(out)
    assert (report.verdict, report.findings[0].rule) == ("unjudged", "malformed-tree")


def test_a_tool_that_changes_values_is_none_of_ours(tmp_path: Path) -> None:
    source, out = saved(tmp_path / "x.pth", OrderedDict(state())), tmp_path / "x.safetensors"
    safeload.convert(source, out)
    again(out, lambda held: {name: tensor.half() for name, tensor in held.items()})
    found = safeload.load(out)
    assert type(found) is OrderedDict
    assert found["z"].dtype == torch.float16


def test_explain_counts_them(tmp_path: Path) -> None:
    source, out = saved(tmp_path / "x.pth", state()), tmp_path / "x.safetensors"
    safeload.convert(source, out)
    assert "'z': <tensor float32 [3]>" in CliRunner().invoke(app, ["explain", str(out)]).stdout
    done = CliRunner().invoke(app, ["explain", str(out), "--json"])
    assert json.loads(done.stdout)["tensors"] == 4


def test_shards_have_no_one_order(tmp_path: Path) -> None:
    source = saved(tmp_path / "x.pth", {name: torch.randn(1000) for name in "zyxa"})
    safeload.convert(source, tmp_path / "x.safetensors", max_shard_size="5KB")
    index = json.loads((tmp_path / "x.safetensors.index.json").read_text())
    assert EVERY not in index["metadata"]["safeload.tree"]
    assert list(safeload.load(tmp_path / "x.safetensors.index.json")) == list("zyxa")
