"""The certificate as a document: an in-toto Statement, read strictly, and compared with what the verifier derives.

Bound by the same rule as `verifier.py`, whose other half it is: nothing of the machine, the containers, the vetted
table, the policy or the scanner is imported here. Signs nothing: a Statement is what existing signers take as it is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from safeload.attesting.verifier import derive
from safeload.errors import InputError, Malformed, NotAttested
from safeload.source import Source

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "urn:safeload:clean:v1"
JUDGED = "#judged"
"""Ends the name of the subject that is all a verdict rests on: for each range its offset and length (both 8 bytes,
little-endian) and its bytes, one after the other. Signers know digests of whole things, and only by the usual names."""

MOST = 1 << 28
"""Bytes of a certificate; one for 100,000 tensors has a tenth of it."""

_BLOCK = 1 << 20
_DERIVED = ("container", "size", "ranges", "storages", "streams")
_SAID = {"safeload", "verdict", "policy", *_DERIVED}


def parse(data: bytes) -> Mapping[str, Any]:
    """The Statement in `data`, UTF-8 JSON without duplicate keys. Raises NotAttested."""
    try:
        found = json.loads(data.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise NotAttested(f"the certificate is no JSON that can be read: {error}") from error
    if type(found) is not dict:
        raise NotAttested("the certificate is no JSON object")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        # SECURITY: readers differ in which of two they take.
        raise ValueError("a key stands twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def statement(name: str, derived: Mapping[str, Any], said: Mapping[str, str], sha256: str | None) -> dict[str, Any]:
    """The Statement for a file called `name`: what was `derived` from its bytes, and what is merely `said` of it."""
    subjects = [{"name": name + JUDGED, "digest": {"sha256": derived["judged"]}}]
    if sha256 is not None:
        subjects.insert(0, {"name": name, "digest": {"sha256": sha256}})
    return {
        "_type": STATEMENT,
        "subject": subjects,
        "predicateType": PREDICATE,
        "predicate": {**said, **{field: derived[field] for field in _DERIVED}},
    }


def verify(source: Source, given: Mapping[str, Any], policy: str | None = None) -> dict[str, Any]:
    """What the verifier derives from `source`, when the Statement `given` says exactly that; raises NotAttested.

    `policy` is the digest of the rules that the certificate has to have been made under. What was read of `source`
    before is not read again: the bytes that were judged are those that are verified.
    """
    predicate, judged, whole = _opened(given)
    if policy is not None and predicate["policy"] != policy:
        raise NotAttested(
            f"{source.name}: the certificate was made under other rules ({_short(predicate['policy'])}) than those in "
            f"force ({policy[:12]}): scan the file again, with --attest"
        )
    try:
        derived = derive(source)
    except InputError:
        raise
    except (NotAttested, Malformed) as error:
        raise NotAttested(f"{source.name} is outside what the independent verifier takes: {error}") from error
    for field in _DERIVED:
        _compare(f"{source.name}: {field}", predicate[field], derived[field])
    _compare(f"{source.name}: digest of what was judged", judged, derived["judged"])
    if whole is not None:
        _compare(f"{source.name}: sha256 of the file", whole, whole_sha256(source))
    return derived


def _opened(given: Mapping[str, Any]) -> tuple[dict[str, Any], str, str | None]:
    """Predicate, digest of what was judged and that of the file, of a Statement with exactly the fields of ours."""
    if not isinstance(given, dict) or given.keys() != {"_type", "subject", "predicateType", "predicate"}:
        raise NotAttested("the certificate is no in-toto Statement")
    if given["_type"] != STATEMENT or given["predicateType"] != PREDICATE:
        raise NotAttested(f"the certificate is no {STATEMENT} of the type {PREDICATE}")
    subjects, predicate = given["subject"], given["predicate"]
    if type(subjects) is not list or len(subjects) not in (1, 2) or not all(map(_is_subject, subjects)):
        raise NotAttested("the subjects of the certificate must be names with a sha256: what was judged, and the file")
    names = [subject["name"] for subject in subjects]
    if not names[-1].endswith(JUDGED) or (len(names) == 2 and names[0] + JUDGED != names[1]):
        raise NotAttested(f"the last subject of the certificate must be the name of the file and {JUDGED}")
    if type(predicate) is not dict or predicate.keys() != _SAID:
        raise NotAttested(f"the predicate of the certificate must have the fields {', '.join(sorted(_SAID))}")
    if (
        predicate["verdict"] != "clean"
        or type(predicate["safeload"]) is not str
        or type(predicate["policy"]) is not str
    ):
        raise NotAttested("the certificate must say a verdict, which is clean, the version and the policy")
    digests = [subject["digest"]["sha256"] for subject in subjects]
    return predicate, digests[-1], digests[0] if len(digests) == 2 else None


def _is_subject(subject: object) -> bool:
    if type(subject) is not dict or subject.keys() != {"name", "digest"} or type(subject["name"]) is not str:
        return False
    digest = subject["digest"]
    # SECURITY: a digest that is no text must not pass for one that is not there.
    return type(digest) is dict and digest.keys() == {"sha256"} and type(digest["sha256"]) is str


def whole_sha256(source: Source) -> str:
    """Hex digest of every byte of `source`, none of which is kept."""
    total = hashlib.sha256()
    for at in range(0, source.size, _BLOCK):
        total.update(source.peek(at, _BLOCK))
    return total.hexdigest()


def _compare(place: str, claimed: Any, found: Any) -> None:
    """Refuse the first difference. Follows what was derived, so that no certificate decides how deep this goes."""
    if type(claimed) is not type(found):
        raise NotAttested(f"{place}: the certificate says {_short(claimed)}, the file {_short(found)}")
    if isinstance(found, dict):
        if claimed.keys() != found.keys():
            raise NotAttested(f"{place}: the certificate has other fields than it must")
        for key, value in found.items():
            _compare(f"{place}.{key}", claimed[key], value)
    elif isinstance(found, list):
        if len(claimed) != len(found):
            raise NotAttested(f"{place}: the certificate says {len(claimed)} entries, the file has {len(found)}")
        for index, value in enumerate(found):
            _compare(f"{place}[{index}]", claimed[index], value)
    elif claimed != found:
        raise NotAttested(f"{place}: the certificate says {_short(claimed)}, the file {_short(found)}")


def _short(value: Any) -> str:
    """A value for a message: plain ASCII of one line, never the whole of something large."""
    return ascii(value)[:80] if isinstance(value, str | int | float | None) else type(value).__name__
