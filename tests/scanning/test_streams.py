"""Rows of pickles as one Unpickler reads them: what its memo changes is never clean, what it cannot change is."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch

import safeload
from safeload.containers.interface import Following, Pickle
from safeload.inputs import MemorySource
from safeload.limits import Limits
from safeload.scanning.streams import Row, interpret
from tests.differential.cpython_child import C_READER, PYTHON_READER, others, read


def text(word: str) -> bytes:
    return b"\x8c" + bytes([len(word)]) + word.encode()


def words(*given: str, close: bytes = b"t.") -> bytes:
    """A pickle that keeps each of these by MEMOIZE."""
    return b"\x80\x04(" + b"".join(text(word) + b"\x94" for word in given) + close


def put(*given: str) -> bytes:
    """A pickle that keeps each of these by PUT."""
    return b"\x80\x04(" + b"".join(text(word) + b"q" + bytes([at]) for at, word in enumerate(given)) + b"t."


PAYLOAD = ("os", "system", "touch MARKER")
NAMED = words("collections", "OrderedDict", close=b"]\x94h\x00h\x01\x93h\x02\x85Rt.")
"""An OrderedDict of an empty list to whoever begins with it."""

LIST = b"\x80\x04]\x94."
DIFFERENT: dict[str, bytes] = {
    "another name": words(*PAYLOAD) + NAMED,
    "put, and taken by an index": put(*PAYLOAD) + NAMED,
    "what the first put is put over": put("a", "b") + put(*PAYLOAD) + NAMED,
    "a pickle between them": words(*PAYLOAD) + pickle.dumps(7, 2) + b"]}a." + NAMED,
    "what was kept and dropped": b"\x80\x04" + b"".join(text(w) + b"\x940" for w in PAYLOAD) + b"N." + NAMED,
    "the third takes from the first": words("os") + words("system", "touch MARKER") + NAMED,
    "with a new Unpickler for the first alone": put("collections", "OrderedDict") + words(*PAYLOAD) + NAMED,
    "another value": words("a") + words("b", close=b"h\x00t."),
    "a list of the first, filled": LIST + b"\x80\x04]\x94h\x00Na.",
    "a list of the first, filled and dropped": LIST + b"\x80\x04]\x940h\x00Na0N.",
    "a dict of the first, filled and dropped": b"}\x94." + b"}\x940h\x00NNs0N.",
    "a set of the first, filled and dropped": b"\x8f\x94." + b"\x8f\x940h\x00(N\x900N.",
    "bytes of the first": b"C\x01a\x94.C\x01b\x94h\x00\x86.",
    "an object of the first, given state": b"cmine\nThing\n)R\x94." + b"cmine\nThing\n)R\x940h\x00}b.",
    "a class of the first, called": b"cmine\nThing\n\x94." + b"cmine\nOther\n\x940h\x00)R.",
    "an extension of the first, called": b"\x82\x01\x94." + b"ccollections\nOrderedDict\n\x940h\x00)R.",
    "what was loaded for the first": b"NQ\x94." + b"NQ\x940h\x00.",
    "the id of a persistent load": words("a") + words("b", close=b"h\x00Qt."),
    "a text id": b"Pa\n\x94." + b"Pb\n\x940h\x00.",
    "one object or two": b"]\x94." + b"]\x94h\x00\x86.",
    "a number": b"K\x01\x94.K\x01\x940h\x00." + b"K\x02\x940h\x00.",
    "a truth for a number": b"\x88\x94.K\x01\x940h\x00.",
    "a zero below nothing": b"G\x80\0\0\0\0\0\0\0\x94.G\0\0\0\0\0\0\0\0\x940h\x00.",
    "read only then": words("a") + b"h\x00.",
    "a key": words("a") + words("b", close=b"}h\x00Nst."),
    "an element": words("a") + words("b", close=b"(h\x00\x91t."),
    "broken then": b"]\x94." + b"K\x01\x940}h\x00Ns.",
    "where MEMOIZE writes": b"Nq\xc8." + b"N\x94K\x07q\x01h\x00\x86." + b"K\x08\x94K\x07q\x01h\x00\x86.",
    "MEMOIZE over PUT": b"N\x94." + b"(K\x01q\x01K\x02\x94h\x01t.",
    "read in a tuple only then": words(*PAYLOAD) + b"(h\x00h\x01\x93h\x02\x85Rt.",
}  # fmt: skip

SAME: dict[str, bytes] = {
    "protocol 2": pickle.dumps([["a", "b"]] * 3, 2) * 3,
    "protocol 0": pickle.dumps([["a", "b"]] * 3, 0) * 3,
    "nothing is taken again": b"".join(pickle.dumps({"a": n, "b": [n]}, 4) for n in range(50)),
    "nothing is kept": b"".join(pickle.dumps(n) for n in range(300)),
    "nothing was kept before": pickle.dumps(7) + pickle.dumps([["a"], "b", "b"], 5),
    "one": pickle.dumps([["a"] * 3] * 3, 5),
    "protocol 2 behind protocol 5": pickle.dumps(["a"], 5) + pickle.dumps([["a", "b"]] * 3, 2),
}


def seen(data: bytes) -> set[tuple[str, int]]:
    """Which of CPython's readers, and from which pickle on, differ from one for each pickle."""
    readers = [(kind, read(kind, data, "ASCII")) for kind in (C_READER, PYTHON_READER)]
    return {(who, first) for who, first, _ in others(data, "ASCII", readers)}


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_the_memo_changes_is_not_clean(name: str) -> None:
    data = DIFFERENT[name]
    assert seen(data)
    report = safeload.scan(data)
    assert report.verdict in ("unjudged", "dangerous")
    rules = {finding.rule for finding in report.findings}
    assert "shared-memo" in rules
    inside = safeload.scan(pickle.dumps([data], 4))
    assert (inside.verdict == "dangerous") == (report.verdict == "dangerous")


