"""The arguments of `safeload.load`, the errors that leave it, and the second gate of engine="torch"."""

from __future__ import annotations

import argparse
import collections
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import safeload
from samples.assemble import ECHO, Code, name, tensor, value
from samples.assemble import pickle as stream
from samples.files_of_torch import zip_of
from tests.loading.equality import difference
from tests.loading.test_equal import saved
from tests.loading.zoo import OLD, TENSORS

pytestmark = pytest.mark.usefixtures("quiet")
PLAIN = {"w": torch.ones(2), "n": [1, "a", None]}


# -- weights_only


@pytest.mark.parametrize("choice", [None, False, True])
def test_no_choice_of_weights_only_runs_anything(choice: bool | None, tmp_path: Path) -> None:
    made = tmp_path / "made"
    data = stream(Code(name("os", "mkdir") + value((str(made),)) + b"R"))
    with pytest.raises(safeload.UnsafeCheckpoint) as caught:
        safeload.load(data, weights_only=choice)
    assert caught.value.report.verdict == "dangerous"
    assert not made.exists()


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(TENSORS))
def test_weights_only_admits_what_torch_admits(kind: str) -> None:
    data = saved(TENSORS[kind]())
    try:
        theirs = torch.load(io.BytesIO(data), weights_only=True)
    except pickle.UnpicklingError:
        if not OLD:
            raise
        pytest.skip("an older torch admits less")
    assert difference(safeload.load(data, weights_only=True), theirs) == ""


@pytest.mark.parametrize(
    "item", [np.float64(1), np.arange(2), argparse.Namespace(a=1), collections.deque([1]), Path("a")]
)
def test_weights_only_refuses_the_rest_and_names_the_way_out(item: Any) -> None:
    data = saved({"w": torch.ones(1), "x": item})
    assert "x" in safeload.load(data)
    assert "x" in safeload.load(data, weights_only=False)
    with pytest.raises(safeload.UnsafeCheckpoint, match="leave out weights_only=True") as caught:
        safeload.load(data, weights_only=True)
    assert caught.value.report.verdict == "unvetted"


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_weights_only_admits_every_protocol(protocol: int) -> None:
    data = saved(PLAIN, pickle_protocol=protocol)
    if protocol > 3:
        with pytest.raises(pickle.UnpicklingError):
            torch.load(io.BytesIO(data), weights_only=True)
    assert difference(safeload.load(data, weights_only=True), PLAIN) == ""


# -- other arguments


def test_pickle_module_is_refused_with_a_reason() -> None:
    for given in (lambda: safeload.load(b"", None, pickle), lambda: safeload.load(b"", pickle_module=pickle)):
        with pytest.raises(TypeError, match="never unpickles") as caught:
            given()
        assert isinstance(caught.value, safeload.UsageError)
    assert difference(safeload.load(saved(PLAIN), pickle_module=None), PLAIN) == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"buffers": []}, "buffers"),
        ({"unvetted": "yes"}, "unvetted must be"),
        ({"engine": "pickle"}, "engine must be"),
        ({"encoding": "utf-16"}, "encoding must be"),
        ({"map_location": 3}, "map_location must be"),
        ({"map_location": "no such device"}, "no device of torch"),
        ({"mmap": True}, "mmap=True needs a path"),
        ({"trust": ["no_such_module.Net"]}, "no_such_module"),
    ],
)
def test_arguments_without_a_meaning(options: dict[str, Any], message: str) -> None:
    with pytest.raises(safeload.UsageError, match=message):
        safeload.load(saved(PLAIN), **options)


def test_encoding_of_python_2_strings() -> None:
    data = b"\x80\x02U\x03a\xe9b."
    assert safeload.load(data, encoding="latin1") == pickle.loads(data, encoding="latin1") == "a\xe9b"
    assert safeload.load(data, encoding="bytes") == b"a\xe9b"
    for encoding in ("ASCII", "utf-8"):
        with pytest.raises(safeload.UnsafeCheckpoint):
            safeload.load(data, encoding=encoding)
    with pytest.raises(safeload.UnsafeCheckpoint):
        safeload.load(data)


def test_encoding_inside_torch_files() -> None:
    data = zip_of(Code(b"U\x03a\xc3\xa9")).build()
    assert safeload.load(data) == torch.load(io.BytesIO(data), weights_only=True) == "a\xe9"
    assert safeload.load(data, encoding="latin1") == "a\xc3\xa9"


def test_limits_and_policy(tmp_path: Path) -> None:
    with pytest.raises(safeload.UnsafeCheckpoint, match="--limit opcodes"):
        safeload.load(saved(list(range(10_000))), limits=safeload.Limits(opcodes=100))
    pack = tmp_path / "pack.toml"
    pack.write_text('[[narrow]]\nmodule = "argparse"\nname = "Namespace"\nreason = "not here"\n')
    data = pickle.dumps(argparse.Namespace(a=1))
    assert safeload.load(data) == argparse.Namespace(a=1)
    with pytest.raises(safeload.UnsafeCheckpoint, match=r"argparse\.Namespace"):
        safeload.load(data, policy=pack)


# -- inputs


