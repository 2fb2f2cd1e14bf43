"""Bare pickles, .npy files, compressed files, and what none of the readers takes."""

import bz2
import gzip
import io
import lzma
import pickle
import struct
import zlib

import pytest

from safeload.containers import recognise
from safeload.containers.bare_pickle import BarePickle
from safeload.containers.compressed import Compressed
from safeload.containers.hdf5 import Hdf5
from safeload.containers.interface import ContainerLayout, Nested, Pickle, Tensor
from safeload.containers.npy import Npy
from safeload.containers.unrecognised import Unrecognised
from safeload.document.document import Extent
from safeload.errors import LimitExceeded, Malformed
from safeload.findings import Finding, Verdict
from safeload.inputs import MemorySource
from safeload.limits import Limits
from tests.containers.driver import drive
from tests.containers.fuzzing import hold_contract

ONE = pickle.dumps({"a": 1}, 2)
TWO = pickle.dumps([2], 4)


def read(container, data, limits=None):
    return drive(container, MemorySource(data), limits)


def findings(parts):
    return [(part.rule, part.verdict) for part in parts if isinstance(part, Finding)]


def names(data):
    return [container.name for container in recognise(MemorySource(data))]


# Bare pickles


def test_stacked_pickles():
    data = ONE + TWO + ONE
    assert names(data) == ["pickle"]
    parts, layout = read(BarePickle(), data)
    assert [(part.role, part.start, part.end, part.main, part.encoding) for part in parts] == [
        ("object", 0, len(data), True, "ASCII"),
        ("pickle 2", len(ONE), len(data), False, "ASCII"),
        ("pickle 3", len(ONE + TWO), len(data), False, "ASCII"),
    ]
    assert layout == ContainerLayout()


def test_bytes_behind_the_pickle():
    parts, _ = read(BarePickle(), ONE + b"\x00\x01\x02")
    assert findings(parts) == [("trailing-bytes", Verdict.UNJUDGED)]
    assert parts[1].offset == len(ONE)
    # Whatever could be run is handed to the machine, not called trailing.
    parts, _ = read(BarePickle(), ONE + b"cos\nsystem\n(S'true'\ntR.")
    assert [type(part) for part in parts] == [Pickle, Pickle]
    # A zip behind a pickle: two files in one.
    parts, _ = read(BarePickle(), ONE + b"\x00PK\x05\x06" + bytes(18))
    assert findings(parts) == [("trailing-bytes", Verdict.UNJUDGED)]


def test_a_broken_pickle_ends_the_reading():
    parts, _ = read(BarePickle(), ONE[:-3])
    assert [type(part) for part in parts] == [Pickle]


def test_joblib_is_told_even_when_it_reads_well():
    data = pickle.dumps("joblib.numpy_pickle", 2)
    parts, _ = read(BarePickle(), data)
    assert findings(parts) == [("joblib", Verdict.UNJUDGED)]
    assert len(parts) == 2


def test_too_many_pickles():
    with pytest.raises(LimitExceeded) as raised:
        read(BarePickle(), b"N." * 5, Limits(members=4))
    assert raised.value.limit == "members"


def test_fuzz_pickle():
    hold_contract(BarePickle(), ONE + TWO + ONE + bytes(8), 5, 600, breaks=False)


# .npy


def npy(header, data=b"", version=1):
    text = header if isinstance(header, bytes) else header.encode()
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + length + text + data


def header(descr="'<f4'", fortran="False", shape="(2,)"):
    return f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n"


@pytest.mark.parametrize("version", [1, 2, 3])
def test_plain_array(version):
    data = npy(header(shape="(2, 3)", fortran="True"), bytes(24), version)
    assert names(data) == ["npy"]
    parts, layout = read(Npy(), data)
    assert parts == [Tensor("", "float32", (2, 3), "", fortran=True)]
    assert layout == ContainerLayout({"": Extent(len(data) - 24, 24, 24)}, root="single")


