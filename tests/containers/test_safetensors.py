"""safetensors: every byte accounted for, every field exact."""

import contextlib
import json
import random
import struct

import pytest

import safeload
from safeload.containers import recognise
from safeload.containers.interface import ContainerLayout, Tensor
from safeload.containers.safetensors_file import DTYPES, Safetensors
from safeload.document.document import Extent
from safeload.document.dtypes import BITS
from safeload.errors import LimitExceeded, Malformed
from safeload.findings import Finding, Verdict
from safeload.inputs import MemorySource
from safeload.limits import Limits
from safeload.scanning.reader import readings
from tests.containers.driver import drive
from tests.containers.fuzzing import hold_contract


def file(header, data=b"", pad=True):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    if pad:
        text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype="F32", shape=(2,), offsets=(0, 8), **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets), **more}


def read(data, limits=None):
    return drive(Safetensors(), MemorySource(data), limits)


def rules(data):
    parts, layout = read(data)
    assert all(isinstance(part, Finding) and part.verdict is Verdict.UNJUDGED for part in parts)
    assert layout == ContainerLayout(root="dict")
    return [part.rule for part in parts]


def test_layout():
    data = file(
        {
            "__metadata__": {"format": "pt"},
            "b": entry("I64", (1,), (8, 16)),
            "a": entry(),
            "e": entry("F16", (0, 3), (8, 8)),
        },
        bytes(16),
    )
    source = MemorySource(data)
    assert "safetensors" in [container.name for container in recognise(source)]
    parts, layout = drive(Safetensors(), source)
    start = len(data) - 16
    assert parts == [
        Tensor("b", "int64", (1,), "b"), Tensor("a", "float32", (2,), "a"), Tensor("e", "float16", (0, 3), "e"),
    ]  # fmt: skip
    assert layout == ContainerLayout(
        {"b": Extent(start + 8, 8, 8), "a": Extent(start, 8, 8), "e": Extent(start + 8, 0, 0)},
        metadata={"format": "pt"},
        root="dict",
    )


def test_only_the_header_is_read():
    data = file({"a": entry()}, b"contents")
    source, other = MemorySource(data), MemorySource(data)
    drive(Safetensors(), source)
    other.read(0, len(data) - 8)
    assert source.judged_sha256() == other.judged_sha256()


def test_no_tensors():
    parts, layout = read(file({}))
    assert parts == []
    assert layout == ContainerLayout(root="dict")


def test_dtypes_are_known_names():
    assert set(DTYPES.values()) <= BITS.keys()
    for name, dtype in DTYPES.items():
        size = BITS[dtype] // 8
        shape = [4] if name == "F4" else [2]
        parts, _ = read(file({"a": entry(name, shape, (0, 2 * size))}, bytes(2 * size)))
        assert parts == [Tensor("a", dtype, (2,), "a")]


