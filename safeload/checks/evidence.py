"""Writes effects as short text for people: "posix.system('id > x')".

All of it comes from the file. So every string is written as ASCII with escapes, every length is bounded, and so are
depth (a few levels) and width: no tree can make it slow, or a terminal misbehave.
"""

from __future__ import annotations

from safeload.document.cell import Cell
from safeload.document.document import Built, Symbol, TensorSpec
from safeload.document.record import Record
from safeload.machine.program import Call, Extension, Global, Mutation, Persistent

_WIDTH = 6
_TEXT = 120
_SORTED = 20
"""How many elements of a set are written. To sort them, each has to be written first, at every level."""

_TOTAL = 400
_BRACKETS = {list: ("[", "]"), tuple: ("(", ")")}

_Container = list[object] | tuple[object, ...] | set[object] | frozenset[object] | dict[object, object]


def global_name(node: Global) -> str:
    """Module and name, joined by a dot, as ASCII."""
    return ascii(f"{node.module}.{node.name}")[1:-1][:_TEXT]


def describe(value: object, depth: int = 3) -> str:
    """`value` in the form of Python source, cut where it gets long."""
    text = _shown(value, depth)
    return text if len(text) <= _TOTAL else text[: _TOTAL - 3] + "..."


def _shown(value: object, depth: int) -> str:
    if isinstance(value, str | bytes | bytearray):
        cut = value[:_TEXT]
        text = ascii(cut)
        return text if len(cut) == len(value) else f"{text}... ({len(value)} in all)"
    if value is None or isinstance(value, bool | float):
        return repr(value)
    if isinstance(value, int):
        return repr(value) if value.bit_length() < 256 else f"<int of {value.bit_length()} bits>"
    if isinstance(value, Cell):
        return _node(value, depth)
    if isinstance(value, list | tuple | set | frozenset | dict):
        return _container(value, depth)
    return _leaf(value)


def _container(value: _Container, depth: int) -> str:
    opening, closing = _BRACKETS.get(type(value), ("{", "}"))
    if not value:
        return opening + closing
    if depth <= 0:
        return f"{opening}...{closing}"
    if isinstance(value, set | frozenset):
        return _unordered(value, depth)
    parts = []
    for index, item in enumerate(value):
        if index == _WIDTH:
            parts.append(f"... {len(value) - _WIDTH} more")
            break
        part = _shown(item, depth - 1)
        if isinstance(value, dict):
            part = f"{part}: {_shown(value[item], depth - 1)}"
        parts.append(part)
    tail = "," if isinstance(value, tuple) and len(value) == 1 else ""
    return f"{opening}{', '.join(parts)}{tail}{closing}"


def _unordered(value: set[object] | frozenset[object], depth: int) -> str:
    """A set, with its elements sorted by their texts: evidence has to be the same in every run, the order is not."""
    if len(value) > _SORTED:
        return f"{{... {len(value)} elements}}"
    parts = sorted(_shown(item, depth - 1) for item in value)
    if len(parts) > _WIDTH:
        parts[_WIDTH:] = [f"... {len(parts) - _WIDTH} more"]
    return f"{{{', '.join(parts)}}}"


def _node(node: Cell, depth: int) -> str:
    if isinstance(node, Global):
        return global_name(node)
    if isinstance(node, Call):
        return call_text(node, depth)
    if isinstance(node, Persistent):
        # A file may chain persistent loads as long as it likes: `depth` ends the walk.
        pid = "..." if depth <= 0 and isinstance(node.pid, Cell) else _shown(node.pid, depth - 1)
        return f"<persistent {pid}>"
    if isinstance(node, Extension):
        return f"<extension {node.code}>"
    return f"<{type(node).__name__.lower()}>"


def call_text(call: Call, depth: int = 3) -> str:
    """A call with its arguments."""
    # So may it chain calls of what a call returns.
    func = "..." if depth <= 0 and isinstance(call.func, Call | Persistent) else _shown(call.func, depth - 1)
    if depth <= 0:
        return f"{func}(...)"
    return f"{func}({arguments_text(call, depth)})"


def arguments_text(call: Call, depth: int = 3) -> str:
    """The arguments of a call, without the parentheses."""
    if type(call.args) is not tuple:
        return f"*{_shown(call.args, depth - 1)}"
    shown = [_shown(arg, depth - 1) for arg in call.args[:_WIDTH]]
    if len(call.args) > _WIDTH:
        shown.append(f"... {len(call.args) - _WIDTH} more")
    if call.kwargs:
        shown.append(f"**{_shown(call.kwargs, depth - 1)}")
    return ", ".join(shown)


def mutation_text(change: Mutation) -> str:
    """A change: a state that is set, or items that are added."""
    verb = {"build": "state", "append": "append", "setitem": "items", "additem": "add"}[change.kind]
    return describe_pair(change.target, verb, change.payload)


def describe_pair(target: object, verb: str, payload: object) -> str:
    """The text "target <- verb payload", bounded in length."""
    text = f"{_shown(target, 2)} <- {verb} {_shown(payload, 2)}"
    return text if len(text) <= _TOTAL else text[: _TOTAL - 3] + "..."


def _leaf(value: object) -> str:
    if isinstance(value, Symbol):
        return value.name
    if isinstance(value, Record):
        return repr(value)
    if isinstance(value, Built):
        return f"<{value.kind}>"
    if isinstance(value, TensorSpec):
        more = ", ..." if len(value.shape) > _WIDTH else ""
        return f"<tensor {value.dtype} [{', '.join(map(str, value.shape[:_WIDTH]))}{more}]>"
    return f"<{type(value).__name__}>"
