"""An archive without findings means to torch's own reader what it means to ours."""

import io
import random
import struct
import zlib

import pytest

import safeload
from safeload.containers.kinds.torch_zip import TorchZip
from safeload.containers.zip.directory import read_directory
from safeload.containers.zip.entry import ZipEntry
from safeload.containers.zip.members import Members
from safeload.errors import LimitExceeded, Malformed
from safeload.findings import Finding, Verdict
from safeload.inputs import MemorySource
from safeload.limits import Limits
from tests.containers.driver import drive
from tests.containers.test_zip_directory import DATA, GOOD, ODD, PKL
from tests.containers.test_zip_readers import READERS, script
from tests.containers.zip_builder import Archive, Member, numbered, torch_like

torch = pytest.importorskip("torch")

SEEDS = [
    GOOD.build(),
    GOOD.but(zip64=False).build(),
    GOOD.but_member(PKL, method=8).build(),
    script().build(),
    torch_like(numbered(1)).plus(Member(b"a/x.pkl", numbered(2))).build(),
    GOOD.build() + GOOD.plus(Member(b"a/data/1", b"1234")).build(),
    Archive((Member(b"x.npy", b"\x93NUMPY" + bytes(80), flags=0, align=0),), zip64=False).build(),
    Archive((Member(b"data", b'{"a": {":serialized:": "gAJLAS4="}}', flags=0, align=0),), zip64=False).build(),
]


def torchs_pickle(data):
    """The bytes of data.pkl as torch's reader finds them; None when it refuses the file."""
    try:
        return torch._C.PyTorchFileReader(io.BytesIO(data)).get_record("data.pkl")
    except (RuntimeError, UnicodeDecodeError):
        return None


@pytest.mark.parametrize("copies", [2, 3, 4, 5, 6, 9])
def test_torch_takes_an_arbitrary_one_of_a_name(copies):
    # Why duplicates are dangerous: the one that torch takes is neither the first nor the last for every count.
    members = tuple(Member(PKL, numbered(n)) for n in range(copies))
    data = Archive(members + GOOD.members[1:]).build()
    assert torchs_pickle(data) in [numbered(n) for n in range(copies)]
    assert any(f.verdict is Verdict.DANGEROUS for f in read_directory(MemorySource(data), Limits()).findings)


def test_torch_ignores_case():
    data = GOOD.but_member(PKL, name=b"a/DATA.PKL", data=numbered(7)).build()
    assert torchs_pickle(data) == numbered(7)


def test_torch_follows_the_zip64_locator():
    first = GOOD.but_member(PKL, data=numbered(1))
    second = GOOD.but_member(PKL, data=numbered(2))
    assert torchs_pickle(first.build() + second.build()) == numbered(1)


def test_torch_ignores_a_wrong_checksum():
    broken = struct.pack("<4sIII", b"PK\7\x08", 7, 5, 5)
    assert torchs_pickle(GOOD.but_member(PKL, data=numbered(1), central={"crc": 7}, descriptor=broken).build())


def test_torch_shifts_by_the_local_names_length():
    data = GOOD.but_member(PKL, local={"name": PKL + b"x" * 9}).build()
    assert torchs_pickle(data) is not None


def test_an_alignment_of_zero_is_not_what_torch_writes():
    # With torch.utils.serialization.config.load.calculate_storage_offsets, torch divides by it, and dies.
    def rules(alignment):
        report = safeload.scan(GOOD.but_member(b"a/.storage_alignment", data=alignment).build())
        return report.verdict, [finding.rule for finding in report.findings]

    assert rules(b"64") == rules(b"1") == ("clean", [])
    assert rules(b"0") == rules(b"00") == ("unjudged", ["torch-zip-record", "member-skipped"])


def test_torch_cuts_long_names_in_its_listing():
    # By the listing it knows TorchScript: this archive is one to torch.load, and holds no constants.pkl.
    folder = b"f" * 497
    data = torch_like(folder=folder).plus(Member(folder + b"/constants.pkl.txt", b"some text")).build()
    assert "constants.pkl" in torch._C.PyTorchFileReader(io.BytesIO(data)).get_all_records()
    report = safeload.scan(data)
    told = {"zip-name-characters", "foreign-member", "member-skipped"}
    assert (report.verdict, {f.rule for f in report.findings}) == ("unjudged", told)
    fits = torch_like(folder=b"f" * 480).plus(Member(b"f" * 480 + b"/constants.pkl.txt", b"some text")).build()
    report = safeload.scan(fits)
    assert (report.verdict, {f.rule for f in report.findings}) == ("unvetted", {"foreign-member", "member-skipped"})


