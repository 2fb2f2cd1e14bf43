"""One load in this process: `python load_probe.py TOOL TINY PATH`. Prints JSON.

What is imported, and what is set up at first use (paid by loading TINY, of the same kind), is timed apart and not
counted. Then PATH is loaded once, and one byte of every page of every tensor is read. The sum of those bytes and the
number of tensors go into the answer: all tools must agree on them.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PAGE = 4096


def safeload_load() -> Callable[[str], Any]:
    import safeload

    return safeload.load


def torch_load(**options: Any) -> Callable[[], Callable[[str], Any]]:
    def imported() -> Callable[[str], Any]:
        import torch

        return lambda path: torch.load(path, **options)

    return imported


def safetensors_load() -> Callable[[str], Any]:
    from safetensors.torch import load_file

    return load_file


TOOLS = {
    "safeload": safeload_load,
    "torch-weights": torch_load(weights_only=True),
    "torch-weights-mmap": torch_load(weights_only=True, mmap=True),
    "torch-full-mmap": torch_load(weights_only=False, mmap=True),
    "safetensors": safetensors_load,
}


def memory(field: str) -> int:
    """A figure of /proc/self/status in bytes; 0 where there is none."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(field + ":")), 0)


def forget_peak() -> None:
    """Let the peak count from now on (imports may have needed more than they keep); Linux only."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def tensors(root: Any) -> list[Any]:
    """Every tensor below `root`, in no particular order."""
    import torch

    found, todo = [], [root]
    while todo:
        node = todo.pop()
        if isinstance(node, torch.Tensor):
            found.append(node)
        elif isinstance(node, dict):
            todo.extend(node.values())
        elif isinstance(node, list | tuple):
            todo.extend(node)
    return found


def touched(root: Any) -> tuple[int, int]:
    """Read one byte of every page of every tensor: how many tensors, and the sum of the bytes."""
    import torch

    held = tensors(root)
    total = 0
    for tensor in held:
        data = torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage())
        if data.numel() <= PAGE:
            total += data[0].item()
        else:
            total += data[::PAGE].sum(dtype=torch.int64).item()
    return len(held), total


def timed(tool: str, tiny: str, path: str) -> dict[str, object]:
    """The whole measurement, in the order of the module's docstring."""
    start = time.perf_counter()
    import torch

    torch.set_num_threads(1)
    with_torch = time.perf_counter()
    load = TOOLS[tool]()
    imported = time.perf_counter()
    touched(load(tiny))
    ready = time.perf_counter()
    forget_peak()
    before = memory("VmRSS")
    begin, cpu = time.perf_counter(), time.process_time()
    root = load(path)
    loaded, loaded_cpu = time.perf_counter(), time.process_time()
    peak = memory("VmHWM")
    again = time.perf_counter()
    count, total = touched(root)
    done = time.perf_counter()
    return {
        "torch": with_torch - start,
        "imports": imported - with_torch,
        "set_up": ready - imported,
        "load": loaded - begin,
        "load_cpu": loaded_cpu - cpu,
        "touched": loaded - begin + done - again,
        "peak": peak - before,
        "peak_touched": memory("VmHWM") - before,
        "tensors": count,
        "sum": total,
    }


if __name__ == "__main__":
    answer = timed(*sys.argv[1:])
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
    os._exit(0)  # giving back a gigabyte is no part of this
