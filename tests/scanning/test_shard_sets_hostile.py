"""Indexes and shards that lie, of which nothing is loaded: each names its rule, and says what to do."""

from __future__ import annotations

import json
import os
import pickle
import random
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

import safeload
from tests.converting.same import different
from tests.shard_making import FIRST, INDEX, SECOND, flat, index_of, nested, put, write

pytestmark = pytest.mark.filterwarnings("ignore")


class _Runs:
    def __reduce__(self) -> Any:
        return os.system, ("echo ran",)


def refused(folder: Path, limits: safeload.Limits | None = None) -> safeload.Report:
    """The report of the index in `folder`, of which nothing was loaded."""
    with pytest.raises(safeload.UnsafeCheckpoint) as error:
        safeload.load(folder / INDEX, unvetted="record", limits=limits)
    with pytest.raises(safeload.UnsafeCheckpoint):
        safeload.open(folder / INDEX, limits=limits)
    report = safeload.scan(folder / INDEX, limits=limits)
    assert report == error.value.report
    assert all(finding.message for finding in report.findings)
    return report


def renamed(folder: Path, name: str) -> None:
    """The index with `name` in place of that of the second shard."""
    index = index_of(folder)
    put(folder, {"weight_map": {key: name if file == SECOND else file for key, file in index["weight_map"].items()}})


def moved(folder: Path, name: str) -> None:
    """The second shard, and the index, under another name."""
    renamed(folder, name)
    (folder / SECOND).rename(folder / name)


def linked(folder: Path, target: str) -> None:
    """A link in place of the second shard."""
    (folder / SECOND).unlink()
    (folder / SECOND).symlink_to(target)


def outward(folder: Path) -> None:
    shutil.move(folder / SECOND, folder.parent / "elsewhere.safetensors")
    linked_to = folder / SECOND
    linked_to.symlink_to(folder.parent / "elsewhere.safetensors")


def fifo(folder: Path) -> None:
    (folder / SECOND).unlink()
    os.mkfifo(folder / SECOND)


def swapped(folder: Path) -> None:
    """Each shard under the other's name."""
    (folder / FIRST).rename(folder / "x")
    (folder / SECOND).rename(folder / FIRST)
    (folder / "x").rename(folder / SECOND)


def shard(folder: Path, *names: str, metadata: dict[str, str] | None = None) -> None:
    """Another second shard, with these tensors."""
    safetensors.torch.save_file({name: torch.ones(2) for name in names}, folder / SECOND, metadata)


def hard_link(folder: Path) -> None:
    (folder / SECOND).unlink()
    os.link(folder / FIRST, folder / SECOND)


def same_file_twice(folder: Path) -> None:
    """One file under two names, each of which the index gives half of its tensors."""
    linked(folder, FIRST)
    first, second = safetensors.torch.load_file(folder / FIRST)
    write(folder, {first: FIRST, second: SECOND})


def doubled_key(folder: Path) -> None:
    text = (folder / INDEX).read_text()
    (folder / INDEX).write_text(text.replace('"layer.9.weight": ', f'"layer.9.weight": "{SECOND}", "layer.9.weight": '))


def doubled_map(folder: Path) -> None:
    text = (folder / INDEX).read_text()
    (folder / INDEX).write_text(text.replace('"weight_map"', '"weight_map": {"a": "b"}, "weight_map"'))


