"""How many functions one file passes on its way, from the command to the verdict or to the finished output.

    python benchmarks/hops.py            counts for `safeload scan` and `safeload convert`
    python benchmarks/hops.py --walk     also each function, in the order in which it is first called

A newcomer who follows a file through the code reads as many functions. Counted are the functions of safeload that run
at least once, each once; module bodies, class bodies, comprehensions and lambdas belong to what surrounds them. Needs
the checkout: a compiled function is invisible to `sys.setprofile`.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from types import CodeType, FrameType

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = str(ROOT / "safeload") + os.sep

AT_MOST = {"scan": 150, "convert": 250}
"""What the design allows: more functions than a reader keeps in mind are too many."""


def small_zip(folder: Path) -> Path:
    """A checkpoint as `torch.save` writes it, with one tensor of six float32 elements; made without torch."""
    program = (
        b"\x80\x02}q\x00X\x06\x00\x00\x00weightq\x01ctorch._utils\n_rebuild_tensor_v2\nq\x02"
        b"((X\x07\x00\x00\x00storageq\x03ctorch\nFloatStorage\nq\x04X\x01\x00\x00\x000q\x05X\x03\x00\x00\x00cpuq\x06K\x06tq\x07Q"
        b"K\x00K\x02K\x03\x86q\x08K\x03K\x01\x86q\t\x89ccollections\nOrderedDict\nq\n)Rq\x0btq\x0cRq\rs."
    )
    path = folder / "small.pt"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in (
            ("data.pkl", program), ("byteorder", b"little"), ("data/0", bytes(24)), ("version", b"3\n"),
        ):  # fmt: skip
            archive.writestr(f"small/{name}", data)
    return path


def named(code: CodeType) -> bool:
    """Whether `code` is a function that a reader meets: of safeload, and no part of another one."""
    return code.co_filename.startswith(PACKAGE) and not code.co_name.startswith("<") and bool(code.co_flags & 0x1)


@contextmanager
def recorded(found: dict[CodeType, None]) -> Iterator[None]:
    """Puts every function of safeload that is called meanwhile into `found`, in the order of the first calls."""

    def look(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and named(frame.f_code):
            found.setdefault(frame.f_code)

    sys.setprofile(look)
    try:
        yield
    finally:
        sys.setprofile(None)


def walk(*arguments: str) -> list[CodeType]:
    """The functions that `safeload ARGUMENTS` passes. Raises SystemExit when the command does not end with status 0."""
    from safeload.cli import app

    found: dict[CodeType, None] = {}
    status: object = 0
    with redirect_stdout(io.StringIO()) as printed, redirect_stderr(printed), recorded(found):
        try:
            app.main(list(arguments))
        except SystemExit as done:
            status = done.code
    if status:
        raise SystemExit(f"safeload {' '.join(arguments)} ended with {status}: {printed.getvalue()}")
    return list(found)


def main(show: Callable[[str], object] = print) -> int:
    """Prints the counts; status 1 when one is above `AT_MOST`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--walk", action="store_true", help="list the functions in the order of their first calls")
    wanted = parser.parse_args()
    over = False
    with tempfile.TemporaryDirectory() as name:
        source = small_zip(Path(name))
        commands = {"scan": ("scan", str(source)), "convert": ("convert", str(source), f"{name}/small.safetensors")}
        for command, arguments in commands.items():
            passed = walk(*arguments)
            files = {code.co_filename for code in passed}
            over = over or len(passed) > AT_MOST[command]
            show(f"{command:8} {len(passed):4} functions in {len(files):3} files (at most {AT_MOST[command]})")
            if wanted.walk:
                for code in passed:
                    place = f"{code.co_filename.removeprefix(PACKAGE)}:{code.co_firstlineno}"
                    show(f"    {place:50} {code.co_qualname}")
    return int(over)


if __name__ == "__main__":
    sys.exit(main())