@pytest.mark.parametrize(
    ("descr", "itemsize", "dtype", "big"),
    [
        ("'|b1'", 1, "bool", False),
        ("'|u1'", 1, "uint8", False),
        ("'>i8'", 8, "int64", True),
        ("'<f2'", 2, "float16", False),
        ("'<c16'", 16, "complex128", False),
        ("'<f16'", 16, None, False),
        ("'<U3'", 12, None, False),
        ("'|S5'", 5, None, False),
        ("'|V7'", 7, None, False),
        ("'<M8[ns]'", 8, None, False),
        ("'<m8[25s]'", 8, None, False),
        ("[('x', '<f4'), ('y', '<i8', (2, 3))]", 52, None, False),
        ("[(('title', 'x'), '<f4'), ('', '|V4')]", 8, None, False),
        ("[('x', [('y', '<u2', (2,)), ('z', '|u1')])]", 5, None, False),
    ],
)
def test_dtypes(descr, itemsize, dtype, big):
    parts, layout = read(Npy(), npy(header(descr), bytes(2 * itemsize)))
    assert parts == ([Tensor("", dtype, (2,), "")] if dtype else [])
    assert layout.storages[""].size == 2 * itemsize
    assert layout.big_endian == big
    assert layout.root == "single"


@pytest.mark.parametrize(
    "descr", ["'|O'", "'O'", "'|O8'", "[('x', '<f4'), ('y', '|O')]", "[('x', [('y', 'O', (2,))])]"]
)
def test_object_arrays_hold_a_pickle(descr):
    parts, layout = read(Npy(), npy(header(descr), ONE))
    assert [(type(part), part.main, part.role) for part in parts] == [(Pickle, True, "object array")]
    assert layout.root == "stream"
    parts, _ = read(Npy(), npy(header(descr), ONE + b"more"))
    assert findings(parts) == [("trailing-bytes", Verdict.UNJUDGED)]


@pytest.mark.parametrize(
    "descr",
    ["'f'", "'<f3'", "'float32'", "'f4,O'", "'<i'", "'O16'", "'|Q8'", "3", "None", "[]", "['<f4']", "[('x',)]",
     "[(1, '<f4')]", "[('x', '<f4', (-1,))]", "[('x', '<f4', True)]", "{'names': ['x'], 'formats': ['O']}"],
)  # fmt: skip
def test_dtypes_that_are_not_understood(descr):
    parts, layout = read(Npy(), npy(header(descr), bytes(8)))
    assert findings(parts) == [("npy-dtype", Verdict.UNJUDGED)]
    assert layout.storages == {}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x93NUMPY\x01", "truncated"),
        (npy(header())[:20], "truncated"),
        (npy(header(), bytes(7)), "needs 8 bytes"),
        (npy(header(shape="(1 << 62,)")), "Python literal"),
        (npy(header(shape="(4611686018427387904,)"), bytes(8)), "needs 18446744073709551616 bytes"),
        (npy(header(shape="(-1,)")), "valid shape"),
        (npy(header(shape="(True,)")), "valid shape"),
        (npy(header(shape="[2]")), "valid shape"),
        (npy(header(shape=f"({'1, ' * 65})")), "valid shape"),
        (npy(header(fortran="0")), "fortran_order"),
        (npy("{'descr': '<f4', 'shape': (2,)}"), "dict of descr"),
        (npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': 1}"), "dict of descr"),
        (npy("{'descr': 'O', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}"), "repeats a key"),
        (npy("__import__('os')"), "Python literal"),
        (npy("[" * 5000), "nests deeper"),
        (npy("-" * 5000), "Python literal"),
        (npy("{'descr': '\\x4f', 'fortran_order': False, 'shape': ()}"), "escapes"),
        (npy(b"\xff\xfe", version=3), "UTF-8"),
        (npy(header(), bytes(8), version=4), "unknown .npy version 4.0"),
        (npy(" " * 10001, version=2), "at most 10000"),
        (npy(header())[:8] + b"\xff\xff" + bytes(9), "at most 10000"),
    ],
)
def test_npy_malformed(data, message):
    with pytest.raises(Malformed, match=message):
        read(Npy(), data)


