"""Certificates and files that were altered: every field of the one, and every byte of the other that was judged."""

from __future__ import annotations

import copy
import hashlib
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from safeload.attesting.statement import parse
from safeload.errors import NotAttested
from safeload.policy import Policy
from safeload.report import VERSION
from samples.assemble import get, longs, old_storage, pickle, put, storage, tensor
from samples.benign import ordered
from samples.build import SAMPLES
from samples.files_of_torch import extra, legacy, zip_of
from tests.attesting.certified import POLICY, attested, certificate, check

ZIP = zip_of(ordered(w=tensor(), b=tensor(storage("1", 2, "LongStorage"), (2,)))
             , {"0": b"\1" * 16, "1": longs(1, 2)})  # fmt: skip
FILES = {
    "zip": ZIP.build(),
    "legacy": legacy(
        {"w": tensor(old_storage()), "b": get(1), "c": put([1, "x"], 1)} | {"b": 2}, {"0": (4, b"\1" * 16)}
    ),
    "pickle": pickle({"epoch": 3, "loss": [0.5, 0.25]}),
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("full_hash", [False, True])
def test_a_certificate_holds_for_its_file(kind: str, full_hash: bool) -> None:
    given = certificate(FILES[kind], full_hash=full_hash)
    check(FILES[kind], given)
    check(FILES[kind], parse(json.dumps(given).encode()))


def test_what_a_certificate_says() -> None:
    given = certificate(FILES["zip"], full_hash=True)
    (whole, judged), predicate = given["subject"], given["predicate"]
    assert (given["_type"], given["predicateType"]) == ("https://in-toto.io/Statement/v1", "urn:safeload:clean:v1")
    assert whole == {"name": "model.pt", "digest": {"sha256": hashlib.sha256(FILES["zip"]).hexdigest()}}
    assert (judged["name"], set(judged["digest"])) == ("model.pt#judged", {"sha256"})
    assert certificate(FILES["zip"])["subject"] == [judged]
    assert (predicate["safeload"], predicate["verdict"], predicate["policy"]) == (VERSION, "clean", POLICY.digest)
    (stream,) = predicate["streams"]
    assert stream["member"] == "archive/data.pkl"
    assert [(n["name"], n["shape"], n["calls"]) for n in stream["names"]] == [
        ("collections.OrderedDict", "ordered-dict", 4),
        ("torch.FloatStorage", "torch-storage-class", 0),
        ("torch.LongStorage", "torch-storage-class", 0),
        ("torch._utils._rebuild_tensor_v2", "torch-tensor-v2", 2),
    ]
    assert stream["storages"] == [
        {"key": "0", "type": "torch.FloatStorage", "location": "cpu", "numel": 4, "loads": 1},
        {"key": "1", "type": "torch.LongStorage", "location": "cpu", "numel": 2, "loads": 1},
    ]
    assert [(s["key"], s["size"]) for s in predicate["storages"]] == [("0", 16), ("1", 16)]
    assert sum(r["length"] for r in predicate["ranges"]) + 32 == predicate["size"] == len(FILES["zip"])


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
    if isinstance(value, str):
        return value[:-1] + ("0" if value[-1:] != "0" else "1")
    if isinstance(value, list):
        return value[:-1]
    if isinstance(value, dict):
        return dict(list(value.items())[:-1])
    return 1 if value is None else value + 1


# What only readers use: the version is merely told.
FREE = {("predicate", "safeload")}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("change", [another, lambda value: [value], lambda value: None, lambda value: {"a": value}])
def test_every_field_counts(kind: str, change: Any) -> None:
    given = certificate(FILES[kind], full_hash=True)
    passed = []
    for path in places(given):
        altered = replaced(given, path, change)
        if altered == given:
            continue
        try:
            check(FILES[kind], altered)
            passed.append(path)
        except NotAttested:
            pass
    assert set(passed) <= FREE


@pytest.mark.parametrize("kind", FILES)
def test_the_name_of_the_file_is_free(kind: str) -> None:
    """A file may be renamed: its name is in the certificate for people, and the two subjects agree on it."""
    given = certificate(FILES[kind])
    check(FILES[kind], replaced(given, ("subject", 0, "name"), lambda name: "renamed.pt#judged"))
    given = certificate(FILES[kind], full_hash=True)
    with pytest.raises(NotAttested, match="last subject"):
        check(FILES[kind], replaced(given, ("subject",), lambda subjects: subjects[::-1]))
    # Without the file's own digest it is the certificate that a scan without --full-hash would have written.
    check(FILES[kind], replaced(given, ("subject",), lambda subjects: subjects[1:]))


@pytest.mark.parametrize("kind", FILES)
def test_numbers_have_one_type(kind: str) -> None:
    """1, 1.0 and True are equal to Python and to no other reader of JSON."""
    given = certificate(FILES[kind])
    numbers = [p for p in places(given) if p and type(_at(given, p)) is int]
    assert len(numbers) > 5
    for path in numbers:
        with pytest.raises(NotAttested):
            check(FILES[kind], replaced(given, path, float))
        if _at(given, path) in (0, 1):
            with pytest.raises(NotAttested):
                check(FILES[kind], replaced(given, path, bool))


def _at(document: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        document = document[key]
    return document


@pytest.mark.parametrize(
    "where", [(), ("predicate",), ("subject", 0), ("subject", 0, "digest"), ("predicate", "streams", 0)]
)
def test_a_field_more_is_refused(where: tuple[Any, ...]) -> None:
    given = replaced(certificate(FILES["zip"]), where, lambda value: {**value, "more": "0"})
    with pytest.raises(NotAttested):
        check(FILES["zip"], given)


@pytest.mark.parametrize("kind", FILES)
def test_every_judged_byte_counts(kind: str) -> None:
    data = FILES[kind]
    given = certificate(data)
    held = {i for s in given["predicate"]["storages"] for i in range(s["offset"], s["offset"] + s["size"])}
    generator = random.Random(5)
    for at in range(len(data)):
        altered = bytearray(data)
        altered[at] ^= 1 << generator.randrange(8)
        if at in held:
            check(bytes(altered), given)  # values of tensors: only the sha256 of the file binds them
        else:
            with pytest.raises(NotAttested):
                check(bytes(altered), given)


@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_a_full_hash_binds_the_values_too(kind: str) -> None:
    data = FILES[kind]
    given = certificate(data, full_hash=True)
    start = given["predicate"]["storages"][0]["offset"]
    with pytest.raises(NotAttested, match="sha256 of the file"):
        check(data[:start] + b"\2" + data[start + 1 :], given)


@pytest.mark.parametrize("length", [0, 1, 21, 22, 100, -1])
def test_a_cut_or_longer_file_is_refused(length: int) -> None:
    for data in FILES.values():
        given = certificate(data)
        for altered in (data[: min(length, len(data) - 1)], data + b"\0", data + data, b"\0" + data):
            with pytest.raises(NotAttested):
                check(altered, given)


def test_the_certificate_of_another_file_is_refused() -> None:
    given = {kind: certificate(data) for kind, data in FILES.items()}
    for kind in FILES:
        for other, data in FILES.items():
            if other != kind:
                with pytest.raises(NotAttested):
                    check(data, given[kind])


ALTERED = {
    "swapped members": ZIP.__class__((ZIP.members[1], ZIP.members[0], *ZIP.members[2:])),
    "a member twice": ZIP.plus(ZIP.members[0]),
    "data.pkl in other case": extra(ZIP, "archive/DATA.PKL", ZIP.members[0].data),
    "another folder": extra(ZIP, "other/version", b"3\n"),
    "a member more": extra(ZIP, "archive/code.py", b"x"),
    "a storage more": extra(ZIP, "archive/data/2", b"x"),
    "another storage size": zip_of(ordered(w=tensor(), b=tensor(storage("1", 2, "LongStorage"), (2,))),
                                   {"0": b"\1" * 20, "1": longs(1, 2)}),
}  # fmt: skip


@pytest.mark.parametrize("what", ALTERED)
def test_an_altered_archive_is_refused(what: str) -> None:
    data = ALTERED[what].build()
    assert data != FILES["zip"]
    with pytest.raises(NotAttested):
        check(data, certificate(FILES["zip"]))


def test_a_certificate_under_other_rules_is_refused() -> None:
    narrow = POLICY.weights_only()
    given = certificate(FILES["zip"], policy=narrow)
    check(FILES["zip"], given, narrow.digest)
    check(FILES["zip"], given, None)
    with pytest.raises(NotAttested, match="other rules"):
        check(FILES["zip"], given)
    assert Policy.default().digest != narrow.digest


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b'{"_type": 1}',
        b"\xff",
        b"[" * 200_000,
        b'{"a": NaN}',
        b'{"_type": "x", "_type": "y"}',
        b'{"n": ' + b"9" * 10_000 + b"}",
    ],
    ids=lambda data: ascii(data[:16]),
)
def test_what_is_no_certificate(data: bytes) -> None:
    with pytest.raises(NotAttested):
        check(FILES["zip"], parse(data))


@pytest.mark.parametrize("given", [None, 1, "x", [], {}, {"predicate": {}}], ids=repr)
def test_what_is_no_statement(given: Any) -> None:
    with pytest.raises(NotAttested):
        check(FILES["zip"], given)


def test_only_what_is_clean_is_attested() -> None:
    for sample in SAMPLES:
        found = attested(sample.data)
        if found.report.verdict != "clean":
            assert found.statement is None, sample.path
            assert found.reason == f"its verdict is {found.report.verdict.value}, and not clean"
        elif found.statement is not None:
            assert [s["name"] for s in found.statement["subject"]] == ["model.pt#judged"]
