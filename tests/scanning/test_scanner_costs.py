"""What limits do to a verdict, and what hostile files may cost: memory and reads stay bounded."""

from __future__ import annotations

import gc
import os
import struct
import tracemalloc
from pathlib import Path

import pytest

from safeload.findings import Verdict
from safeload.inputs import MemorySource
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.report import Report
from safeload.scanning.scanner import scan, scan_source
from samples.assemble import ECHO, PROTO2, Code, call, name, old_storage, pickle, storage, tensor
from samples.build import SAMPLES
from samples.files_of_torch import legacy, zip_of

CLEAN, UNJUDGED, DANGEROUS = Verdict.CLEAN, Verdict.UNJUDGED, Verdict.DANGEROUS
BAD = pickle(ECHO)


def limited(data: bytes, **limits: int) -> Report:
    return scan_source(MemorySource(data), policy=Policy.default(), limits=Limits(**limits)).report


def rules(report: Report) -> list[str]:
    return [finding.rule for finding in report.findings]


def test_each_limit_makes_the_file_unjudged() -> None:
    long = pickle(["word" * 10, list(range(50)), {str(i): i for i in range(20)}])
    assert scan(long).verdict is CLEAN
    for name_of_limit, most in {"opcodes": 10, "string_bytes": 20, "stack": 10, "pickle_bytes": 30}.items():
        report = limited(long, **{name_of_limit: most})
        assert (report.verdict, rules(report)) == (UNJUDGED, ["limit-reached"]), name_of_limit
        assert name_of_limit in report.findings[0].message, name_of_limit


def test_a_payload_before_a_limit_is_dangerous() -> None:
    report = limited(PROTO2 + ECHO + b"0" + b"N0" * 100 + b"N.", opcodes=50)
    assert (report.verdict, rules(report)) == (DANGEROUS, ["runs-programs", "limit-reached"])


def test_a_tensor_too_many_is_unjudged() -> None:
    data = zip_of([tensor(), tensor(), tensor()]).build()
    assert limited(data, tensors=3).verdict is CLEAN
    assert limited(data, tensors=2).verdict is UNJUDGED


def test_values_that_must_be_read_are_limited() -> None:
    longs = tensor(storage("0", 2, "LongStorage"), (1, 2), (2, 1))
    kind = call(name("torch.serialization", "_get_layout"), "torch.sparse_coo")
    sparse = call(
        name("torch._utils", "_rebuild_sparse_tensor"), kind, (longs, tensor(storage("1", 2), (2,)), (4,), False)
    )
    data = zip_of(sparse, {"0": struct.pack("<2q", 0, 3), "1": struct.pack("<2f", 1, 1)}).build()
    assert scan(data).verdict is CLEAN
    assert limited(data, validated_bytes=8).verdict is UNJUDGED


BOMBS = (
    "bytes/deflate-bomb.pt", "memory/million-opcodes.pt", "memory/literal-too-long.pkl", "memory/doubling-key.pkl",
    "memory/expansion-bomb.pt", "names/bytearray-of-8-gib.pkl", "opcodes/memo-huge-index.pkl",
    "memory/array-too-long.npy", "benign/shared-lists.pkl",
)  # fmt: skip


@pytest.mark.parametrize("path", BOMBS)
def test_small_files_stay_small(path: str) -> None:
    data = next(s.data for s in SAMPLES if s.path == path)
    Policy.default()
    tracemalloc.start()
    try:
        scan(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 32 << 20


def test_hundreds_of_thousands_of_opcodes_take_no_memory_to_speak_of() -> None:
    data = PROTO2 + b"N0" * 300_000 + b"N."
    tracemalloc.start()
    try:
        assert scan(data).verdict is CLEAN
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20


def test_collection_is_on_again_after_a_scan() -> None:
    assert gc.isenabled()
    scan(BAD)
    scan(PROTO2 + b"\xff")
    assert gc.isenabled()


def test_a_storage_is_not_read(tmp_path: Path) -> None:
    # A sparse file: reading its storage would take a gigabyte.
    count = 1 << 28
    small = zip_of({"w": tensor(storage("0", count), (count,))}, {"0": b""}).build()
    report = scan(small)
    assert report.verdict is DANGEROUS
    assert rules(report)[0] == "persistent-id"
    big = legacy({"w": tensor(Code(old_storage("0", count)))}, {"0": (count, b"")})
    path = tmp_path / "big.pt"
    with path.open("wb") as file:
        file.write(big)
        file.truncate(len(big) + 4 * count)
    assert path.stat().st_size > 1 << 30
    tracemalloc.start()
    try:
        assert scan(path).verdict is CLEAN
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    os.unlink(path)
