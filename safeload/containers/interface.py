"""What a container reader is, and the parts it finds.

A container knows bytes, not opcodes: only the machine can say where a pickle ends. So a reader is a generator. It
yields one part after the other, and what it gets back from `yield` is an Answer of the scanner's: where the pickle
ended and what plain value it left. A legacy file then reads top to bottom ("five pickles, then storages") although the
reader never sees an opcode. What it returns is the Layout: where the storages lie.

Contract of `read`: it yields parts and returns a Layout, or raises Malformed or LimitExceeded, for any bytes.
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
    """What a persistent id of a stream may name."""

    NOTHING = "nothing"  # a bare pickle: every persistent id is a finding
    STORAGES = "storages"  # torch zip and legacy: ("storage", type, key, location, numel[, view])
    OBJECTS = "objects"  # torch tar: keys of what earlier streams made; TorchScript has none


class Following(StrEnum):
    """Whether one Unpickler may read a pickle after the one before it, whose memo it then still has."""

    NOTHING = "nothing"  # it stands alone, or begins a row
    READER = "reader"  # the file is a row of pickles: whoever calls load() again reads it
    LOADER = "loader"  # the file is a row of pickles, and the loader of this format makes an unpickler for each


class Pickle(NamedTuple):
    """One pickle to be judged, from `start`, ending before `end`.

    role      what it is, for people: "object", "magic number", "storage keys", ...
    member    member name, "" when the container has none
    data      the member's bytes when they had to be inflated; then start and end are offsets into it, and findings
              count from its beginning
    base      what to subtract from an offset to report it within its member (0 for a whole-file container)
    main      this stream is the object that a load would return
    naming    what its persistent ids may name; `objects` maps them for Naming.OBJECTS
    encoding  how the loader of this format decodes python 2 strings: torch uses utf-8, plain pickle ASCII
    follows   whether it belongs to one row with the pickle before it
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
    """A member that is a file of its own, to be judged by content like any other.

    `data` holds the bytes when they had to be inflated, else they lie in `extent`. `main` as for Pickle. With
    `skippable` it is judged as a file met in a folder: it may be proven to be no model, and is then told as skipped.
    With `raw` the table of the archive kind says that it holds numbers which another member describes: it is judged
    when some program could read it as anything else, and is nothing otherwise.
    """

    member: str
    extent: Extent
    data: bytes | None = None
    main: bool = False
    skippable: bool = False
    raw: bool = False


class Names(NamedTuple):
    """The names of all members, yielded before them by an archive that is unpacked as a folder.

    A text among them that reads as an import may find its module there. `member` gives one of them, for loaders that
    take such a folder whole; None where no loader of the format unpacks it. The answer to it is None.
    """

    names: Sequence[str]
    member: Callable[[str], Nested] | None = None


class Named(NamedTuple):
    """A name that the loader of this format would import because a member that is no pickle names it.

    The policy judges it as it judges a pickle's globals. `why` is a clause for people: "skops imports it".
    """

    module: str
    name: str
    why: str
    member: str = ""
    offset: int | None = None
    evidence: str = ""


class Tensor(NamedTuple):
    """A tensor that the container itself declares, outside any pickle (safetensors, .npy, torch tar).

    name      its key; "" for the only one of a .npy
    dtype     a name of `safeload.document.dtypes`
    storage   key into Layout.storages
    fortran   .npy only: column-major
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    storage: str
    stride: tuple[int, ...] | None = None
    offset: int = 0
    fortran: bool = False


class Storages(NamedTuple):
    """Storage extents known before the streams that name them (zip); the answer to it is None.

    placeholders   empty members stand for storages whose data was left out (the example inputs of TorchScript)
    """

    storages: Mapping[str, Extent]
    big_endian: bool = False
    placeholders: bool = False


class Answer(NamedTuple):
    """What the scanner found at a yielded Pickle or Nested.

    end       offset after STOP (same origin as Pickle.start), None when the stream was not understood
    value     the plain value the stream left when it holds no node (ints, lists of str, ...), else None
    cell      the denotation of whatever it left; containers may hand it back in `Pickle.objects`
    storages  the storages the stream named, by key
    skipped   a skippable member that was proven to be no model
    """

    end: int | None = None
    value: object = None
    cell: object = None
    storages: Mapping[str, StorageSpec] = _NOTHING
    skipped: bool = False


class Layout(NamedTuple):
    """Where everything else of the container lies.

    storages   storage key -> extent
    big_endian storages hold big-endian values
    metadata   str -> str of the container itself (safetensors `__metadata__`, torch `version`, ...)
    root       whether a load would return a dict of the yielded Tensors ("dict"), the only one ("single") or the
               main stream's object ("stream")
    judged     how many members a table of the container's own judged, whether it had anything to say or not
    """

    storages: Mapping[str, Extent] = _NOTHING
    big_endian: bool = False
    metadata: Mapping[str, str] = _NOTHING
    root: str = "stream"
    judged: int = 0


Part = Pickle | Nested | Named | Names | Tensor | Storages | Finding
Reading = Generator[Part, Answer | None, Layout]

ContentReader = Callable[[bytes, str, Limits], Iterable["Finding | Named"]]
"""Judges the whole content of one member that is no pickle (a JSON, say) by a closed table of its own.

Arguments: content, member name, limits. What it gives has offsets that count from the beginning of the member. Raises
Malformed or LimitExceeded, whatever the bytes.
"""


class Container(Protocol):
    """One physical format."""

    @property
    def name(self) -> str:
        """The word used in reports: "torch-zip", "torch-legacy", "numpy", ..."""

    def recognise(self, source: Source) -> bool:
        """Whether the content (never the name) is of this format. Uses `source.peek` only, never raises."""

    def read(self, source: Source, limits: Limits) -> Reading:
        """The parts of the file in the order a loader would meet them, then its Layout.

        The zip reader, say, learns the storages from its directory: a reader that knows them before the streams that
        name them yields `Storages` first, so that shapes are checked against the members.
        """
