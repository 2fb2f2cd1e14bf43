"""What a container reader is, and the parts that it finds.

A container knows bytes, not opcodes: only the machine can say where a pickle ends. So a reader is a generator. It
yields one part after the other. For each pickle the scanner sends an Answer back: where the pickle ended, and what
plain value it left. The reader of a legacy file can then be read from top to bottom ("five pickles, then storages"),
and never sees an opcode. At the end a reader returns a ContainerLayout, which says where the storages lie.

Contract of `read`: for any bytes it yields parts and returns a ContainerLayout, or raises Malformed or LimitExceeded.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from safeload.document.document import Extent, StorageSpec
from safeload.findings import Finding
from safeload.limits import Limits
from safeload.source import Source

_NOTHING: Mapping[Any, Any] = MappingProxyType({})


class Naming(StrEnum):
    """What the persistent ids of a stream may name."""

    NOTHING = "nothing"  # nothing, as in a bare pickle: every persistent id is a finding
    STORAGES = "storages"  # torch zip and legacy: ("storage", type, key, location, numel[, view])
    OBJECTS = "objects"  # torch tar: keys of what earlier streams made; TorchScript has none


class Following(StrEnum):
    """Whether the same Unpickler may read this pickle and the one before it, and still have the memo of that one."""

    NOTHING = "nothing"  # no pickle before it: it stands alone, or begins a row
    READER = "reader"  # in a row of pickles: a caller that calls load() again reads it
    LOADER = "loader"  # in a row of pickles, where the loader of this format makes a new unpickler for each


class Pickle(NamedTuple):
    """One pickle for the scanner to judge. It begins at `start` and ends at or before `end`.

    role      what the pickle is, for people: "object", "magic number", "storage keys", ...
    member    name of the member that holds it, "" in a container without members
    data      the bytes of a member that was compressed, None for one that was not. With `data`, start and end are
              offsets in it, and so are the offsets of findings
    base      what to subtract from an offset to get the offset in the member (0 for a whole-file container)
    main      a load would return the object of this stream
    naming    what its persistent ids may name; `objects` maps them for Naming.OBJECTS
    encoding  how the loader of this format decodes python 2 strings: torch uses utf-8, plain pickle ASCII
    follows   whether one Unpickler may read it after the pickle before it
    """

    role: str
    start: int
    end: int
    member: str = ""
    data: bytes | None = None
    base: int = 0
    main: bool = False
    naming: Naming = Naming.NOTHING
    objects: Mapping[object, object] = _NOTHING
    encoding: str = "ASCII"
    follows: Following = Following.NOTHING


class Nested(NamedTuple):
    """A member that is a file of its own. The scanner judges it by its content, like any other file.

    extent     where its bytes lie
    data       the bytes of a compressed member; None when `extent` holds them as they are
    main       as for Pickle
    skippable  the scanner judges it like a file met in a folder: if the file is proven to be no model, it is reported
               as skipped
    raw        the table of the archive kind says that it holds numbers which another member describes. The scanner
               judges it if some program could read it as anything else, and passes it over otherwise
    """

    member: str
    extent: Extent
    data: bytes | None = None
    main: bool = False
    skippable: bool = False
    raw: bool = False


class MemberNames(NamedTuple):
    """The names of all members. An archive that a loader unpacks as a folder yields them before the members.

    The scanner needs them for two questions: could an import find its module in this folder, and would a loader take
    the folder whole? `member` gives one member by its name, or is None where no loader of the format unpacks the
    archive. The scanner sends None back.
    """

    names: Sequence[str]
    member: Callable[[str], Nested] | None = None


class ImportedName(NamedTuple):
    """A name that the loader of this format would import, because a member that is no pickle says so.

    The policy judges it like a global of a pickle. `why` is a clause for people: "skops imports it".
    """

    module: str
    name: str
    why: str
    member: str = ""
    offset: int | None = None
    evidence: str = ""


class Tensor(NamedTuple):
    """A tensor that the container itself declares, outside any pickle (safetensors, .npy, torch tar).

    name      its key; "" in a .npy, which holds only one
    dtype     a name of `safeload.document.dtypes`
    storage   key into ContainerLayout.storages
    stride    in elements; None for a contiguous tensor
    offset    in elements, from the beginning of the storage
    fortran   .npy only: column-major
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    storage: str
    stride: tuple[int, ...] | None = None
    offset: int = 0
    fortran: bool = False


class StorageExtents(NamedTuple):
    """Where the storages lie, from a reader that knows it before the streams that name them (zip).

    The scanner compares what later streams declare with these extents. It sends None back.

    big_endian     the storages hold big-endian values
    placeholders   an empty member stands for a storage whose data was left out (the example inputs of TorchScript)
    """

    storages: Mapping[str, Extent]
    big_endian: bool = False
    placeholders: bool = False


class Answer(NamedTuple):
    """What the scanner sends back for a Pickle or Nested.

    end       offset after STOP, counted like Pickle.start; None when the scanner did not understand the stream
    value     what the stream left, when that is plain data (ints, lists of str, ...), else None
    cell      what the stream left, as the Document has it; the reader may hand it back in `Pickle.objects`
    storages  the storages that the stream named, by key
    skipped   the member was skippable, and is proven to be no model
    """

    end: int | None = None
    value: object = None
    cell: object = None
    storages: Mapping[str, StorageSpec] = _NOTHING
    skipped: bool = False


class ContainerLayout(NamedTuple):
    """What a reader returns after its last part: where the storages lie, and what a load would return.

    storages   storage key -> extent
    big_endian the storages hold big-endian values
    metadata   what the container says of itself (safetensors `__metadata__`, torch `version`, ...)
    root       what a load would return: a dict of the yielded Tensors ("dict"), the only Tensor ("single") or the
               object of the main stream ("stream")
    judged     how many members the container judged by a table of its own, with findings or without
    """

    storages: Mapping[str, Extent] = _NOTHING
    big_endian: bool = False
    metadata: Mapping[str, str] = _NOTHING
    root: str = "stream"
    judged: int = 0


Part = Pickle | Nested | ImportedName | MemberNames | Tensor | StorageExtents | Finding
Reading = Generator[Part, Answer | None, ContainerLayout]

ContentReader = Callable[[bytes, str, Limits], Iterable["Finding | ImportedName"]]
"""Judges the whole content of one member that is no pickle (a JSON, say) by a closed table of its own.

It takes the content, the name of the member and the limits. It gives findings and imported names, with offsets that
count from the beginning of the member. For any bytes it raises nothing but Malformed or LimitExceeded.
"""


class Container(Protocol):
    """The reader of one physical format."""

    @property
    def name(self) -> str:
        """The word for the format in reports: "torch-zip", "torch-legacy", "numpy", ..."""

    def recognise(self, source: Source) -> bool:
        """Whether some loader of this format would take `source`, by its content and never by its name.

        Looks with `source.peek` only, because what it looks at does not count as judged. Never raises.
        """

    def read(self, source: Source, limits: Limits) -> Reading:
        """Yield the parts of the file in the order in which a loader meets them, then return its ContainerLayout.

        A reader that knows the storages before the streams that name them yields `StorageExtents` first. The zip
        reader does: it learns them from the directory, and the scanner checks shapes against the members.

        Args:
            source: The whole file. Every byte that the reading relies on is taken with `source.read`, which hashes it.
            limits: What the file may cost.

        Raises:
            Malformed: The bytes are not of this format, are cut off, or mean different things to different loaders.
            LimitExceeded: The file costs more than `limits` allow.
            InputError: `source` cannot be read.
        """
