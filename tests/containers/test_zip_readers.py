"""What the zip readers make of good and of hostile archives."""

import io
import os
import struct
import zipfile
import zlib

import numpy as np
import pytest

from safeload.containers import interface, recognise
from safeload.containers.kinds import ARCHIVES
from safeload.containers.kinds.npz import Npz
from safeload.containers.kinds.torch_zip import TorchZip
from safeload.containers.kinds.torchscript import TorchScript
from safeload.containers.zip.directory import read_directory
from safeload.containers.zip.sequence import ZipSequence
from safeload.document.document import Extent
from safeload.findings import Finding
from safeload.inputs import FileSource, MemorySource
from safeload.limits import Limits
from tests.containers.driver import drive
from tests.containers.zip_builder import PICKLE, Archive, Member, numbered, torch_like

READERS = (TorchZip(), TorchScript(), Npz(), ZipSequence(), *ARCHIVES)
GOOD = torch_like()
PKL, DATA = b"a/data.pkl", b"a/data/0"


def other(*members, method=0):
    return Archive(tuple(Member(n, d, flags=0, align=0, method=method) for n, d in members), zip64=False).build()


def read(data, limits=None):
    """(reader's name, findings as rule -> verdict, pickles, nested, layout) of `data`."""
    source = MemorySource(data)
    (reader,) = (r for r in READERS if r.recognise(source))
    parts, layout = drive(reader, source, limits)
    findings = {p.rule: str(p.verdict) for p in parts if isinstance(p, Finding)}
    pickles = [p for p in parts if isinstance(p, interface.Pickle)]
    nested = [p for p in parts if isinstance(p, interface.Nested)]
    return reader.name, findings, pickles, nested, layout


def test_torch_zip():
    name, findings, pickles, nested, layout = read(GOOD.build())
    assert (name, findings, nested) == ("torch-zip", {}, [])
    assert pickles == [
        interface.Pickle(
            "object", 64, 64 + len(PICKLE), "a/data.pkl", None, 64, True, interface.Naming.STORAGES, {}, "utf-8"
        )
    ]
    assert layout.storages == {"0": Extent(576, 16, 16, True)}
    assert layout.metadata["version"] == "3"
    assert not layout.big_endian


def test_storages_are_known_before_the_pickle():
    parts, _ = drive(TorchZip(), MemorySource(GOOD.build()))
    assert [type(p).__name__ for p in parts] == ["StorageExtents", "Pickle"]


def test_big_endian():
    assert read(GOOD.but_member(b"a/byteorder", data=b"big").build())[4].big_endian


@pytest.mark.parametrize("content", [b"middle", b"little\n", b"LITTLE", b""])
def test_byteorder_that_torch_refuses(content):
    _, findings, _, _, layout = read(GOOD.but_member(b"a/byteorder", data=content).build())
    assert findings == {"torch-zip-record": "unjudged"}
    assert not layout.big_endian


def test_deflated_pickle_and_storage():
    packed = GOOD.but_member(PKL, method=8).but_member(DATA, data=bytes(4000), method=8)
    _, findings, pickles, _, layout = read(packed.build())
    assert findings == {}
    assert (pickles[0].data, pickles[0].start, pickles[0].end, pickles[0].base) == (PICKLE, 0, len(PICKLE), 0)
    assert layout.storages["0"].size == 4000
    assert not layout.storages["0"].stored


def test_wrong_checksum_of_a_pickle_is_a_finding():
    bad = {"crc": 7}
    archive = GOOD.but_member(
        PKL, central=bad, descriptor=struct.pack("<4sIII", b"PK\7\x08", 7, len(PICKLE), len(PICKLE))
    )
    _, findings, pickles, _, _ = read(archive.build())
    assert findings == {"zip-crc": "unjudged"}
    assert pickles


def test_checksum_of_zero_stands_for_none():
    zero = struct.pack("<4sIII", b"PK\7\x08", 0, len(PICKLE), len(PICKLE))
    assert read(GOOD.but_member(PKL, central={"crc": 0}, descriptor=zero).build())[1] == {}


