"""The text of a tree -> the program that it describes, to be judged like any pickle's.

Gives nodes of the machine (names, calls, changes, in the order in which they would run) and means nothing by them: what
a name is and what a call denotes is said by the policy and by `vetted/`, as for a pickle. Imports, calls and builds
nothing. docs/tree-format.md is the description.

Contract: returns, or raises Malformed or LimitExceeded, for any text; anything else is our bug. What `read` raises
passes through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from safeload.document.document import TensorSpec
from safeload.errors import Malformed
from safeload.limits import Limits
from safeload.machine.program import Program
from safeload.tree.interface import FORMAT, VERSION, Decoded
from safeload.tree.json_text import Object, parse
from safeload.tree.nodes import Nodes
from safeload.tree.objects import Objects
from safeload.tree.storages import Storages

# JSON levels for one of a Document: an object in a list in the payload of a change is one attribute of one object.
_LEVELS = 8
_FIELDS = frozenset({"format", "version", "storages", "aside", "root"})


def decode(text: str, tensors: Mapping[str, TensorSpec], limits: Limits, read: Callable[[str], bytes]) -> Decoded:
    """The program of a tree.

    tensors   the tensors of the safetensors file by name, as its header declares them; `storage.key` is the name
    read      all bytes of a tensor of the file
    """
    top = parse(text, depth=_LEVELS * limits.depth, values=limits.opcodes)
    if type(top) is not Object or top.get("format") != FORMAT:
        raise Malformed(f"no tree: its format is not {FORMAT!r}", offset=0)
    version = top.get("version")
    if type(version) is not int or version != VERSION:
        raise Malformed(f"a tree of version {str(version)[:20]}, which this safeload does not know", offset=0)
    if not top.keys() <= _FIELDS or "root" not in top:
        raise Malformed("no tree: it has other fields than format, version, storages, aside and root", offset=0)
    program = Program(0)
    nodes = Nodes(program, Storages(tensors, top.get("storages"), read), limits)
    program.value = Objects(nodes, limits).build(top["root"])
    nodes.storages.complete(top.get("aside"))
    program.end = len(text)
    program.whole = True
    return Decoded(program, nodes.storages.objects, tuple(nodes.dropped.items()))
