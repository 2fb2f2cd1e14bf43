"""What is skipped was proven to be no model, over all of its bytes, and is nothing else to any program."""

from __future__ import annotations

import base64
import io
import lzma
import pickle
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

import pytest

from safeload.inputs import MemorySource
from safeload.inputs.near import Beside, among
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.report import Report
from safeload.scanning.scanner import scan, scan_source
from tests.containers.whole.made import chunk

POLICY = Policy.default()
CLEAN = pickle.dumps({"a": 1}, 2)
PAYLOAD = b"cbuiltins\nopen\n(S'MARKER'\nS'w'\ntR."


def met(data: bytes, **limits: int) -> Report:
    """The report of a file that was met in a folder."""
    return scan_source(MemorySource(data), policy=POLICY, limits=Limits(**limits), explicit=False).report


def png(*more: bytes) -> bytes:
    head = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", head) + b"".join(more) + chunk(b"IDAT", zlib.compress(b"\0\0"))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def zipped(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "/"), data)
    return out.getvalue()


def tarred(**members: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in members.items():
            about = tarfile.TarInfo(name)
            about.size = len(data)
            archive.addfile(about, io.BytesIO(data))
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"hello\n", "text, no model"),
        (b'{"a": 1}', "JSON, no model"),
        (b"import os\n", "Python source, no model"),
        (b"<!DOCTYPE html><html></html>", "HTML, no model"),
        (png(), "PNG image, no model"),
    ],
)
def test_what_is_no_model_is_skipped_with_its_reason(data: bytes, reason: str) -> None:
    report = met(data)
    assert (report.verdict, report.reason, report.findings) == ("skipped", reason, ())


@pytest.mark.parametrize("data", [b"hello\n", png(), b'{"a": 1}'])
def test_what_was_named_is_never_skipped(data: bytes) -> None:
    assert scan(data).verdict == "unjudged"


HIDING = {
    "a zip behind a picture": png() + zipped(a=CLEAN),
    "bytes behind a picture": png() + b"x",
    "a picture cut off": png()[:-1],
    "a picture with another checksum": png()[:-5] + b"\0\0\0\0\0",
    "HDF5 behind a user block": (png() + bytes(512))[:512] + b"\x89HDF\r\n\x1a\n" + bytes(100),
    "a frame that zstd passes over": b"\x51\x2a\x4d\x18\x08\0\0\0WEBP" + bytes(4),
    "an lz4 frame of old": b"\x02\x21\x4c\x18" + bytes(20),
    "a text that is a pickle": PAYLOAD,
    "JSON with a pickle": b'{"a": {":serialized:": "' + base64.b64encode(PAYLOAD) + b'"}}',
    "JSON behind blanks": b" " * 5000 + b'{"a": {":serialized:": "' + base64.b64encode(PAYLOAD) + b'"}}',
    "YAML that names Python": b"a: !!python/object/apply:os.system [x]\n",
    "a pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 1\n",
    "raw numbers": struct.pack("<8f", *range(8)),
}


@pytest.mark.parametrize("name", HIDING)
def test_what_another_program_reads_is_judged(name: str) -> None:
    assert met(HIDING[name]).verdict not in ("skipped", "clean")


@pytest.mark.parametrize("start", [b"\0\0\x01\0", b"\0\x01\0\0"])
def test_the_old_lzma_format_has_no_magic(start: bytes) -> None:
    chain = [{"id": lzma.FILTER_LZMA1, "dict_size": 4096, "lc": 0, "lp": 0, "pb": 0}]
    raw = lzma.compress(PAYLOAD, format=lzma.FORMAT_ALONE, filters=chain)
    data = start + b"\0" + raw[5:]
    assert lzma.decompress(data) == PAYLOAD
    report = met(data)
    assert (report.verdict, report.container) == ("dangerous", "compressed")


def test_an_archive_of_texts_is_no_model_and_says_nothing_where_it_is_named() -> None:
    for data in (zipped(a=b"hello", b=b"world"), tarred(a=b"hello"), zlib.compress(b"hello")):
        assert met(data).verdict == "skipped"
        assert scan(data).verdict == "unjudged"
        assert "zip-nothing-to-scan" in {finding.rule for finding in scan(data).findings}


def test_many_texts_make_no_clean_archive() -> None:
    inner = tarred(**{f"t{n}": b"hello" for n in range(40)})
    for data in (inner, zlib.compress(inner), zipped(inner=inner), zipped(a=zipped(b=inner))):
        assert met(data).verdict == "skipped"
        assert scan(data).verdict == "unjudged"


def test_an_archive_without_members_is_unjudged() -> None:
    empty = bytes(10240)
    assert scan(zipped()).verdict == "unjudged"
    assert scan(tarred()).verdict == "unjudged"
    assert scan(empty).verdict == "unjudged"


def test_texts_beside_a_model_are_told_and_have_no_weight() -> None:
    for data in (zipped(README=b"hello", m=CLEAN), tarred(README=b"hello", m=CLEAN)):
        report = scan(data)
        assert report.verdict == "clean"
        assert [(f.rule, f.verdict, f.member) for f in report.findings] == [("member-skipped", "skipped", "README")]


def test_skipped_members_are_counted_beyond_the_first() -> None:
    report = scan(zipped(m=CLEAN, **{f"t{n}": b"hello" for n in range(25)}))
    assert report.verdict == "clean"
    assert [f.message for f in report.findings][-1] == "skipped: 15 more members, no model"
    assert len(report.findings) == 11


def test_a_text_in_an_archive_may_find_its_module_there() -> None:
    assert met(zipped(words=b"certifi\nidna\nmore\n")).verdict == "skipped"
    assert met(zipped(words=b"certifi\nidna\nmore\n", deep__ertifi__x=b"hello")).verdict == "unjudged"


def test_what_lies_beside_a_file(tmp_path: Path) -> None:
    (tmp_path / "Net.py").touch()
    near = Beside(str(tmp_path))
    assert near("net")
    assert not near("other")
    assert Beside(str(tmp_path / "absent"))("anything"), "a folder that cannot be listed may hold anything"
    assert among(["a.b.c"], "A")
    assert not among(["ab"], "a")


def test_a_text_in_a_folder_may_find_its_module_at_the_root(tmp_path: Path) -> None:
    from safeload.inputs.walk import walk
    from safeload.limits import Limits
    from safeload.workers import Settings, scan_here

    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "words.txt").write_bytes(b"certifi\nidna\nmore\n")

    def verdicts() -> list[str]:
        return [str(r.verdict) for r in scan_here(walk([str(tmp_path)]), Settings(POLICY, None, Limits()))]

    assert verdicts() == ["skipped"]
    (tmp_path / "ertifi.py").write_bytes(b"print()\n")
    assert sorted(verdicts()) == ["skipped", "unjudged"]


def test_what_is_too_large_to_be_read_whole_is_unjudged() -> None:
    report = met(b"hello\n" * 10, passive_bytes=20)
    assert (report.verdict, report.findings[0].rule) == ("unjudged", "limit-reached")
    report = met(zipped(a=b"hello\n" * 10, m=CLEAN), passive_bytes=20)
    assert report.verdict == "unjudged"


def test_the_digest_binds_what_was_skipped_in_an_archive() -> None:
    one, other = scan(tarred(m=CLEAN, t=b"hello a")), scan(tarred(m=CLEAN, t=b"hello b"))
    assert one.verdict == other.verdict == "clean"
    assert one.judged_sha256 != other.judged_sha256
