"""What three readers take from one file: torch (the oracle), Python's zipfile, and safeload.

Each answer is plain data, so that `disagreements` compares them without knowing where they came from. Everything that
unpickles here does so with a closed list of names: the files are made to be odd, and some are damaged at random.
"""

from __future__ import annotations

import io
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

import safeload
from safeload.containers import recognise
from safeload.containers.interface import Nested
from safeload.containers.storage_bytes import storage_bytes
from safeload.containers.zip.directory import read_directory
from safeload.containers.zip.entry import STORED, ZipEntry
from safeload.containers.zip.flavour import OTHER, SEQUENCE
from safeload.containers.zip.members import Members, files
from safeload.document.document import Extent
from safeload.errors import SafeloadError
from safeload.findings import Verdict
from safeload.inputs import MemorySource
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.scanning.scanner import scan_source
from tests.containers.driver import drive
from tests.differential.kind_readers import fitting, hostile_member, numpy_reads, package_modules

NOTHING = object()
"""In the place of a loaded object: the loader refused."""

_ALLOWED = {("torch._utils", "_rebuild_tensor_v2"), ("collections", "OrderedDict")}


@dataclass
class Seen:
    """What one reader takes from a file.

    main      the bytes of data.pkl, None when there is none or the reader refuses
    members   name -> bytes of all members (torch: below the archive's folder); None unless the file was called clean
    places    torch and safeload: storage key -> (offset, size) in the file
    loaded    the object that its loader gives, NOTHING when it refuses
    refusal   why, in the reader's own words
    """

    main: bytes | None = None
    members: Mapping[str, bytes | None] | None = None
    places: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    loaded: Any = NOTHING
    refusal: str = ""


@dataclass
class Ours(Seen):
    """What safeload takes from a file.

    mains     all objects of an archive of archives
    code      the members that a finding calls Python code
    foreign   an error of another's type, or a load that disagrees with another load
    """

    clean: bool = False
    verdict: str = ""
    code: tuple[str, ...] = ()
    container: str = ""
    rules: tuple[str, ...] = ()
    mains: tuple[bytes, ...] = ()
    stored: bool = True
    foreign: str = ""


class _Unpickler(pickle.Unpickler):
    """CPython's unpickler with nothing but what the generator's own pickles name."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _ALLOWED or (module == "torch" and name.endswith("Storage")):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} is not in the closed list")


def _load(file: Any, **options: Any) -> Any:
    return _Unpickler(file, **options).load()


RESTRICTED = SimpleNamespace(
    __name__="restricted", load=_load, Unpickler=_Unpickler, UnpicklingError=pickle.UnpicklingError
)
"""A pickle module for torch.load, so that also the formats that weights_only refuses show what they hold."""


def torch_reads(data: bytes) -> Seen:
    """The data.pkl that torch's reader finds. torch takes a file for an archive by its first four bytes."""
    if not data.startswith(b"PK\3\4"):
        return Seen(refusal="no archive")
    try:
        return Seen(main=torch._C.PyTorchFileReader(io.BytesIO(data)).get_record("data.pkl"))
    except Exception as error:
        return Seen(refusal=_words(error))


def torch_reads_all(data: bytes, path: Path) -> Seen:
    """Also the other members and the loaded object: for files that safeload calls clean."""
    seen = torch_reads(data)
    if seen.main is not None:
        _list_records(data, seen)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if data.startswith(b"PK\3\4"):
                seen.loaded = torch.load(io.BytesIO(data), weights_only=True)
            else:
                # The path matters: torch looks for its oldest format, a tar, in real files only.
                seen.loaded = torch.load(path, weights_only=False, pickle_module=RESTRICTED)
    except Exception as error:
        seen.refusal = _words(error)
    return seen


def _list_records(data: bytes, seen: Seen) -> None:
    """Fill in the members; none when torch refuses to list them, for an entry outside the archive's folder."""
    reader = torch._C.PyTorchFileReader(io.BytesIO(data))
    try:
        names = [name for name in reader.get_all_records() if name and not name.endswith("/")]
    except (RuntimeError, UnicodeDecodeError):
        return
    seen.members = {name: content for name in names if (content := _record(reader, name)) is not None}
    seen.places = {
        name[5:]: (reader.get_record_offset(name), reader.get_record_size(name))
        for name in seen.members
        if name.startswith("data/") and name[5:].isdecimal()
    }


