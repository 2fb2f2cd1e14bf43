"""The reviewed rules against real checkpoints: no alarm on benign files, and most of them vetted or explained.

Runs only where the reference data lies beside the project.
"""

from __future__ import annotations

import _compat_pickle
import csv
import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from safeload.policy import Policy, Standing

SHARED = Path(__file__).resolve().parents[3] / "shared"
SURVEY = SHARED / "survey" / "benign_files.jsonl"
WILD = SHARED / "wild" / "manifest.tsv"

MAY_BE_DANGEROUS = {"__builtin__.__main__", "builtins.setattr", "builtins.getattr", "builtins.eval"}


def decided(names: Iterable[str]) -> dict[str, Standing]:
    """What the default policy says of dotted names, Python 2 names as the unpickler resolves them."""
    policy, found = Policy.default(), {}
    for dotted in names:
        module, _, name = dotted.rpartition(".")
        module, name = _compat_pickle.NAME_MAPPING.get((module, name), (module, name))
        found[dotted] = policy.decide(_compat_pickle.IMPORT_MAPPING.get(module, module), name).kind
    return found


@pytest.mark.skipif(not SURVEY.exists(), reason="the survey of benign files is not here")
def test_benign_files() -> None:
    files = [decided(json.loads(line)["globals"]) for line in SURVEY.read_text().splitlines()]
    alarms = {name for file in files for name, kind in file.items() if kind is Standing.DANGEROUS}
    assert alarms == set()
    vetted = sum(set(file.values()) <= {Standing.VETTED} for file in files)
    explained = sum(set(file.values()) <= {Standing.VETTED, Standing.KNOWN} for file in files)
    assert len(files) == 3002
    assert vetted / len(files) >= 0.918
    assert explained / len(files) >= 0.994


@pytest.mark.skipif(not WILD.exists(), reason="the collected checkpoints are not here")
def test_wild_files() -> None:
    with WILD.open(encoding="utf-8", newline="") as file:
        rows = [row["globals"].split(";") for row in csv.DictReader(file, delimiter="\t") if row["globals"]]
    alarms = {name for row in rows for name, kind in decided(row).items() if kind is Standing.DANGEROUS}
    assert {name for name in alarms if not name.startswith(("dill", "cloudpickle"))} <= MAY_BE_DANGEROUS
    assert "dill._dill._create_code" in alarms
