"""Inputs: exact ranges, kept bytes, one digest for all kinds, and errors that say what to do."""

import hashlib
import io
import os
import socket
import sys
from pathlib import Path

import pytest

from safeload.errors import InputDenied, InputError, InputIsDirectory, InputNotFound, Malformed, UsageError
from safeload.inputs import FileSource, MemorySource, SpooledSource, StreamSource, open_source

DATA = bytes(range(256)) * 40


class Unseekable(io.RawIOBase):
    """A pipe-like object that gives at most 100 bytes a call."""

    def __init__(self, data):
        self._inner = io.BytesIO(data)

    def readable(self):
        return True

    def seekable(self):
        return False

    def read(self, size=-1):
        return self._inner.read(min(size, 100))


def sources(tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(DATA)
    behind = io.BytesIO(b"in front" + DATA)
    behind.seek(8)
    return [
        open_source(path),
        open_source(str(path)),
        open_source(DATA),
        open_source(bytearray(DATA)),
        open_source(memoryview(DATA)),
        open_source(behind),
        open_source(Unseekable(DATA)),
    ]


def test_every_kind_reads_the_same(tmp_path):
    kinds = sources(tmp_path)
    assert [type(source) for source in kinds] == [
        FileSource, FileSource, MemorySource, MemorySource, MemorySource, StreamSource, SpooledSource,
    ]  # fmt: skip
    for source in kinds:
        assert source.size == 10240
        assert source.read(255, 3) == b"\xff\x00\x01"
        assert source.read(10240, 0) == b""
        assert source.peek(10238, 100) == b"\xfe\xff"
        assert source.peek(10240, 1) == b""
        assert source.peek(-1, 5) == b""
        for offset, length in ((10240, 1), (0, 10241), (-1, 1), (0, -1), (1 << 70, 1), (0, 1 << 70)):
            with pytest.raises(Malformed, match="truncated or damaged"):
                source.read(offset, length)
        source.close()
        assert source.read(255, 3) == b"\xff\x00\x01"


def test_digest_merges_ranges_and_ignores_order_and_peeks(tmp_path):
    expected = hashlib.sha256(
        (0).to_bytes(8, "little") + (300).to_bytes(8, "little") + DATA[:300]
        + (1000).to_bytes(8, "little") + (24).to_bytes(8, "little") + DATA[1000:1024]
    ).hexdigest()  # fmt: skip
    nothing = hashlib.sha256().hexdigest()
    for source in sources(tmp_path):
        assert source.judged_sha256() == nothing
        source.peek(5000, 10)
        for offset, length in ((1000, 20), (100, 100), (0, 100), (1010, 14), (200, 100), (50, 200), (1000, 20)):
            assert source.read(offset, length) == DATA[offset : offset + length]
        assert source.judged_sha256() == expected
        source.close()


def test_what_was_read_stays_the_same_when_the_file_changes(tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(DATA)
    source = FileSource(path)
    assert not source.changed()
    first = source.read(100, 50)
    path.write_bytes(bytes(len(DATA)))
    os.utime(path, (1, 1))
    assert source.changed()
    assert source.read(100, 50) == first == DATA[100:150]
    # Around what was kept, the rest is read now.
    assert source.read(90, 70) == bytes(10) + DATA[100:150] + bytes(10)
    assert source.read(120, 5) == DATA[120:125]
    source.close()


def test_overlaps_of_every_shape(tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(DATA)
    for second in ((0, 5), (0, 10), (0, 15), (0, 40), (10, 10), (12, 3), (15, 10), (20, 5), (5, 30), (15, 25), (30, 1)):
        source = FileSource(path)
        source.read(10, 10)
        source.read(25, 5)
        offset, length = second
        assert source.read(offset, length) == DATA[offset : offset + length]
        assert source.read(0, 50) == DATA[:50]
        assert source.judged_sha256() == MemoryDigest(0, 50)
        source.close()


def MemoryDigest(offset, length):
    source = MemorySource(DATA)
    source.read(offset, length)
    return source.judged_sha256()


def test_without_pread(tmp_path, monkeypatch):
    path = tmp_path / "model.bin"
    path.write_bytes(DATA)
    monkeypatch.delattr(os, "pread", raising=False)
    source = FileSource(path)
    assert source.read(5000, 10) == DATA[5000:5010]
    assert source.read(3, 10) == DATA[3:13]
    source.close()


def test_short_reads_of_the_system_are_completed(tmp_path, monkeypatch):
    path = tmp_path / "model.bin"
    path.write_bytes(DATA)
    monkeypatch.setattr("safeload.inputs.file._CHUNK", 7)
    source = FileSource(path)
    assert source.read(1, 100) == DATA[1:101]
    source.close()


def test_a_file_that_gets_shorter(tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(DATA)
    source = FileSource(path)
    os.truncate(path, 5000)
    with pytest.raises(InputError, match="got shorter while being read"):
        source.read(4990, 100)
    assert source.read(4990, 10) == DATA[4990:5000]
    source.close()
    with pytest.raises(InputError, match="closed"):
        source.read(0, 10)


def test_memory_is_copied_when_it_can_change():
    data = bytearray(b"abc")
    source = open_source(data)
    data[0] = 0
    assert source.read(0, 3) == b"abc"


def test_no_such_file(tmp_path):
    with pytest.raises(InputNotFound) as raised:
        open_source(tmp_path / "missing.pt")
    assert raised.value.filename == str(tmp_path / "missing.pt")
    assert isinstance(raised.value, FileNotFoundError)
    with pytest.raises(InputError):
        open_source("a\0b")


def test_a_folder(tmp_path):
    with pytest.raises(InputIsDirectory):
        open_source(tmp_path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="needs permissions that bind")
def test_no_permission(tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(b"x")
    path.chmod(0)
    with pytest.raises(InputDenied):
        open_source(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_a_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="a pipe"):
        open_source(tmp_path / "pipe")


@pytest.mark.skipif(sys.platform == "win32", reason="needs sockets and devices in the file system")
def test_sockets_and_devices(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        with pytest.raises(InputError, match="a socket"):
            open_source("socket")
    with pytest.raises(InputError, match="a device"):
        open_source("/dev/zero")


def test_links_are_followed(tmp_path):
    (tmp_path / "blob").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("blob")
    source = open_source(tmp_path / "link")
    assert source.read(0, 3) == b"abc"
    assert source.name == str(tmp_path / "link")
    source.close()


def test_names():
    assert open_source(b"").name == "<bytes>"
    assert open_source(io.BytesIO()).name == "<file object>"
    assert open_source(io.BytesIO(), name="-").name == "-"


def test_what_the_file_object_raises_passes_through():
    class Broken(io.BytesIO):
        def read(self, size=-1):
            if size:
                raise ConnectionResetError("the bucket is gone")
            return b""

    source = open_source(Broken(DATA))
    with pytest.raises(ConnectionResetError) as raised:
        source.read(0, 10)
    assert type(raised.value) is ConnectionResetError


def test_streams_that_give_little_or_nothing():
    class Slow(io.BytesIO):
        def read(self, size=-1):
            return super().read(min(size, 3))

    assert open_source(Slow(DATA)).read(5, 10) == DATA[5:15]
    stream = io.BytesIO(DATA)
    source = open_source(stream)
    stream.truncate(100)
    with pytest.raises(InputError, match="got shorter"):
        source.read(90, 20)


def test_text_is_refused(tmp_path):
    path = tmp_path / "text"
    path.write_text("abc", encoding="ascii")
    with path.open(encoding="ascii") as stream, pytest.raises(UsageError, match="binary mode"):
        open_source(stream)
    for wrong in (None, 3, ["model.pt"]):
        with pytest.raises(UsageError, match="expected a path"):
            open_source(wrong)


def test_a_stream_that_never_ends():
    class Endless:
        def read(self, size):
            return bytes(size)

    with pytest.raises(InputError, match="longer than"):
        open_source(Endless(), spool_bytes=3 << 20)


def test_closing_leaves_the_callers_object_open():
    stream = io.BytesIO(DATA)
    open_source(stream).close()
    assert not stream.closed


def test_this_very_file():
    source = open_source(Path(__file__))
    assert source.read(0, source.size) == Path(__file__).read_bytes()
    source.close()