def test_npy_trailing_bytes():
    parts, _ = read(Npy(), npy(header(), bytes(9)))
    assert findings(parts) == [("trailing-bytes", Verdict.UNJUDGED)]


def test_npy_of_python_2():
    parts, _ = read(Npy(), npy(header(shape="(2L, 10L)"), bytes(80)))
    assert parts == [Tensor("", "float32", (2, 10), "")]


def test_npy_of_numpy_itself():
    numpy = pytest.importorskip("numpy")
    for array, dtype in (
        (numpy.arange(6, dtype="<f8").reshape(2, 3), "float64"),
        (numpy.asfortranarray(numpy.ones((2, 3), ">i4")), "int32"),
        (numpy.float32(3.0), "float32"),
        (numpy.zeros((0, 3), "u1"), "uint8"),
        (numpy.array(["a", "bc"]), None),
        (numpy.zeros(2, [("a", "f4"), ("b", "U3")]), None),
        (numpy.zeros(2, numpy.dtype({"names": ["a"], "formats": ["u1"], "offsets": [3], "itemsize": 8})), None),
        (numpy.array(["2020-01-01"], "M8[D]"), None),
    ):
        buffer = io.BytesIO()
        numpy.save(buffer, array)
        parts, layout = read(Npy(), buffer.getvalue())
        assert [part.dtype for part in parts] == ([dtype] if dtype else [])
        extent = layout.storages[""]
        assert extent.offset + extent.length == len(buffer.getvalue())
        assert extent.size == numpy.asarray(array).nbytes
        if dtype:
            assert parts[0].shape == numpy.asarray(array).shape
    buffer = io.BytesIO()
    numpy.save(buffer, numpy.array([{}, None], object), allow_pickle=True)
    parts, _ = read(Npy(), buffer.getvalue())
    assert [type(part) for part in parts] == [Pickle]


def test_fuzz_npy():
    hold_contract(Npy(), npy(header(shape="(2, 3)"), bytes(24)), 6, 600)
    hold_contract(Npy(), npy(header("[('x', '<f4'), ('y', '|O')]"), ONE), 7, 600)


# Compressed files


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("gzip", gzip.compress(ONE * 10, mtime=0)),
        ("gzip", gzip.compress(ONE * 4, mtime=0) + gzip.compress(ONE * 6, mtime=0) + bytes(100)),
        ("bz2", bz2.compress(ONE * 10)),
        ("bz2", bz2.compress(ONE * 5) * 2),
        ("xz", lzma.compress(ONE * 10)),
        ("xz", lzma.compress(ONE * 5) + bytes(4) + lzma.compress(ONE * 5)),
        ("xz", lzma.compress(ONE * 10, lzma.FORMAT_ALONE)),
        ("zlib", zlib.compress(ONE * 10)),
    ],
)
def test_compressed(kind, data):
    assert names(data) == ["compressed"]
    parts, layout = read(Compressed(), data)
    assert parts == [Nested("", Extent(0, len(data), len(ONE) * 10, stored=False), ONE * 10, main=True, skippable=True)]
    assert layout.metadata == {"compression": kind}