def test_inputs(tmp_path: Path) -> None:
    data = saved(PLAIN)
    path = tmp_path / "x.pt"
    path.write_bytes(data)
    shifted = io.BytesIO(b"before" + data)
    shifted.seek(6)
    with path.open("rb") as opened:
        for given in (path, str(path), data, bytearray(data), memoryview(data), io.BytesIO(data), shifted, opened):
            assert difference(safeload.load(given), PLAIN) == ""


@pytest.mark.parametrize("given", [None, 3, ["x"], io.StringIO("x")])
def test_what_is_no_input(given: Any) -> None:
    with pytest.raises(safeload.UsageError):
        safeload.load(given)


def test_errors_about_the_input_are_the_operating_systems_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError) as missing:
        safeload.load(tmp_path / "none.pt")
    assert isinstance(missing.value, safeload.InputNotFound)
    assert missing.value.filename == str(tmp_path / "none.pt")
    with pytest.raises(IsADirectoryError) as folder:
        safeload.load(tmp_path)
    assert isinstance(folder.value, safeload.InputIsDirectory)

    def denied(*args: Any, **options: Any) -> int:
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "x.pt"
    path.write_bytes(saved(PLAIN))
    monkeypatch.setattr("safeload.inputs.file.os.open", denied)
    with pytest.raises(PermissionError) as refused:
        safeload.load(path)
    assert isinstance(refused.value, safeload.InputDenied)


class Raising(io.BytesIO):
    """A file object that raises after some reads."""

    def __init__(self, data: bytes, error: BaseException, after: int) -> None:
        super().__init__(data)
        self.error, self.left = error, after

    def read(self, size: int | None = -1) -> bytes:
        self.left -= 1
        if self.left < 0:
            raise self.error
        return super().read(size)


@pytest.mark.parametrize("error", [KeyError("mine"), ConnectionError("mine"), KeyboardInterrupt()])
def test_what_a_file_object_raises_passes_unchanged(error: BaseException) -> None:
    data = saved(PLAIN)
    reads = Raising(data, error, 1 << 30)
    safeload.load(reads)
    needed = (1 << 30) - reads.left
    assert needed > 2
    for after in range(needed):
        with pytest.raises(type(error)) as caught:
            safeload.load(Raising(data, error, after))
        assert caught.value is error


@pytest.mark.parametrize("error", [KeyError("mine"), RuntimeError("mine"), KeyboardInterrupt()])
def test_what_map_location_raises_passes_unchanged(error: BaseException) -> None:
    def place(storage: Any, location: str) -> Any:
        raise error

    class Table(dict[str, str]):
        def get(self, key: str, default: Any = None) -> Any:
            raise error

    for given in (place, Table()):
        for engine in ("safeload", "torch"):
            if engine == "torch" and isinstance(given, Table):
                continue
            with pytest.raises(type(error)) as caught:
                safeload.load(saved(PLAIN), map_location=given, engine=engine)
            assert caught.value is error


def test_the_message_names_what_where_and_each_way() -> None:
    data = saved({"w": torch.ones(1), "x": collections.UserDict()})
    with pytest.raises(safeload.UnsafeCheckpoint) as caught:
        safeload.load(data)
    text = str(caught.value)
    assert "collections.UserDict" in text
    assert "archive/data.pkl at byte 0x" in text
    assert "unvetted='record'" in text
    assert "trust=['collections.UserDict']" in text
    assert isinstance(caught.value, pickle.UnpicklingError)


# -- engine="torch"


def test_engine_torch_loads_the_same(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save(PLAIN, path)
    assert difference(safeload.load(path, engine="torch"), PLAIN) == ""
    assert safeload.load(path, "meta", engine="torch")["w"].is_meta
    torch.save(PLAIN, path, _use_new_zipfile_serialization=False)
    assert difference(safeload.load(path, engine="torch"), PLAIN) == ""


def test_engine_torch_is_a_second_gate_not_the_only_one() -> None:
    with pytest.raises(safeload.UnsafeCheckpoint, match="dangerous"):
        safeload.load(stream(ECHO), engine="torch")
    # Ours admits it, torch does not.
    data = saved(np.float64(2))
    assert safeload.load(data) == 2
    with pytest.raises(safeload.UnsafeCheckpoint, match="torch refused it") as caught:
        safeload.load(data, engine="torch")
    assert caught.value.report.verdict == "clean"
    # Torch admits it, ours does not.
    data = zip_of({"w": tensor(hooks=value([]))}).build()
    torch.load(io.BytesIO(data), weights_only=True)
    with pytest.raises(safeload.UnsafeCheckpoint, match="backward hooks"):
        safeload.load(data, engine="torch")


def test_engine_torch_gets_the_judged_bytes_not_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.pt"
    torch.save({"w": torch.ones(2)}, path)
    from safeload.loading import judged

    admit = judged.admit

    def swap_then_admit(*args: Any, **options: Any) -> None:
        admit(*args, **options)
        torch.save({"w": torch.zeros(2)}, path)

    monkeypatch.setattr(judged, "admit", swap_then_admit)
    assert safeload.load(path, engine="torch")["w"].tolist() == [1.0, 1.0]
    assert torch.load(path)["w"].tolist() == [0.0, 0.0]
