"""Numbers of measurements: what real writers write is told, and what could stand between the numbers is not."""

from __future__ import annotations

import io
import struct
import zlib

import pytest

from safeload.containers.whole import Whole, whole
from safeload.errors import LimitExceeded
from safeload.inputs import MemorySource
from safeload.limits import Limits
from tests.containers.whole import made, made_tables

WHOLE = [make() for make, _, _ in made.MADE.values()]
PAYLOAD = b"cos\nsystem\n(S'echo hello'\ntR."


def told(data: bytes, limits: Limits = Limits()) -> Whole | None:  # noqa: B008
    return whole(MemorySource(data), limits)


@pytest.mark.parametrize("options", [{}, {"do_compression": True}, {"format": "4"}])
def test_variables_of_a_real_writer_are_told(options: dict[str, object]) -> None:
    scipy_io = pytest.importorskip("scipy.io")
    numpy = pytest.importorskip("numpy")
    values = {"a": numpy.arange(12.0).reshape(3, 4), "b": numpy.ones((2, 2), "complex128"), "text": "hello"}
    if "format" not in options:
        values |= {
            "cell": numpy.array([1, "two", {"three": 3.0}], dtype=object),
            "struct": {"x": 1, "y": {"z": "deep"}},
        }
    out = io.BytesIO()
    scipy_io.savemat(out, values, **options)
    data = out.getvalue()
    assert told(data) == Whole("data", "MATLAB data")
    assert told(data + PAYLOAD) is None
    assert told(data + bytes(8)) is None


def test_measurements_of_a_real_writer_are_told(tmp_path: object) -> None:
    scipy_io = pytest.importorskip("scipy.io")
    numpy = pytest.importorskip("numpy")
    out = io.BytesIO()
    file = scipy_io.netcdf_file(out, "w")
    file.createDimension("time", None)
    file.createDimension("x", 5)
    file.title = "made by a test"
    fixed = file.createVariable("fixed", "i2", ("x",))
    fixed[:] = numpy.arange(5)
    grown = file.createVariable("grown", "f8", ("time", "x"))
    for number in range(3):
        grown[number] = numpy.arange(5) + number
    file.createVariable("other", "i1", ("time",))[:] = numpy.arange(3)
    file.flush()
    data = out.getvalue()
    assert told(data) == Whole("data", "netCDF data")
    assert told(data + PAYLOAD) is None


def matlab_with(body: bytes) -> bytes:
    return made_tables.matlab()[:128] + body


def packed(data: bytes, behind: bytes = b"") -> bytes:
    stream = zlib.compress(data) + behind
    return struct.pack("<II", 15, len(stream)) + stream


ONE = made_tables.matrix(b"numbers", bytes(24))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("no matrix at all", matlab_with(b"")),
        ("bytes between name and numbers", matlab_with(ONE.replace(b"numbers\0", b"numbers."))),
        ("bytes behind the stream", matlab_with(packed(ONE, PAYLOAD))),
        ("two matrices in a stream", matlab_with(packed(ONE + ONE))),
        ("a stream in a stream", matlab_with(packed(packed(ONE)))),
        ("something else than a matrix", matlab_with(made_tables.element(1, PAYLOAD + bytes(3)))),
        ("a matrix of no class", matlab_with(made_tables.element(14, made_tables.element(6, b"\x63" + bytes(7))))),
        ("a name that is none", made_tables.matlab_old().replace(b"x\0", b"\x80\0")),
        ("numbers that are missing", made_tables.matlab_old()[:-1]),
        ("bytes behind the header", made_tables.netcdf().replace(b"\5hello\0", b"\5helloX")),
        ("a variable inside the header", made_tables.netcdf()[:-24] + PAYLOAD),
        ("a hole between the records", made_tables.netcdf() + bytes(8)),
        ("a header without an end", made_tables.fits().replace(b"END  ", b"END1 ")),
        ("text behind the end of a header", made_tables.fits().replace(b"END" + b" " * 80, b"END" + b" " * 79 + b"0")),
        ("bytes behind the numbers", made_tables.fits()[:2900] + PAYLOAD + made_tables.fits()[2900 + len(PAYLOAD) :]),
        ("compiled routines", made_tables.idl().replace(b"\0\0\0\2\0\0\4", b"\0\0\0\x0c\0\0\4")),
        ("a record that goes back", b"SR\0\4" + struct.pack(">IIII", 10, 4, 0, 0) + struct.pack(">IIII", 6, 0, 0, 0)),
        ("a chunk that is none", made_tables.rf64().replace(b"fmt ", b"\x80\2c\n")),
        ("a size of two kinds", made_tables.rf64(4)),
        ("a picture and more than it is filled up with", made.jpeg() + bytes(-len(made.jpeg()) % 4 + 4)),
        ("a picture that is not filled up to four", made.jpeg() + bytes(-len(made.jpeg()) % 4 + 1)),
    ],
)  # fmt: skip
def test_what_a_reader_would_forgive_is_not_told(name: str, data: bytes) -> None:
    assert data not in WHOLE
    assert told(data) is None, name


def test_a_picture_that_is_filled_up_is_told() -> None:
    comment = b"\xff\xfe\0\5a b"
    data = made.jpeg()
    data = data[:2] + comment + data[2:] if len(data) % 4 == 0 else data
    filled = data + bytes(-len(data) % 4)
    assert len(filled) > len(data)
    assert told(filled) == Whole("image", "JPEG image")
    assert told(filled[:-1] + b"\1") is None


def test_a_stream_that_never_ends_is_a_limit() -> None:
    small = Limits(inflated_bytes=1000)
    with pytest.raises(LimitExceeded, match="--limit inflated_bytes="):
        told(made_tables.idl(packed=True), small)
    with pytest.raises(LimitExceeded, match="--limit inflated_bytes="):
        told(matlab_with(packed(made_tables.matrix(b"numbers", bytes(8000)))), small)


def test_matrices_in_matrices_are_bounded() -> None:
    one = ONE
    for _ in range(60):
        one = made_tables.element(14, made_tables.element(6, b"\1" + bytes(7)) + one)
    assert told(matlab_with(one)) == Whole("data", "MATLAB data")
    for _ in range(10):
        one = made_tables.element(14, made_tables.element(6, b"\1" + bytes(7)) + one)
    assert told(matlab_with(one)) is None
