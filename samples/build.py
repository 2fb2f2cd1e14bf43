"""Writes samples/files and samples/index.toml: `python samples/build.py [FOLDER]`.

Every byte comes from this folder and the zip builder of the tests: no network, no torch, no clock, so two runs anywhere
give the same files. The index is written from the same list; a test holds it equal to the files and to a scan.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Run as a script, Python looks for modules in this folder only.
sys.path[:0] = [str(HERE.parent)] if str(HERE.parent) not in sys.path else []

from samples import benign, containers, memory, names, opcodes, silence  # noqa: E402
from samples.sample import Sample  # noqa: E402

FAMILIES = (containers, opcodes, names, memory, silence, benign)
SAMPLES: tuple[Sample, ...] = tuple(
    sorted((sample for family in FAMILIES for sample in family.SAMPLES), key=lambda sample: sample.path)
)

HEAD = """\
# Written by samples/build.py; change the samples there. Every file below files/, what it tries, and what a scan
# answers: the verdict, and the rule ids of all findings. Payloads print one line at most.
"""


def entry(sample: Sample) -> str:
    """One entry of the index. JSON strings of plain ASCII are TOML strings too."""
    rules = ", ".join(json.dumps(rule) for rule in sample.rules)
    return (
        f"\n[[sample]]\npath = {json.dumps(sample.path)}\nwhat = {json.dumps(sample.what)}\n"
        f"verdict = {json.dumps(sample.verdict)}\nrules = [{rules}]\nsize = {len(sample.data)}\n"
        f"sha256 = {json.dumps(hashlib.sha256(sample.data).hexdigest())}\n"
    )


def write(folder: Path) -> None:
    """Write the files and the index below `folder`; files that are no sample any more go."""
    files = folder / "files"
    wanted = {files / sample.path for sample in SAMPLES}
    for path in sorted(files.rglob("*")) if files.is_dir() else []:
        if path.is_file() and path not in wanted:
            path.unlink()
    for sample in SAMPLES:
        target = files / sample.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(sample.data)
    (folder / "index.toml").write_text(HEAD + "".join(map(entry, SAMPLES)), encoding="ascii", newline="\n")


def main() -> None:
    """The command."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    write(folder)
    hostile = sum(sample.hostile for sample in SAMPLES)
    total = sum(len(sample.data) for sample in SAMPLES)
    print(f"{len(SAMPLES)} samples, {hostile} of them hostile, {total} bytes, in {folder}")


if __name__ == "__main__":
    main()
