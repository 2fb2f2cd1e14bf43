"""Real checkpoints: every clean one converts, verifies, and holds bit for bit what torch loads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

import safeload
from safeload.scanning.scanner import scan
from tests.converting.same import different

WILD = next((p for p in (Path(__file__).parents[2].parent / "shared" / "wild" / "files",) if p.is_dir()), None)
FILES = sorted(WILD.iterdir()) if WILD is not None else []

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.skipif(WILD is None, reason="the collection of real checkpoints is not here")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_converts_bit_for_bit(path: Path, tmp_path: Path) -> None:
    if scan(path).verdict != "clean":
        pytest.skip("not clean")
    out = tmp_path / "out.safetensors"
    try:
        wanted = safeload.load(path)
    except safeload.LoadFailed:
        # Arrays of text: nobody can have them without numpy's own reader.
        with pytest.raises(safeload.NotConvertible):
            safeload.convert(path, out)
        return
    done = safeload.convert(path, out)
    assert safeload.verify(path, out).tensors == done.tensors
    assert different(safeload.load(out), wanted) == ""
    try:
        original = torch.load(path, weights_only=True)
    except Exception:
        return  # torch's own list refuses it
    found = safetensors.torch.load_file(out)
    found |= {name: found[kept] for name, kept in done.ties.items()}
    for name, tensor in flat(original).items():
        if tensor.is_quantized:
            name, tensor = f"{name}.int_repr", tensor.int_repr()
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name].reshape(-1).view(torch.uint8), tensor.contiguous().reshape(-1).view(torch.uint8))


def flat(item: Any, prefix: str = "") -> dict[str, torch.Tensor]:
    """Dotted path -> tensor, as everybody spells it."""
    if isinstance(item, torch.Tensor):
        return {prefix[:-1] or "tensor": item.detach()}
    parts = item.items() if isinstance(item, dict) else enumerate(item) if isinstance(item, list | tuple) else ()
    return {name: t for key, value in parts for name, t in flat(value, f"{prefix}{key}.").items()}
