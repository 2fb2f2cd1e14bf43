"""`safeload.state_dict`: the walk over the modules of a graph, in torch's order.

Iterative, because the depth of a graph is the file's choice; each module is read once and visited on every path, as
torch does, with a bound on all visits together (two references a level make 2^40 paths of 40 modules).
Semantics: torch/nn/modules/module.py `Module.state_dict`, torch 2.13.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from itertools import islice

from safeload.document.document import Built, resolve
from safeload.document.record import Record
from safeload.errors import Malformed, UsageError
from safeload.modules.node import Node, attributes, computed, is_leaf, is_module, leaf, mapping, read

# The largest models have some 200,000 modules and names (experts); a shared module counts on every path. An entry
# costs up to 0.5 KB.
MOST_ENTRIES = 1_000_000
# ... and the characters of all their paths: names are the file's choice too.
MOST_TEXT = 128 << 20
_LOOKED_AT = 10_000
_SHOWN = 6


def state_dict(obj: object) -> OrderedDict[str, object]:
    """The state_dict of a pickled nn.Module, without its class: what `torch.nn.Module.state_dict` would give.

    Parameters, then persistent buffers, then children; entries that are None are left out. Real tensors are detached
    and share their storage with the graph. What is no tensor of torch (a Record of a tensor class outside the vetted
    table) stays what it is. `_metadata` holds the version of each module: exact for classes of torch (as of torch 2.13)
    and for real modules; for any other class `{"version": ..., "inferred": True}`, because only the class knows it, and
    nobody can tell whether it adds extra state. A batch norm saved before torch 0.4.1 says version 1, so that
    load_state_dict knows what is missing.

    Args:
        obj: A Record of a module (`safeload.load(..., unvetted="record")`), a real nn.Module that may hold Records, or
            a dict that already is a state_dict: an OrderedDict comes back as it is, a plain dict as an OrderedDict.

    Returns:
        An OrderedDict of dotted names to tensors.

    Raises:
        UsageError: `obj` holds no module (the message names the keys that do), or one whose state_dict is computed by
            code: quantized, pruned, sharded and scripted modules, or a hook other than spectral_norm's.
        Malformed: A graph that torch cannot have made: cycles, dotted or empty names, entries that are no tensors, or
            more than MOST_ENTRIES names.

    Semantics: torch/nn/modules/module.py `Module.state_dict`, torch 2.13.

    Example:
        >>> record = safeload.load("whole_model.pt", unvetted="record")
        >>> list(safeload.state_dict(record))
        ['weight', 'bias']
    """
    root = resolve(obj)
    if is_module(root) or computed(root):
        return _walk(root)
    given = _given(root)
    if given is not None:
        return given
    raise UsageError(_no_module(root))


def _walk(root: object) -> OrderedDict[str, object]:
    result: OrderedDict[str, object] = OrderedDict()
    metadata: OrderedDict[str, object] = OrderedDict()
    nodes: dict[int, Node] = {}
    above: set[int] = set()
    entries = text = 0
    # (module, prefix, its name was visited and everything below it is done)
    todo: list[tuple[object, str, bool]] = [(root, "", False)]
    while todo:
        value, prefix, done = todo.pop()
        if done:
            above.discard(id(value))
            continue
        if id(value) in above:
            raise Malformed(f"the module at {_place(prefix)} holds itself")
        node = nodes.get(id(value))
        if node is None:
            node = nodes[id(value)] = read(value, _place(prefix))
        entries += node.entries
        text += node.entries * len(prefix)
        if entries > MOST_ENTRIES or text > MOST_TEXT:
            raise Malformed(f"the modules have more than {MOST_ENTRIES} names: shared ones double at every level")
        metadata[prefix[:-1]] = dict(node.metadata)
        for name, parameter in node.parameters.items():
            if resolve(parameter) is not None:
                result[prefix + name] = leaf(parameter, prefix + name)
        for name, buffer in node.buffers.items():
            if name not in node.volatile and resolve(buffer) is not None:
                result[prefix + name] = leaf(buffer, prefix + name)
        above.add(id(value))
        todo.append((value, "", True))
        children = [(resolve(child), f"{prefix}{name}.", False) for name, child in node.children.items()]
        todo.extend(item for item in reversed(children) if item[0] is not None)
    vars(result)["_metadata"] = metadata
    return result


def _place(prefix: str) -> str:
    return prefix[:-1] or "the root"


def _given(value: object) -> OrderedDict[str, object] | None:
    """`value` when it is a state_dict already: names to tensors and nothing else."""
    if isinstance(value, OrderedDict):
        found = value
    else:
        items = mapping(value)
        if items is None:
            return None
        found = OrderedDict((key, resolve(item)) for key, item in items.items())
        if isinstance(value, Built) and value.state and (metadata := mapping(value.state.get("_metadata"))):
            vars(found)["_metadata"] = OrderedDict((k, dict(mapping(v) or {})) for k, v in metadata.items())
    if found and all(type(key) is str and is_leaf(item) for key, item in found.items()):
        return found
    return None


def _no_module(value: object) -> str:
    """Why there is no state_dict in `value`, and where in it there is one."""
    items: Iterable[tuple[object, object]] = ()
    if isinstance(value, list | tuple):
        items = enumerate(value)
    elif isinstance(value, Record):
        items = attributes(value).items()
    else:
        items = (mapping(value) or {}).items()
    found = []
    for key, item in islice(items, _LOOKED_AT):
        item = resolve(item)
        if is_module(item) or _given(item) is not None:
            found.append(f".{ascii(key)[1:-1][:80]}" if isinstance(value, Record) else f"[{ascii(key)[:80]}]")
    what = f"a record of {value.module}.{value.qualname}" if isinstance(value, Record) else f"a {type(value).__name__}"
    if not found:
        return f"{ascii(what)[1:-1][:200]} is no module and holds none: there is no state_dict to give"
    shown = ", ".join(found[:_SHOWN]) + (", ..." if len(found) > _SHOWN else "")
    return f"{ascii(what)[1:-1][:200]} is no module; give state_dict what it holds at {shown}"
