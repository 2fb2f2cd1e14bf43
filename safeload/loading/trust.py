"""`trust=`: the classes that the caller lets a load rebuild. There is one way to rebuild an object:

    object.__new__(cls), then the saved attributes into its __dict__

No constructor, no `__setstate__`, no `__reduce__` callable and no setattr is called: no code of the class runs during a
load. Its methods run later, when the caller uses the object. A name in a file is compared with the module and qualname
of the *caller's* classes; it is never imported.
"""

from __future__ import annotations

import importlib
import sys
from abc import ABCMeta
from collections.abc import Iterable, Mapping
from types import BuiltinFunctionType, MemberDescriptorType
from typing import Any

from torch import nn

from safeload.document.document import resolve
from safeload.document.record import Record
from safeload.errors import UnsafeCheckpoint, UsageError
from safeload.loading.torch_nn import classes as torch_nn
from safeload.loading.torch_nn.fills import fill
from safeload.policy import Policy, Standing

TORCH_NN = "torch.nn"

_HEAP_TYPE = 1 << 9
_ABSTRACT = 1 << 20


class _Plain:
    """A Python class without slots, for comparison: a class whose instances have this layout can be rebuilt."""


class Trust:
    """The trusted classes of one load.

    trust    classes; dotted names of classes ("package.module.Net"), which are imported because the caller says so; and
             "torch.nn" for the reviewed classes and activation functions of torch.nn, which every trusted nn.Module
             implies. A single class or name needs no list
    policy   names that it calls dangerous are never trusted
    hashing  the trusted classes with an own __hash__ or __eq__: a dict would run it, so instances are refused as keys

    Raises UsageError for an entry that is no class, cannot be imported, or cannot be rebuilt by `object.__new__`.
    """

    def __init__(self, trust: Iterable[type | str] | type | str = (), policy: Policy | None = None) -> None:
        given = (trust,) if isinstance(trust, str | type) else tuple(trust)
        self.given = bool(given)
        policy = policy or Policy.default()
        self._classes: dict[torch_nn.Name, type] = {}
        self._functions: Mapping[torch_nn.Name, Any] = {}
        self._pending: list[tuple[object, Record]] = []
        with_torch = False
        for item in given:
            if item == TORCH_NN:
                with_torch = True
                continue
            cls = _class(item)
            place = (cls.__module__, cls.__qualname__)
            decision = policy.decide(*place)
            if decision.kind is Standing.DANGEROUS:
                raise UsageError(f"trust cannot name {'.'.join(place)}: {decision.reason}")
            if reason := _unfit(cls):
                raise UsageError(f"trust cannot rebuild {'.'.join(place)}: {reason}")
            self._classes[place] = cls
            with_torch = with_torch or issubclass(cls, nn.Module)
        if with_torch:
            safe = {p: c for p, c in torch_nn.classes().items() if policy.decide(*p).kind is not Standing.DANGEROUS}
            self._classes = {**safe, **self._classes}
            self._functions = torch_nn.functions()
        self.hashing = frozenset(cls for cls in self._classes.values() if _hashing(cls))
        self._names = {".".join(place) for place in (*self._classes, *self._functions)}

    def covers(self, name: str) -> bool:
        """Whether a load may rebuild or refer to `name`, the dotted module and qualname of a class or function."""
        return name in self._names

    def shell(self, record: Record) -> Any:
        """An empty instance, or a function, for `record`; None when it is not trusted, and stays a record.

        The state follows with `finish`. Raises UnsafeCheckpoint when a trusted class is not pickled in the form of
        `object.__reduce_ex__`, or has its own `__setstate__`.
        """
        place = (record.module, record.qualname)
        if record.args is None:
            return self._functions.get(place)
        if place in self._functions:
            raise _refused(record, "is called while loading, and trust never calls anything")
        cls = self._classes.get(place)
        if cls is None:
            return None
        if resolve(record.args) != () or resolve(record.kwargs):
            # SECURITY: arguments are for a constructor or a __reduce__ callable. A load never calls either.
            raise _refused(record, "is built by a call with arguments, and trust never calls anything")
        if record.items is not None:
            raise _refused(record, "is given items, as only a list or dict takes")
        if owner := _own_setstate(cls):
            raise _refused(record, f"takes its state through {owner}.__setstate__, which is never run")
        try:
            return object.__new__(cls)
        except TypeError as error:
            raise _refused(record, f"cannot be made empty ({error})") from None

    def finish(self, target: object, record: Record) -> None:
        """Keep `target`, which `shell` has made, and its record. `settle` sets the state when everything is built."""
        if place_of(type(target)) in self._classes:
            self._pending.append((target, record))

    def settle(self) -> None:
        """Check and set the state of every object. Call it when every container is filled.

        Raises UnsafeCheckpoint for a state that is more than data: see `_attributes` and `torch_nn`.
        """
        pending, self._pending = self._pending, []
        for target, record in pending:
            # SECURITY: into __dict__, never setattr: properties and __setattr__ are code of the class.
            torch_nn.attributes_of(target).update(_attributes(target, record))
        for target, _ in pending:
            if issubclass(type(target), nn.Module):
                torch_nn.check_module(target)


