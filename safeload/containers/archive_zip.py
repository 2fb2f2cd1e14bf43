"""Any other zip: checkpoints and pickles under other names, .mar, stable-baselines3, torch.package, .pt2.

Each member is judged by what it holds, whatever it is called. Text, images and the like are passed over; a zip with
nothing else in it is not judged, because nothing of it was. Knows what three known kinds of archive do with their
members (run their Python, keep raw weights, pickle inside JSON), because this cannot be told from the bytes.

Layouts: torch/package/package_exporter.py, torch/export/pt2_archive/constants.py, pytorch/serve model-archiver,
stable_baselines3/common/save_util.py.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import NamedTuple

from safeload.containers.interface import Answer, Layout, Naming, Nested, Part, Reading, Storages
from safeload.containers.sniff import kind_of
from safeload.containers.torch_zip import RECORDS
from safeload.containers.zip_directory import read_directory
from safeload.containers.zip_entry import Entry
from safeload.containers.zip_flavour import OTHER, flavour
from safeload.containers.zip_members import SILENT, Members, files, findings_of
from safeload.document import Extent
from safeload.errors import Malformed
from safeload.limits import Limits
from safeload.source import Source

Judged = Generator[Part, Answer | None, int]

_RUNS = {
    "torch-package": "torch.package imports it when the archive is used",
    "mar": "TorchServe runs it when the model is served",
}
_RAW = r"data/(weights|constants)/(weight|tensor)_\d+"
_PT2_RECORDS = {"archive_format": rb"pt2", "archive_version": rb"\d{1,9}\s?"}
_PACKAGED = r"\.data/(\d+)\.storage"


class _Kind(NamedTuple):
    """What kind of archive this is: its name and, of those with one folder, the folder with its slash."""

    name: str
    folder: str


class ZipArchive:
    """See the module."""

    name = OTHER

    def recognise(self, source: Source) -> bool:
        """See `Container.recognise`."""
        return flavour(source) == OTHER

    def read(self, source: Source, limits: Limits) -> Reading:
        """See `Container.read`."""
        directory = read_directory(source, limits)
        yield from directory.findings
        members = Members(source, limits)
        kind = _kind(directory.entries, members)
        storages = _package_storages(directory.entries, kind, members)
        if storages:
            yield Storages(_by_key(storages))
        seen = 0
        for entry in files(directory.entries):
            relative = entry.name.removeprefix(kind.folder)
            if entry.readable and relative not in storages:
                with members.noting(entry):
                    seen += yield from _member(members, entry, kind, relative, limits)
                yield from members.notes.take()
        if not seen:
            members.notes.add(
                "zip-nothing-to-scan",
                f"none of the {len(directory.entries)} members is a model, a pickle or an archive: nothing was judged",
            )
        yield from findings_of(members.notes)
        return Layout(_by_key(storages), metadata={"archive": kind.name})


def _member(members: Members, entry: Entry, kind: _Kind, relative: str, limits: Limits) -> Judged:
    """Judge one member; returns how many pickles and files were found in it."""
    if not entry.size and not entry.length:
        return 0
    if kind.name in _RUNS and members.is_source(entry):
        members.notes.add(
            "zip-python-code", f"the member is Python code: {_RUNS[kind.name]}", member=entry.name, offset=entry.data
        )
        return 1
    known = RECORDS.get(relative) or _PT2_RECORDS.get(relative)
    if known and kind.folder and entry.size < 100 and re.fullmatch(known, members.content(entry)):
        return 0
    what = kind_of(members.head(entry), entry.size)
    if what == "json":
        from safeload.containers.embedded_json import pickles_in_json

        count = 0
        # A JSON of model settings has some MB; its own limit is the one of the other JSON that is read whole.
        content = members.content(entry, limits.header_bytes, "header_bytes")
        try:
            for key, data in pickles_in_json(content):
                count += 1
                yield Nested(f"{entry.name}#{key}", members.extent(entry), data)
        except Malformed as error:
            members.notes.add("zip-json-unread", error.message, member=entry.name, offset=entry.data)
        return count
    # SECURITY: passed over only as "unknown": what begins like a pickle or a file is judged under these names too.
    if what == "unknown" and kind.name == "pt2" and re.fullmatch(_RAW, relative):
        return 1
    in_package = kind.name == "torch-package"
    yield from members.by_content(
        entry, "stream" if in_package else "nested", Naming.STORAGES if in_package else Naming.NOTHING
    )
    return int(what not in SILENT)


def _kind(entries: tuple[Entry, ...], members: Members) -> _Kind:
    """What the archive is, by the members that its own loader asks for."""
    names = {entry.name: entry for entry in entries}
    folder = entries[0].name.partition("/")[0] + "/" if entries else ""
    if f"{folder}.data/extern_modules" in names or f"{folder}.data/python_version" in names:
        return _Kind("torch-package", folder)
    if f"{folder}archive_format" in names:
        content = members.content_or_none(names[f"{folder}archive_format"], 16, "inflated_bytes")
        return _Kind("pt2", folder) if content == b"pt2" else _Kind("zip", "")
    if any(name.casefold().startswith("mar-inf/") for name in names):
        return _Kind("mar", "")
    if "_stable_baselines3_version" in names or {"data", "policy.pth"} <= names.keys():
        return _Kind("stable-baselines3", "")
    return _Kind("zip", "")


def _package_storages(entries: tuple[Entry, ...], kind: _Kind, members: Members) -> dict[str, Extent]:
    """Relative name -> extent of the storages of a torch.package."""
    found: dict[str, Extent] = {}
    if kind.name == "torch-package":
        for entry in entries:
            relative = entry.name.removeprefix(kind.folder)
            if re.fullmatch(_PACKAGED, relative) and entry.readable:
                with members.noting(entry):
                    found.setdefault(relative, members.storage(entry))
    return found


def _by_key(storages: dict[str, Extent]) -> dict[str, Extent]:
    """The storages by the key that pickles name."""
    return {name.removeprefix(".data/").removesuffix(".storage"): extent for name, extent in storages.items()}
