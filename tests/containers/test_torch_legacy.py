"""torch's format of before the zip: real files of torch, and files that lie."""

import io
import pickle
import struct

import pytest

from safeload.containers import recognise
from safeload.containers.interface import Naming, Pickle
from safeload.containers.torch_legacy import MAGIC, TorchLegacy
from safeload.document.document import Extent
from safeload.errors import LimitExceeded, Malformed
from safeload.findings import Finding, Verdict
from safeload.inputs import MemorySource
from safeload.limits import Limits
from tests.containers.driver import drive
from tests.containers.fuzzing import hold_contract


class FloatStorage:
    """Pickles as torch.FloatStorage does."""


FloatStorage.__module__, FloatStorage.__qualname__ = "torch", "FloatStorage"


class Pickler(pickle._Pickler):
    """Writes `("pid", ...)` tuples as persistent ids, and the class above by name without importing torch."""

    def persistent_id(self, value):
        return value[1:] if type(value) is tuple and value[:1] == ("pid",) else None

    def save_global(self, value, name=None):
        self.write(b"ctorch\nFloatStorage\n")

    dispatch = {**pickle._Pickler.dispatch, type: save_global}


def dump(value, protocol=2):
    buffer = io.BytesIO()
    Pickler(buffer, protocol).dump(value)
    return buffer.getvalue()


def storage(key, count, *view):
    return ("pid", "storage", FloatStorage, key, "local", count, *(view or (None,)))


def legacy(*, protocol=2, magic=MAGIC, version=1001, value=None, keys=None, tail=None, info=None):
    value = {"a": storage("7", 2), "b": storage("9", 1)} if value is None else value
    parts = [magic, version, info or {"little_endian": True}, value, ["7", "9"] if keys is None else keys]
    tail = struct.pack("<qffqf", 2, 1.0, 2.0, 1, 3.0) if tail is None else tail
    return b"".join(dump(part, protocol) for part in parts) + tail


def findings(parts):
    return [(part.rule, part.verdict) for part in parts if isinstance(part, Finding)]


# Protocol 0 has only text for persistent ids, and torch needs tuples.
@pytest.mark.parametrize("protocol", range(1, 6))
def test_layout(protocol):
    data = legacy(protocol=protocol)
    source = MemorySource(data)
    assert [container.name for container in recognise(source)] == ["torch-legacy"]
    parts, layout = drive(TorchLegacy(), source)
    assert [(part.role, part.main, part.naming, part.encoding) for part in parts] == [
        ("magic number", False, Naming.NOTHING, "utf-8"),
        ("protocol version", False, Naming.NOTHING, "utf-8"),
        ("system info", False, Naming.NOTHING, "utf-8"),
        ("object", True, Naming.STORAGES, "utf-8"),
        ("storage keys", False, Naming.NOTHING, "utf-8"),
    ]
    end = len(data)
    assert layout.storages == {"7": Extent(end - 20, 8, 8), "9": Extent(end - 4, 4, 4)}
    assert not layout.big_endian
    assert layout.root == "stream"


def test_the_endianness_that_a_file_claims_is_ignored_as_torch_ignores_it():
    _, layout = drive(TorchLegacy(), MemorySource(legacy(info={"little_endian": False})))
    assert not layout.big_endian


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"keys": []}, [("storage-keys", Verdict.DANGEROUS)]),
        ({"keys": ["7"]}, [("storage-keys", Verdict.DANGEROUS)]),
        ({"keys": ["7", "9", "8"]}, [("storage-keys", Verdict.UNJUDGED)]),
        ({"keys": ["7", "9", "7"]}, [("storage-keys", Verdict.UNJUDGED)]),
        ({"tail": struct.pack("<qffqf", 2, 1, 2, 1, 3) + b"\0"}, [("trailing-bytes", Verdict.UNJUDGED)]),
        ({"value": {}, "keys": [], "tail": b""}, []),
    ],
)
def test_findings(changes, expected):
    parts, layout = drive(TorchLegacy(), MemorySource(legacy(**changes)))
    assert findings(parts) == expected
    if expected and expected[0][0] == "storage-keys":
        assert layout.storages == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 1002}, "protocol version"),
        ({"version": True}, "protocol version"),
        ({"keys": ("7", "9")}, "list of storage keys"),
        ({"keys": ["7", 9]}, "list of storage keys"),
        ({"keys": "79"}, "list of storage keys"),
        ({"tail": b""}, "truncated"),
        ({"tail": struct.pack("<qf", 2, 1.0)}, "truncated"),
        ({"tail": struct.pack("<qffq", 2, 1, 2, 1)}, "truncated"),
        ({"tail": struct.pack("<qffqf", 3, 1, 2, 1, 3)}, "has 12 bytes where the object says 8"),
        ({"tail": struct.pack("<qffqf", -2, 1, 2, 1, 3)}, "has -8 bytes"),
        ({"tail": struct.pack("<qffqf", 1 << 62, 1, 2, 1, 3)}, "bytes where the object says 8"),
    ],
)
def test_malformed(changes, message):
    with pytest.raises(Malformed, match=message):
        drive(TorchLegacy(), MemorySource(legacy(**changes)))


def test_a_broken_stream_ends_the_reading():
    data = b"".join(map(dump, (MAGIC, 1001, {}))) + b"\x80\x02\xff"
    parts, layout = drive(TorchLegacy(), MemorySource(data))
    assert [part.role for part in parts] == ["magic number", "protocol version", "system info", "object"]
    assert layout.storages == {}


def test_views_are_listed_by_their_roots_only():
    value = {"a": storage("7", 4, ("view", 1, 2))}
    data = legacy(value=value, keys=["7"], tail=struct.pack("<q4f", 4, 1, 2, 3, 4))
    parts, layout = drive(TorchLegacy(), MemorySource(data))
    assert findings(parts) == []
    assert layout.storages == {"7": Extent(len(data) - 16, 16, 16)}


def test_more_storages_than_the_limit():
    with pytest.raises(LimitExceeded) as raised:
        drive(TorchLegacy(), MemorySource(legacy()), Limits(tensors=1))
    assert raised.value.limit == "tensors"


def test_another_spelling_of_the_magic_number_is_a_bare_pickle_with_bytes_behind():
    data = b"L0x1950a86a20f9469cfc6cL\n." + legacy()[len(dump(MAGIC)) :]
    assert [container.name for container in recognise(MemorySource(data))] == ["pickle"]


def test_fuzz():
    hold_contract(TorchLegacy(), legacy(), 1, 600)
    hold_contract(TorchLegacy(), legacy(protocol=4), 2, 300)


def test_files_of_torch_itself():
    torch = pytest.importorskip("torch")
    shared = torch.arange(10, dtype=torch.float64)
    value = {"w": torch.ones(2, 3), "a": shared[:4], "b": shared[4:], "n": torch.tensor(5), "e": torch.zeros(0)}
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=False)
    data = buffer.getvalue()
    source = MemorySource(data)
    assert [container.name for container in recognise(source)] == ["torch-legacy"]
    parts, layout = drive(TorchLegacy(), source)
    assert all(isinstance(part, Pickle) for part in parts)
    assert len(parts) == 5
    contents = sorted(data[extent.offset : extent.offset + extent.length] for extent in layout.storages.values())
    assert contents == sorted(
        [b"", struct.pack("<6f", *[1.0] * 6), struct.pack("<q", 5), struct.pack("<10d", *range(10))]
    )
    # Only the counts were read, 8 bytes for each storage, besides what the stand-in took.
    again = MemorySource(data)
    again.read(0, parts[4].start)
    assert again.judged_sha256() != source.judged_sha256()
