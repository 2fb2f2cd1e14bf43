"""How many functions one file passes on its way, from the command to the verdict or to the finished output.

    python benchmarks/hops.py            counts for `safeload scan` and `safeload convert`
    python benchmarks/hops.py --walk     also each function, in the order in which it is first called

A newcomer who follows a file through the code reads as many functions. The way begins where click calls the command's
own function and ends where the function of `WAYS` returns: with the report, or with the conversion. Printed beside it,
and in the total, are the functions that run only before (start-up, options, configuration), only after (what is said
of it), or only while a module is imported.

Counted are the functions of safeload that run at least once, each once; module bodies, class bodies, comprehensions and
lambdas belong to what surrounds them. Needs the checkout: a compiled function is invisible to `sys.setprofile`.
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

WAYS = {
    "scan": ("cli/commands/scan.py", "scan", "workers/attempt.py", "attempt"),
    "convert": ("cli/commands/convert.py", "convert", "converting/api.py", "convert"),
}
"""Command -> where the way begins and where it ends, each as file and function."""

AT_MOST = {"scan": 150, "convert": 250}
"""What the design allows on the way: more functions than a reader keeps in mind are too many."""


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


def place_of(code: CodeType) -> tuple[str, str]:
    """The file below the package, and the function in it."""
    return code.co_filename.removeprefix(PACKAGE).replace(os.sep, "/"), code.co_qualname


class Passed:
    """The functions that a command passes, each in the order of the first calls: before the way, on it, after it.

    imports   those that run while a module is imported: they belong to the module, whenever that is wanted
    """

    def __init__(self, command: str) -> None:
        self.before: dict[CodeType, None] = {}
        self.way: dict[CodeType, None] = {}
        self.after: dict[CodeType, None] = {}
        self.imports: dict[CodeType, None] = {}
        self._first, self._last = WAYS[command][:2], WAYS[command][2:]
        self._now = self.before
        self._importing = 0

    def look(self, frame: FrameType, event: str, _: object) -> None:
        """The function for `sys.setprofile`."""
        code = frame.f_code
        if event not in ("call", "return"):
            return
        if code.co_name == "<module>":
            self._importing += 1 if event == "call" else -1
        elif named(code):
            if event == "call" and self._now is self.before and place_of(code) == self._first:
                self._now = self.way
            if event == "call":
                (self.imports if self._importing else self._now).setdefault(code)
            elif self._now is self.way and place_of(code) == self._last:
                self._now = self.after

    def parts(self) -> dict[str, list[CodeType]]:
        """The functions on the way, and those that run only elsewhere."""
        parts = {
            "before the way": self.before,
            "on the way": self.way,
            "after it": self.after,
            "while importing": self.imports,
        }
        seen = set(self.way)
        found = {"on the way": list(self.way)}
        for name, codes in parts.items():
            if codes is not self.way:
                found[name] = [code for code in codes if code not in seen]
                seen.update(codes)
        return {name: found[name] for name in parts}


@contextmanager
def recorded(passed: Passed) -> Iterator[None]:
    """Shows `passed` every call meanwhile."""
    sys.setprofile(passed.look)
    try:
        yield
    finally:
        sys.setprofile(None)


def walk(*arguments: str) -> dict[str, list[CodeType]]:
    """The functions that `safeload ARGUMENTS` passes, by part.

    Raises SystemExit when the command does not end with status 0, or never comes to the ends of its way.
    """
    from safeload.cli import app

    passed = Passed(arguments[0])
    status: object = 0
    with redirect_stdout(io.StringIO()) as printed, redirect_stderr(printed), recorded(passed):
        try:
            app.main(list(arguments))
        except SystemExit as done:
            status = done.code
    if status or not passed.after:
        raise SystemExit(f"safeload {' '.join(arguments)} ended with {status}: {printed.getvalue()}")
    return passed.parts()


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
            parts = walk(*arguments)
            passed = parts["on the way"]
            files = {code.co_filename for code in passed}
            over = over or len(passed) > AT_MOST[command]
            show(
                f"{command:8} {len(passed):4} functions in {len(files):3} files on the way (at most {AT_MOST[command]})"
            )
            show(f"{'':8} {sum(code.co_name == '__init__' for code in passed):4} of them only make an object")
            for part, codes in parts.items():
                if codes is not passed:
                    show(f"{'':8} {len(codes):4} only {part}")
            show(f"{'':8} {sum(map(len, parts.values())):4} in all")
            for part, codes in parts.items() if wanted.walk else ():
                show(f"  {part}")
                for code in codes:
                    file, function = place_of(code)
                    show(f"    {f'{file}:{code.co_firstlineno}':50} {function}")
    return int(over)


if __name__ == "__main__":
    sys.exit(main())
