"""Judges a checkpoint in several safetensors files, given by the path of its index, and makes one Document of them.

Only an index that was named is read in this way. In a folder, an index is a JSON text, and its shards are files like
any other. Every shard is opened once and stays open, held by the source of the index: what was judged is what is
loaded. The tensors have the Document of their shard as their `home`.

SECURITY: whoever made the folder made the index and the shards, perhaps several people. Nothing is loaded unless the
index and the headers of the shards say the same of every tensor. Only files are opened that a scan of the folder would
open.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Collection

from safeload.containers.interface import ContainerLayout
from safeload.containers.safetensors_file import Safetensors
from safeload.containers.sniff import HEAD
from safeload.document.cell import UNSET
from safeload.document.document import Document, StorageSpec, TensorSpec, resolve
from safeload.errors import InputError, LimitExceeded, Malformed
from safeload.findings import Finding, Severity, Verdict
from safeload.inputs import FileSource
from safeload.inputs.walk import Target, beside
from safeload.scanning.reader import Reader, read_all
from safeload.scanning.recognition import readings
from safeload.scanning.shards.index import MARK, Index, parse_index
from safeload.scanning.tally import Tally
from safeload.source import Source
from safeload.tree.interface import DIGEST_KEY, KEY

NAME = "safetensors-index"
"""What reports call such a set."""

# How large the headers of all shards may be, in the size that one header may have: they are in memory together.
_HEADERS = 4

_AGAIN = "download index and shards again from one revision; or name the shards, and each is judged for itself"
_CONVERT = "convert its source again: safeload convert writes index and shards that belong together"
_INSIDE = "put the shards themselves beside the index"
_FORMAT = "convert the folder with safeload convert, or load its shards one by one"


def shard_set(source: Source, tally: Tally) -> ShardSet | None:
    """The set of which `source` is the index; None when it is no index, or is too large to be looked at.

    An index is a JSON object that speaks of a weight_map, whatever the file is called. The caller has found no
    container for `source`: its first byte is no opcode and it holds no zip, so no program takes it for anything else.
    """
    if not isinstance(source, FileSource) or not source.peek(0, HEAD).lstrip(b" \t\r\n").startswith(b"{"):
        return None
    if source.size > tally.limits.index_bytes:
        error = LimitExceeded(f"a text of {source.size} bytes, too large for an index", limit="index_bytes")
        tally.add(_finding("limit-reached", error.message))
        return None
    return ShardSet(source, tally) if MARK in source.peek(0, source.size) else None


class ShardSet(Reader):
    """Reads an index and the files that it names. See the module."""

    name = NAME

    def __init__(self, source: FileSource, tally: Tally) -> None:
        super().__init__(source, Safetensors(), tally, "")
        self._index_source = source
        self._digests: list[tuple[str, str]] = []
        self._roots: list[tuple[str, object]] = []
        self._headers = 0
        self._spoiled = False

    def judged_sha256(self) -> str:
        """Hex digest over what was judged of the index, and of each shard with its name, in the order of the names."""
        total = hashlib.sha256(self.source.judged_sha256().encode("ascii"))
        for name, digest in self._digests:
            total.update(f"\n{digest} {name}".encode())
        return total.hexdigest()

    def read(self) -> Document | None:
        """The document, None when the files are no set."""
        self.tally.files += 1
        index = self._index()
        if index is None:
            return None
        said: dict[str, set[str]] = {name: set() for name in index.files}
        for tensor, name in index.weight_map.items():
            said[name].add(tensor)
        targets = beside(os.path.dirname(self._index_source.path), index.files)
        # The numbers in their names give the order in which they were written.
        for name in sorted(index.files):
            shard = self._opened(name, targets.get(name))
            if shard is None:
                continue
            try:
                self._judged(name, shard, said[name], index)
            except BaseException:
                shard.close()
                raise
        if self._spoiled:
            return None
        self.layout = ContainerLayout(metadata=index.metadata, root="dict")
        if KEY in index.metadata:
            self._tree()
            root = self.root if self.layout.root == "stream" else self.tensors
        else:
            root = self._united()
        self._settle()
        return Document(None if root is UNSET else root, self.source, {}, False, NAME, index.metadata)

    def _index(self) -> Index | None:
        """The index, None when nothing is to be opened by it."""
        source, limits = self.source, self.tally.limits
        try:
            index = parse_index(source.read(0, source.size), "the index")
            if len(index.files) > limits.shards:
                raise LimitExceeded(f"the index names {len(index.files)} files", limit="shards")
            if len(index.weight_map) > limits.tensors:
                raise LimitExceeded(f"the index names {len(index.weight_map)} tensors", limit="tensors")
            if DIGEST_KEY in index.metadata:
                raise Malformed("the index names a tree beside it, and only a safetensors file has one")
        except Malformed as error:
            self._refuse(_finding("shard-index", error.message, _AGAIN))
            return None
        except LimitExceeded as error:
            self._refuse(_finding("limit-reached", error.message))
            return None
        spelled: dict[str, str] = {}
        for name in index.files:
            other = spelled.setdefault(unicodedata.normalize("NFC", name).casefold(), name)
            if other != name:
                message = f"the index names {other!a} and {name!a}, which are one file on some systems"
                self._refuse(_finding("shard-index", message, _AGAIN))
                return None
        return index

    def _opened(self, name: str, target: Target | None) -> FileSource | None:
        """The shard called `name`, None when it is not to be read."""
        if target is None:
            message = "the index names this file, and it is not beside it"
            self._refuse(_finding("shard-missing", message, _AGAIN, name))
            return None
        if target.problem is not None:
            self._refuse(target.problem._replace(member=name, remedy=_INSIDE))
            return None
        if target.skip:
            self._refuse(_finding("shard-missing", target.skip, _INSIDE, name))
            return None
        try:
            return FileSource(target.path)
        except InputError as error:
            message = f"it cannot be read: {error.strerror or error}"
            self._refuse(_finding("unreadable", message, "check the path and its permissions", name))
            return None

    def _judged(self, name: str, source: FileSource, said: set[str], index: Index) -> None:
        """Judge one shard, and hold it open when all is well. A spoiled set is read on, for what is dangerous in it."""
        self.tally.files += 1
        found = readings(source, self.tally.limits)
        if len(found) == 1 and found[0].name == "safetensors":
            self._admit(_Shard(source, found[0], self.tally, name), said, index)
        else:
            try:
                read_all(source, found, self.tally, name)
            except LimitExceeded as error:
                self._refuse(_finding("limit-reached", error.message, "", name))
            kinds = "+".join(container.name for container in found)
            self._refuse(_finding("shard-format", f"a shard that is no safetensors file ({kinds})", _FORMAT, name))
        self._digests.append((name, source.judged_sha256()))
        self._headers += source.bytes_in_memory()
        if self._headers > _HEADERS * self.tally.limits.header_bytes:
            over = LimitExceeded("the headers of the shards are too large together", limit="header_bytes")
            self._refuse(_finding("limit-reached", over.message, "", name))
        if self._spoiled:
            source.close()
            self._headers -= source.bytes_in_memory()
        else:
            self._index_source.hold(source)

    def _admit(self, shard: _Shard, said: set[str], index: Index) -> None:
        """Take the tensors of one shard when they are those that the index names."""
        before = len(self.tally.findings)
        document = shard.read()
        held, name = shard.layout.storages.keys(), shard.prefix
        # SECURITY: a remark explains nothing. A set that is spoiled without another finding has a mismatch.
        told = any(f.verdict in (Verdict.UNJUDGED, Verdict.DANGEROUS) for f in self.tally.findings[before:])
        if document is None or (told and not held):
            self._spoiled = True
            return
        if held != said:
            self._refuse(_finding("shard-mismatch", _difference(held, said, name, index), _AGAIN, name))
        elif KEY in index.metadata and not shard.layout.metadata.keys().isdisjoint((KEY, DIGEST_KEY)):
            message = "the shard has a tree of its own, and the index has one for all shards"
            self._refuse(_finding("shard-tree", message, _CONVERT, name))
        elif not self._spoiled:
            self.tensors.update(shard.tensors)
            self._roots.append((name, document.root))

    def _united(self) -> object:
        """One dict of what each shard gives: its tensors by name, or the state_dict that a tree of its own makes."""
        united: dict[object, object] = {}
        for name, root in self._roots:
            part = resolve(root)
            if not isinstance(part, dict) or not all(type(key) is str for key in part):
                message = "the shard has a tree of its own, which is no dict of names that could join the others"
                self._refuse(_finding("shard-tree", message, _CONVERT, name))
                return None
            twice = united.keys() & part.keys()
            if twice:
                message = f"the shard gives {min(map(str, twice))[:200]!a}, which another shard gives too"
                self._refuse(_finding("shard-mismatch", message, _AGAIN, name))
                return None
            united.update(part)
        return united

    def _refuse(self, finding: Finding) -> None:
        self._spoiled = True
        self.tally.add(finding)


class _Shard(Reader):
    """Reads one shard, a safetensors file, and makes its tensors say in which file they are."""

    def _tree(self) -> None:
        home = Document(None, self.source, self.layout.storages, False, self.container.name, self.layout.metadata)
        for name, spec in self.tensors.items():
            if isinstance(spec, TensorSpec) and spec.storage is not None:
                storage = StorageSpec(spec.storage.key, spec.storage.dtype, spec.storage.nbytes, home=home)
                self.tensors[name] = TensorSpec(storage, spec.dtype, spec.shape, spec.stride, spec.offset)
        super()._tree()


def _difference(held: Collection[str], said: Collection[str], file: str, index: Index) -> str:
    """A clause that says how a shard differs from what the index says of it."""
    extra = sorted(set(held) - set(said))
    if not extra:
        missing = sorted(set(said) - set(held))
        return f"the index puts {missing[0][:200]!a} here, which the shard does not hold ({len(missing)} in all)"
    where = index.weight_map.get(extra[0])
    puts = "does not name" if where is None else f"puts in {where!a}"
    return f"the shard holds {extra[0][:200]!a}, which the index {puts} ({len(extra)} such in all)"


def _finding(rule: str, message: str, remedy: str = "", member: str = "") -> Finding:
    return Finding(rule, Verdict.UNJUDGED, Severity.MEDIUM, message, remedy, member=member)
