"""What a vetted name is: an argument shape, and what a call of that shape denotes.

Nothing here or in this folder calls, imports or builds anything: a Shape reads the Call node of the machine, checks
exact counts and exact types (bool is not int), and returns a leaf of `document`, or raises ShapeError. Names are
admitted by rules/vetted/*.toml, which also says which Shape each name has.
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
    """A vetted name with arguments that its shape does not admit. Never leaves safeload: it becomes a finding.

    `verdict` is DANGEROUS unless the form is known to be benign and merely not modelled (UNVETTED), or could not be
    checked (UNJUDGED). `rule` is "argument-shape" unless a more telling rule exists.
    """

    def __init__(self, message: str, verdict: Verdict = Verdict.DANGEROUS, rule: str = "argument-shape") -> None:
        super().__init__(message)
        self.message = message
        self.verdict = verdict
        self.rule = rule


class Context:
    """What a shape may ask about the stream it stands in.

    extents    storage key -> extent where the container knows them beforehand (zip), None where they follow the
               stream (legacy): then the pid's own size counts and the container checks it afterwards
    placeholders  an empty extent stands for a storage whose data was left out
    storages   every storage named so far, by key
    touched    Program.touched
    values     reads the elements of a tensor from the judged bytes, contiguous and little-endian, a private copy;
               ShapeError(UNJUDGED)
               is raised past limits.validated_bytes. Only for deferred checks
    deferred   checks of values that can only be read once the layout is known: (cell, check); the scanner runs them and
               puts what they return into the cell
    spent      elements and bytes consumed by calls so far: see `consumption.spend`
    keys       the rules for keys, with the budget of this stream
    enclosed   judges bytes as a file of its own, for nested loaders
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
"""Call of a vetted name -> what it denotes. Raises ShapeError."""

Change = Callable[[Call, Mutation, Context], None]
"""A Mutation of the result of a vetted call: updates what the call denotes (`call.value`). Raises ShapeError."""


class Constructor(NamedTuple):
    """One vetted shape.

    shape   the id that rules/vetted/*.toml refers to
    call    what a call denotes; None: the name may stand as a value, and is never called
    change  what BUILD, APPEND, SETITEM... on the result do; None: the result may not be changed
    kinds   the kinds of Call admitted ("reduce", "newobj", "newobj_ex", "obj", "inst")
    """

    shape: str
    call: Shape | None = None
    change: Change | None = None
    kinds: frozenset[str] = frozenset({"reduce"})


def positional(call: Call, least: int, most: int | None = None) -> tuple[Any, ...]:
    """The arguments of `call` as they stand (cells kept), when their count fits; raises ShapeError otherwise."""
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
    """The resolved arguments of `call`, when count and exact types fit; raises ShapeError otherwise.

    `object` admits anything. Types are compared exactly: a bool is no int, an OrderedDict no dict.
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
