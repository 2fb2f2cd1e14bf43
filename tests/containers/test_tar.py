"""Tars: torch's own of before 0.1.12, and any other."""

import io
import pickle
import struct
import tarfile

import pytest

from safeload.containers import recognise
from safeload.containers.interface import Naming, Nested, Pickle, Tensor
from safeload.containers.tar.archive import TarArchive
from safeload.containers.tar.torch_tar import TorchTar
from safeload.document.document import Extent, StorageSpec
from safeload.errors import LimitExceeded, Malformed
from safeload.findings import Finding, Verdict
from safeload.inputs import MemorySource
from safeload.limits import Limits
from tests.containers.driver import drive
from tests.containers.fuzzing import hold_contract


def tar(members, *, format=tarfile.PAX_FORMAT, mtime=1.5):
    """A tar of (name, bytes) or TarInfo; a time with a fraction makes pax headers, as torch's did."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:", format=format) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.size = len(member[1])
            info.mtime = mtime
            archive.addfile(info, io.BytesIO(member[1]))
    return buffer.getvalue()


def described(key, second, kind):
    """A pickle of (key, second, the global `kind`)."""
    module, _, name = kind.rpartition(".")
    body = pickle.dumps(key, 2)[2:-1] + pickle.dumps(second, 2)[2:-1]
    return b"\x80\x02" + body + f"c{module}\n{name}\n".encode() + b"\x87."


def storages(*items, views=()):
    out = pickle.dumps(len(items), 2)
    for key, kind, count, data in items:
        out += described(key, "cpu", kind) + struct.pack("<q", count) + data
    return out + pickle.dumps(list(views), 2)


def tensors(*items):
    out = pickle.dumps(len(items), 2)
    for key, owner, shape, stride, offset in items:
        rank = len(shape)
        out += described(key, owner, "torch.FloatTensor")
        out += struct.pack(f"<ii{2 * rank + 1}q", rank, 0, *shape, *stride, offset)
    return out


FLOATS = struct.pack("<6f", *range(6))
STORAGES = storages((100, "torch.FloatStorage", 6, FLOATS), views=[(101, 100, 2, 4)])
TENSORS = tensors((200, 100, (2, 3), (3, 1), 0), (201, 101, (2,), (1,), 1))
# {"a": <200>, "b": <201>}
OBJECT = b"\x80\x02}(X\x01\x00\x00\x00aK\xc8QX\x01\x00\x00\x00bK\xc9Qu."
INFO = pickle.dumps({"little_endian": True}, 2)


def checkpoint(**changes):
    members = {"sys_info": INFO, "pickle": OBJECT, "tensors": TENSORS, "storages": STORAGES} | changes
    return tar(members.items())


def findings(parts):
    return [(part.rule, part.verdict, part.member) for part in parts if isinstance(part, Finding)]


def test_torch_itself_reads_the_sample(tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "old.pt"
    path.write_bytes(checkpoint())
    value = torch.load(path, weights_only=False)
    assert value["a"].tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    assert value["b"].tolist() == [3.0, 4.0]
    assert value["a"].untyped_storage().data_ptr() + 8 == value["b"].untyped_storage().data_ptr()


def test_torch_tar():
    data = checkpoint()
    source = MemorySource(data)
    assert [container.name for container in recognise(source)] == ["torch-tar"]
    parts, layout = drive(TorchTar(), source)
    assert [(part.role, part.member, part.main, part.naming) for part in parts] == [
        ("system info", "sys_info", False, Naming.NOTHING),
        ("storage count", "storages", False, Naming.NOTHING),
        ("storage", "storages", False, Naming.NOTHING),
        ("storage views", "storages", False, Naming.NOTHING),
        ("tensor count", "tensors", False, Naming.NOTHING),
        ("tensor", "tensors", False, Naming.NOTHING),
        ("tensor", "tensors", False, Naming.NOTHING),
        ("object", "pickle", True, Naming.OBJECTS),
    ]
    at = data.index(FLOATS)
    assert layout.storages == {"100": Extent(at, 24, 24), "101": Extent(at + 8, 16, 16)}
    assert parts[-1].objects == {
        100: StorageSpec("100", "float32", 24),
        101: StorageSpec("101", "float32", 16),
        200: Tensor("200", "float32", (2, 3), "100", (3, 1), 0),
        201: Tensor("201", "float32", (2,), "100", (1,), 3),
    }
    assert all(part.base == data.index(OBJECT) for part in parts if part.member == "pickle")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"storages": storages((1, "torch.FloatStorage", 70, FLOATS))}, "needs 280 bytes"),
        ({"storages": storages((1, "torch.FloatStorage", -1, FLOATS))}, "needs -4 bytes"),
        ({"storages": storages((1, "torch.FloatStorage", 1 << 62, FLOATS))}, "truncated"),
        ({"storages": storages((1, "os.system", 6, FLOATS))}, "none of torch's"),
        ({"storages": storages(("1", "torch.FloatStorage", 6, FLOATS))}, "no key of its own"),
        ({"storages": pickle.dumps(-1, 2)}, "must start with a count"),
        ({"storages": pickle.dumps("1", 2)}, "must start with a count"),
        ({"storages": pickle.dumps(1, 2) + pickle.dumps(5, 2)}, "key, location and type"),
        ({"storages": storages((100, "torch.FloatStorage", 6, FLOATS), views=[(101, 100, 3, 4)])}, "inside a storage"),
        ({"storages": storages((100, "torch.FloatStorage", 6, FLOATS), views=[(101, 9, 0, 1)])}, "inside a storage"),
        ({"storages": storages((100, "torch.FloatStorage", 6, FLOATS), views=[(101, 100, 0)])}, "four numbers"),
        ({"storages": storages((100, "torch.FloatStorage", 6, FLOATS), views=[(100, 100, 0, 1)])}, "no key of its own"),
        ({"tensors": tensors((200, 100, (7,), (1,), 0))}, "inside its storage"),
        ({"tensors": tensors((200, 100, (2,), (1,), 5))}, "inside its storage"),
        ({"tensors": tensors((200, 100, (2,), (-1,), 1))}, "inside its storage"),
        ({"tensors": tensors((200, 100, (-2,), (1,), 0))}, "inside its storage"),
        ({"tensors": tensors((200, 100, (2,), (1 << 62,), 0))}, "inside its storage"),
        ({"tensors": tensors((200, 100, (0,), (1,), 7))}, "inside its storage"),
        ({"tensors": tensors((200, 200, (2,), (1,), 0))}, "names no storage"),
        ({"tensors": tensors((100, 100, (2,), (1,), 0))}, "no key of its own"),
        ({"tensors": TENSORS[:-1]}, "truncated"),
        ({"tensors": tensors((200, 100, (1,) * 65, (1,) * 65, 0))}, "65 dimensions"),
    ],
)
def test_torch_tar_malformed(changes, message):
    source = MemorySource(checkpoint(**changes))
    assert TorchTar().recognise(source)
    with pytest.raises(Malformed, match=message):
        drive(TorchTar(), source)


def test_a_broken_stream_ends_the_reading():
    parts, layout = drive(TorchTar(), MemorySource(checkpoint(storages=STORAGES[:-5])))
    assert [part.role for part in parts] == ["system info", "storage count", "storage", "storage views"]
    assert layout.storages == {}


def test_not_all_members():
    with pytest.raises(Malformed, match="no member 'storages'"):
        drive(TorchTar(), MemorySource(tar([("tensors", TENSORS), ("pickle", OBJECT)])))


def test_torch_tar_findings():
    parts, _ = drive(TorchTar(), MemorySource(checkpoint(pickle=OBJECT + b"more")))
    assert findings(parts) == [("trailing-bytes", Verdict.UNJUDGED, "pickle")]
    assert [part.offset for part in parts if isinstance(part, Finding)] == [len(OBJECT)]
    parts, _ = drive(TorchTar(), MemorySource(checkpoint(extra=b"content")))
    assert [part.member for part in parts if isinstance(part, Nested)] == ["extra"]
    data = tar([("storages", STORAGES), ("tensors", TENSORS), ("pickle", OBJECT), ("pickle", OBJECT)])
    with pytest.raises(Malformed, match="two members"):
        drive(TorchTar(), MemorySource(data))
    with pytest.raises(LimitExceeded, match="members"):
        drive(TorchTar(), MemorySource(data), Limits(members=2))


def test_a_link_in_place_of_a_member():
    link = tarfile.TarInfo("pickle")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    data = tar([("storages", STORAGES), ("tensors", TENSORS), link])
    with pytest.raises(Malformed, match="symbolic link"):
        drive(TorchTar(), MemorySource(data))


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_any_other_tar(format):
    folder = tarfile.TarInfo("folder")
    folder.type = tarfile.DIRTYPE
    long = "folder/" + "n" * 80 + "/" + "m" * 90
    data = tar([folder, ("folder/a.pkl", OBJECT), ("empty", b""), (long, b"text" * 200)], format=format)
    source = MemorySource(data)
    assert [container.name for container in recognise(source)] == ["tar"]
    parts, layout = drive(TarArchive(), source)
    assert [(part.member, part.extent.length, part.data, part.main) for part in parts] == [
        ("folder/a.pkl", len(OBJECT), None, False), ("empty", 0, None, False), (long, 800, None, False),
    ]  # fmt: skip
    for part, content in zip(parts, (OBJECT, b"", b"text" * 200), strict=True):
        assert data[part.extent.offset : part.extent.offset + part.extent.length] == content
    assert layout.storages == {}


def test_what_members_may_not_be():
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.LNKTYPE, "a"
    device = tarfile.TarInfo("device")
    device.type = tarfile.CHRTYPE
    parts, _ = drive(
        TarArchive(), MemorySource(tar([("a", b"1"), ("a", b"2"), ("../b", b""), ("/c", b""), link, device]))
    )
    assert findings(parts) == [
        ("duplicate-member", Verdict.UNJUDGED, "a"),
        ("unsafe-member-name", Verdict.DANGEROUS, "../b"),
        ("unsafe-member-name", Verdict.DANGEROUS, "/c"),
        ("tar-member", Verdict.UNJUDGED, "device"),
    ]
    assert len([part for part in parts if isinstance(part, Nested)]) == 4


def resum(data, at=0):
    """`data` with the checksum of the header at `at` made right."""
    block = bytearray(data[at : at + 512])
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return data[:at] + bytes(block) + data[at + 512 :]


def with_size(field):
    data = tar([("a", b"1234")], mtime=0)
    return resum(data[:124] + field + data[136:])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (tar([("a", b"1")]) + b"more", "bytes follow the end"),
        (tar([("a", b"1")]) + bytes(2 << 20), "bytes follow the end"),
        (tar([("a", b"x" * 5000)], mtime=0)[:3000], "needs 5000 bytes"),
        (tar([("a", b"1")], mtime=0)[:1024] + b"not a header", "inside a header"),
        (tar([("a", b"1")], mtime=0)[:1024] + b"n" * 512, "checksum"),
        (with_size(b"-0000000001\0"), "octal"),
        (with_size(b"0o000000004\0"), "octal"),
        (with_size(b"\x80" + b"\xff" * 11), "truncated"),
    ],
)
def test_tar_malformed(data, message):
    with pytest.raises(Malformed, match=message):
        drive(TarArchive(), MemorySource(data))


def test_pax_headers_that_move_bytes():
    for pax in ({"size": "1"}, {"GNU.sparse.major": "1"}):
        info = tarfile.TarInfo("a")
        info.pax_headers = pax
        with pytest.raises(Malformed, match="sparse or resized"):
            drive(TarArchive(), MemorySource(tar([info])))


def test_fuzz():
    hold_contract(TorchTar(), checkpoint(), 3, 500)
    hold_contract(TarArchive(), tar([("a", b"1" * 600), ("b" * 150, b"2")]), 4, 500)
    assert any(isinstance(part, Pickle) for part in drive(TorchTar(), MemorySource(checkpoint()))[0])
