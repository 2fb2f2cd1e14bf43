"""Effects in words: what unpickling would do there. Every text is printable ASCII of bounded length."""

from __future__ import annotations

from safeload.checks.evidence import arguments_text, describe, global_name
from safeload.machine import Call, Effect, Extension, Global, Mutation, Persistent

LONGEST = 400
"""Characters of one text."""


def plain(text: str, most: int = LONGEST) -> str:
    """`text` as printable ASCII, cut."""
    shown = text[: most + 1]
    if not (shown.isascii() and shown.isprintable()):
        shown = ascii(shown)[1:-1]
    return shown if len(shown) <= most else f"{shown[: most - 3]}..."


def named(effect: Effect) -> Global | None:
    """The name behind an effect: what is imported, called, or of whose object something is changed."""
    node: object = effect.target if isinstance(effect, Mutation) else effect
    if isinstance(node, Call):
        node = node.func
    # Legacy files name the classes of pickled modules through a persistent id.
    while isinstance(node, Persistent) and node is not effect and isinstance(node.value, Global | Persistent):
        node = node.value
    return node if isinstance(node, Global) else None


def name_of(effect: Effect) -> str:
    """The name behind an effect, or what stands in its place."""
    node = named(effect)
    return global_name(node) if node is not None else "what an earlier step made"


def alike(effect: Effect) -> str:
    """The same for effects that are told together: what kind, and of what name."""
    if isinstance(effect, Global):
        return "import"
    if isinstance(effect, Call):
        node = named(effect)
        return f"call {effect.kind} {node.module} {node.name}" if node is not None else "call"
    if isinstance(effect, Mutation):
        node = named(effect)
        return f"{effect.kind} {node.module} {node.name}" if node is not None else effect.kind
    return type(effect).__name__


def one(effect: Effect, *, follows: bool = False) -> str:
    """One effect; `follows` when it calls what the step before imports."""
    if isinstance(effect, Global):
        return plain(f"imports {global_name(effect)}{_spelled(effect)}")
    if isinstance(effect, Call):
        return plain(_call(effect, "it" if follows else function(effect)))
    if isinstance(effect, Mutation):
        return plain(mutation(effect, shown=True))
    if isinstance(effect, Persistent):
        return plain(_load(effect))
    if isinstance(effect, Extension):
        return f"imports whatever is registered in copyreg under the number {effect.code}"
    return "takes bytes that lie outside of the pickle"


def _spelled(node: Global) -> str:
    """How the stream spells a name that CPython renames."""
    if (node.raw_module, node.raw_name) == (node.module, node.name):
        return ""
    return f" (spelled {plain(f'{node.raw_module}.{node.raw_name}', 80)})"


def function(call: Call) -> str:
    """What is called."""
    node = named(call)
    return global_name(node) if node is not None else f"what {describe(call.func, 1)} gives"


def _call(call: Call, name: str) -> str:
    arguments = arguments_text(call)
    with_them = f"with {arguments}" if arguments else "without arguments"
    if call.kind in {"newobj", "newobj_ex"}:
        return f"makes an instance of {name} {with_them} (__new__ alone, no __init__)"
    return f"calls {name} {with_them}"


def mutation(change: Mutation, *, shown: bool) -> str:
    """A state or items given to an object; with `shown`, which."""
    of = name_of(change)
    if isinstance(change.target, Call) and named(change) is not None:
        of = f"{'an' if of[:1] in set('aeiouAEIOU') else 'a'} {of}"
    what = f": {describe(change.payload, 2)}" if shown else ""
    verb = {
        "build": "gives its state to",
        "append": "appends items to",
        "setitem": "sets items of",
        "additem": "adds items to",
    }[change.kind]
    return f"{verb} {of}{what}"


def _load(node: Persistent) -> str:
    pid = node.pid
    if isinstance(pid, tuple) and len(pid) >= 5 and isinstance(pid[1], Global) and isinstance(pid[2], str):
        numel = f" of {pid[4]} elements" if type(pid[4]) is int and pid[4].bit_length() < 64 else ""
        return f"asks the loader for storage {plain(ascii(pid[2]), 60)}: {global_name(pid[1])}{numel}"
    return f"asks the loader for {describe(pid, 2)}"
