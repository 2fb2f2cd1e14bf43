"""What the tests of certificates share: files with their certificates, and the certificate a forger would write."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any
from unittest.mock import patch

from safeload.attesting import verifier
from safeload.attesting.certificate import Attested, attest
from safeload.attesting.statement import statement, verify
from safeload.inputs import MemorySource
from safeload.limits import Limits
from safeload.policy import Policy

POLICY = Policy.default()


def attested(data: bytes, *, full_hash: bool = False, policy: Policy = POLICY) -> Attested:
    """The report on `data`, and its certificate when it gets one."""
    return attest(MemorySource(data, "model.pt"), policy=policy, limits=Limits(), full_hash=full_hash)


def certificate(data: bytes, **options: Any) -> dict[str, Any]:
    """A certificate that nobody else holds."""
    found = attested(data, **options)
    assert found.statement is not None, found.reason
    return copy.deepcopy(found.statement)


def check(data: bytes, given: Any, policy: str | None = POLICY.digest) -> None:
    """The independent verifier over `data`; raises NotAttested."""
    verify(MemorySource(data, "model.pt"), given, policy)


def forged(data: bytes, names: Iterable[str]) -> dict[str, Any]:
    """The best certificate there could be for `data`: what the verifier would derive if it admitted `names` as well."""
    anything = {name: ("forged", lambda args: True) for name in names}
    with (
        patch.dict(verifier.CALLS, anything),
        patch.dict(verifier.SHAPES, dict.fromkeys(anything, "forged")),
    ):
        derived = verifier.derive(MemorySource(data))
    said = {"safeload": "0.1.0", "verdict": "clean", "policy": POLICY.digest}
    return statement("model.pt", derived, said, None)
