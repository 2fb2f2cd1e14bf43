"""Evidence of a set has one order: a report is the same in every process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from safeload.checks.evidence import describe


def test_evidence_of_a_set_has_one_order() -> None:
    """It had that of the set, which is another one in every process and at every scan."""
    assert describe({"c", "a", "b", 1, None}) == "{'a', 'b', 'c', 1, None}"
    assert describe(frozenset(range(100, 109))) == "{100, 101, 102, 103, 104, 105, ... 3 more}"
    assert describe(set(range(30))) == "{... 30 elements}"
    assert describe(set()) == "{}"


def test_two_processes_give_one_report(root: Path) -> None:
    code = "import safeload; print(safeload.scan(b'\\x80\\x04\\x8f(\\x8c\\x01a\\x8c\\x01b\\x8c\\x01c\\x90}b.'))"
    told = {
        subprocess.run(
            [sys.executable, "-c", code], cwd=root, capture_output=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
        ).stdout
        for seed in (1, 2, 3, 4)
    }  # fmt: skip
    assert len(told) == 1
    assert b"'a', 'b', 'c'" in told.pop()
