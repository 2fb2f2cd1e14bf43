"""One measurement inside one tool's process: `python probe.py TOOL PATH`, or `python probe.py reads PATH`. Prints JSON.

Runs in the environment that holds the tools. The time counts from the tool's imported function to its answer; imports
and a first scan of a tiny file are paid before.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import struct
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

TINY = b"\x80\x02}q\x00."


def files(path: Path) -> list[Path]:
    return sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]


def safeload_scan() -> Callable[[Path], object]:
    import safeload

    return lambda path: [safeload.scan(file) for file in files(path)]


def picklescan_scan() -> Callable[[Path], object]:
    from picklescan.scanner import scan_directory_path, scan_file_path

    return lambda path: (scan_directory_path if path.is_dir() else scan_file_path)(str(path))


def modelscan_scan() -> Callable[[Path], object]:
    from modelscan.modelscan import ModelScan

    return lambda path: ModelScan().scan(path)


def fickling_scan() -> Callable[[Path], object]:
    from fickling.loader import scan_file, scan_zip_archive

    def one(file: Path) -> object:
        # Its reader of plain files takes a zip for stacked pickles.
        return (scan_zip_archive if zipfile.is_zipfile(file) else scan_file)(str(file))

    return lambda path: [one(file) for file in files(path)]


TOOLS = {
    "safeload": safeload_scan,
    "picklescan": picklescan_scan,
    "modelscan": modelscan_scan,
    "fickling": fickling_scan,
}


def timed(tool: str, path: Path) -> dict[str, object]:
    """Seconds of one scan, or the exception that ended it."""
    scan = TOOLS[tool]()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        tiny = Path(folder, "tiny.pkl")
        tiny.write_bytes(TINY)
        scan(tiny)
        start, cpu = time.perf_counter(), time.process_time()
        try:
            scan(path)
        except Exception as error:
            return {"error": type(error).__name__}
        return {"seconds": time.perf_counter() - start, "cpu": time.process_time() - cpu}


def storage_ranges(path: Path) -> list[tuple[int, int]]:
    """Where the storages of a torch zip lie: (start, end) of the data of every member below `data/`."""
    with zipfile.ZipFile(path) as archive, path.open("rb") as file:
        found = []
        for entry in archive.infolist():
            if entry.filename.split("/")[-2:-1] == ["data"]:
                file.seek(entry.header_offset + 26)
                name, extra = struct.unpack("<HH", file.read(4))
                start = entry.header_offset + 30 + name + extra
                found.append((start, start + entry.compress_size))
        return found


def kernel_count() -> int | None:
    """Bytes this process has read so far, as Linux counts them; None elsewhere."""
    try:
        lines = Path("/proc/self/io").read_text().splitlines()
    except OSError:
        return None
    return int(next(line for line in lines if line.startswith("rchar:")).split()[1])


def reads(path: Path) -> dict[str, object]:
    """Which bytes of a torch zip a scan reads: positioned reads are recorded, the kernel's count is beside."""
    import safeload

    safeload.scan(TINY)
    ranges: list[tuple[int, int]] = []
    genuine = os.pread

    def recorded(descriptor: int, length: int, offset: int) -> bytes:
        data = genuine(descriptor, length, offset)
        ranges.append((offset, offset + len(data)))
        return data

    os.pread = recorded
    safeload.scan(storageless(path))  # whatever is imported lazily is imported now
    ranges.clear()
    overhead = -(kernel_count() or 0) + (kernel_count() or 0)
    before = kernel_count()
    safeload.scan(path)
    after = kernel_count()
    os.pread = genuine
    storages = storage_ranges(path)
    return {
        "size": path.stat().st_size,
        "storages": sum(end - start for start, end in storages),
        "read": sum(end - start for start, end in ranges),
        "of_storages": sum(
            max(0, min(end, stop) - max(start, begin)) for start, end in ranges for begin, stop in storages
        ),
        "kernel": None if before is None or after is None else after - before - overhead,
    }


def storageless(path: Path) -> Path:
    """A file of the same kind beside `path`, small."""
    return path.with_name("zip_1mb.pth")


if __name__ == "__main__":
    what, where = sys.argv[1], Path(sys.argv[2])
    sys.stdout.write(json.dumps(reads(where) if what == "reads" else timed(what, where)) + "\n")
