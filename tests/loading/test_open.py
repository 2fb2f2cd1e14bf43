"""`safeload.open`: what it lists, and that each tensor is the one that a load gives."""

from __future__ import annotations

import io
import random
import threading
import warnings
import zipfile
from collections import OrderedDict, deque
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import safeload
from tests.loading.equality import difference
from tests.loading.zoo import DTYPES, TENSORS, of_dtype


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class Opaque:
    """A class outside the table, with attributes."""

    def __init__(self, **state: Any) -> None:
        self.__dict__.update(state)


STATE = OrderedDict(
    [("conv.weight", torch.arange(24.0).reshape(2, 3, 4)), ("conv.bias", torch.ones(2)), ("steps", torch.tensor(7))]
)


def saved(item: Any, path: Path, **options: Any) -> Path:
    torch.save(item, path, **options)
    return path


def keys(item: Any, **options: Any) -> list[str]:
    out = io.BytesIO()
    torch.save(item, out)
    with safeload.open(out.getvalue(), **options) as f:
        return f.keys()


FORMATS = {
    "zip": lambda path: torch.save(STATE, path),
    "legacy": lambda path: torch.save(STATE, path, _use_new_zipfile_serialization=False),
    "safetensors": lambda path: save_file(STATE, path),
}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("mmap", [None, False])
def test_a_flat_state_dict(form: str, mmap: bool | None, tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    FORMATS[form](path)
    with safeload.open(path, mmap=mmap) as f:
        assert sorted(f.keys()) == sorted(STATE) == sorted(f)
        assert (len(f), "conv.bias" in f, "nothing" in f) == (3, True, False)
        assert dict(f.shapes) == {"conv.weight": (2, 3, 4), "conv.bias": (2,), "steps": ()}
        assert (f.get_shape("conv.weight"), f.get_dtype("conv.weight")) == ((2, 3, 4), torch.float32)
        assert f.get_dtype("steps") == torch.int64
        kept = {key: f.get_tensor(key) for key in f}
    for key, tensor in kept.items():
        assert torch.equal(tensor, STATE[key]), key


def test_keys_come_in_the_order_of_the_file() -> None:
    assert keys({"z": torch.ones(1), "a": torch.ones(1), "m": {"y": torch.ones(1), "b": torch.ones(1)}}) == [
        "z",
        "a",
        "m.y",
        "m.b",
    ]


def test_nested_checkpoints_have_dotted_paths() -> None:
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    found = keys(
        {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "epoch": 3,
            "ema": [torch.ones(1), (torch.ones(1), {"x": torch.ones(1)})],
            "args": SimpleNamespace(mean=torch.ones(1)),
            "queue": deque([torch.ones(1)]),
        }
    )
    assert found == [
        "model.weight",
        "model.bias",
        *(f"optimizer.state.{n}.{part}" for n in (0, 1) for part in ("step", "exp_avg", "exp_avg_sq")),
        "ema.0",
        "ema.1.0",
        "ema.1.1.x",
        "args.mean",
        "queue.0",
    ]


def test_a_file_that_is_one_tensor() -> None:
    assert keys(torch.ones(3)) == ["tensor"]
    assert keys([torch.ones(3)]) == ["0"]
    assert keys({"epoch": 1}) == keys(7) == []


def test_ties_are_listed_under_every_name(tmp_path: Path) -> None:
    tied = torch.arange(4.0)
    path = saved({"wte": tied, "lm_head": tied, "part": tied[1:3]}, tmp_path / "m.pt")
    with safeload.open(path) as f:
        assert f.keys() == ["wte", "lm_head", "part"]
        assert torch.equal(f.get_tensor("wte"), f.get_tensor("lm_head"))
        part = f.get_tensor("part")
        assert part.tolist() == [1.0, 2.0]
        assert part.untyped_storage().nbytes() == 8


def test_records_are_reached_through_their_state() -> None:
    thing = Opaque(weight=torch.ones(1), inner=Opaque(bias=torch.ones(1)), name="x")
    with pytest.raises(safeload.UnsafeCheckpoint) as raised:
        keys({"thing": thing})
    assert raised.value.report.verdict == "unvetted"
    assert keys({"thing": thing}, unvetted="record") == ["thing.weight", "thing.inner.bias"]


def test_trusted_classes_are_listed_and_not_built() -> None:
    model = torch.nn.Sequential(OrderedDict(fc=torch.nn.Linear(2, 2)))
    assert (
        keys(model, trust="torch.nn")
        == keys(model, unvetted="record")
        == [
            "_modules.fc._parameters.weight",
            "_modules.fc._parameters.bias",
        ]
    )


def test_danger_is_never_opened() -> None:
    with pytest.raises(safeload.UnsafeCheckpoint, match="dangerous"):
        safeload.open(b"cos\nsystem\n(S'true'\ntR.", unvetted="record")


def by_name(item: Any, name: str = "", above: tuple[Any, ...] = ()) -> dict[str, Any]:
    """The tensors in dicts, lists and tuples, by their dotted names."""
    if isinstance(item, torch.Tensor):
        return {name[1:] or "tensor": item}
    if any(item is other for other in above):
        return {}
    parts = item.items() if isinstance(item, dict) else enumerate(item) if isinstance(item, list | tuple) else ()
    found: dict[str, Any] = {}
    for part, child in parts:
        found |= by_name(child, f"{name}.{part}", (*above, item))
    return found


@pytest.mark.parametrize("name", sorted(TENSORS))
@pytest.mark.parametrize("legacy", [False, True])
def test_every_kind_of_tensor_is_what_a_load_gives(name: str, legacy: bool) -> None:
    out = io.BytesIO()
    torch.save(TENSORS[name](), out, _use_new_zipfile_serialization=not legacy)
    expected = by_name(safeload.load(out.getvalue()))
    with safeload.open(out.getvalue()) as f:
        assert set(f.keys()) == expected.keys()
        for key, tensor in expected.items():
            got = f.get_tensor(key)
            assert type(got) is torch.Tensor
            assert not got.requires_grad
            assert got.dtype == f.get_dtype(key)
            assert got.is_nested or f.get_shape(key) == tuple(got.shape)
            if got.layout == torch.strided and not got.is_nested:
                assert (got.stride(), got.is_conj(), got.is_neg()) == (
                    tensor.stride(),
                    tensor.is_conj(),
                    tensor.is_neg(),
                )
            assert difference(alone(got), alone(tensor)) == "", key


def alone(tensor: torch.Tensor) -> torch.Tensor:
    """A copy without the rest of its storage: no Parameter, no gradient, no attributes."""
    copied = tensor.detach() if tensor.is_quantized else tensor.detach().clone()
    return copied.as_subclass(torch.Tensor) if type(copied) is not torch.Tensor else copied


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("mmap", [None, False])
def test_every_dtype(dtype: torch.dtype, mmap: bool | None, tmp_path: Path) -> None:
    tensor = of_dtype(dtype)
    path = saved({"x": torch.zeros(3), "t": tensor}, tmp_path / "m.pt")
    with safeload.open(path, mmap=mmap) as f:
        assert f.get_dtype("t") == tensor.dtype
        assert difference(f.get_tensor("t"), tensor) == ""


def test_what_has_no_values_is_not_listed() -> None:
    model = torch.nn.LazyLinear(3)
    assert keys({"m": model.state_dict(), "x": torch.ones(1), "n": np.ones(3)}) == ["x"]


def test_compressed_and_big_endian_storages(tmp_path: Path) -> None:
    path = saved(STATE, tmp_path / "m.pt")
    squeezed = tmp_path / "z.pt"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(squeezed, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            new.writestr(info.filename, old.read(info))
    swapped = tmp_path / "b.pt"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(swapped, "w") as new:
        for info in old.infolist():
            data = old.read(info)
            if info.filename.endswith("byteorder"):
                data = b"big"
            elif "/data/" in info.filename:
                width = 8 if info.filename.endswith("/2") else 4
                data = b"".join(data[at : at + width][::-1] for at in range(0, len(data), width))
            new.writestr(info.filename, data)
    for other in (squeezed, swapped):
        with safeload.open(other) as f:
            for key, tensor in STATE.items():
                assert torch.equal(f.get_tensor(key), tensor), (other, key)
            assert torch.equal(f.get_slice("conv.weight")[1, :, 2:], STATE["conv.weight"][1, :, 2:])


def test_writing_a_tensor_leaves_the_file_alone(tmp_path: Path) -> None:
    path = saved(STATE, tmp_path / "m.pt")
    before = path.read_bytes()
    with safeload.open(path) as f:
        f.get_tensor("conv.weight").zero_()
    assert path.read_bytes() == before


def test_devices(tmp_path: Path) -> None:
    path = saved(STATE, tmp_path / "m.pt")
    with safeload.open(path, device="meta") as f:
        tensor = f.get_tensor("conv.weight")
        assert (tensor.device.type, tuple(tensor.shape)) == ("meta", (2, 3, 4))
    with pytest.raises(safeload.UsageError, match="no device"):
        safeload.open(path, device="nonsense")
    if not torch.cuda.is_available():
        with safeload.open(path, device=0) as f, pytest.raises(safeload.LoadFailed):
            f.get_tensor("conv.weight")


def test_metadata(tmp_path: Path) -> None:
    save_file({"x": torch.ones(1)}, tmp_path / "m.safetensors", metadata={"format": "pt", "by": "me"})
    with safeload.open(tmp_path / "m.safetensors") as f:
        assert f.metadata() == {"format": "pt", "by": "me"}
        f.metadata().clear()
        assert f.metadata() == {"format": "pt", "by": "me"}


def test_errors_are_ours(tmp_path: Path) -> None:
    path = saved(STATE, tmp_path / "m.pt")
    with pytest.raises(safeload.InputNotFound):
        safeload.open(tmp_path / "none.pt")
    with pytest.raises(safeload.UnsafeCheckpoint):
        safeload.open(b"\x80\x02}q\x00")
    with pytest.raises(safeload.UsageError, match="numpy"):
        safeload.open(path, framework="numpy")
    with pytest.raises(safeload.UsageError, match="mmap"):
        safeload.open(path.read_bytes(), mmap=True)
    with safeload.open(path) as f:
        for call in (f.get_tensor, f.get_slice, f.get_shape, f.get_dtype):
            with pytest.raises(safeload.UsageError, match=r"did you mean 'conv\.weight'"):
                call("conv.weigth")
    with pytest.raises(safeload.UsageError, match="closed"):
        f.get_tensor("conv.weight")
    f.close()
    assert "closed" in repr(f)


def test_a_file_that_changed_is_not_mapped(tmp_path: Path) -> None:
    path = saved(STATE, tmp_path / "m.pt")
    with safeload.open(path) as f:
        with path.open("r+b") as other:
            other.seek(100)
            other.write(b"changed")
        with pytest.raises(safeload.InputError, match="changed"):
            f.get_tensor("conv.weight")


def test_what_the_callers_file_raises_passes(tmp_path: Path) -> None:
    class Own(Exception):
        pass

    class Stream(io.BytesIO):
        broken = False

        def read(self, size: int | None = -1, /) -> bytes:
            if self.broken:
                raise Own
            return super().read(size)

    stream = Stream(saved(STATE, tmp_path / "m.pt").read_bytes())
    with safeload.open(stream) as f:
        stream.broken = True
        with pytest.raises(Own):
            f.get_tensor("conv.weight")


def test_any_bytes(tmp_path: Path) -> None:
    chance = random.Random(5)
    samples = []
    for legacy in (False, True):
        path = saved(
            {"m": STATE, "l": [torch.eye(2).to_sparse()]}, tmp_path / "m.pt", _use_new_zipfile_serialization=not legacy
        )
        samples.append(path.read_bytes())
    FORMATS["safetensors"](path)
    samples.append(path.read_bytes())
    opened = 0
    for _ in range(1500):
        data = bytearray(chance.choice(samples))
        for _ in range(chance.randrange(1, 3)):
            data[chance.randrange(min(len(data), 900))] = chance.randrange(256)
        try:
            with safeload.open(bytes(data), unvetted="record") as f:
                for key in f:
                    f.get_tensor(key)
                opened += 1
        except safeload.SafeloadError:
            pass
    assert opened > 50


def test_several_threads(tmp_path: Path) -> None:
    state = {str(n): torch.full((100,), float(n)) for n in range(200)}
    path = saved(state, tmp_path / "m.pt")
    wrong: list[str] = []
    with safeload.open(path) as f:

        def read() -> None:
            wrong.extend(key for key in f if f.get_tensor(key)[0] != float(key))

        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []
