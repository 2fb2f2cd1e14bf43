"""The join: what becomes of readings, streams, limits and findings on the way to one verdict."""

from __future__ import annotations

import gzip
import io
import json
import pickle as standard
import struct
import zipfile
from pathlib import Path

import pytest

from safeload.errors import InputError, UsageError
from safeload.findings import Verdict
from safeload.inputs import MemorySource, open_source
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.report import Report
from safeload.scanning.scanner import Scan, scan, scan_source
from samples.assemble import ECHO, ONES, PROTO2, STOP, Code, call, name, new, pickle, tensor, value
from samples.build import SAMPLES
from samples.files_of_torch import extra, legacy, plain_zip, zip_around, zip_of

CLEAN, UNVETTED, UNJUDGED, DANGEROUS, SKIPPED = (
    Verdict.CLEAN, Verdict.UNVETTED, Verdict.UNJUDGED, Verdict.DANGEROUS, Verdict.SKIPPED,
)  # fmt: skip
GOOD = zip_of({"w": tensor()}).build()
BAD = pickle(ECHO)


def in_folder(data: bytes, limits: Limits | None = None) -> Report:
    """The report on a file that was met in a folder."""
    source = MemorySource(data)
    return scan_source(source, policy=Policy.default(), limits=limits or Limits(), explicit=False).report


def whole(data: bytes, limits: Limits | None = None) -> Scan:
    return scan_source(MemorySource(data), policy=Policy.default(), limits=limits or Limits())


def rules(report: Report) -> list[str]:
    return [finding.rule for finding in report.findings]


# What a folder scan may skip.

HARMLESS = {
    "text": b"Weights of our model.\nSee the paper.\n",
    "json": b'{"hidden_size": 4, "layers": [1, 2]}\n',
    "python": b"import torch\n\nprint(torch.__version__)\n",
    "html": b"<!DOCTYPE html><html></html>",
    "gif": b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff"
    b",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;",
    "empty": b"",
}


@pytest.mark.parametrize("kind", HARMLESS)
def test_what_is_no_model_is_skipped_in_a_folder_and_never_when_named(kind: str) -> None:
    report = in_folder(HARMLESS[kind])
    assert (report.verdict, report.findings, report.judged_sha256) == (SKIPPED, (), None)
    assert report.reason
    assert scan(HARMLESS[kind]).verdict is UNJUDGED


@pytest.mark.parametrize(
    "data",
    [
        BAD,
        b"cos\nsystem\n(S'echo safeload-sample'\ntR.",
        b"cos\nsystem\n",
        b"(cos\nsystem\nS'x'\no.",
        b"GIF89a\x01\x00\x010" + ECHO + b".",
        b"I1\n.",
        pickle({"a": 1}),
        GOOD,
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01",
        b"\x00\x01\x00\x00\x00\x0f\x00\x80\x00\x03\x00\x70",
        b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
        b"\x00" * 600,
        b"\xde\xad\xbe\xef" * 40,
    ],
    ids=lambda data: ascii(data[:16]),
)
def test_what_could_do_something_is_never_skipped(data: bytes) -> None:
    report = in_folder(data)
    assert report.verdict is not SKIPPED
    assert report.verdict is scan(data).verdict


def test_of_the_samples_only_empty_ones_and_texts_are_skipped() -> None:
    assert [(s.path, in_folder(s.data).reason) for s in SAMPLES if in_folder(s.data).verdict is SKIPPED] == [
        ("bytes/empty.pt", "empty"),
        ("bytes/login-page.bin", "HTML, no model"),
        ("opcodes/number-spaced.pkl", "text, no model"),  # no unpickler reads "L1LL"
    ]


# Files inside files.


def test_a_nested_file_is_judged_under_its_place() -> None:
    inner = plain_zip({"w.bin": zip_of(ECHO).build()}).build()
    report = scan(plain_zip({"models/x": inner}).build())
    assert report.verdict is DANGEROUS
    assert [(f.rule, f.member) for f in report.findings] == [
        ("runs-programs", "models/x!w.bin!archive/data.pkl"),
    ]


def nested(data: bytes, levels: int) -> bytes:
    for _ in range(levels):
        data = plain_zip({"x": data}).build()
    return data


def test_the_depth_of_files_is_limited_and_told() -> None:
    assert scan(nested(GOOD, 4)).verdict is CLEAN
    report = scan(nested(GOOD, 5))
    assert (report.verdict, rules(report)) == (UNJUDGED, ["limit-reached"])
    assert "nesting" in report.findings[0].message
    assert whole(nested(GOOD, 5), Limits(nesting=5)).report.verdict is CLEAN
    assert whole(nested(zip_of(ECHO).build(), 5), Limits(nesting=9)).report.verdict is DANGEROUS


def test_the_number_of_files_is_limited_and_told() -> None:
    many = plain_zip({f"{i}.pkl": pickle(i) for i in range(5)}).build()
    assert scan(many).verdict is CLEAN
    report = whole(many, Limits(nested_files=3)).report
    assert report.verdict is UNJUDGED
    assert "limit-reached" in rules(report)


def test_bytes_of_a_nested_loader_are_judged_as_a_file() -> None:
    def loader(data: bytes) -> bytes:
        return pickle(tensor(call(name("torch.storage", "_load_from_bytes"), data)))

    held = ("storage", name("torch", "FloatStorage"), "0", "cpu", 4, None)
    good = legacy(Code(value(held) + b"Q"), {"0": (4, ONES)})
    assert scan(loader(good)).verdict is CLEAN
    assert scan(loader(good[:-1])).verdict is UNJUDGED
    assert scan(loader(b"")).verdict is UNJUDGED
    assert scan(loader(legacy(ECHO, {}))).verdict is DANGEROUS
    assert scan(loader(loader(legacy(ECHO, {})))).verdict is DANGEROUS


def test_bytes_that_look_like_a_pickle_are_data_unless_dangerous() -> None:
    assert scan(pickle({"a": pickle({"b": 1})})).verdict is CLEAN
    assert scan(pickle({"a": pickle(new(name("myproject", "Net")))})).verdict is CLEAN
    report = scan(pickle({"a": BAD}))
    assert (report.verdict, rules(report)) == (DANGEROUS, ["nested-pickle"])
    assert scan(pickle({"a": pickle({"b": BAD})})).verdict is DANGEROUS


# Two files in one.


def test_every_reading_of_a_polyglot_counts() -> None:
    for data in (legacy(ECHO, {}) + GOOD, BAD + GOOD, pickle({"a": 1}) + zip_of(ECHO).build()):
        report = scan(data)
        assert report.verdict is DANGEROUS
        assert "polyglot" in rules(report)
        assert "+" in report.container
    assert scan(pickle({"a": 1}) + GOOD).verdict is UNJUDGED


def test_a_zip_is_not_taken_for_a_pickle_by_its_first_letters() -> None:
    # "P" begins a text persistent id: PK\3\4 and all up to the next newline would be one, if it were ASCII.
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("x.pkl", (1980, 1, 1, 0, 0, 0)), standard.dumps({"a": 1}, 4))
    report = scan(packed.getvalue())
    assert (report.container, report.verdict) == ("zip", CLEAN)


# What was half-read.


def test_a_payload_before_a_break_is_dangerous() -> None:
    for end in (b"\xff", b"", b"R", b"\x8cabc", b"(" * 10, b"0" * 10, b"\x80\x63", b"cos\n"):
        report = scan(PROTO2 + ECHO + end)
        assert report.verdict is DANGEROUS, end
        assert "malformed-pickle" in rules(report)
        assert report.findings[0].rule == "runs-programs"


def test_a_break_before_the_payload_is_unjudged() -> None:
    assert scan(PROTO2 + b"\xff" + ECHO + STOP).verdict is UNJUDGED


def test_an_unvetted_name_before_a_break_is_unjudged() -> None:
    report = scan(PROTO2 + new(name("myproject", "Net")) + b"\xff")
    assert report.verdict is UNJUDGED
    assert set(rules(report)) == {"malformed-pickle", "unknown-global"}


def test_a_broken_member_hides_no_other() -> None:
    archive = extra(zip_around(b"\x80\x02\xff"), "archive/other", BAD).build()
    report = scan(archive)
    assert report.verdict is DANGEROUS
    assert {(f.rule, f.member) for f in report.findings} == {
        ("malformed-pickle", "archive/data.pkl"),
        ("foreign-member", "archive/other"),
        ("runs-programs", "archive/other"),
    }


def test_a_broken_file_has_no_document() -> None:
    assert whole(b"\x80\x02\xff").document is None or whole(b"\x80\x02\xff").report.verdict is not CLEAN
    assert whole(GOOD).document is not None


def test_every_beginning_of_a_pickle_with_a_payload_is_dangerous_once_the_call_is_in() -> None:
    data = PROTO2 + ECHO + value([1, "x"]) + b"\x86" + STOP
    called = len(PROTO2 + ECHO)
    for size in range(1, len(data) + 1):
        verdict = scan(data[:size]).verdict
        assert verdict is not CLEAN
        if size >= called:
            assert verdict is DANGEROUS


# Findings.


def test_the_cap_on_findings_never_lowers_a_verdict() -> None:
    names = [name(f"myproject.m{i}", "C") for i in range(50)]
    data = pickle([*names, ECHO])
    full = scan(data)
    assert (len(full.findings), full.omitted) == (51, 0)
    capped = whole(data, Limits(findings=3)).report
    assert capped.verdict is DANGEROUS
    assert (len(capped.findings), capped.omitted) == (3, 48)


def test_the_worst_finding_stands_first() -> None:
    report = scan(zip_around(pickle([name("myproject", "Net"), ECHO]) + b"trailing").build())
    assert [f.verdict for f in report.findings] == [DANGEROUS, UNJUDGED, UNVETTED]