def compressed(packed, content):
    """GOOD with `packed` for the compressed form of its storage."""
    shown = struct.pack("<4sIII", b"PK\7\x08", zlib.crc32(content), len(packed), len(content))
    fields = {"method": 8, "size": len(content), "crc": zlib.crc32(content)}
    return GOOD.but_member(DATA, data=packed, central=fields, local={"method": 8}, descriptor=shown).build()


def test_a_compressed_storage_without_its_end_is_nothing_that_can_be_loaded():
    content = struct.pack("<4f", 1, 2, 3, 4)
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    cut = deflater.compress(content) + deflater.flush(zlib.Z_SYNC_FLUSH)
    whole = cut + deflater.flush()
    assert safeload.scan(compressed(whole, content)).verdict == "clean"
    for packed in (cut, whole + b"more"):
        data = compressed(packed, content)
        # Both readers give the bytes all the same: to call this clean would be to promise a load.
        assert torch._C.PyTorchFileReader(io.BytesIO(data)).get_record("data/0") == content
        report = safeload.scan(data)
        assert (report.verdict, [f.rule for f in report.findings]) == ("unjudged", ["zip-deflate"])
        with pytest.raises(safeload.UnsafeCheckpoint):
            safeload.load(data)


def test_a_large_compressed_storage_is_inflated_in_pieces():
    content = random.Random(1).randbytes(3_000_000).translate(b"abcd" * 64)
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = deflater.compress(content) + deflater.flush()
    entry = ZipEntry("a/data/0", 8, 0, 0, len(packed), len(content), 0, 0)
    assert Members(MemorySource(packed), Limits()).content(entry) == content
    assert Members(MemorySource(packed), Limits()).storage(entry).size == len(content)
    for size in (len(content) - 1, len(content) + 1):
        with pytest.raises(Malformed, match="does not inflate to"):
            Members(MemorySource(packed), Limits()).storage(entry.but(size=size))
    with pytest.raises(Malformed, match="does not inflate to"):
        Members(MemorySource(packed), Limits()).storage(entry.but(length=len(packed) - 1))


def ours(data):
    """(pickles that could be data.pkl, whether the archive is plain) as our reader has it, None when it refuses."""
    source = MemorySource(data)
    if not TorchZip().recognise(source):
        return None
    try:
        directory = read_directory(source, Limits())
    except (Malformed, LimitExceeded):
        return None
    if any(f.verdict is not Verdict.CLEAN for f in directory.findings):
        return None
    parts, _ = drive(TorchZip(), source)
    if any(isinstance(p, Finding) and p.verdict is not Verdict.CLEAN for p in parts):
        return None
    (main,) = (p for p in parts if getattr(p, "main", False))
    return main.data if main.data is not None else data[main.start : main.end]


def mutated(data, chance):
    broken = bytearray(data)
    # Most of the damage goes where the structure is.
    places = [i for mark in (b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\6", b"PK\6\7") for i in found(data, mark)]
    for _ in range(chance.randint(1, 3)):
        at = min(chance.choice(places) + chance.randrange(60), len(broken) - 1)
        match chance.randrange(5):
            case 0:
                broken[at] = chance.randrange(256)
            case 1:
                broken[at] ^= 1 << chance.randrange(8)
            case 2:
                broken[at : at + 4] = struct.pack("<I", chance.choice([0, 1, 64, len(data), 0xFFFF, 0xFFFFFFFF]))
            case 3:
                other = chance.choice(places)
                broken[at : at + 8] = broken[other : other + 8]
            case _:
                del broken[at : at + chance.choice([1, 4, 46])]
        if len(broken) < 30:
            break
    return bytes(broken)


def found(data, mark):
    at = data.find(mark)
    while at >= 0:
        yield at
        at = data.find(mark, at + 1)


def test_what_is_plain_to_us_is_the_same_to_torch():
    chance = random.Random(20261122)
    agreed = 0
    for round_ in range(4000):
        data = mutated(SEEDS[round_ % 3], chance)
        mine = ours(data)
        if mine is None:
            continue
        theirs = torchs_pickle(data)
        assert theirs in (None, mine), data
        agreed += theirs is not None
    assert agreed > 100


def test_odd_archives_never_pass_with_another_pickle():
    for name, (archive, _) in ODD.items():
        data = archive.build()
        mine = ours(data)
        assert mine is None or torchs_pickle(data) in (None, mine), name


def test_damaged_archives_keep_the_contract():
    chance = random.Random(7)
    done = refused = 0
    for round_ in range(3000):
        source = MemorySource(mutated(SEEDS[round_ % len(SEEDS)], chance))
        for reader in READERS:
            if reader.recognise(source):
                try:
                    drive(reader, source)
                    done += 1
                except (Malformed, LimitExceeded):
                    refused += 1
    assert done > 500
    assert refused > 50
