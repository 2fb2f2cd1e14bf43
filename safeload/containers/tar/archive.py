"""A tar is a packed folder: the scanner judges each member as a file met in a folder. NeMo checkpoints are tars, too.

NeMo (nemo/core/connectors/save_restore_connector.py) unpacks all of the tar, reads `model_config.yaml` at its top,
builds what that names, and loads `model_weights.ckpt`. Its table of members is: the configuration, the names of
`_WEIGHTS`, and the files that the configuration refers to. Extracts nothing. `torch_tar.py` reads the tar that torch
wrote before 0.1.12.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import NamedTuple

from safeload.containers.descriptions.nemo_config import LONGEST, artifacts, nemo_config
from safeload.containers.interface import Answer, ContainerLayout, MemberNames, Nested, Part, Reading
from safeload.containers.remarks import nothing_to_scan
from safeload.containers.sniff import is_tar_header
from safeload.containers.tar.directory import BLOCK, LINKS, TarEntry, entries
from safeload.containers.tar.places import doubts_of, leads_to, place_of
from safeload.containers.tar.torch_tar import TorchTar
from safeload.document.document import Extent
from safeload.errors import LimitExceeded, Malformed
from safeload.findings import Finding, Severity, Verdict
from safeload.limits import Limits
from safeload.source import Source

CONFIG = "model_config.yaml"

# What NeMo gives to torch when it restores a model: one file, one for each rank, or a distributed checkpoint.
_WEIGHTS = re.compile(
    r"(?:mp_rank_\d+/|tp_rank_\d+(?:_pp_rank_\d+)?/)?model_weights\.ckpt"
    r"|model_weights/(?:common\.pt|\.metadata|__\d+_\d+\.distcp)",
    re.ASCII | re.IGNORECASE,
)
_BESIDE_WEIGHTS = "model_weights/"


class _FirstLook(NamedTuple):
    """What a first walk over all members finds. The checks of one member need to know the others.

    kinds      place in the unpacked folder -> "file" or another kind; the last member of a place counts
    files      place -> where the bytes of the file lie
    links      places of links
    configs    members that NeMo would take for its configuration
    weights    whether there are members that NeMo would take for weights
    """

    kinds: dict[str, str]
    files: dict[str, Extent]
    links: frozenset[str]
    configs: tuple[TarEntry, ...]
    weights: bool

    def member(self, place: str) -> Nested:
        """The file that lies at `place` once the archive is unpacked."""
        return Nested(place, self.files[place])


class TarArchive:
    """See the module."""

    name = "tar"

    def recognise(self, source: Source) -> bool:
        """See `Container.recognise`."""
        return is_tar_header(source.peek(0, BLOCK)) and not TorchTar().recognise(source)

    def read(self, source: Source, limits: Limits) -> Reading:
        """See `Container.read`."""
        names = _names(source, limits)
        referred: set[str] = set()
        for config in names.configs:
            referred |= yield from _config(source, config, limits)
        seen: dict[str, str] = {}
        judged = 0
        yield MemberNames(tuple(names.files), names.member)
        for entry in entries(source.read, source.size, limits.members):
            place = place_of(entry.name)
            earlier = seen.setdefault(place, "")
            if earlier and not earlier == entry.kind == "directory":
                yield _finding(
                    "duplicate-member", "two members have this name; programs differ in which they take", entry
                )
            # `tarfile` unpacks members in order, so the last one of a place stays; `extractfile` by name gives the last
            # one too, other programs the first.
            seen[place] = entry.kind
            yield from doubts_of(entry, names.links)
            if entry.kind == "file":
                if names.configs and names.weights and not _of_nemo(place, referred):
                    yield Finding(
                        "foreign-member", Verdict.UNVETTED, Severity.MEDIUM,
                        "NeMo puts no such file into a checkpoint, and the configuration refers to none of this name",
                        "ask the author what it is for", member=entry.name, offset=entry.header,
                    )  # fmt: skip
                extent = Extent(entry.offset, entry.size, entry.size)
                answer = yield Nested(entry.name, extent, skippable=not (names.configs and _WEIGHTS.fullmatch(place)))
                judged += answer is None or not answer.skipped
            elif entry.kind != "directory" and not _stands_for_member(entry, place, names, seen):
                yield _finding("tar-member", f"a {entry.kind} in an archive: it points outside of what was read", entry)
        if not judged:
            yield nothing_to_scan(len(names.kinds))
        return ContainerLayout()


def _names(source: Source, limits: Limits) -> _FirstLook:
    """Walk over all members. Stops silently where the tar breaks: `read` comes to the same place, and raises there."""
    kinds: dict[str, str] = {}
    held: dict[str, Extent] = {}
    configs: list[TarEntry] = []
    weights = False
    try:
        for entry in entries(source.read, source.size, limits.members):
            place = place_of(entry.name)
            kinds[place] = entry.kind
            if entry.kind == "file":
                held[place] = Extent(entry.offset, entry.size, entry.size)
            weights = weights or bool(_WEIGHTS.fullmatch(place))
            # On a file system without case, NeMo finds the configuration under any spelling.
            if entry.kind == "file" and place.lower() == CONFIG:
                configs.append(entry)
    except (Malformed, LimitExceeded):
        pass
    links = frozenset(place for place, kind in kinds.items() if kind in LINKS)
    return _FirstLook(kinds, held, links, tuple(configs), weights)


def _config(source: Source, entry: TarEntry, limits: Limits) -> Generator[Part, Answer | None, frozenset[str]]:
    """Yield what NeMo would import because of this configuration; return the places that it refers to."""
    content = source.read(entry.offset, min(entry.size, LONGEST + 1))
    try:
        yield from nemo_config(content, entry.name, limits)
        return frozenset(map(place_of, artifacts(content, limits)))
    except (Malformed, LimitExceeded) as error:
        yield Finding(
            "nemo-config", Verdict.UNJUDGED, Severity.MEDIUM,
            f"{error}, so what a restore would import is not known",
            "look at the configuration, or take the weights alone out of the archive",
            member=entry.name, offset=error.offset,
        )  # fmt: skip
        return frozenset()


def _of_nemo(place: str, referred: set[str]) -> bool:
    known = place.lower() == CONFIG or place in referred or place.startswith(_BESIDE_WEIGHTS)
    return known or bool(_WEIGHTS.fullmatch(place))


def _stands_for_member(entry: TarEntry, place: str, names: _FirstLook, seen: dict[str, str]) -> bool:
    """Whether a link only gives a second name to a file of this archive, which is judged under its own name.

    SECURITY: the link has to lead there by tarfile's rule, and by that of a file system. When the way passes another
    link, the two rules find different files. A name that NeMo looks for has to be a file, never a link.
    """
    if entry.kind not in LINKS or place.lower() == CONFIG or _WEIGHTS.fullmatch(place):
        return False
    passed = leads_to(entry)
    if not passed or any(step in names.links for step in passed):
        return False
    return (seen if entry.kind == "hard link" else names.kinds).get(passed[-1]) == "file"


def _finding(rule: str, message: str, entry: TarEntry) -> Finding:
    return Finding(
        rule, Verdict.UNJUDGED, Severity.MEDIUM, message, "make the archive again from plain files",
        member=entry.name, offset=entry.header,
    )  # fmt: skip
