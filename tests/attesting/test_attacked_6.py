"""What the scanner does not call clean, the independent verifier does not take either."""

from __future__ import annotations

import io
import struct
import zipfile

import pytest
import torch

from safeload.attesting.verifier import derive
from safeload.errors import NotAttested
from safeload.findings import Verdict
from safeload.inputs import MemorySource
from safeload.scanning.scanner import scan_source
from tests.attesting.certified import POLICY, Limits

PROGRAM = b"\x80\x02cbuiltins\nprint\nX\x02\0\0\0hi\x85R."


def _archive(folder: str = "model", **records: bytes) -> bytes:
    """A file as torch writes it, with another folder and other records."""
    saved = io.BytesIO()
    torch.save({"weight": torch.ones(4)}, saved)
    made = io.BytesIO()
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            relative = name.partition("/")[2]
            info = zipfile.ZipInfo(f"{folder}/{relative}", (1980, 1, 1, 0, 0, 0))
            info.external_attr = 0
            new.writestr(info, records.get(relative, old.read(name)))
    return made.getvalue()


def _options(attribute: str) -> bytes:
    name = attribute.encode()
    text = b"X" + struct.pack("<I", len(name)) + name
    return b"\x80\x02cargparse\nNamespace\n)\x81}" + text + b"Nsb."


def _verdict(data: bytes) -> Verdict:
    return scan_source(MemorySource(data), policy=POLICY, limits=Limits()).report.verdict


@pytest.mark.parametrize("data", [_archive(), _archive("a model (1)"), _archive(version=b"3"), _options("lr")])
def test_what_is_clean_is_taken(data: bytes) -> None:
    assert _verdict(data) is Verdict.CLEAN
    derive(MemorySource(data))


@pytest.mark.parametrize(
    "data",
    [
        *(pytest.param(_archive(folder), id=f"folder {folder!r}") for folder in ("", ".", "..", "C:")),
        *(pytest.param(_archive(byteorder=text), id=f"byteorder {text!r}") for text in (b"", b"LITTLE", b"little\n")),
        *(pytest.param(_archive(version=text), id=f"version {text!r}") for text in (b"", b"x")),
        pytest.param(_archive(byteorder=PROGRAM), id="byteorder program"),
        pytest.param(_archive(version=PROGRAM), id="version program"),
        *(
            pytest.param(_options(name), id=repr(name))
            for name in ("_get_kwargs", "_get_args", "a b", "a\0", "a\n", "")
        ),
        pytest.param(b"\x80\x02Nr\xff\xff\xff\x7f.", id="memo"),
    ],
)
def test_what_is_not_clean_is_not_taken(data: bytes) -> None:
    assert _verdict(data) is not Verdict.CLEAN
    with pytest.raises(NotAttested):
        derive(MemorySource(data))
