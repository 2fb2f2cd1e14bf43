"""A member among the storages that no pickle names is an extra member: its name makes no tensor data of it."""

from __future__ import annotations

import pytest

import safeload
from samples.assemble import ONES, Code, pickle, storage, tensor
from samples.files_of_torch import extra, plain_zip, zip_around, zip_of

PAYLOAD = b"cos\nsystem\n(S'echo safeload-sample'\ntR."


@pytest.mark.parametrize(
    ("data", "verdict"),
    [
        (PAYLOAD, "dangerous"),
        (b"\x80\x02cmylib\nThing\n.", "unvetted"),
        (b"\x80\x02}.", "clean"),
        (bytes(64), "clean"),
        (b"\0\0\x80\x3f" * 16, "clean"),
    ],
)
def test_a_storage_that_no_pickle_names_is_an_extra_member(data: bytes, verdict: str) -> None:
    assert safeload.scan(zip_of({"w": tensor()}, {"0": ONES, "1": data}).build()).verdict == verdict


def test_a_zip_among_the_storages_is_opened() -> None:
    packed = plain_zip({"x.pkl": PAYLOAD}).build()
    assert safeload.scan(zip_of({"w": tensor()}, {"0": ONES, "1": packed}).build()).verdict == "dangerous"


def test_what_a_tensor_names_is_data() -> None:
    held = tensor(storage("0", len(PAYLOAD), "ByteStorage"), (len(PAYLOAD),))
    assert safeload.scan(zip_of({"w": held}, {"0": PAYLOAD}).build()).verdict == "clean"


def test_a_name_in_another_pickle_counts() -> None:
    archive = zip_around(pickle({"w": tensor()}), {"0": ONES, "1": PAYLOAD[:16].ljust(16)})
    other = pickle({"v": Code(tensor(storage("1")))})
    report = safeload.scan(extra(archive, "archive/other.pkl", other).build())
    assert [finding.rule for finding in report.findings] == ["foreign-member"], "its storage is none that nobody names"