@pytest.mark.slow
@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, (3 << 20) + 5])
def test_compressed_sizes_around_a_chunk(size):
    import random

    content = random.Random(1).randbytes(size)
    for pack in (gzip.compress, zlib.compress, bz2.compress, lzma.compress):
        (part,), _ = read(Compressed(), pack(content))
        assert part.data == content


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (gzip.compress(ONE, mtime=0)[:-1], "truncated"),
        (bz2.compress(ONE)[:-1], "truncated"),
        (lzma.compress(ONE)[:-1], "truncated"),
        (zlib.compress(ONE)[:-1], "truncated"),
        (zlib.compress(ONE) + b"x", "bytes follow"),
        (zlib.compress(ONE) + b"\0", "bytes follow"),
        (gzip.compress(ONE, mtime=0) + b"x", "gzip data does not decompress|truncated"),
        (gzip.compress(ONE, mtime=0)[:-8] + bytes(8), "gzip data does not decompress"),
        (b"\x28\xb5\x2f\xfd" + bytes(9), "zstd-compressed: decompress it first"),
        (b"\x04\x22\x4d\x18" + bytes(9), "lz4-compressed: decompress it first"),
        (b"ZF0x1f" + bytes(9), "before 2016: decompress it first"),
    ],
)
def test_compressed_malformed(data, message):
    assert names(data) == ["compressed"]
    with pytest.raises(Malformed, match=message):
        read(Compressed(), data)


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress, bz2.compress, lzma.compress])
def test_bombs(pack):
    with pytest.raises(LimitExceeded) as raised:
        read(Compressed(), pack(bytes(8 << 20)))
    assert raised.value.limit == "inflation_ratio"
    with pytest.raises(LimitExceeded) as raised:
        read(Compressed(), pack(bytes(8 << 20)), Limits(inflation_ratio=10**9, inflated_bytes=4 << 20))
    assert raised.value.limit == "inflated_bytes"


def test_fuzz_compressed():
    for seed, pack in enumerate((gzip.compress, zlib.compress, bz2.compress, lzma.compress)):
        hold_contract(Compressed(), pack(ONE * 20), seed, 200)


# The rest


@pytest.mark.parametrize(
    ("data", "rule", "words"),
    [
        (b"", "empty-file", "empty"),
        (b"<!DOCTYPE html><title>Sign in</title>", "html-page", "login or error page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "lfs-pointer", "Git LFS pointer"),
        (b"4\n1\n3\nV 1\n13\nnn.Sequential\n", "torch7", "Lua Torch 7"),
        (b"Salted__12345678", "encrypted", "encrypted"),
        (b"GGUF\x03\x00\x00\x00" + bytes(16), "unrecognised-format", "GGUF"),
        (b"\x08\x07\x12\x07pytorch", "unrecognised-format", "ONNX"),
        (bytes(5000), "truncated", "nothing but zeros"),
        (b"# Words\n", "unrecognised-format", "text"),
        (b"\xee\xee\xee", "unrecognised-format", "no format of models"),
    ],
)
def test_unrecognised(data, rule, words):
    assert names(data) == ["unknown"]
    parts, layout = read(Unrecognised(), data)
    assert findings(parts) == [(rule, Verdict.UNJUDGED)]
    assert words in parts[0].message
    assert parts[0].remedy
    assert layout.storages == {}


@pytest.mark.parametrize("at", [0, 512, 1024, 4096])
def test_hdf5_is_told_wherever_its_reader_finds_it(at):
    data = bytes(at) + b"\x89HDF\r\n\x1a\n" + bytes(8)
    assert names(data) == ["hdf5"]
    parts, _ = read(Hdf5(), data)
    assert [(p.rule, p.verdict, p.offset) for p in parts] == [("unrecognised-format", Verdict.UNJUDGED, at)]
    assert "HDF5" in parts[0].message


def test_hdf5_elsewhere_is_nothing():
    assert names(bytes(100) + b"\x89HDF\r\n\x1a\n" + bytes(8)) == ["unknown"]


def test_the_line_to_paste_is_quoted():
    source = MemorySource(b"version https://git-lfs.github.com/spec/v1\n", name="a; rm -rf ~.pt")
    parts, _ = drive(Unrecognised(), source)
    assert parts[0].remedy == "fetch the file: git lfs pull --include 'a; rm -rf ~.pt'"


def test_a_tar_that_is_a_pickle_too_is_both():
    import tarfile

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        tar.addfile(tarfile.TarInfo("cos\nsystem\n(S'true'\ntR."))
    assert names(buffer.getvalue()) == ["tar", "pickle"]
