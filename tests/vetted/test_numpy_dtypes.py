"""The state of a numpy dtype: flags, byte order, alignment and unit are those that numpy itself would write."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import safeload
from safeload.findings import Verdict
from tests.vetted.spelled import judged, named, text


class _Dtype:
    """Pickled as a dtype with the state given."""

    def __init__(self, name: str, state: tuple[Any, ...]) -> None:
        self._made = (np.dtype, (name, False, True), state)

    def __reduce__(self) -> Any:
        return self._made


_FIELDS = (("a",), {"a": (np.dtype("i8"), 0)})
_STATES = {
    "m8": lambda flags: (4, "<", None, None, None, -1, -1, flags, ({}, (b"s", 1, 1, 1))),
    "V8": lambda flags: (3, "|", None, None, None, 8, 1, flags),
    "S8": lambda flags: (3, "|", None, None, None, 8, 1, flags),
    "U2": lambda flags: (3, "<", None, None, None, 8, 4, flags),
    "f8": lambda flags: (3, "<", None, None, None, -1, -1, flags),
    "record": lambda flags: (3, "|", None, *_FIELDS, 8, 1, flags),
    "subarray": lambda flags: (3, "|", (np.dtype("i4"), (2,)), None, None, 8, 4, flags),
}


@pytest.mark.parametrize("kind", list(_STATES))
def test_flags_that_make_pointers_of_bytes_are_refused(kind: str) -> None:
    """numpy takes them as they are, and follows any eight bytes of the file as the address of an object."""
    name = kind if kind in ("m8", "V8", "S8", "U2", "f8") else "V8"
    for flags in (0, 8, 16, 0x98):
        assert safeload.scan(pickle.dumps(_Dtype(name, _STATES[kind](flags)), 2)).verdict.value == "clean"
    for flags in (1, 2, 4, 32, 64, 63, 0x1B, 0x100, -1, 1 << 40):
        report = safeload.scan(pickle.dumps(_Dtype(name, _STATES[kind](flags)), 2))
        assert report.verdict.value == "dangerous", flags
        assert "flags" in report.findings[0].message


def test_the_flags_that_numpy_writes_are_clean() -> None:
    aligned = np.dtype([("a", "i1"), ("b", "f8"), ("c", "U3"), ("d", "M8[s]"), ("e", "f4", (2,))], align=True)
    for found in (aligned, np.dtype("O"), np.dtype("U4"), np.dtype("M8[ns]"), np.dtype("V5"), np.dtype(("U2", (2,)))):
        for protocol in range(6):
            assert safeload.load(pickle.dumps(np.zeros(2, found), protocol)).dtype == np.zeros(2, found).dtype


def plain(kind: str, order: str) -> _Dtype:
    sizes = {"V": (8, 1), "S": (8, 1), "U": (8, 4)}.get(kind[0], (-1, -1))
    unit = (({}, (b"s", 1, 1, 1)),) if kind[0] in "Mm" else ()
    return _Dtype(kind, (3 + len(unit), order, None, None, None, *sizes, 63 if kind[0] == "O" else 0, *unit))


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [("O8", "|", "<>="), ("b1", "|", "<>="), ("i1", "|", "<>="), ("S8", "|", "<>="), ("V8", "|", "<>=")]
    + [(kind, "<>=", "|") for kind in ("i8", "f8", "c16", "U2", "m8", "M8")],
)
def test_a_byte_order_is_where_numpy_has_one(kind: str, good: str, bad: str) -> None:
    """numpy itself fails, to the end of the process, when it compares such a dtype of objects."""
    for order in good:
        assert safeload.scan(pickle.dumps(plain(kind, order), 2)).verdict.value == "clean"
    for order in bad:
        assert safeload.scan(pickle.dumps(plain(kind, order), 2)).verdict.value == "dangerous"


@pytest.mark.parametrize("alignment", [0, 3, 5, 32, 625, 65_535])
def test_an_alignment_is_one_of_a_type(alignment: int) -> None:
    """numpy divides by it when it makes an array, and zero ends the process."""
    for parts in ((None, *_FIELDS), ((np.dtype("i4"), (2,)), None, None)):
        for given, verdict in ((8, "clean"), (alignment, "dangerous")):
            data = pickle.dumps(_Dtype("V8", (3, "|", *parts, 8, given, 0)), 2)
            assert safeload.scan(data).verdict.value == verdict


CLEAN, UNJUDGED, DANGEROUS = Verdict.CLEAN, Verdict.UNJUDGED, Verdict.DANGEROUS


def dtype(name: str, order: str, flags: bytes = b"\x89\x88") -> bytes:
    state = b"(K\x03" + text(order) + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    return named("numpy", "dtype") + text(name) + flags + b"\x87R" + state


@pytest.mark.parametrize("flags", [b"\x89\x89", b"K\x00K\x00"])
@pytest.mark.parametrize(("order", "verdict"), [("<", CLEAN), (">", UNJUDGED)])
def test_a_dtype_that_numpy_shares_ignores_its_state(flags: bytes, order: str, verdict: Verdict) -> None:
    assert judged(b"\x80\x03" + dtype("i4", order, flags) + b".")[0] == verdict
    assert judged(b"\x80\x03" + dtype("i4", order) + b".")[0] == CLEAN


@pytest.mark.parametrize("name", ["M8", "m8"])
def test_a_date_without_unit(name: str) -> None:
    found = judged(b"\x80\x03" + dtype(name, "<") + b".")
    assert (found[0], found[1]) == (DANGEROUS, "numpy.dtype is a date without a unit")
