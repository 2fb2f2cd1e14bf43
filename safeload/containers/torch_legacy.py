"""torch's file format before the zip (1.5 and earlier, and `_use_new_zipfile_serialization=False` today).

The file begins with five pickles, and a load runs every one of them: magic number, protocol version, system info, the
object, and the list of storage keys. Then follow the storages in the order of that list, each as its number of elements
(int64, little-endian whatever the system info says) and its bytes. Mirrors torch/serialization.py `_legacy_load`. Reads
the counts, never the bytes of a storage.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from safeload.containers.interface import Answer, ContainerLayout, Following, Naming, Pickle, Reading
from safeload.containers.remarks import trailing_bytes
from safeload.containers.sniff import HEAD
from safeload.document.document import Extent, StorageSpec
from safeload.document.dtypes import itemsize
from safeload.errors import LimitExceeded, Malformed
from safeload.findings import Finding, Severity, Verdict
from safeload.limits import Limits
from safeload.source import Source

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001

BEGINNING = re.compile(
    rb"(?:\x80[\x00-\x05])?(?:\x95.{8})?(?:\x8a\x0a"
    + re.escape(MAGIC.to_bytes(10, "little"))
    + rb"|L"
    + str(MAGIC).encode()
    + rb"L?\n)",
    re.DOTALL,
)
"""The first pickle of a file, the magic number, in every form that the picklers of Python 2 and 3 write.

PROTO, FRAME and the number, binary or as text. A file that spells the number in another way goes to `bare_pickle`,
which hands it back to `TorchLegacy.after_magic`.
"""


class TorchLegacy:
    """See the module."""

    name = "torch-legacy"

    def recognise(self, source: Source) -> bool:
        """See `Container.recognise`."""
        return BEGINNING.match(source.peek(0, HEAD)) is not None

    def read(self, source: Source, limits: Limits) -> Reading:
        """See `Container.read`. Returns an empty ContainerLayout when the scanner does not understand a stream."""
        answer = yield _stream("magic number", 0, source.size)
        if answer is None or answer.end is None:
            return ContainerLayout()
        if type(answer.value) is not int or answer.value != MAGIC:
            raise Malformed(f"torch file with another magic number than {MAGIC:#x}", offset=0)
        return (yield from self.after_magic(source, limits, answer.end))

    def after_magic(self, source: Source, limits: Limits, at: int) -> Reading:
        """Read on behind the first pickle, which ended at `at` and left the magic number in some spelling."""
        for role, wanted in (("protocol version", PROTOCOL), ("system info", None)):
            answer = yield _stream(role, at, source.size)
            if answer is None or answer.end is None:
                return ContainerLayout()
            if wanted is not None and (type(answer.value) is not int or answer.value != wanted):
                raise Malformed(f"torch file with another {role} than {wanted:#x}", offset=at)
            at = answer.end
        answer = yield Pickle(
            "object", at, source.size, main=True, naming=Naming.STORAGES, encoding="utf-8", follows=Following.LOADER
        )
        if answer is None or answer.end is None:
            return ContainerLayout()
        named, at = answer.storages, answer.end
        answer = yield _stream("storage keys", at, source.size)
        if answer is None or answer.end is None:
            return ContainerLayout()
        keys, finding = _checked_keys(answer, named, at, limits)
        if finding is not None:
            yield finding
        if keys is None:
            return ContainerLayout()
        storages, at = _extents(source, answer.end, keys, named)
        if at < source.size:
            yield trailing_bytes(at, source.size - at, "the last storage")
        return ContainerLayout(storages)


def _stream(role: str, start: int, end: int) -> Pickle:
    follows = Following.LOADER if start else Following.NOTHING
    return Pickle(role, start, end, naming=Naming.NOTHING, encoding="utf-8", follows=follows)


def _checked_keys(
    answer: Answer, named: Mapping[str, StorageSpec], at: int, limits: Limits
) -> tuple[list[str] | None, Finding | None]:
    """The list of storage keys, when it holds exactly the keys that the object names; else None, and a finding."""
    keys = answer.value
    if type(keys) is not list or not all(type(key) is str for key in keys):
        raise Malformed("the fifth pickle of a torch file must be its list of storage keys", offset=at)
    if len(keys) > limits.tensors:
        raise LimitExceeded(f"the file lists {len(keys)} storages", limit="tensors", offset=at)
    unique = set(keys)
    missing = sorted(named.keys() - unique)
    if missing:
        # SECURITY: torch accepts this, and never fills these storages. The tensors then show uninitialised memory of
        # the loading process, and the storages may be resized to any length.
        return None, Finding(
            "storage-keys", Verdict.DANGEROUS, Severity.HIGH,
            f"{len(missing)} storages are named by the object and absent from the list of stored ones: torch fills"
            " such tensors with whatever its memory holds",
            "do not load this file; ask its author for an intact one",
            offset=at, stream=4, evidence=", ".join(missing[:8])[:200],
        )  # fmt: skip
    if len(unique) < len(keys) or unique - named.keys():
        return None, Finding(
            "storage-keys", Verdict.UNJUDGED, Severity.MEDIUM,
            "the list of stored storages repeats keys or holds keys that the object does not name",
            "save the checkpoint again with torch.save",
            offset=at, stream=4, evidence=", ".join(sorted(unique - named.keys())[:8])[:200],
        )  # fmt: skip
    return keys, None


def _extents(
    source: Source, at: int, keys: list[str], named: Mapping[str, StorageSpec]
) -> tuple[dict[str, Extent], int]:
    """Where each storage lies, and where the last one ends."""
    storages: dict[str, Extent] = {}
    for key in keys:
        if source.size - at < 8:
            raise Malformed(f"truncated: the file ends before the length of storage {key!r}", offset=at)
        count = int.from_bytes(source.read(at, 8), "little", signed=True)
        storage = named[key]
        # The count of an untyped storage is in bytes, any other in elements.
        size = count * (1 if storage.dtype is None else itemsize(storage.dtype))
        if size != storage.nbytes:
            raise Malformed(f"storage {key!r} has {size} bytes where the object says {storage.nbytes}", offset=at)
        at += 8
        if not 0 <= size <= source.size - at:
            raise Malformed(f"truncated: storage {key!r} needs {size} bytes and {source.size - at} are left", offset=at)
        storages[key] = Extent(at, size, size)
        at += size
    return storages, at