def _hashing(cls: type) -> bool:
    return any("__hash__" in vars(above) or "__eq__" in vars(above) for above in cls.__mro__[:-1])


def place_of(cls: type) -> torch_nn.Name:
    """(module, qualname) of a class."""
    return cls.__module__, cls.__qualname__


def _attributes(target: object, record: Record) -> dict[str, Any]:
    """The attributes in the state of `record`, with those that this version of torch needs besides."""
    state = record.state
    if type(state) is tuple and len(state) == 2 and state[1] is None:
        state = state[0]
    if state is None:
        state = {}
    if type(state) is not dict:
        raise _refused(record, f"has a {type(state).__name__} as its state, not a dict of attributes")
    found: dict[str, Any] = dict(state)
    if not all(type(name) is str and name.isidentifier() for name in found):
        raise _refused(record, "has an attribute whose name is no identifier")
    if torch_nn.hook_state(target, found):
        return found
    if issubclass(type(target), nn.Module):
        for part in ("_parameters", "_buffers", "_modules"):
            if not issubclass(type(found.get(part)), dict):
                raise _refused(record, f"has no {part}, as every module has")
        if found.get("_compiled_call_impl", True) is None:
            del found["_compiled_call_impl"]
        fill(type(target), found)
    for name in found:
        _check_name(type(target), name, record)
    return found


def _check_name(cls: type, name: str, record: Record) -> None:
    # SECURITY: Python itself uses dunders; and a name of the class would replace a method by what the file has chosen.
    if name.startswith("__") or name == "_compiled_call_impl" or torch_nn.shadows(cls, name):
        raise _refused(record, f"sets {name[:100]!a}, which belongs to the class")


def _refused(record: Record, why: str) -> UnsafeCheckpoint:
    what = ascii(f"{record.module}.{record.qualname}")[1:-1][:200]
    return UnsafeCheckpoint(f"{what} was not rebuilt: it {why}; load it with unvetted='record' and without trust")


def _own_setstate(cls: type) -> str | None:
    """The base class whose `__setstate__` pickle would call, unless `fill` does the same; else None."""
    for above in cls.__mro__:
        if "__setstate__" in vars(above) and torch_nn.classes().get(place_of(above)) is not above:
            return f"{above.__module__}.{above.__qualname__}"
    return None


def _class(item: object) -> type:
    """The class that the caller has given, or named. Raises UsageError."""
    if isinstance(item, type):
        return item
    if not isinstance(item, str):
        raise UsageError(f"trust takes classes and dotted names of classes, not {item!r}")
    parts = item.split(".")
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        raise UsageError(f"trust={item!r} is no dotted name of a class, such as 'package.module.Net'")
    for cut in range(len(parts) - 1, 0, -1):
        module = _imported(".".join(parts[:cut]), item)
        if module is None:
            continue
        found: object = module
        for part in parts[cut:]:
            found = getattr(found, part, None)
        if isinstance(found, type):
            return found
        what = "is not there" if found is None else f"is a {type(found).__name__}, and only classes can be trusted"
        raise UsageError(f"trust={item!r}: {what}")
    raise UsageError(f"trust={item!r} cannot be imported: no module named {parts[0]!r}")


def _imported(name: str, item: str) -> object:
    """The module `name`; None when there is none. SECURITY: `name` is from the caller, never from a file."""
    if name in sys.modules:
        return sys.modules[name]
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            return None
        raise UsageError(f"trust={item!r} cannot be imported: {error}") from error
    except Exception as error:
        raise UsageError(f"trust={item!r} cannot be imported: {type(error).__name__}: {error}") from error


def _unfit(cls: type) -> str | None:
    """Why `object.__new__(cls)` and attributes do not make a whole instance of `cls`; None when they do."""
    if type(cls) not in (type, ABCMeta):
        return f"its metaclass {type(cls).__name__} makes instances in a way of its own"
    if cls.__flags__ & _ABSTRACT:
        return "it is abstract"
    for above in cls.__mro__[:-1]:
        held = vars(above).values()
        if not above.__flags__ & _HEAP_TYPE or type(vars(above).get("__new__")) is BuiltinFunctionType:
            return f"{above.__qualname__} is written in C, or derives from it"
        if any(type(value) is MemberDescriptorType for value in held):
            return f"{above.__qualname__} keeps attributes in slots"
    if not cls.__dictoffset__ or cls.__itemsize__ or cls.__basicsize__ > _Plain.__basicsize__:
        return "its instances hold more, or less, than a __dict__"
    if "<locals>" in cls.__qualname__:
        return "it is defined inside a function, so no file can name it"
    return None
