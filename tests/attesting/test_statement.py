"""Statements and files that were altered: every field of the one, and every byte of the other."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from safeload.attesting import statement as statements
from safeload.attesting.statement import attest, parse, whole_sha256
from safeload.errors import InputError, Malformed, SafeloadError, UsageError
from safeload.inputs import FileSource, MemorySource
from safeload.inputs.part import PartSource
from safeload.inputs.walk import Target
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.report import VERSION
from safeload.workers import Settings, judge
from samples.assemble import ECHO, pickle
from samples.build import SAMPLES
from samples.files_of_torch import extra
from tests.attesting.attested import FILES, POLICY, ZIP, compare, statement


@pytest.mark.parametrize("kind", FILES)
def test_a_file_agrees_with_its_statement(kind: str) -> None:
    assert compare(FILES[kind], statement(FILES[kind])) == ()


def test_what_a_statement_says() -> None:
    data = FILES["zip"]
    given = statement(data)
    assert given.keys() == {"_type", "subject", "predicateType", "predicate"}
    assert (given["_type"], given["predicateType"]) == ("https://in-toto.io/Statement/v1", "urn:safeload:clean:v1")
    assert given["subject"] == [{"name": "model.pt", "digest": {"sha256": hashlib.sha256(data).hexdigest()}}]
    judged = given["predicate"].pop("judged")
    assert given["predicate"] == {
        "safeload": VERSION,
        "verdict": "clean",
        "policy": POLICY.digest,
        "limits": {},
        "container": "torch-zip",
        "size": len(data),
    }
    assert judged.keys() == {"sha256", "read", "passed"}


def test_the_digest_of_the_judged_part_can_be_computed_from_the_statement() -> None:
    """As docs/attestation.md tells it: what was judged is known without safeload."""
    data = FILES["zip"]
    judged = statement(data)["predicate"]["judged"]
    total = hashlib.sha256()
    for offset, length in judged["read"]:
        total.update(struct.pack("<QQ", offset, length) + data[offset : offset + length])
    assert judged == {"sha256": total.hexdigest(), "read": judged["read"], "passed": []}
    # The numbers of tensors run nothing: no scan reads them.
    assert not any(b"\1" * 16 in data[offset : offset + length] for offset, length in judged["read"])


def test_bytes_that_were_passed_over_are_told_and_count() -> None:
    text = b"# A model\n\nWritten by hand, and read by nobody but people.\n" * 40
    data = zip_plain({"model.pkl": FILES["pickle"], "README.md": text})
    given = statement(data)
    (start, length), *_ = given["predicate"]["judged"]["passed"]
    assert data[start : start + length] in text
    assert compare(data, given) == ()
    other = zip_plain({"model.pkl": FILES["pickle"], "README.md": text.replace(b"hand", b"hend")})
    assert "its sha256 is not what the statement says" in compare(other, given)


def zip_plain(members: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)
    return made.getvalue()


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value of a document, the containers among them."""
    yield path
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield from places(value, (*path, key))


def replaced(document: Any, path: tuple[Any, ...], change: Any) -> Any:
    """A copy in which the value at `path` is `change(value)`."""
    again = copy.deepcopy(document)
    if not path:
        return change(again)
    held = again
    for key in path[:-1]:
        held = held[key]
    held[path[-1]] = change(held[path[-1]])
    return again


def another(value: Any) -> Any:
    """Something of the same type that differs."""
    match value:
        case str():
            return value[:-1] + ("0" if value[-1:] != "0" else "1")
        case list():
            return value[:-1]
        case dict():
            return dict(list(value.items())[:-1])
        case _:
            return value + 1


# A file may be renamed: its name is there for people.
FREE = {("subject", 0, "name")}
CHANGES = [another, lambda value: [value], lambda value: None, lambda value: {"a": value}, float, bool]


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("change", CHANGES, ids=["another", "list", "null", "object", "float", "bool"])
def test_every_field_counts(kind: str, change: Any) -> None:
    """1, 1.0 and true are equal to Python and to no other reader of JSON: a type counts as a value does."""
    given = statement(FILES[kind], limits=Limits(opcodes=1000))
    agreed = []
    for path in places(given):
        value = given
        for key in path:
            value = value[key]
        if change in (float, bool) and type(value) is not int:
            continue
        altered = replaced(given, path, change)
        if json.dumps(altered) == json.dumps(given):
            continue
        try:
            if not compare(FILES[kind], altered, limits=Limits(opcodes=1000)):
                agreed.append(path)
        except (Malformed, UsageError):
            pass
    assert set(agreed) == (FREE if change is another else set())


@pytest.mark.parametrize(
    "where", [(), ("predicate",), ("subject", 0), ("subject", 0, "digest"), ("predicate", "judged")], ids=str
)
def test_a_field_more_is_refused(where: tuple[Any, ...]) -> None:
    given = replaced(statement(FILES["zip"]), where, lambda value: {**value, "more": "0" * 64})
    with pytest.raises(Malformed):
        compare(FILES["zip"], given)