@pytest.mark.parametrize(
    ("header", "data", "expected"),
    [
        ({"a": entry(offsets=(0, 4))}, bytes(8), ["shape"]),
        ({"a": entry(shape=(3,))}, bytes(8), ["shape"]),
        ({"a": entry(shape=(-2,))}, bytes(8), ["shape"]),
        ({"a": entry(shape=(2.0,))}, bytes(8), ["shape"]),
        ({"a": entry(shape=(True, 2))}, bytes(8), ["shape"]),
        ({"a": entry(shape=("2",))}, bytes(8), ["shape"]),
        ({"a": entry(shape=(1,) * 64 + (2,))}, bytes(8), ["shape"]),
        ({"a": entry(shape=(0, 1 << 62))}, bytes(8), ["shape"]),
        ({"a": entry(shape=(1 << 40, 1 << 40))}, bytes(8), ["shape"]),
        ({"a": entry("F4", (3,), (0, 1))}, bytes(1), ["shape"]),
        ({"a": entry("F4", (), (0, 1))}, bytes(1), ["shape"]),
        ({"a": entry("F6_E2M3", (4,), (0, 3))}, bytes(3), ["dtype"]),
        ({"a": entry("f32")}, bytes(8), ["dtype"]),
        ({"a": entry(None)}, bytes(8), ["dtype"]),
        ({"a": entry(["F32"])}, bytes(8), ["dtype"]),
        ({"a": entry(extra=1)}, bytes(8), ["field"]),
        ({"a": {"dtype": "F32", "shape": [2]}}, bytes(8), ["field"]),
        ({"a": [1]}, bytes(8), ["field"]),
        ({"a": 1}, bytes(8), ["field"]),
        ({"a": entry(offsets=(0, 16))}, bytes(8), ["offsets"]),
        ({"a": entry(offsets=(8, 0))}, bytes(8), ["offsets"]),
        ({"a": entry(offsets=(-8, 0))}, bytes(8), ["offsets"]),
        ({"a": entry(offsets=(0, 8, 8))}, bytes(8), ["offsets"]),
        ({"a": entry(offsets=(False, 8))}, bytes(8), ["offsets"]),
        ({"a": entry(offsets=(0, 8.0))}, bytes(8), ["offsets"]),
        ({"a": entry()}, bytes(9), ["offsets"]),
        ({"a": entry(offsets=(1, 9))}, bytes(9), ["offsets"]),
        ({}, bytes(1), ["offsets"]),
        ({"a": entry(), "b": entry(offsets=(4, 12))}, bytes(12), ["offsets"]),
        ({"a": entry(), "b": entry(offsets=(12, 20))}, bytes(20), ["offsets"]),
        ({"a": entry(), "b": entry()}, bytes(8), ["offsets"]),
        ({"__metadata__": {"a": 1}}, b"", ["metadata"]),
        ({"__metadata__": ["a"]}, b"", ["metadata"]),
        ({"__metadata__": None}, b"", ["metadata"]),
        ({"a": entry("X"), "b": entry(extra=1)}, bytes(8), ["dtype", "field"]),
        ({str(n): 1 for n in range(1000)}, b"", ["field"] * 20),
    ],
)
def test_findings(header, data, expected):
    assert rules(file(header, data)) == [f"safetensors-{name}" for name in expected]


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1,"a":1}',
        b'{"a":{"dtype":"F32","dtype":"F64","shape":[1],"data_offsets":[0,8]}}',
        b'{"__metadata__":{"a":"1","a":"2"}}',
        b'{"a":1,"\\u0061":1}',
    ],
)
def test_repeated_keys(text):
    assert rules(file(text)) == ["safetensors-duplicate-key"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (struct.pack("<Q", 100) + b"{}", "header needs 100 bytes"),
        (b"\x02\x00\x00", "truncated"),
        (file(b"{"), "no JSON"),
        (file(b" {}"), "must start with {"),
        (file(b'{"a":NaN}'), "no JSON"),
        (file(b'{"a":-Infinity}'), "no JSON"),
        (file(b'{"a":1}x', pad=False), "no JSON"),
        (file(b'{"\xff":1}'), "no JSON"),
        (file('{"a":1}'.encode("utf-16-le")), "no JSON"),
        (file(b'{"\\ud800":1}'), "no JSON"),
        (file(b'{"a":' + b"9" * 5000 + b"}"), "no JSON"),
        (file(b'{"a":' * 100_000), "no JSON"),
        (file(b'{"a":' + b"[" * 1_000_000), "no JSON"),
    ],
)
def test_malformed(data, message):
    with pytest.raises(Malformed, match=message):
        read(data)


def test_limits():
    with pytest.raises(LimitExceeded) as raised:
        read(struct.pack("<Q", 100_000_001) + b"{}")
    assert raised.value.limit == "header_bytes"
    with pytest.raises(LimitExceeded) as raised:
        read(file({"a": entry(), "b": entry(offsets=(8, 16))}, bytes(16)), Limits(tensors=1))
    assert raised.value.limit == "tensors"


