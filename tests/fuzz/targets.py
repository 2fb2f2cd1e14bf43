"""What a coverage-guided fuzzer calls: one function for each reader, from bytes to nothing, raising what breaks the
contract.

Nothing here needs a fuzzer: `tests.fuzz.coverage_guided` hands these functions to atheris, and the suite runs them over
the corpus. What is safeload's own to raise is caught; everything else goes through.
"""

from __future__ import annotations

from collections.abc import Callable

import safeload
from safeload.containers import Container, recognise
from safeload.containers.compressed import Compressed
from safeload.containers.kinds import ARCHIVES
from safeload.containers.kinds.npz import Npz
from safeload.containers.kinds.torch_zip import TorchZip
from safeload.containers.kinds.torchscript import TorchScript
from safeload.containers.npy import Npy
from safeload.containers.safetensors_file import Safetensors
from safeload.containers.tar.archive import TarArchive
from safeload.containers.tar.torch_tar import TorchTar
from safeload.containers.text.json_file import JsonFile
from safeload.containers.text.yaml_file import YamlFile
from safeload.containers.torch_legacy import TorchLegacy
from safeload.containers.zip.sequence import ZipSequence
from safeload.errors import LimitExceeded, Malformed
from safeload.findings import Verdict
from safeload.inputs import MemorySource
from safeload.limits import Limits
from safeload.machine import Program, run
from safeload.policy import Policy
from safeload.scanning.nesting import nesting
from safeload.scanning.scanner import scan_source
from safeload.tree.interface import KEY
from tests.fuzz import reader_targets
from tests.tree.shelf import pack

LIMITS = Limits(opcodes=200_000, inflated_bytes=1 << 22, validated_bytes=1 << 20, nested_files=200, names=10_000)
"""Small, so that what a fuzzer finds first is not a long file."""

_ENCODINGS = ("ASCII", "utf-8", "latin1", "bytes")


def machine(data: bytes) -> None:
    """The machine alone; the last byte chooses the encoding. It says how far it came, whatever it meets."""
    encoding = _ENCODINGS[data[-1] % 4] if data else "ASCII"
    try:
        program, offset = run(data, limits=LIMITS, encoding=encoding), None
    except (Malformed, LimitExceeded) as error:
        program, offset = error.partial, error.offset
    assert isinstance(program, Program)
    assert program.whole == (offset is None)
    assert 0 <= (program.end if offset is None else offset) <= len(data)
    assert program.opcodes <= LIMITS.opcodes + 1
    nesting(program.value, LIMITS.depth, LIMITS.expanded)


def _read_as(data: bytes, containers: tuple[Container, ...]) -> None:
    """`data` read by each of these readers, whatever it is, and by those that it looks like."""
    recognise(MemorySource(data))
    for container in containers:
        scanned = scan_source(MemorySource(data), policy=Policy.default(), limits=LIMITS, containers=(container,))
        assert isinstance(scanned.report.verdict, Verdict)
        if scanned.document is None:
            assert scanned.report.verdict in (Verdict.UNJUDGED, Verdict.DANGEROUS)


def zips(data: bytes) -> None:
    """Every reader of zips."""
    _read_as(data, (TorchZip(), TorchScript(), Npz(), ZipSequence()))


def kinds(data: bytes) -> None:
    """Every archive kind that is a table."""
    _read_as(data, ARCHIVES)


def packed(data: bytes) -> None:
    """Compressed files, and texts that hold pickles or tags."""
    _read_as(data, (Compressed(), JsonFile(), YamlFile()))


def legacy(data: bytes) -> None:
    """The five pickles and the storages behind them."""
    _read_as(data, (TorchLegacy(),))


def tars(data: bytes) -> None:
    """Both readers of tars."""
    _read_as(data, (TorchTar(), TarArchive()))


def arrays(data: bytes) -> None:
    """The reader of .npy, and of the .npz that would have it as a member."""
    _read_as(data, (Npy(), Npz()))


def safetensors(data: bytes) -> None:
    """The reader of safetensors with its tree. What begins like JSON is the tree of a file with one tensor."""
    if data[:1] == b"{":
        text = data.decode("utf-8", "replace")
        data = pack({"w": ("F32", (2, 3), bytes(24))}, {KEY: text})
    _read_as(data, (Safetensors(),))


def loader(data: bytes) -> None:
    """The loader on its own terms: it gives something only when a scan says that the file is clean."""
    verdict = safeload.scan(data, limits=LIMITS).verdict
    for unvetted, admitted in (("refuse", (Verdict.CLEAN,)), ("record", (Verdict.CLEAN, Verdict.UNVETTED))):
        try:
            safeload.load(data, unvetted=unvetted, limits=LIMITS)
        except safeload.UnsafeCheckpoint:
            assert verdict not in admitted
        except safeload.SafeloadError:
            assert verdict in admitted
        else:
            assert verdict in admitted
    if verdict in (Verdict.CLEAN, Verdict.UNVETTED):
        try:
            with safeload.open(data, unvetted="record", limits=LIMITS) as opened:
                for name in opened.keys()[:10]:
                    opened.get_tensor(name)
        except safeload.SafeloadError:
            pass


TARGETS: dict[str, Callable[[bytes], None]] = {
    "machine": machine,
    "zip": zips,
    "legacy": legacy,
    "tar": tars,
    "numpy": arrays,
    "safetensors": safetensors,
    "loader": loader,
    "kinds": kinds,
    "packed": packed,
    **reader_targets.TARGETS,
}
"""Name of the target, and of its folder of the corpus -> what it does with bytes."""
