"""Files of one format whose first bytes are a pickle to somebody: a valid header can spell opcodes.

The payload makes a folder below the test's own temporary one, and every file is shown to run it under the loader
concerned, so that a verdict of clean would be a lie.
"""

from __future__ import annotations

import io
import json
import pickle
import struct
import tarfile
from pathlib import Path

import pytest

import safeload
from safeload.inputs import MemorySource
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.scanning.scanner import scan_source

torch = pytest.importorskip("torch")


def payload(folder: Path) -> bytes:
    """Opcodes behind some plain value: drop it, make `folder`, stop."""
    return b"0cposix\nmkdir\n(S'" + str(folder).encode() + b"'\ntR."


def safetensors(first: bytes, rest: bytes) -> bytes:
    """A valid safetensors file whose length field begins with `first` and whose one tensor holds `rest`."""
    size = int.from_bytes(first.ljust(8, b"\0"), "little")
    head = json.dumps({"t": {"dtype": "U8", "shape": [len(rest)], "data_offsets": [0, len(rest)]}}).encode()
    return first.ljust(8, b"\0") + head.ljust(size) + rest


def verdict(data: bytes) -> str:
    return safeload.scan(data).verdict.value


def in_a_folder(data: bytes) -> str:
    source = MemorySource(data)
    return scan_source(source, policy=Policy.default(), limits=Limits(), explicit=False).report.verdict.value


def test_a_number_longer_than_our_limits_is_no_end_for_cpython(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    # F11 and zeros: a FLOAT of three megabytes, far above limits.integer_bytes.
    data = safetensors(b"F11", b"\n" + payload(mark))
    found = verdict(data), in_a_folder(data)
    pickle.loads(data)
    assert mark.is_dir()
    assert found == ("unjudged", "unjudged")


def test_text_that_only_another_encoding_reads(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    data = safetensors(b"S'", "\xe9'\n".encode() + payload(mark))
    found = verdict(data), in_a_folder(data)
    pickle.loads(data, encoding="utf-8")
    assert mark.is_dir()
    assert found == ("unjudged", "unjudged")


def test_inside_bytes_for_a_nested_loader(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    inner = safetensors(b"F11", b"\n" + payload(mark))
    outer = b"\x80\x03ctorch.storage\n_load_from_bytes\nB" + struct.pack("<I", len(inner)) + inner + b"\x85R."
    found = verdict(outer)
    with pytest.raises(RuntimeError):  # after it ran: the value is not torch's magic number
        pickle.loads(outer)
    assert mark.is_dir()
    assert found == "unjudged"


@pytest.mark.parametrize("magic", [b"I119547037146038801333356\n.", b"N0L119547037146038801333356L\n."])
def test_a_tar_whose_first_name_is_a_legacy_file(tmp_path: Path, magic: bytes) -> None:
    mark = tmp_path / "r"
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.GNU_FORMAT) as tar:
        body = b"\x80\x02N."
        member = tarfile.TarInfo("x")
        member.size = len(body)
        tar.addfile(member, io.BytesIO(body))
    data = bytearray(archive.getvalue())
    name = magic + b"I1001\n.}.cposix\nmkdir\n(S'" + b"T" + b"'\ntR."
    data[: len(name)] = name
    data[148:156] = b"        "
    data[148:156] = b"%06o\0 " % sum(data[:512])
    found = verdict(bytes(data))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        with pytest.raises((pickle.UnpicklingError, EOFError, IndexError, TypeError)):  # of the zeros behind it
            torch.load(io.BytesIO(bytes(data)), weights_only=False)
    assert (tmp_path / "T").is_dir()
    assert not mark.exists()
    assert found == "dangerous"


def test_the_pickle_of_true_begins_many_safetensors_files() -> None:
    data = safetensors(b"\x88.", b"\0" * 64)
    assert pickle.loads(data) is True
    assert verdict(data) == "clean"


STATES = {
    "namespace": b"cargparse\nNamespace\n)R",
    "mapping": b"ccollections\nOrderedDict\n)R",
    "record": b"cfoo\nBar\n)R",
}


@pytest.mark.parametrize("target", STATES)
def test_a_state_set_over_and_over_costs_what_it_says(target: str) -> None:
    count = 20_000
    names = b"".join(b"X" + struct.pack("<I", len(n)) + n + b"N" for n in (b"a%d" % i for i in range(count)))
    data = b"\x80\x02" + STATES[target] + b"}(" + names + b"ub" + b"}q\x01b" + b"h\x01b" * count + b"."
    # Quadratic, this would be 4e8 attributes; the budget of a test run holds it.
    assert verdict(data) == ("unvetted" if target == "record" else "clean")


@pytest.mark.slow
def test_a_large_state_set_again_and_again_is_refused() -> None:
    count = 20_000
    names = b"".join(b"X" + struct.pack("<I", len(n)) + n + b"N" for n in (b"a%d" % i for i in range(count)))
    data = b"\x80\x02cfoo\nBar\n)R}(" + names + b"uq\x01b" + b"h\x01b" * count + b"."
    report = safeload.scan(data)
    assert report.verdict == "unjudged"
    assert {f.rule for f in report.findings} == {"unknown-global", "argument-shape"}