def test_second_pickle_behind_the_first():
    _, findings, pickles, _, _ = read(GOOD.but_member(PKL, data=PICKLE + numbered(9)).build())
    assert findings == {"trailing-bytes": "unjudged"}
    assert [p.role for p in pickles] == ["object", "object, after its end"]
    assert pickles[1].start == 64 + len(PICKLE)


def test_extra_pickle_is_judged():
    for name in (b"a/more.pkl", b"a/data/0.pkl"):
        _, findings, pickles, _, _ = read(GOOD.plus(Member(name, numbered(3))).build())
        assert [p.member for p in pickles] == ["a/data.pkl", name.decode()]
        assert findings == {"foreign-member": "unvetted"}


def test_extra_member_is_judged_as_a_file():
    for name in (b"a/readme.txt", b"a/data/zero", b"a/.data/x", b"a/\xc3\xa9.png"):
        _, findings, pickles, nested, _ = read(GOOD.plus(Member(name, numbered(3), flags=0x808)).build())
        assert [p.member for p in pickles] == ["a/data.pkl"]
        assert [(n.member, n.skippable, n.raw) for n in nested] == [(name.decode(), True, False)]
        assert findings == {"foreign-member": "unvetted"}


def test_pickle_under_a_record_name_is_judged():
    _, findings, _, nested, _ = read(GOOD.but_member(b"a/version", data=numbered(3)).build())
    assert findings == {"torch-zip-record": "unjudged"}
    assert [n.member for n in nested] == ["a/version"]


def test_other_members_are_judged_by_content():
    archive = GOOD.plus(
        Member(b"a/notes.txt", b"some text here"),
        Member(b"a/inner.pt", GOOD.build()),
        Member(b"a/lib.so", b"\x7fELF" + bytes(60)),
        Member(b"a/blob", b"\x01\xff\x02\xfe" * 50),
    )
    _, findings, pickles, nested, _ = read(archive.build())
    assert findings == {"foreign-member": "unvetted"}
    assert [n.member for n in nested] == ["a/notes.txt", "a/inner.pt", "a/lib.so", "a/blob"]
    assert all(n.skippable for n in nested)
    assert len(pickles) == 1


def test_member_outside_the_folder():
    _, findings, pickles, nested, _ = read(GOOD.plus(Member(b"b/data.pkl", numbered(3))).build())
    assert findings == {"torch-zip-outside-folder": "unjudged"}
    assert [p.member for p in pickles] == ["a/data.pkl"]
    assert [n.member for n in nested] == ["b/data.pkl"]


def test_name_in_other_case_is_what_torch_loads():
    name, findings, pickles, _, _ = read(GOOD.but_member(PKL, name=b"a/DATA.PKL").build())
    assert name == "torch-zip"
    assert findings == {"torch-zip-name-case": "dangerous"}
    assert pickles[0].main


def test_every_duplicate_is_judged():
    _, findings, pickles, _, _ = read(GOOD.plus(Member(PKL, numbered(1)), Member(b"a/Data.pkl", numbered(2))).build())
    assert findings == {"zip-duplicate-name": "dangerous", "torch-zip-name-case": "dangerous"}
    assert len(pickles) == 3
    assert [p.main for p in pickles] == [True, False, False]


def test_bombs_are_findings_and_the_rest_is_judged():
    bomb = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = bomb.compress(bytes(8 << 20)) + bomb.flush()
    archive = GOOD.plus(Member(b"a/data/1", bytes(8 << 20), method=8), Member(b"a/x.pkl", numbered(1)))
    _, findings, pickles, _, layout = read(archive.build())
    assert findings == {"zip-limit": "unjudged", "foreign-member": "unvetted"}
    assert len(pickles) == 2
    assert list(layout.storages) == ["0", "1"]
    assert len(packed) < 10_000


def test_bomb_that_lies_about_its_size():
    lying = {"size": 100}
    archive = GOOD.but_member(PKL, data=bytes(1 << 20), method=8, central=lying, flags=0x800, local=lying)
    _, findings, pickles, _, _ = read(archive.build())
    assert findings == {"zip-deflate": "unjudged"}
    assert pickles == []


