"""Makes a Program of the tree in a safetensors file, or findings that say why there is none.

Brings together the text of the tree, the tensors that it names and their bytes. Judges nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from safeload.checks import StreamView
from safeload.containers.interface import ContainerLayout
from safeload.containers.storage_bytes import storage_bytes
from safeload.document.document import TensorSpec
from safeload.errors import LimitExceeded, Malformed
from safeload.findings import Finding, Severity, Verdict
from safeload.limits import Limits
from safeload.source import Source
from safeload.tree.decode import decode
from safeload.tree.sidecar import Unbound, found

_STALE = "convert its source again; or remove the tree from its metadata, and it is a flat file of tensors"
_BESIDE = "keep the two files together under one name, as they were written, and give the path of the first"


class Treed(NamedTuple):
    """What is to be judged (`view` None: nothing), the objects that it names, and findings to report before."""

    view: StreamView | None
    objects: Mapping[object, object]
    findings: tuple[Finding, ...] = ()


def treed(
    source: Source, layout: ContainerLayout, tensors: Mapping[object, object], limits: Limits, prefix: str, stream: int
) -> Treed:
    """The Program of the tree that a safetensors file holds, or names beside it; nothing when it has none."""
    try:
        given = found(source, layout.metadata, limits)
        if given is None:
            return Treed(None, {})
    except Unbound as error:
        return _refused("tree-sidecar", error.message, _BESIDE, prefix, None)
    except (Malformed, LimitExceeded) as error:
        return _broken(error, prefix)

    declared = {name: spec for name, spec in tensors.items() if type(name) is str and type(spec) is TensorSpec}

    def read(name: str) -> bytes:
        storage = declared[name].storage
        home = None if storage is None else storage.home
        # SECURITY: a tensor of another file has its bytes there; the same name here may be other bytes.
        bytes_of, extents = (source, layout.storages) if home is None else (home.source, home.storages)
        return storage_bytes(bytes_of, extents[name], limits.string_bytes)

    place = f"{prefix}!{given.place}" if prefix else given.place
    try:
        decoded = decode(given.text, declared, limits, read)
    except (Malformed, LimitExceeded) as error:
        return _broken(error, place)
    remarks = [
        Finding(
            "tree-dropped", Verdict.CLEAN, Severity.INFO,
            f"an object of {name[:200]} was left out when this file was written", member=place, offset=offset,
            stream=stream, name=name[:1000],
        )
        for name, offset in decoded.dropped
    ]  # fmt: skip
    return Treed(StreamView(decoded.program, place, stream, 0), decoded.objects, tuple(remarks))


def _broken(error: Malformed | LimitExceeded, place: str) -> Treed:
    limit = isinstance(error, LimitExceeded)
    rule = "limit-reached" if limit else "malformed-tree"
    return _refused(rule, error.message, "" if limit else _STALE, place, error.offset)


def _refused(rule: str, message: str, remedy: str, place: str, offset: int | None) -> Treed:
    finding = Finding(rule, Verdict.UNJUDGED, Severity.MEDIUM, message, remedy, member=place, offset=offset)
    return Treed(None, {}, (finding,))
