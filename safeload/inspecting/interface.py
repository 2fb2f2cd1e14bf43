"""What `inspect` and `diff` give: plain data. Every text in it may come from a file and is untrusted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from safeload.report import Report

INSPECT = "safeload.inspect/1"
DIFF = "safeload.diff/1"


class Entry(NamedTuple):
    """One place of the object in a file; docs/inspect.md says what the fields mean.

    kind    "container", "tensor", "value", "same", "unread", "named" (of an index without its shards)
    type    the class; of a tensor "tensor", "parameter", "buffer", "array" or "storage"
    size    entries of a container
    text    of "value": its short text; of "same": the path it has as well; of "named": the file
    nbytes  of a tensor: bytes of its elements;  offset: where the first lies in the file, None when nobody can say
    storage number of the storage, None for none: tensors with one number share memory
    """

    path: str
    key: str
    depth: int
    kind: str
    type: str = ""
    size: int = 0
    text: str = ""
    dtype: str = ""
    shape: tuple[int, ...] = ()
    nbytes: int = 0
    layout: str = ""
    contiguous: bool = True
    requires_grad: bool = False
    device: str = ""
    storage: int | None = None
    offset: int | None = None


class Tie(NamedTuple):
    """Names whose tensors lie in one storage. `same`: they have the same elements in the same order."""

    names: tuple[str, ...]
    same: bool


class Total(NamedTuple):
    """Tensors of one dtype; what is tied counts once in `elements` and `nbytes`."""

    dtype: str
    tensors: int
    elements: int
    nbytes: int


class Inspection(NamedTuple):
    """What is in a file.

    report    the verdict, as of `scan`
    format    what the container says of itself: versions, metadata
    entries   every place, in the order of the object; the first is the root when that is a container
    ties, totals, classes (name -> how many objects)
    others    members with further objects, which no load gives
    complete  False when there are more places than the limits allow: the rest is not listed
    """

    report: Report
    format: Mapping[str, str]
    entries: tuple[Entry, ...]
    ties: tuple[Tie, ...] = ()
    totals: tuple[Total, ...] = ()
    classes: Mapping[str, int] = {}
    others: tuple[str, ...] = ()
    complete: bool = True

    def tensors(self) -> list[Entry]:
        """The entries that are tensors, or names of tensors."""
        return [entry for entry in self.entries if entry.kind in {"tensor", "named"}]

    def to_json(self) -> str:
        """The JSON document of `safeload inspect --json`."""
        from safeload.inspecting.wire import inspection_json

        return inspection_json(self)


class Change(NamedTuple):
    """A tensor that is in both and differs.

    what      "shape", "dtype", "layout" (another kind of tensor), "values" or "unreadable" (bytes that cannot be read)
    before, after  of shape, dtype and layout: what each has; of unreadable: why
    differing  of values: elements whose bytes differ;  elements: of how many
    largest   the greatest absolute difference of two numbers, None where it was not computed
    nans      elements of which one of the two is no number (NaN)
    """

    name: str
    other: str
    what: str
    before: str = ""
    after: str = ""
    differing: int = 0
    elements: int = 0
    largest: float | None = None
    nans: int = 0


class Changed(NamedTuple):
    """A value that is no tensor; None stands for not there."""

    name: str
    before: str | None
    after: str | None


class Side(NamedTuple):
    """One of two files: its report, and how many tensors and values were named in it."""

    report: Report
    tensors: int
    values: int


class Renaming(NamedTuple):
    """How names of A become those of B: `dropped` parts go wherever they stand, then a prefix gives way to another."""

    before: str = ""
    after: str = ""
    dropped: tuple[str, ...] = ()

    def __call__(self, name: str) -> str | None:
        """The name in B of what A calls `name`, None when A's prefix is not there."""
        name = self.bare(name)
        return self.after + name[len(self.before) :] if name.startswith(self.before) else None

    def bare(self, name: str) -> str:
        """A name without the dropped parts."""
        if not self.dropped:
            return name
        return ".".join([part for part in name.split(".") if part not in self.dropped])


class Difference(NamedTuple):
    """In what two files differ.

    renaming   under which names of B those of A were looked for; `said` in words, "" when names are as they are
    missing    tensors that A alone has;  added: that B alone has
    same       tensors that are in both and equal (with `keys_only`: whose values were not compared)
    compared   bytes that were compared
    modules    "A" or "B" when it alone holds pickled modules: their classes and attributes were left out
    understood False when a file was not understood in all its parts: then `equal` is not all that there is to say
    """

    a: Side
    b: Side
    renaming: Renaming
    said: str
    missing: tuple[str, ...]
    added: tuple[str, ...]
    changed: tuple[Change, ...]
    values: tuple[Changed, ...]
    same: int
    compared: int
    keys_only: bool = False
    modules: str = ""
    understood: bool = True

    @property
    def equal(self) -> bool:
        """Whether nothing differs in what was understood."""
        return not (self.missing or self.added or self.changed or self.values)

    def to_json(self) -> str:
        """The JSON document of `safeload diff --json`."""
        from safeload.inspecting.wire import difference_json

        return difference_json(self)