def _record(reader: Any, name: str) -> bytes | None:
    """None for a record that torch lists and does not find: it cuts long names in its listing."""
    try:
        return bytes(reader.get_record(name))
    except RuntimeError:
        return None


def torch_maps(path: Path) -> Any:
    """What torch.load gives of a map of the file, NOTHING when it refuses."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, weights_only=True, mmap=True)
    except Exception:
        return NOTHING


def zipfile_reads(data: bytes, *, every: bool = False) -> Seen:
    """The data.pkl of the first entry's folder; `every` other member too."""
    try:
        with warnings.catch_warnings(), zipfile.ZipFile(io.BytesIO(data)) as archive:
            warnings.simplefilter("ignore")
            names = archive.namelist()
            main = f"{names[0].partition('/')[0]}/data.pkl" if names else ""
            seen = Seen(main=archive.read(main) if main in names else None)
            if every:
                # An entry that cannot be read (encrypted, damaged) is a refusal, no reading.
                seen.members = {name: content for name in names if (content := _content(archive, name)) is not None}
            return seen
    except Exception as error:
        return Seen(refusal=_words(error))


def _content(archive: zipfile.ZipFile, name: str) -> bytes | None:
    try:
        return None if name.endswith("/") else archive.read(name)
    except Exception:
        return None


def loads_from(path: Path, ours: Ours) -> bool:
    """Whether a load of the file, which is mapped, gives what that of its bytes gave."""
    try:
        return same(safeload.load(path), ours.loaded)
    except SafeloadError:
        return ours.loaded is NOTHING


def ours_reads(data: bytes) -> Ours:
    """The verdict and, of a clean file, what was read."""
    seen = Ours()
    try:
        scan = scan_source(MemorySource(data), policy=Policy.default(), limits=Limits())
    except Exception as error:
        return Ours(foreign=f"scan: {_words(error)}")
    report, document = scan
    seen.clean = report.verdict is Verdict.CLEAN
    seen.verdict = report.verdict.value
    seen.container = report.container
    seen.code = tuple(finding.member for finding in report.findings if finding.rule == "zip-python-code")
    seen.rules = tuple(sorted({finding.rule for finding in report.findings}))
    if seen.clean and data[:2] == b"PK":
        _members(data, seen)
    if document is not None:
        seen.places = {key: (extent.offset, extent.size) for key, extent in document.storages.items() if extent.stored}
    try:
        seen.loaded = safeload.load(data)
    except SafeloadError as error:
        seen.refusal = _words(error)
    except Exception as error:
        seen.foreign = f"load: {_words(error)}"
    return seen


def _members(data: bytes, seen: Ours) -> None:
    """Fill in what the reader of a clean archive takes for its object and its members."""
    mains: list[bytes] = []
    waiting = [data]
    while waiting:
        whole = waiting.pop()
        (container, *_) = recognise(MemorySource(whole))
        if container.name == OTHER and seen.container == SEQUENCE:
            # Every member of it is judged as a file of its own.
            mains += _contents(whole).values()
            continue
        parts, _ = drive(container, MemorySource(whole))
        for part in parts:
            if isinstance(part, Nested) and container.name == SEQUENCE:
                waiting.append(whole[part.extent.offset : part.extent.offset + part.extent.length])
            elif getattr(part, "main", False) and not isinstance(part, Nested):
                mains.append(whole[part.start : part.end] if part.data is None else part.data)
    seen.mains = tuple(mains)
    if seen.container == SEQUENCE:
        return
    seen.main = mains[0] if mains else None
    seen.members = _contents(data)
    seen.stored = all(entry.method == STORED for entry in read_directory(MemorySource(data), Limits()).entries)


def _contents(data: bytes) -> dict[str, bytes]:
    """Name -> content of each member of one archive."""
    source = MemorySource(data)
    reader = Members(source, Limits())
    return {entry.name: _ours_of(source, reader, entry) for entry in files(read_directory(source, Limits()).entries)}


