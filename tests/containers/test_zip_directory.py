"""Each row is one way in which two readers of a zip differ, with the rule ids that it must give."""

import io
import struct
import zipfile
import zlib

import pytest

from safeload.containers.zip.directory import read_directory
from safeload.containers.zip.end import find_end
from safeload.containers.zip.rules import EXAMPLES, RULES
from safeload.errors import LimitExceeded, Malformed
from safeload.findings import Verdict
from safeload.inputs import MemorySource
from safeload.limits import Limits
from tests.containers.zip_builder import Archive, Member, central_header, numbered, torch_like

GOOD = torch_like()
PKL, DATA, VERSION = b"a/data.pkl", b"a/data/0", b"a/version"
PLAIN = Archive((Member(b"x.pkl", numbered(1), flags=0, align=0),), zip64=False)


def rules(data):
    return {finding.rule for finding in read_directory(MemorySource(data), Limits()).findings}


def verdicts(data):
    return {finding.rule: str(finding.verdict) for finding in read_directory(MemorySource(data), Limits()).findings}


ODD = {
    "duplicate name": (GOOD.plus(Member(PKL, numbered(2))), {"zip-duplicate-name": "dangerous"}),
    "nine of a name": (
        GOOD.plus(*(Member(PKL, numbered(n)) for n in range(8))),
        {"zip-duplicate-name": "dangerous"},
    ),
    "name in other case": (GOOD.plus(Member(b"a/DATA.PKL", numbered(2))), {"zip-duplicate-name": "dangerous"}),
    "other case, no torch": (
        PLAIN.plus(Member(b"README", flags=0, align=0), Member(b"readme", flags=0, align=0)),
        {"zip-duplicate-name": "unjudged"},
    ),
    "count below entries": (GOOD.but(count=3), {"zip-count-mismatch": "dangerous"}),
    "count above entries": (GOOD.but(count=9), {"zip-count-mismatch": "dangerous"}),
    "counts differ": (GOOD.but(count=3, count64=7), {"zip-end-mismatch": "unjudged"}),
    "name cut by NUL": (GOOD.plus(Member(PKL + b"\0z", numbered(2))), {"zip-name-nul": "dangerous"}),
    "name with ..": (GOOD.plus(Member(b"a/../../x", b"1")), {"zip-name-traversal": "dangerous"}),
    "absolute name": (GOOD.plus(Member(b"/etc/x", b"1")), {"zip-name-traversal": "dangerous"}),
    "drive": (PLAIN.plus(Member(b"c:x", b"1", flags=0, align=0)), {"zip-name-traversal": "dangerous"}),
    "archive named ..": (torch_like(folder=b".."), {"zip-name-traversal": "dangerous"}),
    "archive without name": (torch_like(folder=b""), {"zip-name-traversal": "dangerous"}),
    "backslash": (GOOD.plus(Member(b"a\\b", b"1")), {"zip-name-characters": "unjudged"}),
    "control character": (GOOD.plus(Member(b"a/x\ny", b"1")), {"zip-name-characters": "unjudged"}),
    "name of no encoding": (GOOD.plus(Member(b"a/\xff\xfe", b"1")), {"zip-name-characters": "unjudged"}),
    "name of unknown encoding": (GOOD.plus(Member(b"a/\x81", b"1", flags=8)), {"zip-name-characters": "unjudged"}),
    "no name": (GOOD.plus(Member(b"", b"1")), {"zip-name-characters": "unjudged"}),
    "local name": (GOOD.but_member(DATA, local={"name": b"a/data/1"}), {"zip-local-name": "dangerous"}),
    "local name shorter": (
        GOOD.but_member(DATA, local={"name": b"a/dat"}),
        {"zip-local-name": "dangerous"},
    ),
    "local name longer": (
        GOOD.but_member(DATA, local={"name": DATA + b"x" * 40}),
        {"zip-local-name": "dangerous"},
    ),
    "local method": (GOOD.but_member(DATA, local={"method": 8}), {"zip-local-method": "unjudged"}),
    "local flags": (GOOD.but_member(DATA, local={"flags": 0x809}), {"zip-local-flags": "unjudged"}),
    "local size": (GOOD.but_member(DATA, local={"size": 5}), {"zip-local-sizes": "unjudged"}),
    "local checksum": (GOOD.but_member(DATA, local={"crc": 5}), {"zip-local-sizes": "unjudged"}),
    "stored with two sizes": (
        GOOD.but_member(DATA, central={"size": 12}),
        {"zip-stored-size": "dangerous", "zip-descriptor": "unjudged"},
    ),
    "spills into the next": (
        GOOD.but_member(PKL, central={"size": 400, "length": 400}),
        {"zip-overlap": "dangerous"},
    ),
    "runs into the directory": (
        GOOD.but_member(DATA, central={"size": 1 << 20, "length": 1 << 20}),
        {"zip-out-of-bounds": "unjudged", "zip-gap": "unjudged"},
    ),
    "begins behind the directory": (
        GOOD.but_member(b"a/.data/serialization_id", central={"header": 1 << 30}),
        {"zip-out-of-bounds": "unjudged", "zip-gap": "unjudged"},
    ),
    "encrypted": (
        GOOD.but_member(DATA, flags=0x809),
        {"encrypted": "unjudged"},
    ),
    "strongly encrypted": (GOOD.but_member(DATA, flags=0x848), {"encrypted": "unjudged"}),
    "masked": (GOOD.but_member(DATA, flags=0x2808), {"encrypted": "unjudged"}),
    "patched": (GOOD.but_member(DATA, flags=0x828), {"zip-flags": "unjudged"}),
    "deflate flag on stored": (GOOD.but_member(DATA, flags=0x80A), {"zip-flags": "unjudged"}),
    "bzip2": (GOOD.but_member(DATA, method=12), {"zip-method": "unjudged"}),
    "folder attribute": (GOOD.but_member(DATA, central={"external": 0x10}), {"zip-directory-entry": "unjudged"}),
    "folder with bytes": (GOOD.plus(Member(b"a/f/", b"1")), {"zip-directory-entry": "unjudged"}),
    "symbolic link": (GOOD.but_member(DATA, central={"external": 0o120777 << 16}), {"zip-symlink": "unjudged"}),
    "member on a disk": (GOOD.but_member(DATA, central={"disk": 2}), {"zip-multi-disk": "unjudged"}),
    "archive of disks": (GOOD.but(disk=1), {"zip-multi-disk": "unjudged"}),
    "cut extra field": (GOOD.but_member(DATA, central={"extra": b"AB\xff\xff"}), {"zip-extra": "unjudged"}),
    "no zip64 field": (
        GOOD.but_member(DATA, central={"size": 0xFFFFFFFF, "length": 0xFFFFFFFF}),
        {"zip-extra": "unjudged", "zip-out-of-bounds": "unjudged", "zip-gap": "unjudged"},
    ),
    "two zip64 fields": (
        GOOD.but_member(DATA, central={"extra": b"\1\0\0\0\1\0\0\0"}),
        {"zip-extra": "unjudged"},
    ),
    "bytes in front": (GOOD.but(prefix=b"\xff\xd8\xff junk"), {"zip-prefix": "unjudged"}),
    "bytes in front, unknown to it": (GOOD.but(prefix=b"junk" * 20, shifted=True), {"zip-prefix": "unjudged"}),
    "bytes in front, without zip64": (PLAIN.but(prefix=b"junk", shifted=True), {"zip-prefix": "unjudged"}),
    "bytes between": (GOOD.but_member(DATA, after=b"hidden pickle here, 30 bytes.."), {"zip-gap": "unjudged"}),
    "few bytes between": (GOOD.but_member(b"a/version", flags=0x800, after=b"12345"), {"zip-gap": "unjudged"}),
    "bytes before the directory": (GOOD.but(before_directory=b"x" * 99), {"zip-gap": "unjudged"}),
    "member without entry": (
        GOOD.but_member(DATA, hidden=True),
        {"zip-gap": "unjudged"},
    ),
    "bytes behind the directory": (
        GOOD.but(after_directory=b"PK\5\5\4\0abcd", size=sum(len(central_header(m, 0)) for m in GOOD.members) + 10),
        {"zip-directory-gap": "unjudged"},
    ),
    "directory apart from its end": (GOOD.but(after_directory=b"x" * 9), {"zip-directory-gap": "unjudged"}),
    "no descriptor": (GOOD.but_member(DATA, descriptor=b""), {"zip-descriptor": "unjudged"}),
    "wrong descriptor": (
        GOOD.but_member(DATA, descriptor=struct.pack("<4sIII", b"PK\7\x08", 1, 16, 16)),
        {"zip-descriptor": "unjudged"},
    ),
    "last descriptor wrong": (
        GOOD.but_member(b"a/.data/serialization_id", descriptor=b"x" * 16),
        {"zip-descriptor": "unjudged"},
    ),
    "comment": (GOOD.but(comment=b"3f2a a commit"), {"zip-comment": "clean"}),
    "binary comment": (GOOD.but(comment=b"\0\1\2"), {"zip-comment-binary": "unjudged"}),
    "trailing bytes": (GOOD.but(trailing=b"more"), {"zip-trailing-data": "unjudged"}),
    "comment length wrong": (GOOD.but(comment_length=7), {"zip-trailing-data": "unjudged"}),
    "stray signature at the end": (
        GOOD.but(trailing=b"PK\5\6"),
        {"zip-end-hidden": "dangerous", "zip-trailing-data": "unjudged"},
    ),
    "another order": (GOOD.but(backwards=True), {"zip-order": "unjudged"}),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_archive_gives_its_findings(name):
    archive, expected = ODD[name]
    assert verdicts(archive.build()) == expected


def directory_of(archive):
    """The central directory of `archive`."""
    data = archive.build()
    return data[data.index(b"PK\1\2") : data.index(b"PK\6\6")]


def test_two_directories():
    # The end record names the first directory; the second, of the same length, stands where zipfile looks.
    at = GOOD.build().index(b"PK\1\2")
    data = GOOD.but(before_directory=directory_of(GOOD), offset=at).build()
    assert verdicts(data) == {"zip-two-directories": "dangerous"}
    assert len(read_directory(MemorySource(data), Limits()).entries) == 7


def test_zip64_locator_that_points_elsewhere():
    data = GOOD.build()
    record = data[data.index(b"PK\6\6") : data.index(b"PK\6\7")]
    # The true record stands behind the directory, a second one in front of the locator.
    assert verdicts(
        GOOD.but(after_directory=record, record_at=data.index(b"PK\6\6"), size=len(directory_of(GOOD))).build()
    ) == {"zip-zip64-elsewhere": "dangerous"}


def test_zip64_locator_that_points_nowhere():
    with pytest.raises(Malformed, match="points to no zip64 record"):
        read_directory(MemorySource(GOOD.but(record_at=1 << 40).build()), Limits())


def test_unicode_path_that_renames():
    field = struct.pack("<HHBI", 0x7075, 5 + len(PKL), 1, zlib.crc32(DATA)) + PKL
    assert verdicts(GOOD.but_member(DATA, central={"extra": field}).build()) == {"zip-unicode-path": "dangerous"}
    same = struct.pack("<HHBI", 0x7075, 5 + len(DATA), 1, zlib.crc32(DATA)) + DATA
    assert verdicts(GOOD.but_member(DATA, central={"extra": same}).build()) == {}


@pytest.mark.parametrize(("path", "expected"), [("schema.json", {"zip-unicode-path": "dangerous"}), ("modèle", {})])
def test_unicode_path_beside_a_name_in_utf8(path, expected):
    member = zipfile.ZipInfo("modèle")
    text = path.encode()
    member.extra = struct.pack("<HHBI", 0x7075, 5 + len(text), 1, zlib.crc32(member.filename.encode())) + text
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr(member, "{}")
    assert verdicts(written.getvalue()) == expected


def test_entry_without_local_header_is_left_out():
    data = GOOD.but_member(DATA, central={"header": 4}).build()
    directory = read_directory(MemorySource(data), Limits())
    assert "zip-local-signature" in {finding.rule for finding in directory.findings}
    assert "a/data/0" not in [entry.name for entry in directory.entries]


def test_two_archives_in_a_row():
    first = GOOD.plus(Member(b"a/more", b"x" * 200)).build()
    data = first + GOOD.build()
    assert verdicts(data) == {"zip-prefix": "unjudged"}
    assert read_directory(MemorySource(data), Limits()).entries[0].data == len(first) + 64


def test_one_archive_twice_is_two_readings():
    # The second locator then names the first archive's record: torch reads the first, zipfile the second.
    assert verdicts(GOOD.build() * 2) == {"zip-zip64-elsewhere": "dangerous"}


def test_comment_with_an_end_record():
    inner = GOOD.build()[-22:]
    assert verdicts(GOOD.but(comment=inner + b"x" * 30).build())["zip-trailing-data"] == "unjudged"
    assert verdicts(GOOD.but(comment=b"x" * 30 + b"PK\1\2").build())["zip-end-hidden"] == "dangerous"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a zip archive"),
        (b"PK\3\4", "truncated: the end record is missing"),
        (GOOD.build()[:300], "truncated: the end record is missing"),
        (GOOD.build()[:-1], "truncated: the end record is missing"),
        (b"x" * 500, "not a zip archive"),
        (GOOD.but(size=1 << 30).build(), "does not fit"),
        (GOOD.but(offset=5).build(), "points to no directory"),
    ],
)
def test_what_has_no_directory_is_malformed(data, message):
    with pytest.raises(Malformed, match=message):
        read_directory(MemorySource(data), Limits())