def with_metadata(**metadata: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        put(folder, index_of(folder) | {"metadata": {key.replace("_", "."): text for key, text in metadata.items()}})

    return spoil


def in_map(changes: dict[str, str]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        put(folder, {"weight_map": index_of(folder)["weight_map"] | changes})

    return spoil


def text(content: str) -> Callable[[Path], Any]:
    return lambda folder: (folder / INDEX).write_text(content)


def tree(**fields: Any) -> str:
    return json.dumps({"format": "safeload.tree", "version": 1, **fields})


OWN_TREE = tree(root=[{"tensor": "layer.1.weight"}, {"tensor": "layer.2.weight"}])
OTHER_NAMES = tree(root={"map": {"layer.9.weight": {"tensor": "layer.1.weight"}, "b": {"tensor": "layer.2.weight"}}})
NUMBERS = tree(root={"dict": [[1, {"tensor": "layer.1.weight"}], [2, {"tensor": "layer.2.weight"}]]})
TWO = ("layer.1.weight", "layer.2.weight")

# What is done to a good set, the rule it must be refused by, and the member that is named.
CASES: dict[str, tuple[Callable[[Path], Any], str, str]] = {
    "no JSON": (text('{"weight_map": {'), "shard-index", ""),
    "a key twice": (doubled_key, "shard-index", ""),
    "the map twice": (doubled_map, "shard-index", ""),
    "an empty map": (text('{"weight_map": {}}'), "shard-index", ""),
    "a map of numbers": (text('{"weight_map": {"a": 1}}'), "shard-index", ""),
    "a list": (text('{"weight_map": [["a", "b"]]}'), "shard-index", ""),
    "deep": (text('{"weight_map": ' + "[" * 100_000), "shard-index", ""),
    "half a character": (in_map({"\ud800": FIRST}), "shard-index", ""),
    "up": (lambda f: renamed(f, f"../{f.name}/{SECOND}"), "shard-index", ""),
    "absolute": (lambda f: renamed(f, str(f / SECOND)), "shard-index", ""),
    "here": (lambda f: renamed(f, f"./{SECOND}"), "shard-index", ""),
    "a drive": (lambda f: renamed(f, f"C:{SECOND}"), "shard-index", ""),
    "backwards": (lambda f: renamed(f, f"x\\{SECOND}"), "shard-index", ""),
    "hidden": (lambda f: moved(f, ".x.safetensors"), "shard-index", ""),
    "two cases": (lambda f: moved(f, FIRST.upper()), "shard-index", ""),
    "two forms of a letter": (
        lambda f: put(f, {"weight_map": {"a": "\u00e9.safetensors", "b": "e\u0301.safetensors"}}), "shard-index", ""),
    "a tree beside": (with_metadata(safeload_tree_sha256="0" * 64 + " 10"), "shard-index", ""),
    "missing": (lambda f: (f / SECOND).unlink(), "shard-missing", SECOND),
    "another name": (lambda f: renamed(f, "gone.safetensors"), "shard-missing", "gone.safetensors"),
    "a folder": (lambda f: ((f / SECOND).unlink(), (f / SECOND).mkdir()), "shard-missing", SECOND),
    "one file for two": (same_file_twice, "shard-missing", SECOND),
    "a link that leads out": (outward, "outward-link", SECOND),
    "a link to a device": (lambda f: linked(f, "/dev/zero"), "not-a-file", SECOND),
    "a link to nothing": (lambda f: linked(f, "nothing"), "broken-link", SECOND),
    "a pipe": (fifo, "not-a-file", SECOND),
    "a text": (lambda f: (f / SECOND).write_text("{}"), "shard-format", SECOND),
    "empty": (lambda f: (f / SECOND).write_bytes(b""), "shard-format", SECOND),
    "a clean pickle": (lambda f: torch.save({"layer.1.weight": torch.ones(1)}, f / SECOND), "shard-format", SECOND),
    "cut off": (lambda f: os.truncate(f / SECOND, 100), "malformed", SECOND),
    "bytes at the end": (
        lambda f: (f / SECOND).write_bytes((f / SECOND).read_bytes() + b"\0"), "safetensors-offsets", SECOND),
    "a second name for it": (hard_link, "shard-mismatch", SECOND),
    "swapped": (swapped, "shard-mismatch", FIRST),
    "a tensor too many": (lambda f: shard(f, *TWO, "more"), "shard-mismatch", SECOND),
    "a tensor too few": (lambda f: shard(f, *TWO[:1]), "shard-mismatch", SECOND),
    "a tensor of the other": (lambda f: shard(f, *TWO, "layer.9.weight"), "shard-mismatch", SECOND),
    "no tensor": (lambda f: shard(f), "shard-mismatch", SECOND),
    "no tensor, and a remark": (
        lambda f: shard(f, metadata={"safeload.tree": tree(root={"dropped": "a.B"})}), "shard-mismatch", SECOND),
    "a name in no shard": (in_map({"more": SECOND}), "shard-mismatch", SECOND),
    "a name in the other shard": (in_map({"layer.9.weight": SECOND}), "shard-mismatch", FIRST),
    "a tree in index and shard": (
        lambda f: (shard(f, *TWO, metadata={"safeload.tree": OWN_TREE}), with_metadata(safeload_tree="x")(f)),
        "shard-tree", SECOND),
    "a shard that is no dict": (lambda f: shard(f, *TWO, metadata={"safeload.tree": OWN_TREE}), "shard-tree", SECOND),
    "keys that are no names": (lambda f: shard(f, *TWO, metadata={"safeload.tree": NUMBERS}), "shard-tree", SECOND),
    "a name of another shard": (
        lambda f: shard(f, *TWO, metadata={"safeload.tree": OTHER_NAMES}), "shard-mismatch", SECOND),
    "no tree": (with_metadata(safeload_tree="x"), "malformed-tree", "safeload.tree"),
    "a tree of part": (
        with_metadata(safeload_tree=tree(root={"tensor": "layer.1.weight"})), "malformed-tree", "safeload.tree"),
    "a tree of more": (
        with_metadata(safeload_tree=tree(root={"tensor": "gone"})), "malformed-tree", "safeload.tree"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_set_that_lies_is_unjudged(case: str, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    flat(folder)
    assert safeload.scan(folder / INDEX).verdict == "clean"
    spoil, rule, member = CASES[case]
    spoil(folder)
    report = refused(folder)
    assert report.verdict == "unjudged"
    assert (rule, member) in [(f.rule, f.member) for f in report.findings]
    assert all(finding.remedy for finding in report.findings if finding.verdict != "clean")


@pytest.mark.parametrize(
    ("limits", "wanted"),
    [({"shards": 1}, "shards"), ({"tensors": 3}, "tensors"), ({"index_bytes": 100}, "index_bytes"),
     ({"header_bytes": 60}, "header_bytes")],
)  # fmt: skip
def test_a_limit_is_named(limits: dict[str, int], wanted: str, tmp_path: Path) -> None:
    flat(tmp_path)
    report = refused(tmp_path, safeload.Limits(**limits))
    assert report.verdict == "unjudged"
    assert any(f.rule == "limit-reached" and f"--limit {wanted}=" in f.message for f in report.findings)


def test_headers_are_bounded_together(tmp_path: Path) -> None:
    weight_map = {}
    for number in range(6):
        file = f"model-{number}.safetensors"
        safetensors.torch.save_file({f"{number}": torch.ones(1)}, tmp_path / file, {"note": "x" * 900})
        weight_map[str(number)] = file
    write(tmp_path, weight_map)
    assert safeload.scan(tmp_path / INDEX).verdict == "clean"
    report = refused(tmp_path, safeload.Limits(header_bytes=1100))
    assert [f.rule for f in report.findings] == ["limit-reached"] * 2
    assert "together" in report.findings[0].message


@pytest.mark.parametrize("file", [FIRST, SECOND])
def test_a_dangerous_shard_makes_the_set_dangerous(file: str, tmp_path: Path) -> None:
    flat(tmp_path)
    (tmp_path / file).write_bytes(pickle.dumps({"layer.1.weight": _Runs()}))
    (tmp_path / (FIRST if file == SECOND else SECOND)).unlink()
    report = refused(tmp_path)
    assert report.verdict == "dangerous"
    assert {(f.rule, f.member) for f in report.findings} >= {("runs-programs", file), ("shard-format", file)}


@pytest.mark.parametrize(("called", "verdict"), [("posix.system", "dangerous"), ("our.Thing", "unvetted")])
def test_the_tree_of_an_index_is_judged(called: str, verdict: str, tmp_path: Path) -> None:
    names = list(flat(tmp_path))
    root = [{"call": called, "args": ["echo"]}, *({"tensor": name} for name in names)]
    put(tmp_path, index_of(tmp_path) | {"metadata": {"safeload.tree": tree(root=root)}})
    report = safeload.scan(tmp_path / INDEX)
    assert (report.verdict, report.findings[0].member) == (verdict, "safeload.tree")
    with pytest.raises(safeload.UnsafeCheckpoint):
        safeload.load(tmp_path / INDEX)
    if verdict == "unvetted":
        record, *tensors = safeload.load(tmp_path / INDEX, unvetted="record")
        assert (record.qualname, [tensor[0, 0].item() for tensor in tensors]) == ("Thing", [10.0, 9.0, 1.0, 2.0])


def test_the_tree_of_a_shard_is_judged(tmp_path: Path) -> None:
    flat(tmp_path)
    root = {"map": {"a": {"tensor": TWO[0]}, "b": {"tensor": TWO[1]}, "c": {"call": "posix.system", "args": ["echo"]}}}
    shard(tmp_path, *TWO, metadata={"safeload.tree": tree(root=root)})
    report = refused(tmp_path)
    assert (report.verdict, report.findings[0].member) == ("dangerous", f"{SECOND}!safeload.tree")


def test_a_tensor_of_the_tree_stays_inside_its_storage(tmp_path: Path) -> None:
    names = list(flat(tmp_path))
    root = [{"tensor": names[0], "shape": [4, 3]}, *({"tensor": name} for name in names[1:])]
    put(tmp_path, index_of(tmp_path) | {"metadata": {"safeload.tree": tree(root=root)}})
    assert {f.rule for f in refused(tmp_path).findings} == {"tensor-bounds"}


def test_the_findings_of_a_shard_name_it(tmp_path: Path) -> None:
    flat(tmp_path)
    raw = (tmp_path / SECOND).read_bytes()
    (tmp_path / SECOND).write_bytes(raw.replace(b"F32", b"F33"))
    assert {(f.rule, f.member) for f in refused(tmp_path).findings} == {("safetensors-dtype", SECOND)}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_nothing_stays_open_of_a_set_that_was_refused(tmp_path: Path) -> None:
    flat(tmp_path)
    shard(tmp_path, "other")
    before = len(os.listdir("/proc/self/fd"))
    refused(tmp_path)
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.slow
def test_any_change_of_an_index_is_refused_or_loads_what_was_judged(tmp_path: Path) -> None:
    weights = {name: torch.full((3,), float(number)) for number, name in enumerate("abcdef")}
    _, index = nested(tmp_path, {"w": weights, "epoch": 3, "again": weights["b"]}, size=24)
    path, chance = Path(index), random.Random(11)
    raw, wanted = path.read_bytes(), safeload.load(index)
    verdicts = set()
    for _ in range(300):
        data = bytearray(raw)
        for _ in range(chance.choice((1, 1, 2, 5))):
            at = chance.randrange(len(data))
            match chance.randrange(4):
                case 0:
                    data[at] = chance.randrange(256)
                case 1:
                    del data[at : at + chance.randrange(1, 30)]
                case 2:
                    data[at:at] = raw[(start := chance.randrange(len(raw))) : start + chance.randrange(40)]
                case _:
                    data[at : at + 1] = chance.choice((b'"', b"{", b"}", b",", b"\\", b"0", b"a", b".", b"/"))
        path.write_bytes(data)
        verdict = safeload.scan(path).verdict
        verdicts.add(str(verdict))
        if verdict != "clean":
            with pytest.raises(safeload.UnsafeCheckpoint):
                safeload.load(path)
            continue
        # Keys may turn out equal once they are built; nothing else may come of what was admitted.
        with suppress(safeload.Malformed):
            found = safeload.load(path)
            # Every element of a tensor is one of its shard, whatever the tree calls it.
            held = {t.flatten()[0].item() for t in _tensors(found)}
            assert held <= {float(number) for number in range(6)}
    assert {"clean", "unjudged"} <= verdicts
    path.write_bytes(raw)
    assert different(safeload.load(index), wanted) == ""


def _tensors(value: Any) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value] if value.numel() and value.dtype == torch.float32 else []
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [tensor for part in parts for tensor in _tensors(part)]
