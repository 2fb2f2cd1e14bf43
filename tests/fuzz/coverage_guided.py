"""Fuzzing that follows the coverage: `python -m tests.fuzz.coverage_guided TARGET -max_total_time=60`.

Needs atheris, which nothing else here does: `pip install -r tests/fuzz/requirements.txt`. What follows TARGET is for
libFuzzer. Without a folder among it, what is found goes to a new temporary one, and the corpus of the repository is
where it starts from; an input that fails is kept as crash-... in the folder. Seeds worth keeping: tests/fuzz/corpus.
`--list` prints the targets.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

CORPUS = Path(__file__).resolve().parent / "corpus"
NAMES = (
    "machine", "zip", "legacy", "tar", "numpy", "safetensors", "loader", "kinds", "packed", "json", "keras", "skops",
    "torchserve", "pt2", "aoti", "expression", "folder", "units",
)  # fmt: skip
MISSING = "coverage-guided fuzzing needs atheris: pip install -r tests/fuzz/requirements.txt"


def arguments(target: str, given: list[str]) -> list[str]:
    """What libFuzzer gets: the options, a folder to write to, and the corpus of `target` to read."""
    options = [a for a in given if a.startswith("-")]
    folders = [a for a in given if not a.startswith("-")] or [tempfile.mkdtemp(prefix=f"safeload-{target}-")]
    if not any(a.startswith("-artifact_prefix=") for a in options):
        options.append(f"-artifact_prefix={folders[0]}/")
    if not any(a.startswith("-max_len=") for a in options):
        options.append("-max_len=4096")
    return [*options, *folders, str(CORPUS / target)]


def main(given: list[str]) -> int:
    """The command. Does not return once the fuzzer runs, unless it fails to begin."""
    if given == ["--list"]:
        print(*NAMES)
        return 0
    if not given or given[0] not in NAMES:
        print(f"usage: python -m tests.fuzz.coverage_guided TARGET [libFuzzer's options]; TARGET: {', '.join(NAMES)}")
        return 2
    try:
        import atheris
    except ImportError:
        print(MISSING, file=sys.stderr)
        return 2
    with atheris.instrument_imports(include=["safeload"]):
        import safeload.converting.api
        import safeload.loading.lazy  # noqa: F401
        from tests.fuzz.targets import TARGETS
    target = TARGETS[given[0]]
    made = arguments(given[0], given[1:])
    print("libFuzzer:", *made, file=sys.stderr)
    atheris.Setup([sys.argv[0], *made], target)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