@pytest.mark.slow
@pytest.mark.parametrize("kind", FILES)
def test_every_byte_counts(kind: str) -> None:
    data = FILES[kind]
    given = statement(data)
    for at in range(len(data)):
        altered = bytearray(data)
        altered[at] ^= 1 << at % 8
        assert compare(bytes(altered), given) != ()


def test_the_statement_of_another_file_does_not_fit() -> None:
    swapped = ZIP.__class__((ZIP.members[1], ZIP.members[0], *ZIP.members[2:])).build()
    longer = extra(ZIP, "archive/data/2", b"x").build()
    for kind, data in FILES.items():
        given = statement(data)
        for other in ({**FILES, "swapped": swapped, "longer": longer, "cut": data[:-1], "more": data + b"\0"}).values():
            assert (compare(other, given) == ()) == (other == data), kind


def test_a_file_that_is_not_clean_has_none_and_agrees_with_none() -> None:
    given = statement(FILES["pickle"])
    for sample in SAMPLES:
        found = attest(MemorySource(sample.data), policy=POLICY, limits=Limits())
        verdict = found.report.verdict.value
        if verdict != "clean":
            assert found.statement is None, sample.path
            assert found.reason == f"its verdict is {verdict}, and not clean"
            # The best that a forger could write: all of it is true but the verdict.
            given["subject"][0]["digest"]["sha256"] = hashlib.sha256(sample.data).hexdigest()
            given["predicate"]["size"] = len(sample.data)
            given["predicate"]["judged"]["sha256"] = found.report.judged_sha256 or "0" * 64
            assert compare(sample.data, given) == (f"no statement is made of it: {found.reason}",)
        else:
            assert found.statement is not None, sample.path
            assert len(json.dumps(found.statement)) < 20_000


def test_what_other_rules_said_cannot_be_compared() -> None:
    narrow = POLICY.weights_only()
    data = FILES["zip"]
    given = statement(data, policy=narrow)
    assert compare(data, given, policy=narrow) == ()
    with pytest.raises(UsageError, match=r"under other rules .* give --policy weights-only, or scan"):
        compare(data, given)
    with pytest.raises(UsageError, match="give --policy standard"):
        compare(data, statement(data), policy=narrow)
    given["predicate"]["policy"] = "0" * 64
    with pytest.raises(UsageError, match="give the pack of that scan by --policy"):
        compare(data, given)


def test_what_other_limits_said_cannot_be_compared() -> None:
    """SECURITY: a statement that names a limit raises none: whoever compares gives it, or nothing is judged."""
    data = FILES["zip"]
    raised = Limits(opcodes=1 << 40, memo=7_000)
    given = statement(data, limits=raised)
    assert given["predicate"]["limits"] == {"opcodes": 1 << 40, "memo": 7_000}
    assert compare(data, given, limits=raised) == ()
    with pytest.raises(UsageError, match=r"give --limit opcodes=1099511627776 --limit memo=7000 if you trust"):
        compare(data, given)
    with pytest.raises(UsageError, match="give no --limit"):
        compare(data, statement(data), limits=raised)


def test_another_version_cannot_be_compared() -> None:
    given = statement(FILES["zip"])
    given["predicate"]["safeload"] = "9.9.9"
    given["predicate"]["limits"] = {"a_limit_of_the_future": 1}
    with pytest.raises(UsageError, match="another version of safeload than this one"):
        compare(FILES["zip"], given)


def test_a_strict_policy_states_nothing_with_a_remark() -> None:
    made = io.BytesIO(FILES["zip"])
    with zipfile.ZipFile(made, "a") as archive:
        archive.comment = b"the third run"
    strict, data = Policy.named("strict"), made.getvalue()
    reason = "it has remarks, which the policy 'strict' minds"
    assert compare(data, statement(data)) == ()
    assert attest(MemorySource(data), policy=strict, limits=Limits()).reason == reason
    assert compare(data, statement(data), policy=strict) == (f"no statement is made of it: {reason}",)


def test_a_statement_is_about_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.pt").write_bytes(FILES["zip"])
    (tmp_path / "other.pt").write_bytes(FILES["zip"])
    source = FileSource(tmp_path / "model.pt")
    assert attest(source, policy=POLICY, limits=Limits()).statement is not None
    source.hold(FileSource(tmp_path / "other.pt"))
    found = attest(source, policy=POLICY, limits=Limits())
    source.close()
    assert (found.statement, "one of several files" in found.reason) == (None, True)