def test_large_member_is_limited():
    _, findings, _, _, _ = read(GOOD.build(), Limits(pickle_bytes=10))
    assert findings == {"zip-limit": "unjudged"}


def test_truncated_is_torchs_to_explain():
    source = MemorySource(GOOD.build()[:400])
    assert [r.name for r in READERS if r.recognise(source)] == ["torch-zip"]


def script(*extra):
    return torch_like().plus(
        Member(b"a/constants.pkl", numbered(1)),
        Member(b"a/constants/0", b"1234"),
        Member(b"a/code/__torch__.py", b"class A(Module):\n  x : int\n", method=8),
        Member(b"a/code/__torch__.py.debug_pkl", numbered(2), method=8),
        *extra,
    )


def test_torchscript():
    name, findings, pickles, nested, layout = read(script().build())
    assert (name, findings) == ("torchscript", {"torchscript-code": "unvetted"})
    assert [n.member for n in nested] == ["a/code/__torch__.py"]
    assert [p.member for p in pickles] == ["a/data.pkl", "a/constants.pkl", "a/code/__torch__.py.debug_pkl"]
    assert [p.main for p in pickles] == [True, False, False]
    assert list(layout.storages) == ["0"]


def test_torchscript_storages_are_those_of_each_pickle():
    parts, _ = drive(TorchScript(), MemorySource(script().build()))
    order = [
        (type(p).__name__, p.member if isinstance(p, interface.Pickle) else [e.size for e in p.storages.values()])
        for p in parts
        if isinstance(p, interface.Pickle | interface.StorageExtents)
    ]
    assert order[:4] == [
        ("StorageExtents", [16]),
        ("Pickle", "a/data.pkl"),
        ("StorageExtents", [4]),
        ("Pickle", "a/constants.pkl"),
    ]


def test_pickle_among_torchscript_code():
    _, _, _, nested, _ = read(script(Member(b"a/code/x.py", b"\x80\x04\x95" + numbered(5)[2:])).build())
    assert "a/code/x.py" in [n.member for n in nested]


def test_torchscript_without_code_is_a_program_all_the_same():
    assert read(torch_like().plus(Member(b"a/constants.pkl", numbered(1))).build())[1] == {
        "torchscript-code": "unvetted"
    }


def test_lite_interpreter():
    name, findings, pickles, _, _ = read(
        torch_like().plus(Member(b"a/bytecode.pkl", numbered(1)), Member(b"a/constants.pkl", numbered(1))).build()
    )
    assert (name, findings) == ("torchscript", {"torchscript-code": "unvetted"})
    assert [p.member for p in pickles] == ["a/data.pkl", "a/bytecode.pkl", "a/constants.pkl"]


def test_extra_files_of_torchscript_are_its_own_and_others_are_not():
    _, findings, _, nested, _ = read(script(Member(b"a/extra/labels.txt", b"cat"), Member(b"a/more", b"dog")).build())
    assert findings == {"torchscript-code": "unvetted", "foreign-member": "unvetted"}
    assert [n.member for n in nested] == ["a/code/__torch__.py", "a/extra/labels.txt", "a/more"]


def test_npz():
    out = io.BytesIO()
    np.savez(out, x=np.ones(3), y=np.zeros(2))
    name, findings, pickles, nested, layout = read(out.getvalue())
    assert (name, findings, pickles, layout.root) == ("npz", {}, [], "dict")
    assert [(n.member, n.data) for n in nested] == [("x.npy", None), ("y.npy", None)]
    out = io.BytesIO()
    np.savez_compressed(out, x=np.ones(3))
    (only,) = read(out.getvalue())[3]
    assert only.data.startswith(b"\x93NUMPY")


def test_other_zip_by_content():
    data = other(
        (b"weights.bin", GOOD.build()), (b"x.txt", numbered(1)), (b"readme", b"hello world, text"), (b"d/", b"")
    )
    name, findings, pickles, nested, _ = read(data)
    assert (name, findings, pickles) == ("zip", {}, [])
    assert [n.member for n in nested] == ["weights.bin", "x.txt", "readme"]
    assert all(n.skippable for n in nested)