@pytest.mark.parametrize("name", [name for name, data in DIFFERENT.items() if NAMED in data and "alone" not in name])
def test_the_name_that_it_takes_then_is_told(name: str) -> None:
    report = safeload.scan(DIFFERENT[name])
    assert report.verdict == "dangerous"
    (found,) = [finding for finding in report.findings if finding.rule == "runs-programs"]
    assert found.message.startswith("when one Unpickler reads the pickles one after the other: calls os.system")
    assert found.evidence == "os.system('touch MARKER')"
    assert DIFFERENT[name][found.offset : found.offset + 1] == b"R"


def test_which_tuple_is_which_counts() -> None:
    # No program sees it but by `is`.
    assert safeload.scan(b"N\x85\x94." + b"N\x85\x94h\x00\x86.").verdict == "unjudged"


@pytest.mark.parametrize("name", SAME)
def test_what_the_memo_cannot_change_is_clean(name: str) -> None:
    assert not seen(SAME[name])
    assert safeload.scan(SAME[name]).verdict == "clean"


@pytest.mark.parametrize("kind", [pickle.Unpickler, pickle._Unpickler])  # type: ignore[attr-defined]
def test_a_real_unpickler_runs_it(kind: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    reader = kind(io.BytesIO(DIFFERENT["another name"]))
    reader.load()
    assert not (tmp_path / "MARKER").exists()
    reader.load()
    assert (tmp_path / "MARKER").exists()


def test_only_the_first_pickle_is_loaded() -> None:
    data = b"]\x94." + b"]\x940h\x00Na0N."
    assert safeload.load(data[:3]) == []
    with pytest.raises(safeload.UnsafeCheckpoint):
        safeload.load(data)
    # The other readings were interpreted, and changed nothing of it.
    assert safeload.scan(data, limits=Limits()).verdict == "unjudged"
    assert safeload.load(SAME["nothing is taken again"]) == {"a": 0, "b": [0]}


def test_members_and_what_is_inside_bytes() -> None:
    data = DIFFERENT["another name"]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.pkl", data)
    report = safeload.scan(packed.getvalue())
    assert report.verdict == "dangerous"
    assert {f.member for f in report.findings if f.rule in ("runs-programs", "shared-memo")} == {"model.pkl"}
    for protocol in (2, 3, 4, 5):
        report = safeload.scan(pickle.dumps({"a": data, "b": bytearray(data)}, protocol))
        assert report.verdict == "dangerous"
        assert [f.rule for f in report.findings] == ["nested-pickle"] * 2
        assert safeload.scan(pickle.dumps({"a": data.decode("latin1")}, protocol)).verdict == "clean"


# -- torch's files before the zip


def legacy(third: bytes, main: bytes) -> bytes:
    return pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + third + main + pickle.dumps([], 2)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_what_torch_writes_is_clean(protocol: int, tmp_path: Path) -> None:
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 3))
    state = OrderedDict(net=net.state_dict(), optimizer=torch.optim.Adam(net.parameters()).state_dict(), epoch=3)
    path = tmp_path / "old.pt"
    torch.save(state, path, _use_new_zipfile_serialization=False, pickle_protocol=protocol)
    assert (safeload.scan(path).verdict, safeload.scan(path).findings) == ("clean", ())
    assert seen(path.read_bytes()) == set() or protocol >= 4