def test_empty_archive_has_no_findings():
    directory = read_directory(MemorySource(Archive((), zip64=False).build()), Limits())
    assert directory.entries == ()
    assert directory.findings == ()


def test_too_many_members_is_a_limit():
    with pytest.raises(LimitExceeded) as caught:
        read_directory(MemorySource(GOOD.build()), Limits(members=6))
    assert caught.value.limit == "members"


def test_findings_of_a_rule_are_bounded_and_counted():
    archive = GOOD.plus(*(Member(b"a/x%d" % n, b"", flags=0x820) for n in range(50)))
    found = read_directory(MemorySource(archive.build()), Limits()).findings
    assert len(found) == EXAMPLES + 1
    assert found[-1].message.startswith("50 places have this problem")


def test_places_are_those_of_zipfile():
    data = GOOD.build()
    with zipfile.ZipFile(io.BytesIO(data)) as reference:
        for entry, info in zip(read_directory(MemorySource(data), Limits()).entries, reference.infolist(), strict=True):
            assert (entry.name, entry.size, entry.header) == (info.filename, info.file_size, info.header_offset)
            assert data[entry.data : entry.data + entry.length] == reference.read(info)


def written_by_zipfile(method, stream=False, wide=False):
    """What Python's zipfile writes: real sizes and checksums in front, or descriptors when it cannot go back."""
    out = io.BytesIO()

    class Pipe(io.RawIOBase):
        def writable(self):
            return True

        def write(self, data):
            return out.write(data)

    with zipfile.ZipFile(Pipe() if stream else out, "w", method) as archive:
        for member in GOOD.members:
            with archive.open(member.name.decode(), "w", force_zip64=wide) as file:
                file.write(member.data)
        archive.mkdir("a/empty")
    return out.getvalue()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("wide", [False, True])