def test_zip_without_members_is_unjudged():
    assert read(Archive((), zip64=False).build())[1] == {"zip-nothing-to-scan": "unjudged"}


def test_encrypted_members_are_unjudged():
    data = Archive((Member(b"x.pkl", numbered(1), flags=1, align=0),), zip64=False).build()
    assert read(data)[1] == {"encrypted": "unjudged", "zip-nothing-to-scan": "unjudged"}


def test_jpeg_with_a_zip_behind_it_is_read_as_a_zip():
    data = b"\xff\xd8\xff\xe0" + bytes(500) + other((b"x.pkl", numbered(1)))
    _, findings, _, nested, _ = read(data)
    assert findings == {"zip-prefix": "unjudged"}
    assert len(nested) == 1


def test_no_byte_of_a_storage_is_read():
    class Watching(MemorySource):
        spans = []

        def read(self, offset, length):
            self.spans.append((offset, offset + length))
            return super().read(offset, length)

    archive = GOOD.plus(*(Member(b"a/data/%d" % n, bytes([n]) * (8 if n % 2 else 5000)) for n in range(1, 40)))
    source = Watching(archive.build())
    reading = TorchZip().read(source, Limits())
    answer = None
    storages = {}
    while True:
        try:
            part = reading.send(answer)
        except StopIteration:
            break
        storages = part.storages if isinstance(part, interface.StorageExtents) else storages
        named = dict.fromkeys(storages)
        answer = interface.Answer(end=part.end, storages=named) if isinstance(part, interface.Pickle) else None
    assert len(storages) == 40
    for extent in storages.values():
        assert not any(a < extent.offset + extent.length and extent.offset < b for a, b in source.spans)


def test_member_beyond_four_gigabytes(tmp_path):
    # A sparse file, as torch writes it under skip_data().
    torch = pytest.importorskip("torch")
    if not hasattr(torch.serialization, "skip_data"):
        pytest.skip("torch writes files with holes since 2.6")
    path = tmp_path / "big.pt"
    with torch.serialization.skip_data():
        torch.save({"a": torch.empty((1 << 30) + 8), "b": torch.empty(4)}, path)
    assert os.stat(path).st_size > 4 << 30
    source = FileSource(path)
    directory = read_directory(source, Limits())
    assert directory.findings == ()
    sizes = {entry.name: (entry.size, entry.data % 64) for entry in directory.entries if "/data/" in entry.name}
    assert sizes == {"big/data/0": ((4 << 30) + 32, 0), "big/data/1": (16, 0)}
    with zipfile.ZipFile(path) as reference:
        assert [e.header for e in directory.entries] == [i.header_offset for i in reference.infolist()]


def shard(*archives):
    return b"".join(archive.build() for archive in archives)


def test_row_of_archives():
    small, large = GOOD, GOOD.plus(Member(b"a/data/1", bytes(500)))
    for archives in ((small, large), (large, small), (small, small), (small, large, small, large)):
        name, findings, _, nested, _ = read(shard(*archives))
        assert (name, findings) == ("zip-sequence", {})
        assert [n.extent.length for n in nested] == [len(a.build()) for a in archives]
        assert nested[-1].extent.offset + nested[-1].extent.length == len(shard(*archives))


def test_row_that_leads_torch_to_a_hidden_archive():
    # A storage of the first archive holds a directory, where the last one's offset lands.
    trap = GOOD.but_member(DATA, data=b"PK\1\2" * 5000)
    last = torch_like().plus(*(Member(b"a/data/%d" % n, bytes(64)) for n in range(1, 100)))
    told = last.build().index(b"PK\1\2")
    head = trap.build()
    assert head[told : told + 4] == b"PK\1\2"
    assert read(head + last.build())[1] == {"zip-two-directories": "dangerous"}


def test_bytes_between_archives_make_no_row():
    second = GOOD.plus(Member(b"a/data/1", b"1")).build()
    assert read(GOOD.build() + b"between" + second)[1] == {"zip-prefix": "unjudged"}


def test_recognised_once():
    for data in (GOOD.build(), script().build(), other((b"x", b"1"))):
        assert len([c for c in recognise(MemorySource(data)) if c.name in {r.name for r in READERS}]) == 1