def test_a_name_that_only_one_unpickler_takes_is_told_of_torch_files() -> None:
    good = legacy(words("a", "b", "c"), NAMED)
    assert safeload.scan(good).verdict == "clean"
    report = safeload.scan(legacy(words(*PAYLOAD), NAMED))
    assert (report.verdict, [f.rule for f in report.findings]) == ("dangerous", ["runs-programs", "shared-memo"])


# -- what it costs


def rows(data: bytes, limits: Limits, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], int]:
    """What a Row says of each pickle of `data`, and how many pickles it interpreted for that."""
    from safeload.scanning import streams

    source = MemorySource(data, "row")
    row = Row(source, limits)
    at = 0
    told = []
    runs = 0
    run = streams.run

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal runs
        runs += "memo" in kwargs and kwargs["memo"] is not None
        return run(*args, **kwargs)

    monkeypatch.setattr(streams, "run", counted)
    while at < len(data):
        part = Pickle("x", at, len(data), follows=Following.READER if at else Following.NOTHING)
        program = interpret(source, part, limits)
        other = row.next(part, program, whole=True)
        told.append("" if other is None else other.why)
        at += program.end
    return told, runs


def test_pickles_without_memoize_are_interpreted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert rows(SAME["protocol 2"], Limits(), monkeypatch) == (["", "", ""], 0)
    assert rows(SAME["one"], Limits(), monkeypatch) == ([""], 0)
    # what begins by MEMOIZE and goes on without
    assert rows(SAME["protocol 2 behind protocol 5"], Limits(), monkeypatch) == (["", ""], 0)


def test_pickles_that_take_nothing_are_interpreted_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    assert rows(SAME["nothing is taken again"], Limits(), monkeypatch) == ([""] * 50, 50)


def test_beginning_later_has_a_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    from safeload.scanning import streams

    # Each takes what it kept, and the first left the same there: equal by luck, from whichever pickle on.
    data = words("a", close=b"h\x00t.") * 20
    told, runs = rows(data, Limits(), monkeypatch)
    assert (told, runs) == ([""] * 20, 20 + 19 * 20 // 2)
    monkeypatch.setattr(streams, "_FREE", 100)
    monkeypatch.setattr(streams, "_TIMES", 1)
    told, runs = rows(data, Limits(), monkeypatch)
    assert told[:3] == ["", "", ""]
    assert told[-1] == "there are too many pickles in a row to read them from each of them on"
    assert runs < 100


@pytest.mark.slow
def test_a_long_text_and_deep_values_are_compared_once() -> None:
    big = b"X" + struct.pack("<I", 1 << 20) + b"x" * (1 << 20)
    many = big + b"\x940(" + b"h\x00" * 200_000 + b"t."
    assert safeload.scan(many * 2).verdict == "clean"
    deep = b"]\x94" + b"\x85" * 400 + b"."
    assert safeload.scan(deep * 2).verdict == "clean"
    doubling = b"K\x01\x94" + b"2\x86" * 20 + b"\x94."
    assert safeload.scan(doubling * 2).verdict == "clean"


def test_a_limit_that_only_the_row_reaches() -> None:
    data = words("a", "b", "c") * 3
    assert safeload.scan(data, limits=Limits(memo=4)).verdict == "unjudged"
    assert safeload.scan(data[: len(data) // 3], limits=Limits(memo=4)).verdict == "clean"
