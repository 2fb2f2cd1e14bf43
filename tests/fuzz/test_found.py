"""What the campaigns found, each as the smallest file that showed it."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import safeload
from safeload.checks.evidence import describe
from tests.containers.zip_builder import Archive, Member
from tests.fuzz.seeds import _Enclosed
from tests.fuzz.values import changed
from tests.loading.test_equal import saved


def test_a_stored_table_with_two_sizes_is_no_table(root: Path) -> None:
    """The check of a nested tensor read 7 bytes where 16 were announced, and raised a TypeError."""
    data = (root / "samples/files/memory/nested-outside-buffer.pt").read_bytes()
    with zipfile.ZipFile(io.BytesIO(data)) as old:
        members = [Member(info.filename.encode(), old.read(info)) for info in old.infolist()]
    at = next(n for n, member in enumerate(members) if member.name.endswith(b"data/2"))
    members[at] = replace(members[at], data=members[at].data[:7], central={"size": 16, "length": 7})
    report = safeload.scan(Archive(tuple(members)).build())
    assert str(report.verdict) == "dangerous"
    assert "a stored storage has two sizes: 7 and 16" in {finding.message for finding in report.findings}


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


@pytest.mark.parametrize("given", ["path", "bytes"])
def test_a_tensor_of_an_enclosed_file_is_read_from_it(given: str, tmp_path: Path) -> None:
    """`open` looked its storage up in the outer file, and gave the values of another tensor of the same key."""
    sparse = torch.eye(2).to_sparse()
    whole = {"a": torch.ones(4), "in": _Enclosed({"w": torch.arange(4.0), "s": sparse})}
    data = saved(whole)
    path = tmp_path / "x.pt"
    path.write_bytes(data)
    with safeload.open(path if given == "path" else data) as opened:
        assert opened.keys() == ["a", "in.w", "in.s"]
        assert opened.get_tensor("a").tolist() == [1, 1, 1, 1]
        assert opened.get_tensor("in.w").tolist() == [0, 1, 2, 3]
        assert opened.get_slice("in.w")[1:3].tolist() == [1, 2]
        assert opened.get_tensor("in.s").to_dense().tolist() == [[1, 0], [0, 1]]


def test_arrays_of_an_npz_can_be_read_one_by_one() -> None:
    """`open` listed them and said of each that its storage was not in the file."""
    out = io.BytesIO()
    np.savez(out, x=np.arange(3), y=np.array([2.5]))
    with safeload.open(out.getvalue()) as opened:
        assert {name: opened.get_tensor(name).tolist() for name in opened} == {"x": [0, 1, 2], "y": [2.5]}


def test_an_object_that_cannot_be_a_key_is_malformed() -> None:
    """A defaultdict as a key, which no unpickler takes, came out as LoadFailed: as if memory or torch were missing."""
    data = b"\x80\x02}ccollections\ndefaultdict\n)RNs."
    with pytest.raises(TypeError):
        pickle.loads(data)
    for loader in (safeload.load, lambda given: safeload.load(given, unvetted="record")):
        with pytest.raises(safeload.Malformed, match="unhashable type"):
            loader(data)


def test_records_are_compared_by_what_they_hold() -> None:
    """A vetted function as a value is an inert Record: the oracle of the campaign knew none."""
    one = safeload.Record("builtins", "type", ([1, 2],), state={"a": 1})
    assert changed(one, safeload.Record("builtins", "type", ([1, 2],), state={"a": 1})) == ""
    assert changed(one, safeload.Record("builtins", "type", ([1, 3],), state={"a": 1}))
    assert changed(one, safeload.Record("builtins", "str", ([1, 2],), state={"a": 1}))
