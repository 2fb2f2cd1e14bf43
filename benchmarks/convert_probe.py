"""One conversion in this process: `python convert_probe.py TOOL SYNC WATCH TINY SRC DST`. Prints JSON.

What is imported is timed apart and not counted. For times (WATCH 0), TINY is converted first, so that what is set up at
first use is not counted either. For memory (WATCH 1) it is not: the peak counts from right after the imports, and a
thread looks every millisecond for a file of DST's or SRC's folder among the mappings of the process.

For times, memory of three times the source is used and given back right before: see `have_memory`.

SYNC 1: the output is on the disk when the time ends; 0: it may be in the page cache. DST is removed before and after.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from load_probe import forget_peak, memory

Convert = Callable[[str, str, bool], dict[str, float]]


def cp() -> Convert:
    def convert(src: str, dst: str, sync: bool) -> dict[str, float]:
        subprocess.run(["cp", src, dst], check=True)
        return flush(dst) if sync else {}

    return convert


def torch_and_save_file() -> Convert:
    import torch
    from safetensors.torch import save_file

    torch.set_num_threads(1)

    def convert(src: str, dst: str, sync: bool) -> dict[str, float]:
        held = torch.load(src, map_location="cpu", weights_only=True)
        save_file({name: tensor.contiguous() for name, tensor in held.items()}, dst, metadata={"format": "pt"})
        return flush(dst) if sync else {}

    return convert


def safeload_convert(**options: bool) -> Convert:
    import numpy
    import safetensors

    import safeload

    assert numpy.__version__
    assert safetensors.__version__
    convert_ = safeload.convert

    def convert(src: str, dst: str, sync: bool) -> dict[str, float]:
        return dict(convert_(src, dst, sync=sync, **options).seconds)

    return convert


TOOLS: dict[str, Callable[[], Convert]] = {
    "safeload": safeload_convert,
    "safeload-apart": lambda: safeload_convert(overlap=False),
    "torch": torch_and_save_file,
    "cp": cp,
}


def flush(path: str) -> dict[str, float]:
    """What safeload does of its own: the file's bytes, then its name, on the disk."""
    start = time.perf_counter()
    for place, flags in ((path, os.O_RDONLY), (os.path.dirname(path), os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))):
        descriptor = os.open(place, flags)
        os.fsync(descriptor)
        os.close(descriptor)
    return {"sync": time.perf_counter() - start}


class Watch:
    """Looks for mappings of files in some folders while it is open. `found`: the bytes mapped at most, by file name."""

    def __init__(self, folders: set[str]) -> None:
        self._folders = tuple(f"{folder}{os.sep}" for folder in folders)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.found: dict[str, int] = {}

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._done.wait(0.001):
            for line in Path("/proc/self/maps").read_text().splitlines():
                if "/" in line and (path := line[line.index("/") :]).startswith(self._folders):
                    first, last = (int(part, 16) for part in line.split(" ", 1)[0].split("-"))
                    name = os.path.basename(path).removesuffix(" (deleted)")
                    self.found[name] = max(self.found.get(name, 0), last - first)


def remove(dst: str) -> None:
    """Take the output away, and let nothing of it wait to be written."""
    Path(dst).unlink(missing_ok=True)
    os.sync()


def have_memory(size: int) -> None:
    """Let the memory that is used next be memory that was used just now.

    A virtual machine that gives free memory back to its host gets it again page by page, at a price that has nothing to
    do with the tool and was seen to treble a time.
    """
    subprocess.run([sys.executable, "-c", f"b'x' * {size}"], check=True)


def main(tool: str, sync: bool, watched: bool, tiny: str, src: str, dst: str) -> dict[str, object]:
    """The whole measurement, in the order of the module's docstring."""
    start = time.perf_counter()
    convert = TOOLS[tool]()
    imports = time.perf_counter() - start
    remove(dst)
    if not watched:
        convert(tiny, dst, sync)
        remove(dst)
        have_memory(3 * os.path.getsize(src))
    forget_peak()
    before = memory("VmRSS")
    watch = Watch({os.path.dirname(src), os.path.dirname(dst)})
    begin, cpu = time.perf_counter(), time.process_time()
    if watched:
        with watch:
            stages = convert(src, dst, sync)
    else:
        stages = convert(src, dst, sync)
    wall, used = time.perf_counter() - begin, time.process_time() - cpu
    answer = {
        "imports": imports, "wall": wall, "cpu": used, "peak": memory("VmHWM") - before, "stages": stages,
        "size": os.path.getsize(dst), "mapped": watch.found.get(os.path.basename(src), 0),
        "output_mapped": sum(watch.found.values()) - watch.found.get(os.path.basename(src), 0),
    }  # fmt: skip
    remove(dst)
    return answer


if __name__ == "__main__":
    name, flag, watching, *paths = sys.argv[1:]
    sys.stdout.write(json.dumps(main(name, flag == "1", watching == "1", *paths)) + "\n")
    sys.stdout.flush()
    os._exit(0)  # giving back a gigabyte is no part of this
