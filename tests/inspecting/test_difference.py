"""What `diff` says of two files: literal expectations, whatever their formats."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

import safeload
from safeload.errors import Malformed
from safeload.inspecting import comparing
from safeload.inspecting.difference import diff
from safeload.inspecting.interface import Change, Changed, Difference
from tests.converting.making import rewritten, saved
from tests.inspecting.test_inspection import Block


def packed(item: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    torch.save(item, file, **options)
    return file.getvalue()


def of(a: Any, b: Any, **options: Any) -> Difference:
    return diff(packed(a), packed(b), **options)


def state(seed: int = 0) -> dict[str, torch.Tensor]:
    made = torch.Generator().manual_seed(seed)
    return {f"layers.{n}.{part}": torch.randn(3, 4, generator=made) for n in range(3) for part in ("w", "b")}


def test_the_same() -> None:
    found = of(state(), state())
    assert found.equal
    assert (found.same, found.compared, found.said) == (6, 6 * 48, "")


def test_keys_shapes_types_and_values() -> None:
    a = {
        "gone": torch.ones(1),
        "shape": torch.ones(2, 3),
        "type": torch.ones(2),
        "value": torch.ones(4),
        "same": torch.ones(1),
    }
    b = {
        "new": torch.ones(1),
        "shape": torch.ones(3, 2),
        "type": torch.ones(2).half(),
        "value": torch.ones(4),
        "same": torch.ones(1),
    }
    b["value"][1:3] = torch.tensor([1.5, -1.0])
    found = of(a | {"n": 1, "lost": None}, b | {"n": 2, "more": "x"})
    assert found.missing == ("gone",)
    assert found.added == ("new",)
    assert found.changed == (
        Change("shape", "shape", "shape", "[2, 3]", "[3, 2]"),
        Change("type", "type", "dtype", "float32", "float16"),
        Change("value", "value", "values", "", "", 2, 4, 2.0, 0),
    )
    assert found.values == (Changed("n", "1", "2"), Changed("lost", "None", None), Changed("more", None, "'x'"))
    assert not found.equal
    assert found.same == 1


@pytest.mark.parametrize(
    ("dtype", "largest"),
    [
        (torch.float64, 0.5), (torch.float32, 0.5), (torch.float16, 0.5), (torch.bfloat16, 0.5), (torch.complex64, 0.5),
        (torch.complex128, 0.5), (torch.float8_e4m3fn, None), (torch.int16, None), (torch.bool, None),
    ],
)  # fmt: skip
def test_the_greatest_difference(dtype: torch.dtype, largest: float | None) -> None:
    a, b = torch.zeros(5, 7), torch.zeros(5, 7)
    b[3, 2], b[4, 4] = 0.5 if largest else 1, -0.25 if largest else 1
    (change,) = of({"w": a.to(dtype)}, {"w": b.to(dtype)}).changed
    assert (change.differing, change.elements, change.largest) == (2, 35, largest)


def test_without_numpy_elements_are_still_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "find_spec", lambda name: None)
    for dtype in (torch.float32, torch.complex128, torch.uint8):
        a, b = torch.zeros(9, dtype=dtype), torch.zeros(9, dtype=dtype)
        b[2] = 3
        (change,) = of({"w": a}, {"w": b}).changed
        assert (change.differing, change.largest) == (1, None)


def test_nan_infinity_and_zeros() -> None:
    inf, nan = float("inf"), float("nan")
    assert of({"w": torch.tensor([nan, inf])}, {"w": torch.tensor([nan, inf])}).equal
    (change,) = of({"w": torch.tensor([1.0, 1.0, 0.0])}, {"w": torch.tensor([nan, inf, -0.0])}).changed
    assert (change.differing, change.largest, change.nans) == (3, inf, 1)
    found = of({"w": torch.tensor([1.0])}, {"w": torch.tensor([inf])})
    assert json.loads(found.to_json())["changed"][0]["max_abs"] == "inf"


@pytest.mark.parametrize(
    ("rename", "said"),
    [
        (lambda name: f"module.{name}", "B has every key of A under the prefix 'module.'"),
        (lambda name: f"_orig_mod.module.{name}", "B has every key of A under the prefix '_orig_mod.module.'"),
        (lambda name: f"student.net.{name}", "B has every key of A under the prefix 'student.net.'"),
        (
            lambda name: name.replace("layers.1", "layers.1._orig_mod"),
            "B has every key of A once module and _orig_mod are left out",
        ),
    ],
)  # fmt: skip
def test_prefixes(rename: Any, said: str) -> None:
    mine = state()
    theirs = {rename(name): tensor.clone() for name, tensor in mine.items()}
    found = of(mine, theirs)
    assert found.equal
    assert found.said == said
    back = of(theirs, mine)
    assert back.equal
    assert "every key of A" in back.said
    theirs[rename("layers.1.b")] += 1
    (change,) = of(mine, theirs).changed
    assert (change.name, change.other) == ("layers.1.b", rename("layers.1.b"))


def test_a_prefix_for_another_and_a_nested_model() -> None:
    mine, theirs = ({f"{p}.{name}": tensor for name, tensor in state().items()} for p in ("module", "model"))
    assert of(mine, theirs).said == "B has every key of A under the prefix 'model.' in place of 'module.'"
    found = of(state(), {"model": state(), "epoch": 1})
    assert found.said == "B has every key of A under the prefix 'model.'"
    assert (found.missing, found.added, found.values) == ((), (), (Changed("epoch", None, "1"),))


def test_a_few_keys_less_are_still_a_prefix() -> None:
    theirs = {f"module.{name}": tensor for name, tensor in state().items()}
    del theirs["module.layers.0.w"]
    found = of(state(), theirs)
    assert found.said == "B has 5 of 6 keys of A under the prefix 'module.'"
    assert found.missing == ("layers.0.w",)


def test_names_that_agree_are_never_renamed() -> None:
    mine = {"0.w": torch.zeros(1), "1.w": torch.ones(1)}
    assert of(mine, {**mine, "2.w": torch.ones(1)}).said == ""


def test_formats_mix(tmp_path: Path) -> None:
    item = state() | {"t": torch.arange(12.0).reshape(3, 4).t(), "c": torch.randn(3, dtype=torch.complex64).conj()}
    saved(tmp_path / "a.pth", item)
    saved(tmp_path / "old.pth", item, _use_new_zipfile_serialization=False)
    safetensors.torch.save_file({k: v.resolve_conj().contiguous() for k, v in item.items()}, tmp_path / "a.safetensors")
    np.savez(tmp_path / "a.npz", **{k: v.resolve_conj().numpy() for k, v in item.items()})
    rewritten(saved(tmp_path / "deflated.pth", item), method=zipfile.ZIP_DEFLATED)
    for name in ("old.pth", "a.safetensors", "deflated.pth", "a.npz"):
        found = diff(tmp_path / "a.pth", tmp_path / name)
        assert (name, found.equal, found.same) == (name, True, 8)


def test_a_converted_checkpoint_is_the_same(tmp_path: Path) -> None:
    source = saved(tmp_path / "a.pth", {"model": state(), "epoch": 3, "betas": (0.9, 0.99)})
    safeload.convert(source, tmp_path / "a.safetensors")
    assert diff(source, tmp_path / "a.safetensors").equal
    safeload.convert(source, tmp_path / "s.safetensors", max_shard_size=100)
    assert diff(source, tmp_path / "s.safetensors.index.json").equal


def test_big_endian_values(tmp_path: Path) -> None:
    item = {"w": torch.arange(5.0)}
    big = rewritten(saved(tmp_path / "big.pth", item), big=True)
    assert diff(big, packed(item)).equal


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("sparse", lambda t: t * 2),
        ("nested", lambda t: t * 2),
        ("quantized", lambda t: t),
        ("strided", lambda t: t + 1),
    ],
)
def test_composite_tensors(name: str, change: Any) -> None:
    def made(scale: float) -> dict[str, torch.Tensor]:
        plain = torch.arange(6.0).reshape(2, 3) + 1
        return {
            "sparse": plain.to_sparse().coalesce(),
            "nested": torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
            "quantized": torch.quantize_per_tensor(plain, scale, 0, torch.qint8),
            "strided": plain.t(),
        }

    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mine, theirs = made(0.5), made(0.25 if name == "quantized" else 0.5)
        theirs[name] = change(theirs[name])
        found = of(mine, theirs)
        assert [c.name for c in found.changed] == [name]
        assert of(mine, made(0.5)).equal


def test_tied_tensors_are_read_once() -> None:
    weight = torch.zeros(1000)
    item = {str(n): weight for n in range(50)}
    assert of(item, item).compared == 4000


def test_keys_only_reads_no_tensors() -> None:
    found = of({"w": torch.zeros(3)}, {"w": torch.ones(3)}, keys_only=True)
    assert (found.equal, found.compared, found.keys_only) == (True, 0, True)


def test_values_compare_by_content_not_by_their_text() -> None:
    a, b = list(range(1000)), list(range(1000))
    b[500] = -1
    (value,) = diff(pickle.dumps({"x": a}), pickle.dumps({"x": b})).values
    assert value == Changed("x", "[0, 1, 2, 3, ... 1,000 in all]", "[0, 1, 2, 3, ... 1,000 in all]")
    assert not diff(pickle.dumps(1), pickle.dumps(True)).equal
    assert diff(pickle.dumps({"a": 1, "b": {2, 3}}), pickle.dumps({"b": {3, 2}, "a": 1})).equal


def test_a_module_against_its_state_dict() -> None:
    model = Block()
    found = of(model, model.state_dict())
    assert (found.equal, found.modules, found.same) == (True, "A", 2)
    other = Block()
    other.load_state_dict(model.state_dict())
    other.size = 8
    assert of(model, other).values == (Changed("size", "7", "8"),)


def test_dangerous_files_are_compared_and_labelled(root: Path) -> None:
    evil = root / "samples/files/names/payload-in-data-pkl.pt"
    found = diff(evil, evil)
    assert found.equal
    assert (found.a.report.verdict, found.b.report.verdict) == ("dangerous", "dangerous")
    good = root / "samples/files/benign/state-dict.pt"
    assert Changed("epoch (class)", None, "os.system") in diff(good, evil).values


def test_what_was_not_understood_is_refused_or_never_called_the_same(root: Path) -> None:
    with pytest.raises(Malformed, match="nothing in it was understood"):
        diff(root / "samples/files/bytes/truncated.pt", packed({}))
    half = root / "samples/files/bytes/hidden-between-members.pt"
    found = diff(half, half)
    assert (found.equal, found.understood) == (True, False)


def test_what_doubles_is_compared_in_bounded_time() -> None:
    level: list[Any] = [torch.ones(1), 5]
    for _ in range(60):
        level = [level, level]
    other: list[Any] = [torch.ones(1), 6]
    for _ in range(60):
        other = [other, other]
    assert of(level, level).equal
    (value,) = of(level, other).values
    assert (value.before, value.after) == ("5", "6")


def test_every_sample_is_the_same_as_itself(root: Path) -> None:
    compared = 0
    for path in sorted((root / "samples/files/benign").iterdir()):
        if safeload.inspect(path).entries:
            found = diff(path, path)
            assert (path.name, found.equal) == (path.name, True)
            assert json.loads(found.to_json())["equal"] is True
            compared += 1
    assert compared > 30


def test_progress_reaches_the_end() -> None:
    told: list[tuple[str, int, int]] = []
    of(state(), state(), progress=lambda *what: told.append(what))
    assert told[-1] == ("comparing", 288, 288)
