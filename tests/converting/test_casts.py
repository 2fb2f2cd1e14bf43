"""Casts: every value to the nearest one, ties to even, computed one way and checked in another."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch

import safeload
from safeload.converting.verify.nearest import nearest
from safeload.converting.write.casting import cast
from tests.converting.making import saved

TYPES = {"float64": torch.float64, "float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def values(source: str) -> np.ndarray:
    """Bit patterns of a type: all of 16 bits, else random ones and those around every tie."""
    width = TYPES[source].itemsize
    if width == 2:
        return np.arange(1 << 16, dtype=np.uint16).view(np.uint8)
    random = np.random.default_rng(1).integers(0, 1 << 62, 200_000, dtype=np.uint64)
    kind = f"<f{width}"
    halves = np.arange(1 << 16, dtype=np.uint16)
    grid = [halves.view(np.float16).astype(kind), (halves.astype(np.uint32) << 16).view(np.float32).astype(kind)]
    grid.append(np.arange(1 << 16, dtype=np.uint32).view(np.float32).astype(kind))
    middles = [(a[:-1] / 2 + a[1:] / 2) for a in grid]
    near = [np.nextafter(a, np.array(sign * np.inf, kind)) for a in middles for sign in (1, -1)]
    bits = np.concatenate([random.astype(f"<u{width}").view(kind), random.view(kind), *grid, *middles, *near])
    return bits.astype(kind).view(np.uint8)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("target", ["bfloat16", "float16", "float32"])
@pytest.mark.parametrize("source", TYPES)
def test_two_ways_agree(source: str, target: str) -> None:
    if source == target:
        pytest.skip("no cast")
    given = values(source)
    result = cast(given, source, target)
    width = TYPES[source].itemsize
    assert nearest(given.reshape(-1, width), source, result.reshape(-1, TYPES[target].itemsize), target)
    if source != "float64":  # torch takes float64 to 16 bits by way of float32, which rounds twice
        wanted = torch.from_numpy(given.copy()).view(TYPES[source]).to(TYPES[target])
        found = torch.from_numpy(result.copy()).view(TYPES[target])
        assert torch.equal(torch.nan_to_num(found), torch.nan_to_num(wanted))
        assert torch.equal(found.isnan(), wanted.isnan())


@pytest.mark.parametrize("target", ["bfloat16", "float16", "float32"])
@pytest.mark.parametrize("step", [1, -1])
def test_the_neighbour_of_the_nearest_is_refused(target: str, step: int) -> None:
    given = np.array([1.2345678901, -7e-6, 3e4, 0.1], "<f8")
    width = TYPES[target].itemsize
    result = cast(given.view(np.uint8), "float64", target).view(f"<u{width}")
    assert nearest(given.view(np.uint8).reshape(-1, 8), "float64", result.view(np.uint8), target)
    for place in range(len(given)):
        wrong = result.copy()
        wrong[place] += np.array(step).astype(wrong.dtype)
        assert not nearest(given.view(np.uint8).reshape(-1, 8), "float64", wrong.view(np.uint8), target)


def test_floating_tensors_alone_are_cast(tmp_path: Path) -> None:
    whole = torch.randn(40, 30)
    state = {
        "w": whole, "t": whole.t(), "row": whole[3], "d": torch.randn(5, dtype=torch.float64), "n": torch.arange(3),
        "c": torch.ones(2, dtype=torch.complex64), "f8": torch.ones(4).to(torch.float8_e4m3fn),
        "big": torch.tensor(1e9),
    }  # fmt: skip
    path = saved(tmp_path / "x.pth", state)
    for dtype, kind in (("fp16", torch.float16), ("bf16", torch.bfloat16), ("fp32", torch.float32)):
        out = tmp_path / f"{dtype}.safetensors"
        done = safeload.convert(path, out, dtype=dtype)
        safeload.verify(path, out)
        found = safetensors.torch.load_file(out)
        assert {name for name in found if found[name].dtype == kind} == {"w", "t", "row", "d", "big"}
        assert torch.equal(found["t"], state["t"].to(kind))
        assert torch.equal(found["n"], state["n"])
        assert any("became infinite" in note for note in done.notes) == (dtype == "fp16")
        with safetensors.safe_open(out, "pt") as f:
            assert json.loads(f.metadata()["safeload.convert"])["options"] == {"dtype": dtype}
        again = safeload.load(out)
        again["w"].zero_()
        assert not again["t"].any()
        assert not again["row"].any()
