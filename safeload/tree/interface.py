"""What the tree is between: the constants of its format, and what a writer of tensors tells about them.

docs/tree-format.md describes the format. Torch-free; reads nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import NamedTuple, Protocol

from safeload.document.document import Document, StorageSpec, StorageValue, TensorSpec
from safeload.document.record import Record
from safeload.machine.program import Program

FORMAT = "safeload.tree"
VERSION = 1

KEY = "safeload.tree"
"""Key of `__metadata__` under which the tree stands as text."""

DIGEST_KEY = "safeload.tree.sha256"
"""Key of `__metadata__` that binds a tree in a file of its own: 64 hex digits, a space, its length in bytes."""

SIDECAR = ".tree.json"
"""What replaces the last suffix of the safetensors file in the name of a tree beside it."""

PLACED = 1024
"""Bytes from which it pays to keep bytes of a tree in a tensor of the file: base64 would take a third more."""


def names_digest(names: Iterable[str]) -> str:
    """What binds a tree that speaks of all tensors at once to their names: SHA-256, in hex, of the sorted names.

    Each is its length in bytes, a colon and its UTF-8. The order is not bound: tools that write a header again sort it.
    """
    encoded = [name.encode("utf-8", "surrogatepass") for name in sorted(names)]
    return sha256(b"".join([b"%d:%s" % (len(name), name) for name in encoded])).hexdigest()


class Blob(NamedTuple):
    """Bytes in a Document beside its tensors: content of arrays, bytes and bytearrays, tables of nested tensors.

    owner   the object of the Document: ArraySpec, bytes, bytearray or NestedTensorSpec
    part    "sizes", "strides" or "offsets" of a NestedTensorSpec (int64, little-endian); else ""
    dtype   name of the element type where one is known ("float32", "int64"), else "uint8"
    shape   of a tensor of `dtype` in C order that has exactly these bytes
    """

    owner: object
    part: str
    dtype: str
    shape: tuple[int, ...]
    data: bytes | bytearray


class Contents(NamedTuple):
    """What has to lie in the safetensors file before a Document can be written as a tree, each object once.

    tensors    strided tensors with a storage, and the Document that holds the storage
    storages   storages used as values of their own
    blobs      bytes of at least PLACED, which may be placed, and tables of nested tensors, which must be
    records    objects outside the vetted table: each becomes {"dropped": ...}
    shared     ids of the objects that stand in more than one place
    """

    tensors: tuple[tuple[TensorSpec, Document], ...]
    storages: tuple[tuple[StorageValue, Document], ...]
    blobs: tuple[Blob, ...]
    records: tuple[Record, ...]
    shared: frozenset[int]


class Placed(NamedTuple):
    """Where the elements of a strided tensor are in the file that is written.

    name    the tensor of the file whose bytes they are in
    shape, stride, offset  how they lie in it, in elements of the type that `Plan.storage` gives for `name`
            (of `dtype`, when that is given); None: in C order from the start, in the shape of the file's header
    dtype   the element type when it is not that of the storage
    """

    name: str
    shape: tuple[int, ...] | None = None
    stride: tuple[int, ...] | None = None
    offset: int = 0
    dtype: str | None = None


class Kept(NamedTuple):
    """How the bytes of one tensor of the file are to be read as a storage, where its header does not say it.

    dtype      element type by torch's name ("qint8" stored as I8, "complex128" stored as F64); None: the header's
    location   device tag
    """

    dtype: str | None = None
    location: str = "cpu"


class Plan(Protocol):
    """What the writer of a safetensors file decided. Every object of `Contents` can be asked for, by identity."""

    @property
    def storages(self) -> Mapping[str, Kept]:
        """Names of tensors of the file whose storage differs from its header in type or device."""

    @property
    def aside(self) -> tuple[str, ...]:
        """Names of tensors of the file that the tree does not use: copies of views, tensors of dropped objects."""

    def tensor(self, spec: TensorSpec, home: Document) -> Placed:
        """Where `spec` is."""

    def storage(self, spec: StorageSpec, home: Document) -> str:
        """The tensor of the file that holds all bytes of `spec` and nothing else."""

    def blob(self, owner: object, part: str) -> str | None:
        """The tensor of the file that holds the bytes of a Blob and nothing else; None: write them into the tree."""

    def drops(self, record: Record) -> bool:
        """Whether an object outside the vetted table is to be left out. False makes `encode` refuse."""


class Child(NamedTuple):
    """A value that is written in its turn. `slot`: its container can take it after it was made."""

    value: object
    home: Document
    slot: bool = False


class Mark(NamedTuple):
    """A place in the text that matters to references: `barrier` +1 and -1 around arguments, 0: the object exists."""

    barrier: int


class Decoded(NamedTuple):
    """A tree as the program that it describes.

    program   its value and effects, to be judged like those of any pickle
    objects   persistent id -> the storage it names
    dropped   names of the objects that were left out, with the offset of the first of each
    """

    program: Program
    objects: Mapping[object, object]
    dropped: tuple[tuple[str, int], ...]