def _ours_of(source: MemorySource, reader: Members, entry: ZipEntry) -> bytes:
    """A member's content as safeload has it: storages have a reader of their own."""
    try:
        if entry.name.rpartition("/")[2].isdecimal():
            extent = Extent(entry.data, entry.length, entry.size, entry.method == STORED)
            return storage_bytes(source, extent, entry.size)
        return reader.content(entry)
    except SafeloadError as error:
        return f"not readable: {error}".encode()


def disagreements(ours: Ours, theirs: Seen, zipped: Seen) -> list[str]:
    """What a file that safeload calls clean means to the others and not to safeload; empty when all is well."""
    found = []
    if ours.container == SEQUENCE:
        # Each of the archives was judged by itself, and `load` gives none of them.
        for who, main in (("torch", theirs.main), ("zipfile", zipped.main)):
            if main is not None and main not in ours.mains:
                found.append(f"{who} reads an object that is none of the judged ones")
        return found
    if theirs.main is not None and theirs.main != ours.main:
        found.append("torch reads another data.pkl")
    # Of any other zip every member is judged as a file of its own; they are compared below.
    if zipped.main is not None and zipped.main != ours.main and ours.container != OTHER:
        found.append("zipfile reads another data.pkl")
    if theirs.members is not None and ours.members is not None:
        folder = next(iter(ours.members), "").partition("/")[0] + "/"
        mine = {name.removeprefix(folder): data for name, data in ours.members.items()}
        found += [f"torch reads {name!r} otherwise" for name, data in theirs.members.items() if mine.get(name) != data]
    if zipped.members is not None:
        mine = dict(ours.members or {})
        found += [
            f"zipfile reads {name!r} otherwise" for name, data in zipped.members.items() if mine.get(name) != data
        ]
    found += [
        f"torch finds storage {key} at {place}, not at {ours.places[key]}"
        for key, place in theirs.places.items()
        if key in ours.places and ours.places[key] != place
    ]
    if theirs.loaded is not NOTHING and not same(ours.loaded, theirs.loaded):
        found.append("torch.load gives another object than safeload.load")
    return found


FLOORS = {
    "torch-package": "package-code", "pt2": "pt2-program", "pt2-before-2.9": "pt2-program", "mar": "mar-code",
    "keras": "keras-model", "torchscript": "torchscript-code",
}  # fmt: skip
"""Kinds whose use runs what they carry, and the rule that every archive has which their loader takes."""


def passed_over(data: bytes, ours: Ours) -> list[str]:
    """What a loader of another kind takes from an archive that was understood, and safeload says nothing of."""
    if ours.verdict not in ("clean", "unvetted"):
        return []
    kinds = fitting(data)
    found = [
        f"{kind} fits, and no finding says so"
        for kind in sorted(kinds)
        if FLOORS.get(kind, "") not in ("", *ours.rules)
    ]
    if "torch-package" in kinds and "torch-package" in ours.container:
        told = tuple(name.lower() for name in ours.code)
        modules = package_modules(data) or set()
        found += [f"{name!r} is imported, and not told" for name in sorted(modules) if not _ends(told, name.lower())]
    if hostile := hostile_member(data):
        found.append(f"{ours.verdict}, and {hostile}")
    return found


def _ends(names: tuple[str, ...], name: str) -> bool:
    return any(other == name or other.endswith(f"/{name}") for other in names)


def other_arrays(data: bytes, ours: Ours) -> list[str]:
    """What numpy reads otherwise from a clean .npz."""
    theirs = numpy_reads(data) if ours.container == "npz" else None
    if theirs is None or not isinstance(ours.loaded, dict):
        return []
    if list(theirs) != list(ours.loaded):
        return [f"numpy has other arrays: {list(theirs)}"]
    mine = {name: value.numpy() for name, value in ours.loaded.items()}
    return [f"numpy reads {name!r} otherwise" for name in theirs if not np.array_equal(theirs[name], mine[name])]


def same(one: Any, other: Any) -> bool:
    """Whether two loaded objects are equal: dictionaries, numbers and tensors, to the bit and the type."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and one.shape == other.shape and torch.equal(one, other)
    return bool(one == other)


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:300]