def test_a_statement_stays_within_what_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    assert statements.MOST_RANGES * len("[1234567890123456, 1234567890123456], ") < statements.MOST_BYTES
    monkeypatch.setattr(statements, "MOST_RANGES", 2)
    found = attest(MemorySource(FILES["zip"]), policy=POLICY, limits=Limits())
    assert (found.statement, "too many for a statement" in found.reason) == (None, True)


def test_modules_beside_the_file_count_as_they_do_for_a_scan(tmp_path: Path) -> None:
    """A text in an archive that would import a module which lies there is no text: with --attest as without."""
    path = tmp_path / "models.zip"
    path.write_bytes(zip_plain({"model.pkl": FILES["pickle"], "notes.txt": b"cmodelcard\nx = 1\n"}))

    def verdicts() -> list[str]:
        source = FileSource(path)
        found = attest(source, policy=POLICY, limits=Limits())
        source.close()
        scanned = judge(Target(str(path), explicit=True), Settings(POLICY, None, Limits()))
        return [found.report.verdict.value, scanned.verdict.value]

    assert verdicts() == ["clean", "clean"]
    (tmp_path / "modelcard.py").write_text("x = 1\n")
    assert verdicts() == ["unjudged", "unjudged"]


# The file changes while it is judged.


def test_the_sha256_is_that_of_the_bytes_that_were_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file becomes a program between judging and hashing: its statement still is the clean file's."""
    path = tmp_path / "model.pt"
    clean = pickle({"epoch": 3})
    path.write_bytes(clean)
    bad = pickle(ECHO)

    def swapped(source: Any) -> str:
        path.write_bytes((bad + clean)[: len(clean)])
        return whole_sha256(source)

    monkeypatch.setattr(statements, "whole_sha256", swapped)
    source = FileSource(path)
    found = attest(source, policy=POLICY, limits=Limits())
    source.close()
    assert found.statement is not None
    assert found.statement["subject"][0]["digest"]["sha256"] == hashlib.sha256(clean).hexdigest()


def test_what_was_passed_over_may_not_change_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a" * 10 + b"text" + b"z" * 10)
    source = FileSource(path)
    source.read(2, 4)
    source.read(20, 2)
    source.pass_over(10, 4)
    source.pass_over(4, 8)
    source.pass_over(5, 2)
    assert source.judged_ranges() == (((2, 4), (20, 2)), ((4, 8), (5, 2), (10, 4)))
    assert PartSource(source, 3, 5, "inside").judged_ranges() == source.judged_ranges()
    assert whole_sha256(source) == hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes(b"a" * 10 + b"code" + b"z" * 10)
    with pytest.raises(InputError, match="changed while it was read"):
        whole_sha256(source)
    source.close()


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (2 << 20) + 3])
def test_all_bytes_are_hashed_once(size: int) -> None:
    data = bytes(i % 251 for i in range(size))
    for ranges in (
        [],
        [(0, size)],
        [(size // 3, size // 2)],
        [(0, 0), (size // 2, 0)],
        [(0, size // 2), (1, size // 3)],
    ):
        source = MemorySource(data)
        for offset, length in ranges:
            if offset + length <= size:
                source.read(offset, length)
        assert whole_sha256(source) == hashlib.sha256(data).hexdigest()


# What is no statement.


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b'{"_type": 1}',
        b'{"predicate": {}}',
        b"\xff",
        b"[" * 200_000,
        b'{"a": NaN}',
        b'{"_type": "x", "_type": "y"}',
        b'{"n": ' + b"9" * 10_000 + b"}",
        b" " * (statements.MOST_BYTES + 1),
    ],
    ids=lambda data: ascii(data[:16]),
)
def test_what_is_no_statement(data: bytes) -> None:
    with pytest.raises(Malformed, match="it is no statement of safeload"):
        parse(data)


def test_a_whole_statement_with_a_key_twice_or_too_many_bytes_is_none() -> None:
    text = json.dumps(statement(FILES["zip"]))
    parse(text.encode() + b" " * (statements.MOST_BYTES - len(text)))
    with pytest.raises(Malformed, match="more than"):
        parse(text.encode() + b" " * (statements.MOST_BYTES - len(text) + 1))
    with pytest.raises(Malformed, match="a key stands twice"):
        parse(text.replace('"verdict": ', '"verdict": "dangerous", "verdict": ').encode())


def test_any_json_is_a_statement_or_malformed() -> None:
    """The contract of a parser, over what stands in the places of a real one."""
    given = statement(FILES["zip"])
    odd: list[Any] = [None, 0, -1, 1.5, "", "x", [], {}, [[]], [[0]], [[0, 0, 0]], {"a": []}, "0" * 64, 10**4000, True]
    refused = 0
    for path in places(given):
        for value in odd:
            try:
                compare(FILES["zip"], replaced(given, path, lambda _, value=value: value))
            except (Malformed, UsageError):
                refused += 1
            except SafeloadError as error:
                pytest.fail(f"{path}: {error!r}")
    assert refused > 200