def test_a_header_length_that_looks_like_opcodes_does_not_make_a_pickle():
    for words in range(1, 2000, 3):
        header = {f"layer.{n}.weight": entry(offsets=(8 * n, 8 * n + 8)) for n in range(20)}
        header["__metadata__"] = {"x": "y" * words}
        source = MemorySource(file(header, bytes(160)))
        assert [container.name for container in readings(source, Limits())] == ["safetensors"], words


def test_many_tensors_at_once():
    header = {
        f"model.layers.{n}.self_attn.q_proj.weight": entry("F32", (2, 1), (8 * n, 8 * n + 8)) for n in range(10_000)
    }
    data = file(header, bytes(80_000))
    parts, layout = read(data)
    assert len(parts) == len(layout.storages) == 10_000


def test_fuzz():
    header = {"__metadata__": {"format": "pt"}, "b": entry("I64", (1,), (8, 16)), "a": entry()}
    hold_contract(Safetensors(), file(header, bytes(16)), 8, 1000)
    chance = random.Random(9)
    values = [None, True, 0, -1, 2**70, 1.5, "F32", "", [], {}, [0, 8], [[0]], "\ud800"]
    for _ in range(500):
        broken = json.loads(json.dumps(header))
        broken[chance.choice(["a", "b", "c"])] = chance.choice(values)
        broken["a" if chance.random() < 0.5 else "__metadata__"] = {
            chance.choice(["dtype", "shape", "data_offsets", "x"]): chance.choice(values) for _ in range(3)
        }
        with contextlib.suppress(Malformed, LimitExceeded):
            read(file(broken, bytes(16)))


def test_files_of_the_library_itself(tmp_path):
    numpy = pytest.importorskip("numpy")
    save_file = pytest.importorskip("safetensors.numpy").save_file
    path = tmp_path / "model.safetensors"
    tensors = {"a": numpy.ones((2, 3), "f4"), "b": numpy.arange(5), "c": numpy.array(True), "d": numpy.zeros((0, 2))}
    save_file(tensors, path, metadata={"format": "np"})
    data = path.read_bytes()
    parts, layout = read(data)
    assert {part.name: (part.dtype, part.shape) for part in parts} == {
        "a": ("float32", (2, 3)), "b": ("int64", (5,)), "c": ("bool", ()), "d": ("float64", (0, 2)),
    }  # fmt: skip
    for name, extent in layout.storages.items():
        assert data[extent.offset : extent.offset + extent.length] == tensors[name].tobytes()
    assert layout.metadata == {"format": "np"}


def test_a_safetensors_file_that_runs_as_a_pickle_is_both():
    # SHORT_BINSTRING takes 0x40 bytes: the rest of the length and the beginning of the header. Then REDUCE calls.
    text = b'{"__metadata__":{"a":"' + b"x" * 36 + b')R."}}'
    data = file(text + b" " * (0x4055 - len(text)), pad=False)
    assert data[:2] == b"U\x40"
    assert data[66:69] == b")R."
    assert [container.name for container in recognise(MemorySource(data))] == ["safetensors", "pickle"]


@pytest.mark.parametrize("number", ["-0", "-0.0", "1.0", "1e0"])
def test_a_header_has_whole_numbers_that_every_reader_takes(number: str) -> None:
    """The library reads -0 as a float, and refuses it."""
    entry = '{"dtype":"F32","shape":[0],"data_offsets":[%s,0]}'
    text = f'{{"w":{entry % number},"layer-0":{entry % 0}}}'
    good = f'{{"w":{entry % 0},"layer-0":{entry % 0}}}'
    for header, verdict in ((text, "unjudged"), (good, "clean")):
        data = len(header).to_bytes(8, "little") + header.encode()
        assert safeload.scan(data).verdict.value == verdict, header
