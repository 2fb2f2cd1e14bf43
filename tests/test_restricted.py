"""`safeload.restricted` in pickle's place: the same objects for benign pickles, nothing run for others."""

from __future__ import annotations

import builtins
import collections
import contextlib
import datetime
import io
import os
import pickle
import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import safeload
from safeload import restricted

OBJECTS: list[Any] = [
    None, 3, 2**100, 1.5, "text", b"bytes" * 1000, [1, [2, {"a": (3, {4, 5})}]], {"k": frozenset("ab")},
    collections.OrderedDict(a=1), collections.Counter("aab"), datetime.datetime(2024, 1, 2, 3), "x" * 70_000,
    [[n, str(n)] for n in range(3000)],
]  # fmt: skip
HOSTILE = {
    "system": b"cos\nsystem\n(S'true'\ntR.",
    "eval": b"\x80\x02cbuiltins\neval\nX\x01\x00\x00\x001\x85R.",
    "persistent": b"Pname\n.",
    "extension": b"\x80\x02\x82\x01.",
    "unknown": b"cmy_package\nThing\n)R.",
    "cut": pickle.dumps(OBJECTS)[:-2],
    "no pickle": b"hello",
    "buffers": pickle.dumps(pickle.PickleBuffer(bytearray(3)), 5, buffer_callback=lambda _: False),
}


class Opaque:
    """A class outside the table."""

    def __init__(self) -> None:
        self.weight = torch.ones(2)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("item", OBJECTS, ids=lambda item: type(item).__name__)
def test_what_pickle_gives(item: Any, protocol: int) -> None:
    data = pickle.dumps(item, protocol)
    made = restricted.loads(data)
    assert made == item
    assert type(made) is type(item)
    assert restricted.loads(bytearray(data)) == restricted.loads(memoryview(data)) == item
    assert restricted.loads(data + b"what follows") == item


@pytest.mark.parametrize("protocol", range(6))
def test_tensors_and_arrays(protocol: int) -> None:
    tensor, array = torch.arange(6.0).reshape(2, 3), np.arange(6).reshape(3, 2)
    got = restricted.loads(pickle.dumps({"t": tensor, "a": array, "p": torch.nn.Parameter(tensor)}, protocol))
    assert torch.equal(got["t"], tensor)
    assert np.array_equal(got["a"], array)
    assert isinstance(got["p"], torch.nn.Parameter)


def pickles() -> bytes:
    return b"".join(pickle.dumps(item, protocol) for protocol in range(6) for item in OBJECTS)


def test_one_pickle_after_the_other() -> None:
    file = io.BytesIO(b"before" + pickles())
    file.seek(6)
    reference = io.BytesIO(pickles())
    for _ in range(6 * len(OBJECTS)):
        assert restricted.load(file) == pickle.load(reference)
        assert file.tell() == reference.tell() + 6
    with pytest.raises(safeload.EndOfInput):
        restricted.load(file)


@pytest.mark.parametrize("buffer", [16, 8192])
def test_a_pipe_is_read_no_further_than_stop(buffer: int) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffer) as file:
        data = pickles()

        def write() -> None:
            with os.fdopen(writing, "wb") as out:
                out.write(data + b"and more")

        thread = threading.Thread(target=write)
        thread.start()
        got = [restricted.load(file) for _ in range(6 * len(OBJECTS))]
        assert file.read() == b"and more"
        thread.join()
    assert got == OBJECTS * 6


def test_a_file_without_seek_and_peek_is_refused() -> None:
    class Bare:
        def read(self, size: int = -1) -> bytes:
            raise AssertionError("read")

    for other in (Bare(), "a path", None, 3):
        with pytest.raises(TypeError) as raised:
            restricted.load(other)
        assert isinstance(raised.value, safeload.WrongArgument)
    with pytest.raises(safeload.UsageError, match="binary"):
        restricted.load(io.StringIO("N."))
    with pytest.raises(safeload.WrongArgument):
        restricted.loads("N.")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("unvetted", ["refuse", "record"])
