"""Structures that multiply, elements that expand, files of any size: bounded time and memory, or a refusal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

import safeload
from safeload.limits import Limits
from tests.converting.making import left, rewritten, saved

ROOT = Path(__file__).resolve().parents[2]


# The limit of a scan for what doubles; each place that names or walks paths has to hold without it.
ANY = Limits(expanded=1 << 50)


def doubled(leaf: Any, levels: int = 40) -> Any:
    for _ in range(levels):
        leaf = [leaf, leaf]
    return leaf


def test_forty_levels_of_doubling_around_a_tensor_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pth", doubled(torch.ones(2)))
    start = time.monotonic()
    with pytest.raises(safeload.UnsafeCheckpoint, match="printed"):
        safeload.convert(path, tmp_path / "x.safetensors")
    with pytest.raises(safeload.LimitExceeded, match="names"):
        safeload.convert(path, tmp_path / "x.safetensors", limits=ANY)
    assert time.monotonic() - start < 20
    assert left(tmp_path) == ["x.pth"]


def test_forty_levels_of_doubling_beside_a_tensor_convert(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pth", {"w": torch.ones(2), "deep": doubled("x"), "none": doubled([])})
    safeload.convert(path, tmp_path / "x.safetensors", limits=ANY)
    found = safeload.load(tmp_path / "x.safetensors", limits=ANY)["deep"]
    for _ in range(40):
        assert found[0] is found[1]
        found = found[0]


def test_objects_that_hold_themselves(tmp_path: Path) -> None:
    loop: list[Any] = [torch.ones(2)]
    loop.append(loop)
    table: dict[str, Any] = {"loop": loop}
    table["self"] = table
    path = saved(tmp_path / "x.pth", table)
    done = safeload.convert(path, tmp_path / "x.safetensors")
    assert done.tensors == 1
    found = safeload.load(tmp_path / "x.safetensors")
    assert found["self"] is found
    assert found["loop"][1] is found["loop"]


def test_a_doubling_of_dropped_objects(tmp_path: Path) -> None:
    class Holder:
        pass

    Holder.__qualname__ = "Holder"
    Holder.__module__ = __name__
    globals()["Holder"] = Holder
    inner: Any = Holder()
    inner.w = torch.ones(2)
    path = saved(tmp_path / "x.pth", doubled(inner))
    with pytest.raises(safeload.LimitExceeded, match="names"):
        safeload.convert(path, tmp_path / "x.safetensors", allow="unvetted", limits=ANY)
    assert left(tmp_path) == ["x.pth"]


def test_expansions_are_refused_past_a_limit(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pth", {"w": torch.ones(1).expand(1 << 20)})
    safeload.convert(path, tmp_path / "x.safetensors")
    # Each is below the limit of a scan; all of them together are not.
    row = torch.ones(1000)
    many = {str(n): row.expand(1000 + n, 1000) for n in range(40)}
    path = saved(tmp_path / "y.pth", many)
    assert safeload.scan(path).verdict == "clean"
    with pytest.raises(safeload.LimitExceeded, match="expansion"):
        safeload.convert(path, tmp_path / "y.safetensors")
    assert left(tmp_path) == ["x.pth", "x.safetensors", "y.pth"]


MEASURE = """
import json, resource, sys
import numpy, safetensors
import safeload.converting.api, safeload.converting.verify.verify, safeload.converting.write.writer
import safeload.scanning.scanner
from safeload.policy import Policy
Policy.default()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
maps = set()
def look(*_):
    maps.update(line.split()[-1] for line in open("/proc/self/maps") if "/" in line)
options = json.loads(sys.argv[3])
safeload.convert(sys.argv[1], sys.argv[2], progress=look, **options)
safeload.verify(sys.argv[1], sys.argv[2], progress=look)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([(after - before) / 1024, [m for m in maps if m in sys.argv[1:3]]]))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("case", ["plain", "transposed", "cast", "deflated", "manifest"])
def test_memory_does_not_grow_with_the_file(case: str, tmp_path: Path) -> None:
    wide = torch.zeros(6000, 6000)
    wide.view(-1)[::977] = 1.5
    path = saved(tmp_path / "x.pth", {"w": wide.t() if case == "transposed" else wide})
    if case == "deflated":
        # Not so well that it would be refused as a bomb.
        wide.view(-1)[::7] = torch.randn(wide.numel() // 7 + 1)[: len(wide.view(-1)[::7])]
        rewritten(saved(path, {"w": wide}), method=8)
    options = {"cast": {"dtype": "bf16"}, "manifest": {"manifest": str(tmp_path / "m.json")}}.get(case, {})
    code = "import safeload\n" + MEASURE
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), str(tmp_path / "x.safetensors"), json.dumps(options)],
        capture_output=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    grown, mapped = json.loads(done.stdout)
    assert mapped == []
    assert grown < 48


def test_torch_is_not_imported(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pth", {"w": torch.ones(2), "t": torch.ones(2, 3).t()})
    code = (
        "import sys, safeload; safeload.convert(*sys.argv[1:]); safeload.verify(*sys.argv[1:]); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(path), str(tmp_path / "x.safetensors")],
        check=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
