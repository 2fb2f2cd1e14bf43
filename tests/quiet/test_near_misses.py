"""Files that only look like something else for a moment; and the same with something else in them, which is judged."""

from __future__ import annotations

import base64
import io
import marshal
import pickle
import sqlite3
import struct
import zipfile
from importlib.util import MAGIC_NUMBER
from pathlib import Path

import pytest

from safeload.containers import recognise
from safeload.containers.zip.end import leads_to_a_member
from safeload.inputs import FileSource, MemorySource
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.report import Report
from safeload.scanning.scanner import scan_source
from tests.containers.whole import made

PAYLOAD = b"cos\nsystem\n(S'echo hello'\ntR."
WORD = base64.b64encode(pickle.dumps(["os", "system"], 2)).decode()


def met(data: bytes) -> Report:
    """The report of a file that was met in a folder."""
    return scan_source(MemorySource(data), policy=Policy.default(), limits=Limits(), explicit=False).report


def archive(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, data in members.items():
            file.writestr(name, data)
    return out.getvalue()


def compiled(constant: bytes) -> bytes:
    """A compiled module that holds `constant`, near its end."""
    return MAGIC_NUMBER + bytes(12) + marshal.dumps(compile(f"A = {constant!r}", "a.py", "exec"))


END = b"PK\5\6"


@pytest.mark.parametrize(
    "constant", [END, END + bytes(18), b"PK\1\2" + END, b"PK\3\4" + b"PK\1\2" + END + bytes(18), END + b"\1" * 40]
)
def test_the_mark_of_an_end_in_a_program_is_no_archive(constant: bytes) -> None:
    data = compiled(constant + b" and more than the record of an end needs")
    assert "zip" in [container.name for container in recognise(MemorySource(data))]
    assert (met(data).verdict, met(data).reason) == ("skipped", "compiled Python module, no model")


def test_an_archive_in_a_program_is_judged() -> None:
    for data in (compiled(archive(model=PAYLOAD)), compiled(archive(model=PAYLOAD) + b"behind")):
        assert leads_to_a_member(MemorySource(data))
        assert met(data).verdict not in ("skipped", "clean")


def test_an_end_that_leads_to_an_entry_either_way_counts() -> None:
    entry = b"PK\1\2" + bytes(42)

    def end(size: int, offset: int) -> bytes:
        return END + struct.pack("<HHHHIIH", 0, 0, 1, 1, size, offset, 0)

    front = b"x" * 30
    assert leads_to_a_member(MemorySource(front + entry + end(46, 0)))
    assert leads_to_a_member(MemorySource(front + entry + end(1000, 30)))
    assert leads_to_a_member(MemorySource(front + entry + end(46, 0xFFFFFFF0)))
    assert leads_to_a_member(MemorySource(front + entry + end(46, 0) + end(1000, 1000) + b"behind"))
    assert leads_to_a_member(MemorySource(front + b"PK\6\7" + bytes(16) + end(0, 0)))
    assert leads_to_a_member(MemorySource(b"PK\3\4" + bytes(60)))
    assert not leads_to_a_member(MemorySource(front + entry + end(45, 29)))
    assert not leads_to_a_member(MemorySource(front + entry + end(46, 30)[:-1]))
    assert not leads_to_a_member(MemorySource(b""))


def test_a_mark_across_two_pieces_is_found() -> None:
    entry = b"PK\1\2" + bytes(42)
    for before in range((1 << 20) - 50, (1 << 20) - 42):
        data = b"x" * before + entry + END + struct.pack("<HHHHIIH", 0, 0, 1, 1, 46, before, 0)
        assert leads_to_a_member(MemorySource(data))


MODULE = (
    '"""A module. Its text says "so" and no more."""\n\nfrom __future__ import annotations\n\nDATA = "WORD"\n'.replace(
        "WORD", WORD
    )
)


def test_a_docstring_is_no_json() -> None:
    assert (met(MODULE.encode()).verdict, met(MODULE.encode()).reason) == ("skipped", "Python source, no model")


@pytest.mark.parametrize(
    "text",
    [
        '"%s"',
        '{"a": "%s"}',
        '""" text """ {"a": "%s"}',
        '"" ["%s"]',
        '"a": "%s"',
        '"a", 1, "%s"',
        '"a" null "%s"',
        '"a" -1 "%s"',
        '\ufeff"a" and "%s"',
    ],
)
def test_what_some_reader_of_json_reads_is_judged(text: str) -> None:
    found = recognise(MemorySource((text % WORD).encode()))
    assert [container.name for container in found if container.name != "pickle"] == ["json"]


def test_a_database_is_no_yaml(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    with sqlite3.connect(path) as base:
        base.execute("CREATE TABLE a (text TEXT)")
        base.executemany("INSERT INTO a VALUES (?)", [("!!python/object/apply:os.system [echo] " * 80,)] * 1000)
    base.close()
    assert path.stat().st_size > Limits().yaml_bytes
    source = FileSource(path)
    report = scan_source(source, policy=Policy.default(), limits=Limits(), explicit=False).report
    source.close()
    assert (report.verdict, report.reason) == ("skipped", "SQLite database, no model")


def test_text_in_another_encoding_is_skipped_unless_it_is_something_once_decoded() -> None:
    note = "Grüße aus Köln, ein längerer Text mit vielen Wörtern darin.\n".encode("latin-1") * 3
    assert (met(note).verdict, met(note).reason) == ("skipped", "text in another encoding, no model")
    wide = "a table, of text\r\n".encode("utf-16")
    assert (met(wide).verdict, met(wide).reason) == ("skipped", "text in another encoding, no model")
    tagged = b"# gr\xfc\xdfe, and some more words in this comment\na: !!python/object/apply:os.system [echo]\n"
    assert met(tagged).verdict not in ("skipped", "clean")
    keyed = b'{"gr\xfc\xdfe": "%s", "and": "more words, so that most of it is ASCII"}' % WORD.encode()
    assert met(keyed).verdict not in ("skipped", "clean")


def test_a_large_text_in_another_encoding_is_bound_by_its_digest(tmp_path: Path) -> None:
    digests = set()
    for last in (b"a", b"b"):
        path = tmp_path / "large.txt"
        path.write_bytes(b"caf\xe9 and more words in plain letters\n" * 60_000 + last)
        source = FileSource(path)
        report = scan_source(source, policy=Policy.default(), limits=Limits(), explicit=False).report
        assert report.verdict == "skipped"
        digests.add(source.judged_sha256())
        source.close()
    assert len(digests) == 2


@pytest.mark.parametrize("name", ["mat", "mat, packed", "nc", "fits", "sav", "rf64"])
def test_numbers_of_measurements_are_skipped_and_never_with_a_payload(name: str) -> None:
    make, _, what = made.MADE[name]
    assert (met(make()).verdict, met(make()).reason) == ("skipped", f"{what}, no model")
    for data in (make() + PAYLOAD, PAYLOAD + make(), make() + archive(model=PAYLOAD)):
        assert met(data).verdict not in ("skipped", "clean")
