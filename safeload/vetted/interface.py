"""What a vetted name is: a shape, which says what arguments it may have and what a call of it denotes.

Nothing in this folder calls, imports or builds anything. A shape reads the Call node of the machine, checks exact
counts and exact types (a bool is no int), and returns a leaf of `document`, or raises ShapeError. The files
rules/vetted/*.toml say which names are admitted, and which shape each has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from safeload.document.cell import Cell
from safeload.document.document import Document, Extent, StorageSpec, TensorSpec, resolve
from safeload.findings import Verdict
from safeload.limits import Limits
from safeload.machine.keys import Keys
from safeload.machine.program import Call, Mutation


class ShapeError(Exception):
    """A vetted name has arguments that its shape does not admit. It never leaves safeload: it becomes a finding.

    verdict   DANGEROUS; UNVETTED for a form that is benign and only not modelled; UNJUDGED for one that could not be
              checked
    rule      "argument-shape", unless there is a rule that says more
    """

    def __init__(self, message: str, verdict: Verdict = Verdict.DANGEROUS, rule: str = "argument-shape") -> None:
        super().__init__(message)
        self.message = message
        self.verdict = verdict
        self.rule = rule


class Context:
    """What a shape may know of the stream that it stands in, and ask the scanner for.

    extents       storage key -> extent, when the container knows the storages before the stream (zip); None when they
                  follow it (legacy): then the size in the persistent id counts, and the container checks it later
    placeholders  an empty extent stands for a storage whose data was left out
    storages      the storages that the stream has named so far, by key
    touched       Program.touched
    values        takes a tensor and returns its elements, contiguous and little-endian, as a private copy of the judged
                  bytes. Raises ShapeError(UNJUDGED) beyond limits.validated_bytes. Only for deferred checks
    deferred      (cell, check): checks of values, which can be read only when the layout is known. The scanner runs
                  them later, and puts what a check returns into its cell
    spent         elements and bytes that calls have consumed so far: see `consumption.spend`
    keys          the rules for keys, with the budget of this stream
    enclosed      takes bytes and judges them as a file of their own, for loaders inside a file
    """

    def __init__(
        self,
        limits: Limits,
        extents: Mapping[str, Extent] | None,
        touched: Mapping[int, int],
        values: Callable[[TensorSpec], bytes],
        enclosed: Callable[[bytes, int], Document],
        placeholders: bool = False,
        big_endian: bool = False,
    ) -> None:
        self.limits = limits
        self.extents = extents
        self.touched = touched
        self.values = values
        self.enclosed = enclosed
        self.placeholders = placeholders
        self.big_endian = big_endian
        self.storages: dict[str, StorageSpec] = {}
        self.deferred: list[tuple[Cell, Callable[[], object]]] = []
        self.tensors = 0
        self.spent = 0
        self.keys = Keys(limits.key_elements, limits.numeric_tuple_keys)


Shape = Callable[[Call, Context], object]
"""Takes a call of a vetted name; returns what it denotes, a leaf of the Document. Raises ShapeError."""

Change = Callable[[Call, Mutation, Context], None]
"""Takes a vetted call and a Mutation of its result, and updates `call.value`, what the call denotes.

Raises ShapeError for a change that is not admitted.
"""


class Constructor(NamedTuple):
    """One vetted shape.

    shape   the id by which rules/vetted/*.toml refers to it
    call    what a call denotes; None when the name may only stand as a value, and not be called
    change  what BUILD, APPEND, SETITEM... do to the result; None when nothing may change it
    kinds   the admitted kinds of Call ("reduce", "newobj", "newobj_ex", "obj", "inst")
    """

    shape: str
    call: Shape | None = None
    change: Change | None = None
    kinds: frozenset[str] = frozenset({"reduce"})


def positional(call: Call, least: int, most: int | None = None) -> tuple[Any, ...]:
    """The arguments of `call` as they are, with Cells unresolved.

    Raises ShapeError unless there are `least` to `most` of them (exactly `least`, when `most` is None), and no keyword
    arguments.
    """
    args = call.args
    most = least if most is None else most
    if type(args) is not tuple or call.kwargs:
        raise ShapeError("takes positional arguments only")
    if not least <= len(args) <= most:
        raise ShapeError(f"takes {least if least == most else f'{least} to {most}'} arguments, not {len(args)}")
    return args


def arguments(
    call: Call, *types: type | tuple[type, ...], optional: Sequence[type | tuple[type, ...]] = ()
) -> tuple[object, ...]:
    """The arguments of `call`, with Cells resolved. Raises ShapeError unless their count and types fit.

    Types are compared exactly: a bool is no int, an OrderedDict no dict. `object` admits anything.
    """
    wanted = (*types, *optional)
    args = positional(call, len(types), len(wanted))
    found = tuple(resolve(arg) for arg in args)
    for index, (arg, kind) in enumerate(zip(found, wanted, strict=False)):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if object not in kinds and type(arg) not in kinds:
            names = " or ".join(k.__name__ for k in kinds)
            raise ShapeError(f"argument {index + 1} must be {names}, not {type(arg).__name__}")
    return found
