"""Pickles spelled by their opcodes, as no pickler writes them, and what a scan makes of them."""

from __future__ import annotations

import pickle
import struct
import time
import uuid

import safeload
from safeload.findings import Verdict

BY_VALUE = b"getattr" not in pickle.dumps(uuid.SafeUUID.safe, 0)
"""Whether this Python pickles a member of an enum by its value: 3.11.0 to 3.11.3 did by `getattr`, which is refused."""


def text(value: str) -> bytes:
    """BINUNICODE."""
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def named(module: str, name: str) -> bytes:
    """GLOBAL."""
    return f"c{module}\n{name}\n".encode()


def judged(data: bytes, **limits: int) -> tuple[Verdict, str]:
    """The verdict and the message of the first finding."""
    report = safeload.scan(data, limits=safeload.Limits(**limits))
    return report.verdict, report.findings[0].message if report.findings else ""


def within(data: bytes, seconds: float) -> Verdict:
    """The verdict, which took less than `seconds`."""
    start = time.monotonic()
    found = safeload.scan(data).verdict
    assert time.monotonic() - start < seconds
    return found
