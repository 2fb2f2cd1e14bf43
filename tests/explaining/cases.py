"""What `safeload explain` prints for a few files, to the byte, as golden files.

Run this file to write them again after the command was changed on purpose; read the difference first.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from click.testing import CliRunner, Result

from safeload.cli import app

ROOT = Path(__file__).resolve().parent.parent.parent
GOLDEN = ROOT / "tests" / "golden"
FILES = ROOT / "samples" / "files"

HOSTILE = (
    b"\x80\x04X\x0f\x00\x00\x00os\x1b]0;evil\x07\n\xe2\x80\xaeX\x0a\x00\x00\x00sys\x1b[31mem\x93"
    b"X\x09\x00\x00\x00\x1b[2J\r\n::x\x85R."
)
"""Names and an argument made of terminal escapes, a direction mark and a workflow command."""

LONG = b"\x80\x02](" + b"K\x01" * 300 + b"cos\nsystem\nX\x04\x00\x00\x00id>x\x85R" + b"K\x02" * 300 + b"e."
"""More opcodes than are printed, with a call among those that are left out."""

CASES: dict[str, tuple[tuple[str, ...], bytes | None]] = {
    "explain-payload.txt": (("names/payload-in-data-pkl.pt",), None),
    "explain-payload.json": (("names/payload-in-data-pkl.pt", "--json"), None),
    "explain-opcodes.txt": (("names/payload-in-data-pkl.pt", "--opcodes"), None),
    "explain-opcodes.json": (("opcodes/inst.pkl", "--opcodes", "--json"), None),
    "explain-checkpoint.txt": (("benign/checkpoint.pt",), None),
    "explain-module.txt": (("benign/whole-module.pt",), None),
    "explain-tar.txt": (("benign/torch-0.1.tar",), None),
    "explain-truncated.txt": (("bytes/truncated-legacy.pt",), None),
    "explain-damaged.txt": (("opcodes/cut-off-after-payload.pkl",), None),
    "explain-damaged-opcodes.txt": (("opcodes/cut-off-in-name.pkl", "--opcodes"), None),
    "explain-nested.txt": (("names/pickle-in-bytes.pkl",), None),
    "explain-safetensors.txt": (("benign/weights.safetensors",), None),
    "explain-pointer.txt": (("bytes/lfs-pointer.pt",), None),
    "explain-hostile.txt": (("-",), HOSTILE),
    "explain-hostile-opcodes.txt": (("-", "--opcodes"), HOSTILE),
    "explain-long.txt": (("-", "--opcodes"), LONG),
    "explain-color.txt": (("names/payload-in-data-pkl.pt", "--color", "always"), None),
}
"""Golden file -> the command line behind `safeload explain`, from the folder of the samples, and standard input."""


def explain(*args: str, stdin: bytes | None = None) -> Result:
    """The command in this process."""
    return CliRunner().invoke(app, ["explain", *args], input=stdin)


def printed(name: str) -> str:
    """What is printed for a case; digests of rules and versions as X."""
    args, stdin = CASES[name]
    before = Path.cwd()
    os.chdir(FILES)
    try:
        result = explain(*args, stdin=stdin)
    finally:
        os.chdir(before)
    assert result.stderr == ""
    return re.sub(r'("(?:policy_digest|version)": )"[^"]*"', r'\1"X"', result.stdout)


if __name__ == "__main__":
    for case in CASES:
        (GOLDEN / case).write_text(printed(case), encoding="utf-8", newline="\n")
