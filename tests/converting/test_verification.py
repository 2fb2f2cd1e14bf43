"""Verification finds what differs: any byte, name, type, shape or metadata entry, by code of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import safeload
from safeload.converting.write import casting, system
from tests.converting.making import left, saved

STATE = {
    "w": torch.arange(40_000.0), "t": torch.arange(1200.0).reshape(30, 40).t(), "d": torch.ones(70).double(),
    "v": torch.arange(9), "epoch": 3,
}  # fmt: skip


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    path = saved(tmp_path / "x.pth", STATE)
    safeload.convert(path, tmp_path / "x.safetensors")
    return path, tmp_path / "x.safetensors"


def test_every_part_of_the_file_counts(pair: tuple[Path, Path]) -> None:
    source, out = pair
    data = out.read_bytes()
    header = 8 + int.from_bytes(data[:8], "little")
    places = [*range(0, header, 97), *range(header, len(data), 9973), len(data) - 1]
    # Which safeload converted it, by which rules, may differ: the rest of the record may not.
    record = json.loads(json.loads(data[8:header])["__metadata__"]["safeload.convert"])
    free = [data.index(record[key].encode()) for key in ("safeload", "policy")]
    for at in places:
        if any(start <= at < start + 64 for start in free):
            continue
        out.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises((safeload.NotEqual, safeload.UsageError)):
            safeload.verify(source, out)
    for wrong in (data[:-1], data + b"\0", data[:header], b""):
        out.write_bytes(wrong)
        with pytest.raises(safeload.NotEqual):
            safeload.verify(source, out)
    out.write_bytes(data)
    safeload.verify(source, out)


def test_another_source_is_noticed(pair: tuple[Path, Path], tmp_path: Path) -> None:
    data = bytearray(pair[0].read_bytes())
    data[data.rindex(STATE["t"].t().contiguous().numpy().tobytes()) + 4 * 77] ^= 1
    changed = tmp_path / "changed.pth"
    changed.write_bytes(data)
    with pytest.raises(safeload.NotEqual, match="'t' near byte"):
        safeload.verify(changed, pair[1])
    with pytest.raises(safeload.NotEqual):
        safeload.verify(resaved(tmp_path, {**STATE, "epoch": 4}), pair[1])
    with pytest.raises(safeload.NotEqual):
        safeload.verify(resaved(tmp_path, {**STATE, "extra": torch.ones(1)}), pair[1])


def resaved(tmp_path: Path, state: dict[str, Any]) -> Path:
    (tmp_path / "other").mkdir(exist_ok=True)
    return saved(tmp_path / "other" / "x.pth", state)


def rewrite(out: Path, change: Any) -> None:
    """The header of a file changed, its data as they were."""
    data = out.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    out.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])


@pytest.mark.parametrize(
    "options",
    [{"manifest": "/tmp/safeload-never"}, {"force": True}, {"policy": None}, {"dtype": "int8"}, {"keys": 3}, {"a": 1}],
)
def test_recorded_options_are_not_obeyed_blindly(options: dict[str, Any], pair: tuple[Path, Path]) -> None:
    def change(header: dict[str, Any]) -> None:
        record = json.loads(header["__metadata__"]["safeload.convert"])
        record["options"] = options
        header["__metadata__"]["safeload.convert"] = json.dumps(record)

    rewrite(pair[1], change)
    with pytest.raises(safeload.NotEqual, match="record"):
        safeload.verify(*pair)
    assert not Path("/tmp/safeload-never").exists()


@pytest.mark.parametrize("record", ["", "[]", "null", '{"version":2}', '{"version":1}', "[" * 100_000])
def test_a_record_that_is_none(record: str, pair: tuple[Path, Path]) -> None:
    rewrite(pair[1], lambda header: header["__metadata__"].update({"safeload.convert": record}))
    with pytest.raises(safeload.NotEqual):
        safeload.verify(*pair)


def test_files_of_other_converters_verify_by_their_tensors(tmp_path: Path) -> None:
    import safetensors.torch

    state = {"w": torch.randn(5), "b": torch.randn(2)}
    path = saved(tmp_path / "x.pth", state)
    safetensors.torch.save_file(state, tmp_path / "x.safetensors")
    assert safeload.verify(path, tmp_path / "x.safetensors").tensors == 2
    state["w"][0] += 1
    safetensors.torch.save_file(state, tmp_path / "x.safetensors")
    with pytest.raises(safeload.NotEqual, match="'w' near byte"):
        safeload.verify(path, tmp_path / "x.safetensors")


@pytest.mark.parametrize("overlap", [True, False])
@pytest.mark.parametrize("what", ["move", "write", "cast"])
def test_a_writer_that_errs_is_caught(
    what: str, overlap: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path / "x.pth", STATE)
    if what == "move":
        real = system.copy_file_range
        monkeypatch.setattr(system, "copy_file_range", lambda a, b, n, x, y: real(a, b, n, x + 1, y))
    elif what == "write":
        write = system.write_at
        monkeypatch.setattr(
            system, "write_at", lambda fd, data, at: write(fd, bytes(data)[::-1] if at > 100_000 else data, at)
        )
    else:
        monkeypatch.setattr(casting, "_to_bfloat16", lambda wide: (wide.view("<u4") >> 16).astype("<u2"))
    options = {"dtype": "bf16"} if what == "cast" else {}
    state = {**STATE, "w": torch.rand(200_000)}  # alone in its portion: moved by the kernel
    with pytest.raises(safeload.NotEqual):
        safeload.convert(saved(path, state), tmp_path / "x.safetensors", overlap=overlap, **options)
    assert left(tmp_path) == ["x.pth"]


def test_digests_when_asked_for(pair: tuple[Path, Path]) -> None:
    import hashlib

    found = safeload.verify(*pair, digests=True).digests
    assert found["t"] == hashlib.sha256(STATE["t"].contiguous().numpy().tobytes()).hexdigest()
    assert found["d"] == hashlib.sha256(STATE["d"].numpy().tobytes()).hexdigest()