def test_what_zipfile_writes_is_accepted(method, stream, wide):
    assert verdicts(written_by_zipfile(method, stream, wide)) == {}


@pytest.mark.parametrize(
    "archive",
    [
        GOOD,
        GOOD.but(zip64=False),
        # set_crc32_options(False)
        GOOD.but_member(DATA, central={"crc": 0}, descriptor=struct.pack("<4sIII", b"PK\7\x08", 0, 16, 16)),
        # An empty storage has no descriptor.
        GOOD.plus(Member(b"a/data/1", b"", flags=0x800)),
        # A member whose descriptor is 64 bits wide, as torch writes it beyond 4 GiB.
        GOOD.but_member(DATA, wide_descriptor=True),
        GOOD.but_member(DATA, method=8),
        GOOD.but_member(DATA, method=8, flags=0x80C),
    ],
)
def test_what_writers_do_is_accepted(archive):
    assert verdicts(archive.build()) == {}


def test_every_rule_is_reached_or_is_of_another_file():
    # The rules about contents have their tests beside the readers that give them.
    others = {
        rule
        for rule in RULES
        if rule.startswith(("torch", "zip-json", "zip-python", "zip-native", "zip-unknown", "zip-no"))
    } | {
        "zip-crc",
        "zip-deflate",
        "zip-limit",
        "foreign-member",
        "keras-model",
        "pt2-program",
        "mar-code",
        "package-code",
    }
    here = {rule for archive, _ in ODD.values() for rule in verdicts(archive.build())}
    here |= {"zip-two-directories", "zip-zip64-elsewhere", "zip-unicode-path", "zip-local-signature"}
    assert here == set(RULES) - others
    assert all(
        rule.verdict in (Verdict.UNJUDGED, Verdict.DANGEROUS)
        for name, rule in RULES.items()
        if name in here - {"zip-comment"}
    )


@pytest.mark.parametrize("behind", [65_535, 68_000, 65_535 + 4096])
def test_the_end_record_is_looked_for_as_far_back_as_torch_looks(behind: int) -> None:
    # miniz reads blocks of 4 KB from the end and gives up after a block: it finds what lies behind no comment's reach.
    data = GOOD.build()
    assert find_end(MemorySource(data + bytes(behind))) == len(data) - 22
    assert verdicts(data + bytes(behind))["zip-trailing-data"] == "unjudged"
