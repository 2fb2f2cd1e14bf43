"""What `torch.save` writes since 1.6: a zip with one folder, `data.pkl` in it, and one stored member per storage.

Finds the storages without reading a byte of them, and hands every other member to the scanner: a pickle hidden beside
`data.pkl` is judged like `data.pkl`. Knows no opcode. `torchscript.py` reads TorchScript archives.

Layout: torch/serialization.py (`_save`, `_load`) and caffe2/serialize/inline_container.cc of torch 2.13.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import nullcontext

from safeload.containers.interface import ContainerLayout, Naming, Reading, StorageExtents
from safeload.containers.zip.directory import read_directory
from safeload.containers.zip.entry import STORED, ZipEntry
from safeload.containers.zip.flavour import TORCH, flavours
from safeload.containers.zip.members import Members, files
from safeload.document.document import Extent
from safeload.limits import Limits
from safeload.source import Source

RECORDS: Mapping[str, bytes] = {
    "byteorder": rb"little|big",
    "version": rb"\d{1,9}\s?",
    ".data/version": rb"\d{1,9}\s?",
    ".format_version": rb"\d{1,9}",
    ".storage_alignment": rb"[1-9]\d{0,8}",
    ".data/serialization_id": rb"[\x20-\x7e]*",
}
"""The small members that torch writes beside pickle and storages -> a regular expression for their whole content."""

_NOTHING = nullcontext()
_MOST = 1000
"""Bytes that a record may have; the longest that torch writes has 40."""


class Archive:
    """The members of a torch archive, sorted by what torch takes them for. Names are below the archive's folder.

    storages  folder ("data") -> storage key -> extent
    entries   (storage key, entry) of the same
    pickles   (name, entry) for names that end in .pkl or _pkl
    others    (name, entry) of members that torch's writer does not write, and that have no finding yet
    noted     members that have a finding already: outside of the folder, or with the name of a record and other content
    records   name -> text
    """

    __slots__ = ("entries", "folder", "others", "pickles", "records", "storages", "noted")

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.storages: dict[str, dict[str, Extent]] = {}
        self.entries: list[tuple[str, ZipEntry]] = []
        self.pickles: list[tuple[str, ZipEntry]] = []
        self.others: list[tuple[str, ZipEntry]] = []
        self.noted: list[ZipEntry] = []
        self.records: dict[str, str] = {}

    @property
    def big_endian(self) -> bool:
        """Whether the storages hold big-endian values."""
        return self.records.get("byteorder") == "big"


class TorchZip:
    """See the module."""

    name = TORCH

    def recognise(self, source: Source) -> bool:
        """See `Container.recognise`."""
        return TORCH in flavours(source)

    def read(self, source: Source, limits: Limits) -> Reading:
        """See `Container.read`."""
        directory = read_directory(source, limits)
        yield from directory.findings
        members = Members(source, limits)
        archive = sort_members(directory.entries, members, frozenset({"data"}))
        yield from members.notes.take()
        storages = archive.storages.get("data", {})
        yield StorageExtents(storages, archive.big_endian)
        # SECURITY: every member that torch could take for data.pkl is judged as one. Which of several torch takes
        # depends on the order that its sort happens to give.
        found = False
        for relative, entry in archive.pickles:
            if relative.casefold() == "data.pkl":
                yield from members.pickle(entry, "object", main=not found, naming=Naming.STORAGES)
                found = True
        if not found:
            members.notes.add("torch-zip-no-pickle", f"the archive {archive.folder!r:.200} has no data.pkl to load")
        for relative, entry in archive.pickles:
            if relative.casefold() != "data.pkl":
                members.tell_foreign(entry, self.name)
                yield from members.pickle(entry, "extra member", naming=Naming.STORAGES)
        for _, entry in archive.others:
            members.tell_foreign(entry, self.name)
            yield from members.judged(entry)
        for entry in archive.noted:
            yield from members.judged(entry)
        # SECURITY: a number for a name makes no tensor data of a member. A member that no pickle names is an extra
        # member, unless a pickle was not understood, which is then reported and may have named it.
        for key, entry in [] if members.broken else archive.entries:
            if key not in members.named:
                yield from members.unnamed(entry)
        yield from members.notes.rest()
        return ContainerLayout(storages, archive.big_endian, archive.records)


def sort_members(entries: tuple[ZipEntry, ...], members: Members, tensor_folders: frozenset[str]) -> Archive:
    """Sort the members as torch finds them: by their name below the folder of the first member, ignoring case.

    In `tensor_folders` a member with a number for a name is a storage.
    """
    folder, slash, _ = entries[0].name.partition("/") if entries else ("", "", "")
    archive = Archive(folder)
    start = folder + slash
    length = len(start)
    for entry in files(entries):
        if not slash or not entry.name.startswith(start):
            _outside(entry, archive, members)
            continue
        relative = entry.name[length:]
        place, _, key = relative.rpartition("/")
        if place in tensor_folders and key.isdecimal() and key.isascii():
            # Also a member that we cannot read: it has a finding of its own, and without an extent the pickle would
            # get a second one, which says that the storage is missing.
            extent = Extent(entry.data, entry.length, entry.size, entry.method == STORED)
            archive.storages.setdefault(place, {}).setdefault(key, extent)
            archive.entries.append((key, entry))
            if entry.method and entry.readable:
                with members.noting(entry):
                    members.storage(entry)
            continue
        # SECURITY: torch's lookup ignores case. It loads "DATA.PKL" as data.pkl; a reader that compares exactly does
        # not see it.
        known = relative.casefold()
        if known != relative and (known == "data.pkl" or known in RECORDS or place.casefold() in tensor_folders):
            members.notes.add(
                "torch-zip-name-case",
                "torch finds this member by a name in other case; readers that compare exactly do not see it",
                member=entry.name,
                offset=entry.header,
            )
        if known in RECORDS:
            _record(entry, known, archive, members)
        elif known.endswith("pkl"):
            archive.pickles.append((relative, entry))
        else:
            archive.others.append((relative, entry))
    return archive


def _outside(entry: ZipEntry, archive: Archive, members: Members) -> None:
    """Note a member outside the archive's folder: torch refuses the file, other programs find the member."""
    members.notes.add(
        "torch-zip-outside-folder",
        f"the member lies outside the folder {archive.folder!r:.200} of the archive: torch refuses such a file",
        member=entry.name,
        offset=entry.header,
    )
    archive.noted.append(entry)


def _record(entry: ZipEntry, known: str, archive: Archive, members: Members) -> None:
    """Keep the text of a record if it has the form that torch writes; else note it."""
    content = members.content_or_none(entry, _MOST, "inflated_bytes") if entry.size <= _MOST else b"\0"
    if content is None:
        return
    if re.fullmatch(RECORDS[known], content):
        archive.records.setdefault(known, content.decode("ascii").strip())
        return
    members.notes.add(
        "torch-zip-record",
        "the record does not hold what torch writes there",
        member=entry.name,
        offset=entry.data,
        evidence=repr(content[:100]),
    )
    archive.noted.append(entry)