def test_a_report_says_where_in_member_and_file() -> None:
    at = len(PROTO2 + ECHO) - 1
    bare = scan(BAD).findings[0]
    assert (bare.member, bare.offset, bare.stream) == ("", at, 0)
    member = scan(zip_around(BAD).build()).findings[0]
    assert (member.member, member.offset, member.stream) == ("archive/data.pkl", at, 0)
    second = scan(pickle(1) + BAD).findings[0]
    assert (second.member, second.offset, second.stream) == ("", len(pickle(1)) + at, 1)
    deflated = io.BytesIO()
    with zipfile.ZipFile(deflated, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", BAD * 3)
    assert scan(deflated.getvalue()).findings[0].offset == at
    assert scan(gzip.compress(BAD, mtime=0)).findings[0].offset == at


def test_the_wire_holds_the_same() -> None:
    report = scan(BAD)
    document = json.loads(report.to_json())
    assert document["summary"]["verdict"] == "dangerous"
    (file,) = document["files"]
    assert (file["verdict"], file["judged_sha256"], file["size"]) == ("dangerous", report.judged_sha256, len(BAD))
    assert file["findings"][0]["evidence"] == "os.system('echo safeload-sample')"


# Where the bytes come from.


def test_a_file_object_is_read_from_where_it_stands() -> None:
    stream = io.BytesIO(b"12345678" + GOOD)
    stream.seek(8)
    report = scan(stream)
    assert (report.verdict, report.size) == (CLEAN, len(GOOD))
    assert not stream.closed
    stream.seek(0)
    assert scan(stream).verdict is UNJUDGED


def test_bytes_path_and_file_object_have_one_digest(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    path.write_bytes(GOOD)
    with path.open("rb") as stream:
        reports = [scan(GOOD), scan(bytearray(GOOD)), scan(path), scan(str(path)), scan(stream), scan(io.BytesIO(GOOD))]
    assert {report.judged_sha256 for report in reports} == {reports[0].judged_sha256}
    assert {report.verdict for report in reports} == {CLEAN}


def test_the_digest_covers_what_was_judged_and_no_storage() -> None:
    at = GOOD.index(ONES)
    other_values = GOOD[:at] + struct.pack("<4f", 2, 2, 2, 2) + GOOD[at + 16 :]
    # The checksum of the storage stands in the directory; here only the bytes differ.
    assert scan(other_values).judged_sha256 == scan(GOOD).judged_sha256
    for offset in (GOOD.index(b"_rebuild"), GOOD.index(b"PK\1\2") + 20, len(GOOD) - 3):
        changed = GOOD[:offset] + bytes([GOOD[offset] ^ 1]) + GOOD[offset + 1 :]
        assert scan(changed).judged_sha256 != scan(GOOD).judged_sha256


def test_what_is_no_input_raises(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        scan(tmp_path / "absent.pt")
    with pytest.raises(InputError):
        scan(tmp_path)
    with pytest.raises(UsageError):
        scan(7)


class Changing:
    """A file object that gives other bytes on the second read of a place."""

    def __init__(self, first: bytes, then: bytes) -> None:
        self.streams = [io.BytesIO(first), io.BytesIO(then)]
        self.read_before: set[int] = set()
        self.at = 0

    def tell(self) -> int:
        return self.at

    def seek(self, offset: int, whence: int = 0) -> int:
        self.at = self.streams[0].seek(offset, whence)
        return self.at

    def read(self, size: int = -1) -> bytes:
        stream = self.streams[self.at in self.read_before]
        if size:
            self.read_before.add(self.at)
        stream.seek(self.at)
        data = stream.read(size)
        self.at += len(data)
        return data


@pytest.mark.parametrize("good", [pickle({"a": "x" * 60}), GOOD, legacy({"a": 1}, {})], ids=["bare", "zip", "legacy"])
def test_a_source_that_changes_under_the_scan_is_never_taken_for_both(good: bytes) -> None:
    bad = pickle(Code(ECHO + b"0" + value("y" * 200)))[: len(good)]
    bad += good[len(bad) :]
    for first, then in ((good, bad), (bad, good)):
        source = open_source(Changing(first, then))
        found = scan_source(source, policy=Policy.default(), limits=Limits())
        if found.report.verdict is CLEAN:
            # What was judged is what a loader gets from this source, however the file goes on.
            kept = source.read(0, 8)
            assert kept == good[:8]
            assert scan(good).judged_sha256 == found.report.judged_sha256


SCHEMA = """{"__class__": "dict", "__module__": "builtins", "__loader__": "DictNode", "content": {"a": {"__class__":
"str", "__module__": "builtins", "__loader__": "JsonNode", "content": "1", "is_json": true, "__id__": 1}}, "key_types":
{"__class__": "list", "__module__": "builtins", "__loader__": "ListNode", "content": [{"__class__": "str", "__module__":
"builtins", "__loader__": "TypeNode", "__id__": 2}], "__id__": 3}, "__id__": 4, "protocol": 2,
"_skops_version": "0.16.0"}"""


def test_an_archive_whose_names_were_judged_is_no_archive_with_nothing_in_it() -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("schema.json", SCHEMA)
    for explicit in (True, False):
        source = MemorySource(data.getvalue())
        report = scan_source(source, policy=Policy.default(), limits=Limits(), explicit=explicit).report
        assert (report.verdict, report.container, report.findings) == (Verdict.CLEAN, "skops", ())


def test_a_text_in_an_archive_in_an_archive_may_import_what_lies_in_the_outer_one() -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("notes.txt", "cevil\nnothing\nwords\n")
    for beside, verdict in (("evil.txt", Verdict.UNJUDGED), ("other.txt", Verdict.SKIPPED)):
        outer = io.BytesIO()
        with zipfile.ZipFile(outer, "w") as archive:
            archive.writestr("inner.zip", inner.getvalue())
            archive.writestr(beside, "hello\n")
        source = MemorySource(outer.getvalue())
        assert scan_source(source, policy=Policy.default(), limits=Limits(), explicit=False).report.verdict is verdict
