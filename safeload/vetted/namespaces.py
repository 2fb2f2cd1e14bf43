"""argparse.Namespace and types.SimpleNamespace: bags of attributes, as training scripts keep their options.

Semantics: `object.__reduce_ex__` (CPython 3.11 Lib/copyreg.py and Objects/typeobject.c) and `namespace.__reduce__`
(Objects/namespaceobject.c): an empty object, then BUILD with the dict of its attributes.
"""

from __future__ import annotations

from functools import cache

from safeload.document.document import Built
from safeload.machine.program import Call, Mutation
from safeload.vetted.consumption import attributes, known, made
from safeload.vetted.interface import Constructor, Context

_NEW = frozenset({"reduce", "newobj"})


@cache
def _of_namespace() -> frozenset[str]:
    """The attributes that a Namespace has from its class: a file may not hide them."""
    import argparse

    return frozenset(dir(argparse.Namespace))


def namespace(call: Call, ctx: Context) -> Built:
    """`Namespace()`. Its attributes come with BUILD, never as keyword arguments."""
    known(call)
    return Built("argparse.Namespace")


def simple_namespace(call: Call, ctx: Context) -> Built:
    """`SimpleNamespace()`."""
    known(call)
    return Built("types.SimpleNamespace")


def change(call: Call, mutation: Mutation, ctx: Context) -> None:
    """BUILD sets attributes; a later BUILD overwrites those of an earlier one."""
    built = made(call, "argparse.Namespace", "types.SimpleNamespace")
    taken = _of_namespace() if built.kind == "argparse.Namespace" else frozenset()
    found = attributes(ctx, mutation, taken)
    if built.state is None:
        built.state = found
    else:
        built.state.update(found)


CONSTRUCTORS: tuple[Constructor, ...] = (
    Constructor("namespace", namespace, change, _NEW),
    Constructor("simple-namespace", simple_namespace, change, _NEW),
)