def test_nothing_else_is_built(name: str, unvetted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    imported: list[str] = []
    original = builtins.__import__

    def watched(wanted: str, *args: Any, **options: Any) -> Any:
        imported.append(wanted)
        return original(wanted, *args, **options)

    monkeypatch.setattr(os, "system", lambda _: pytest.fail("was run"))
    monkeypatch.setattr(builtins, "__import__", watched)
    if name == "unknown" and unvetted == "record":
        assert repr(restricted.loads(HOSTILE[name], unvetted="record")) == "<Record of my_package.Thing>"
    else:
        for call in (
            lambda: restricted.loads(HOSTILE[name], unvetted=unvetted),
            lambda: restricted.load(io.BytesIO(HOSTILE[name]), unvetted=unvetted),
            lambda: restricted.load(io.BufferedReader(Unseekable(HOSTILE[name])), unvetted=unvetted),
        ):
            with pytest.raises(pickle.UnpicklingError) as raised:
                call()
            assert isinstance(raised.value, safeload.UnsafeCheckpoint)
            assert raised.value.report.verdict in ("dangerous", "unjudged", "unvetted")
    assert "my_package" not in imported


class Unseekable(io.RawIOBase):
    """A raw stream that gives three bytes at a time."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        data = self._data.read(min(3, len(buffer)))
        buffer[: len(data)] = data
        return len(data)


def test_the_format_is_always_a_pickle() -> None:
    out = io.BytesIO()
    torch.save([1], out)
    with pytest.raises(safeload.UnsafeCheckpoint):
        restricted.loads(out.getvalue())


def test_records_and_trust() -> None:
    data = pickle.dumps({"thing": Opaque()})
    with pytest.raises(safeload.UnsafeCheckpoint):
        restricted.loads(data)
    assert restricted.loads(data, unvetted="record")["thing"].weight.tolist() == [1.0, 1.0]
    assert type(restricted.loads(data, trust=[Opaque])["thing"]) is Opaque
    assert type(restricted.Unpickler(io.BytesIO(data), trust=[Opaque]).load()["thing"]) is Opaque


def test_python_2_strings() -> None:
    data = b"S'caf\\xe9'\n."
    with pytest.raises(safeload.UnsafeCheckpoint):
        restricted.loads(data)
    assert restricted.loads(data, encoding="latin1") == "café"
    assert restricted.loads(data, encoding="bytes") == b"caf\xe9"
    with pytest.raises(safeload.UsageError):
        restricted.loads(data, encoding="punycode")


def test_arguments_that_cannot_be_kept() -> None:
    with pytest.raises(safeload.UsageError, match="strict"):
        restricted.loads(b"N.", errors="ignore")
    with pytest.raises(TypeError, match="buffers"):
        restricted.loads(b"N.", buffers=[])
    assert restricted.loads(b"N.", fix_imports=False) is None
    with pytest.raises(EOFError):
        restricted.loads(b"")


@pytest.mark.parametrize("hook", ["find_class", "persistent_load", "dispatch_table"])
def test_hooks_cannot_be_overridden(hook: str) -> None:
    with pytest.raises(TypeError, match="never be called") as raised:
        type("Own", (restricted.Unpickler,), {hook: lambda self, *args: None})
    assert isinstance(raised.value, safeload.WrongArgument)
    unpickler = restricted.Unpickler(io.BytesIO(b"N."))
    with pytest.raises(TypeError):
        setattr(unpickler, hook, None)
    assert unpickler.load() is None

    class Named(restricted.Unpickler):
        """A subclass that changes nothing of this is fine."""

    assert Named(io.BytesIO(b"I7\n.")).load() == 7


def test_as_torchs_pickle_module(tmp_path: Path) -> None:
    torch.save([1], tmp_path / "x.pt")
    with pytest.raises(TypeError, match="find_class"):
        torch.load(tmp_path / "x.pt", pickle_module=restricted, weights_only=False)


def test_a_memo_ends_with_its_pickle() -> None:
    file = io.BytesIO()
    pickler = pickle.Pickler(file)
    shared = ["shared"]
    pickler.dump(shared)
    pickler.dump([shared])
    file.seek(0)
    unpickler = restricted.Unpickler(file)
    assert unpickler.load() == ["shared"]
    with pytest.raises(safeload.UsageError, match="one pickle"):
        unpickler.load()


@pytest.mark.filterwarnings("ignore")
def test_any_bytes() -> None:
    chance = random.Random(11)
    samples = [pickle.dumps(item, protocol) for item in (*OBJECTS[:-2], torch.ones(2)) for protocol in range(6)]
    for _ in range(3000):
        data = bytearray(chance.choice(samples))
        for _ in range(chance.randrange(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        for call in (
            lambda data=bytes(data): restricted.loads(data, unvetted="record"),
            lambda data=bytes(data): restricted.load(io.BufferedReader(Unseekable(data)), unvetted="record"),
        ):
            with contextlib.suppress(safeload.SafeloadError):
                call()


def test_importing_it_needs_no_torch() -> None:
    code = "import safeload.restricted, sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_without_torch_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import safeload, safeload.restricted\n"
        "try: safeload.restricted.loads(b'N.')\n"
        "except safeload.MissingExtra as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == (
        "loading needs torch, which is not installed: pip install '.[torch]'  # in a clone of safeload\n",
        "",
    )
