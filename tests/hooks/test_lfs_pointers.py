"""Git LFS pointers: what counts as one, and what may stand for one."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from safeload.errors import InputError, InputNotFound
from safeload.inputs import lfs
from safeload.inputs.lfs import LfsObject, Pointer, pointer_of

OID = "0123456789abcdef" * 4
VERSION = b"version https://git-lfs.github.com/spec/v1\n"
GOOD = VERSION + f"oid sha256:{OID}\nsize 12345\n".encode()


def test_the_canonical_form_is_a_pointer() -> None:
    assert pointer_of(GOOD) == Pointer(OID, 12345)
    assert pointer_of(GOOD.replace(b"size 12345", b"size 0")) == Pointer(OID, 0)
    assert len(GOOD.replace(b"size 12345", b"size " + b"9" * 19)) <= lfs.LONGEST


@pytest.mark.parametrize(
    "data",
    [
        b"",
        VERSION,
        GOOD[:-1],
        GOOD + b"\n",
        GOOD + b"size 1\n",
        GOOD + GOOD,
        b"\n" + GOOD,
        b"\xef\xbb\xbf" + GOOD,
        GOOD.replace(b"\n", b"\r\n"),
        GOOD.replace(b"sha256:0", b"sha256:"),
        GOOD.replace(b"abc", b"ABC"),
        GOOD.replace(b"sha256", b"sha512"),
        GOOD.replace(b"oid sha256", b"oid  sha256"),
        GOOD.replace(b"size 12345", b"size 012345"),
        GOOD.replace(b"size 12345", b"size -1"),
        GOOD.replace(b"size 12345", b"size +1"),
        GOOD.replace(b"size 12345", b"size 1 "),
        GOOD.replace(b"size 12345", b"size \xd9\xa1"),
        GOOD.replace(b"size 12345", b"size " + b"9" * 20),
        GOOD.replace(b"git-lfs.github", b"git-lfs-github"),
        GOOD.replace(b"spec/v1", b"spec/v2"),
        VERSION + f"size 12345\noid sha256:{OID}\n".encode(),
        VERSION + f"ext-0-x sha256:{OID}\noid sha256:{OID}\nsize 1\n".encode(),
        VERSION + f"oid sha256:{OID}\noid sha256:{OID}\nsize 1\n".encode(),
        f"oid sha256:{OID}\nsize 12345\n".encode() + VERSION,
    ],
)
def test_anything_else_is_none(data: bytes) -> None:
    assert pointer_of(data) is None


@pytest.fixture
def content() -> bytes:
    return bytes(range(256)) * 300  # more than one chunk, and no whole number of them


@pytest.fixture
def pointer(content: bytes) -> Pointer:
    return Pointer(hashlib.sha256(content).hexdigest(), len(content))


@pytest.fixture
def place(tmp_path: Path, content: bytes, pointer: Pointer) -> Path:
    path = tmp_path.joinpath(*pointer.place())
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


def test_the_object_gives_its_bytes(tmp_path: Path, place: Path, pointer: Pointer, content: bytes) -> None:
    source = LfsObject(str(tmp_path), pointer)
    assert (source.size, source.path) == (len(content), str(place))
    assert source.read(0, source.size) == content
    assert source.peek(16383, 3) == content[16383:16386]
    assert source.peek(len(content) - 1, 9) == content[-1:]
    source.close()


def test_an_empty_object(tmp_path: Path) -> None:
    pointer = Pointer(hashlib.sha256(b"").hexdigest(), 0)
    path = tmp_path.joinpath(*pointer.place())
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    assert LfsObject(str(tmp_path), pointer).size == 0


def test_an_object_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputNotFound):
        LfsObject(str(tmp_path), Pointer(OID, 1))


def test_another_size_and_another_content_are_refused(tmp_path: Path, place: Path, pointer: Pointer) -> None:
    with pytest.raises(InputError, match="bytes where the pointer says"):
        LfsObject(str(tmp_path), pointer._replace(size=pointer.size + 1))
    data = bytearray(place.read_bytes())
    data[-1] ^= 1
    place.write_bytes(data)
    with pytest.raises(InputError, match="another sha256"):
        LfsObject(str(tmp_path), pointer)


def test_no_link_is_followed(tmp_path: Path, place: Path, pointer: Pointer) -> None:
    for step in (place, place.parent, tmp_path / "lfs"):
        moved = tmp_path / "elsewhere"
        step.rename(moved)
        step.symlink_to(moved)
        assert place.is_file()
        with pytest.raises(InputError):
            LfsObject(str(tmp_path), pointer)
        step.unlink()
        moved.rename(step)
    LfsObject(str(tmp_path), pointer).close()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_not_opened(tmp_path: Path, place: Path, pointer: Pointer) -> None:
    place.unlink()
    os.mkfifo(place)
    with pytest.raises(InputError, match="no regular file"):
        LfsObject(str(tmp_path), pointer)


def test_what_changes_after_it_was_hashed_is_never_given(tmp_path: Path, place: Path, pointer: Pointer) -> None:
    source = LfsObject(str(tmp_path), pointer)
    status = place.stat()
    with place.open("r+b") as file:
        file.seek(20_000)
        file.write(b"X")
    os.utime(place, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert source.read(0, 100)
    with pytest.raises(InputError, match="changed while it was read"):
        source.read(16_384, 1)
    place.write_bytes(b"")
    with pytest.raises(InputError, match="shorter"):
        source.read(40_000, 1)


def test_what_was_read_once_stays_as_it_was(tmp_path: Path, place: Path, pointer: Pointer, content: bytes) -> None:
    source = LfsObject(str(tmp_path), pointer)
    first = source.read(0, 50_000)
    place.write_bytes(bytes(len(content)))
    assert source.read(0, 50_000) == first == content[:50_000]
    source.close()
