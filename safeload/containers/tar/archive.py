"""A tar of anything is a folder, packed: each member is judged as a file met in a folder. A NeMo checkpoint is one too.

NeMo (nemo/core/connectors/save_restore_connector.py) unpacks all of the tar, reads `model_config.yaml` at its top,
builds what that names, and loads `model_weights.ckpt`. The configuration, `_WEIGHTS` and what the configuration refers
to are its table of members. Extracts nothing. The tar that torch wrote before 0.1.12 is `torch_tar.py`.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import NamedTuple

from safeload.containers.descriptions.nemo_config import LONGEST, artifacts, nemo_config
from safeload.containers.interface import Answer, Layout, Names, Nested, Part, Reading
from safeload.containers.remarks import nothing_to_scan
from safeload.containers.sniff import is_tar_header
from safeload.containers.tar.directory import BLOCK, LINKS, Entry, entries
from safeload.containers.tar.places import doubts_of, leads_to, place_of
from safeload.containers.tar.torch_tar import is_torch_tar
from safeload.document.document import Extent
from safeload.errors import LimitExceeded, Malformed
from safeload.findings import Finding, Severity, Verdict
from safeload.limits import Limits
from safeload.source import Source

CONFIG = "model_config.yaml"

# What a restore gives to torch: one file, one for each rank, or a distributed checkpoint.
_WEIGHTS = re.compile(
    r"(?:mp_rank_\d+/|tp_rank_\d+(?:_pp_rank_\d+)?/)?model_weights\.ckpt"
    r"|model_weights/(?:common\.pt|\.metadata|__\d+_\d+\.distcp)",
    re.ASCII | re.IGNORECASE,
)
_BESIDE_WEIGHTS = "model_weights/"


class _Names(NamedTuple):
    """A first look at the whole: the kind of what lies at each place, NeMo's configurations, and whether weights do."""

    kinds: dict[str, str]
    files: dict[str, Extent]
    links: frozenset[str]
    configs: tuple[Entry, ...]
    weights: bool

    def member(self, place: str) -> Nested:
        """The file at a place, as it is unpacked there."""
        return Nested(place, self.files[place])


class TarArchive:
    """See the module."""

    name = "tar"

    def recognise(self, source: Source) -> bool:
        """See `Container.recognise`."""
        return is_tar_header(source.peek(0, BLOCK)) and not is_torch_tar(source)

    def read(self, source: Source, limits: Limits) -> Reading:
        """See `Container.read`."""
        names = _names(source, limits)
        referred: set[str] = set()
        for config in names.configs:
            referred |= yield from _config(source, config, limits)
        seen: dict[str, str] = {}
        judged = 0
        yield Names(tuple(names.files), names.member)
        for entry in entries(source.read, source.size, limits.members):
            place = place_of(entry.name)
            earlier = seen.setdefault(place, "")
            if earlier and not earlier == entry.kind == "directory":
                yield _finding(
                    "duplicate-member", "two members have this name; programs differ in which they take", entry
                )
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
        return Layout()


def _names(source: Source, limits: Limits) -> _Names:
    """What is there, as far as the tar can be read; the reading itself tells where it breaks."""
    kinds: dict[str, str] = {}
    held: dict[str, Extent] = {}
    configs: list[Entry] = []
    weights = False
    try:
        for entry in entries(source.read, source.size, limits.members):
            place = place_of(entry.name)
            kinds[place] = entry.kind
            if entry.kind == "file":
                held[place] = Extent(entry.offset, entry.size, entry.size)
            weights = weights or bool(_WEIGHTS.fullmatch(place))
            # A restore on a file system without case finds it under any spelling.
            if entry.kind == "file" and place.lower() == CONFIG:
                configs.append(entry)
    except (Malformed, LimitExceeded):
        pass
    links = frozenset(place for place, kind in kinds.items() if kind in LINKS)
    return _Names(kinds, held, links, tuple(configs), weights)


def _config(source: Source, entry: Entry, limits: Limits) -> Generator[Part, Answer | None, frozenset[str]]:
    """What a restore would import by this configuration; returns the places that it refers to."""
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


def _stands_for_member(entry: Entry, place: str, names: _Names, seen: dict[str, str]) -> bool:
    """Whether a link only gives a second name to a file of this archive, which is judged under its own.

    SECURITY: by tarfile's rule for links and by that of a file system; where a way passes a link, the two find
    different files. What a loader looks for by name has to be a file.
    """
    if entry.kind not in LINKS or place.lower() == CONFIG or _WEIGHTS.fullmatch(place):
        return False
    passed = leads_to(entry)
    if not passed or any(step in names.links for step in passed):
        return False
    return (seen if entry.kind == "hard link" else names.kinds).get(passed[-1]) == "file"


def _finding(rule: str, message: str, entry: Entry) -> Finding:
    return Finding(
        rule, Verdict.UNJUDGED, Severity.MEDIUM, message, "make the archive again from plain files",
        member=entry.name, offset=entry.header,
    )  # fmt: skip
