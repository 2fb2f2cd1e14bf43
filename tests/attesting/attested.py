"""What the tests of statements share: the statement of some bytes, and the comparison of bytes with one."""

from __future__ import annotations

import json
from typing import Any

from safeload.attesting.statement import attest, differences, parse
from safeload.inputs import MemorySource
from safeload.limits import Limits
from safeload.policy import Policy
from samples.assemble import get, longs, old_storage, pickle, put, storage, tensor
from samples.benign import ordered
from samples.files_of_torch import legacy, zip_of

POLICY = Policy.default()
ZIP = zip_of(ordered(w=tensor(), b=tensor(storage("1", 2, "LongStorage"), (2,))), {"0": b"\1" * 16, "1": longs(1, 2)})
FILES = {
    "zip": ZIP.build(),
    "legacy": legacy(
        {"w": tensor(old_storage()), "b": get(1), "c": put([1, "x"], 1)} | {"b": 2}, {"0": (4, b"\1" * 16)}
    ),
    "pickle": pickle({"epoch": 3, "loss": [0.5, 0.25]}),
    "text protocol": b"(lI1\na.",
}


def statement(data: bytes, policy: Policy = POLICY, limits: Limits | None = None) -> dict[str, Any]:
    """A statement that nobody else holds."""
    found = attest(MemorySource(data, "models/model.pt"), policy=policy, limits=limits or Limits())
    assert found.statement is not None, found.reason
    again = json.loads(json.dumps(found.statement))
    assert isinstance(again, dict)
    return again


def compare(data: bytes, given: Any, policy: Policy = POLICY, limits: Limits | None = None) -> tuple[str, ...]:
    """What differs, as `safeload attest verify` finds it."""
    parsed = parse(json.dumps(given).encode())
    return differences(MemorySource(data, "model.pt"), parsed, policy=policy, limits=limits or Limits())
