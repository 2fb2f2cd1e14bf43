"""What the strings in a parsed template come to, where the template alone decides it. Runs nothing of the template.

Computes a closed list of operations on texts, numbers and lists that stand in the template, within a budget. Whatever
else a template does with a text has no value here, and `strings_of` says from which texts it starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from safeload.errors import LimitExceeded
from safeload.limits import Limits

if TYPE_CHECKING:
    from jinja2 import nodes

_LONGEST = 4096
"""Letters of a folded text, and parts of a folded list: names that lead anywhere are short."""

_DEEPEST = 60
"""Expressions in expressions that are followed; deeper, a value is not told."""

_BYTES_A_STEP = 8
"""Bytes that a template may have, for each step of working it out: long ones of public models take 300 steps."""

_GIVEN = ("messages", "tools", "documents")
"""Names that whoever renders a chat gives the template, although it may set them where they are missing."""

_ASKED = ("defined", "undefined", "none")
"""Tests by which a template asks whether a name was given."""

_MOST = 64
"""Values kept of a name that a template sets in several places."""

_METHODS: dict[str, Callable[..., Any]] = {
    "join": lambda text, parts: text.join(map(str, parts)),
    "replace": lambda text, old, new: text.replace(old, new),
    "lower": lambda text: text.lower(),
    "upper": lambda text: text.upper(),
    "strip": lambda text, *chars: text.strip(*chars),
    "lstrip": lambda text, *chars: text.lstrip(*chars),
    "rstrip": lambda text, *chars: text.rstrip(*chars),
    "title": lambda text: text.title(),
    "capitalize": lambda text: text.capitalize(),
    "swapcase": lambda text: text.swapcase(),
    "split": lambda text, *args: text.split(*args),
    "removeprefix": lambda text, part: text.removeprefix(part),
    "removesuffix": lambda text, part: text.removesuffix(part),
}
"""Methods of a text that are computed, arguments as Python takes them."""

_FILTERS: dict[str, Callable[..., Any]] = {
    "lower": lambda value: str(value).lower(),
    "upper": lambda value: str(value).upper(),
    "title": lambda value: str(value).title(),
    "capitalize": lambda value: str(value).capitalize(),
    "trim": lambda value, *chars: str(value).strip(*chars),
    "string": str,
    "safe": lambda value: value,
    "replace": lambda value, old, new: str(value).replace(str(old), str(new)),
    "reverse": lambda value: value[::-1],
    "join": lambda value, text="": str(text).join(map(str, value)),
    "first": lambda value: value[0],
    "last": lambda value: value[-1],
    "list": list,
}
"""Filters that are computed, as jinja2/filters.py defines them for texts and lists."""


class _Untold(Exception):
    """The template alone does not decide the value."""


class _TooMuch(_Untold):
    """It may decide the value, and working it out takes too much."""


_FAILURES = (_Untold, TypeError, ValueError, LookupError, AttributeError, ArithmeticError)


class Folding:
    """The values of the expressions of one template, given all its `nodes`."""

    def __init__(self, every: Iterable[nodes.Node], limits: Limits) -> None:
        from jinja2 import nodes

        self._set: dict[str, list[nodes.Node]] = {}
        self._unknown: set[str] = set()
        self._steps = limits.template_bytes // _BYTES_A_STEP
        self._visits = limits.template_bytes // _BYTES_A_STEP
        self._owned: dict[int, bool] = {}
        self._worked: dict[int, bool] = {}
        self._macros: dict[str, nodes.Macro] = {}
        listed = tuple(every)
        self._given = set(_GIVEN)
        for node in listed:
            if isinstance(node, nodes.Macro):
                self._macros[node.name] = node
            elif isinstance(node, nodes.Test) and isinstance(node.node, nodes.Name) and node.name in _ASKED:
                self._given.add(node.node.name)
        for node in listed:
            if isinstance(node, nodes.Assign):
                self._bind(node.target, node.node)
            elif isinstance(node, nodes.AssignBlock):
                self._bind_block(node)
            elif isinstance(node, nodes.With):
                for target, value in zip(node.targets, node.values, strict=False):
                    self._bind(target, value)
            elif isinstance(node, nodes.For):
                self._bind_loop(node)
            elif isinstance(node, nodes.Macro | nodes.CallBlock):
                self._bind_parameters(node)
            elif isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name):
                self._bind_arguments(node, node.node.name)

    def _bind_parameters(self, node: nodes.Macro | nodes.CallBlock) -> None:
        for parameter in node.args:
            self._unknown.add(parameter.name)
        for parameter, value in zip(reversed(node.args), reversed(node.defaults), strict=False):
            self._set.setdefault(parameter.name, []).append(value)

    def _bind_arguments(self, call: nodes.Call, name: str) -> None:
        """What a call hands to a macro of the template flows into its parameters."""
        macro = self._macros.get(name)
        if macro is None:
            return
        for parameter, value in zip(macro.args, call.args, strict=False):
            self._set.setdefault(parameter.name, []).append(value)
        for pair in call.kwargs:
            self._set.setdefault(pair.key, []).append(pair.value)

    def _bind(self, target: nodes.Node, value: nodes.Node) -> None:
        from jinja2 import nodes

        if isinstance(target, nodes.Name | nodes.NSRef):
            self._set.setdefault(_label(target), []).append(value)
        elif isinstance(target, nodes.Tuple):
            parts = value.items if isinstance(value, nodes.Tuple | nodes.List) else []
            for number, item in enumerate(target.items):
                if len(parts) == len(target.items):
                    self._bind(item, parts[number])
                elif isinstance(item, nodes.Name | nodes.NSRef):
                    self._set.setdefault(_label(item), []).append(value)
                    self._unknown.add(_label(item))

    def _bind_block(self, node: nodes.AssignBlock) -> None:
        from jinja2 import nodes

        if isinstance(node.target, nodes.Name | nodes.NSRef):
            for part in node.body:
                if isinstance(part, nodes.Output):
                    self._set.setdefault(_label(node.target), []).extend(part.nodes)
            self._unknown.add(_label(node.target))

    def _bind_loop(self, node: nodes.For) -> None:
        """What a loop goes through flows into its variables."""
        from jinja2 import nodes

        for name in node.target.find_all(nodes.Name) if isinstance(node.target, nodes.Tuple) else (node.target,):
            if isinstance(name, nodes.Name):
                self._set.setdefault(name.name, []).append(node.iter)
                self._unknown.add(name.name)

    def fold(self, node: nodes.Node) -> Any:
        """The one value of `node`, None when it has several or none that can be told."""
        values = self.values(node)
        return values[0] if values is not None and len(values) == 1 else None

    def values(self, node: nodes.Node) -> list[Any] | None:
        """Every value that `node` can have, None when not all of them can be told."""
        try:
            return self._values(node, 0)
        except _FAILURES:
            return None

    def bound(self, node: nodes.Node) -> list[nodes.Node]:
        """The expressions that flow into the name, or the part of a namespace, that `node` is."""
        return self._set.get(_label(node), [])

    def sources(self, node: nodes.Node) -> list[nodes.Node]:
        """`node` and everything that flows into it, each once, as far as a template of any sense goes."""
        seen: dict[int, nodes.Node] = {}
        todo = [node]
        while todo:
            item = todo.pop()
            if id(item) in seen:
                continue
            self._visits -= 1
            if self._visits < 0:
                raise LimitExceeded("what flows into the keys of a chat template", limit="template_bytes")
            seen[id(item)] = item
            todo.extend(self.bound(item))
            todo.extend(item.iter_child_nodes())
        return list(seen.values())

    def builds(self, node: nodes.Node) -> bool:
        """Whether a text that flows into `node` is made out of others, rather than taken as it is."""
        return any(_is_made(item) for item in self.sources(node))

    def untold(self, node: nodes.Node) -> bool:
        """Whether something that flows into `node` is decided by the template alone, and was not worked out."""
        return any(self._unworked(item) for item in self.sources(node) if _is_made(item))

    def _unworked(self, node: nodes.Node) -> bool:
        known = self._worked.get(id(node))
        if known is None:
            try:
                self._values(node, 0)
                known = False
            except _TooMuch:
                known = True
            except _FAILURES:
                known = self._own(node)
            self._worked[id(node)] = known
        return known

    def _own(self, node: nodes.Node) -> bool:
        """Whether no part of `node` comes from outside the template."""
        from jinja2 import nodes

        known = self._owned.get(id(node))
        if known is None:
            names = [item for item in self.sources(node) if isinstance(item, nodes.Name)]
            known = not any(name.name in self._given or not self.bound(name) for name in names)
            self._owned[id(node)] = known
        return known

    def _values(self, node: nodes.Node, depth: int) -> list[Any]:
        from jinja2 import nodes

        self._steps -= 1
        if self._steps < 0 or depth > _DEEPEST:
            raise _TooMuch
        if isinstance(node, nodes.Const):
            return [node.value]
        if isinstance(node, nodes.TemplateData):
            return [node.data]
        if isinstance(node, nodes.Name):
            if node.name in self._unknown or node.name not in self._set:
                raise _Untold
            found = [value for item in self._set[node.name] for value in self._values(item, depth + 1)]
            if len(found) > _MOST:
                raise _TooMuch
            return found
        if isinstance(node, nodes.CondExpr):
            other = [None] if node.expr2 is None else self._values(node.expr2, depth + 1)
            return self._values(node.expr1, depth + 1) + other
        return [_checked(self._one(node, depth + 1))]

    def _one(self, node: nodes.Node, depth: int) -> Any:
        from jinja2 import nodes

        def part(item: nodes.Node) -> Any:
            found = self._values(item, depth)
            if len(found) != 1:
                raise _Untold
            return found[0]

        if isinstance(node, nodes.List | nodes.Tuple):
            return [part(item) for item in node.items]
        if isinstance(node, nodes.Dict):
            return {part(pair.key): part(pair.value) for pair in node.items}
        if isinstance(node, nodes.Concat):
            return "".join(str(part(item)) for item in node.nodes)
        if isinstance(node, nodes.Add):
            return part(node.left) + part(node.right)
        if isinstance(node, nodes.Mul):
            return _times(part(node.left), part(node.right))
        if isinstance(node, nodes.Mod):
            return _formatted(part(node.left), part(node.right))
        if isinstance(node, nodes.Sub):
            return part(node.left) - part(node.right)
        if isinstance(node, nodes.Neg):
            return -part(node.node)
        if isinstance(node, nodes.Getitem):
            return part(node.node)[self._index(node.arg, part)]
        if isinstance(node, nodes.Filter) and node.node is not None and node.name in _FILTERS and not node.kwargs:
            return _FILTERS[node.name](part(node.node), *map(part, node.args))
        if isinstance(node, nodes.Filter) and node.node is not None and node.name == "format" and not node.kwargs:
            return _formatted(part(node.node), [part(item) for item in node.args])
        if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr) and not node.kwargs:
            return self._method(node.node, [part(item) for item in node.args], part)
        raise _Untold

    def _index(self, arg: nodes.Node, part: Callable[[nodes.Node], Any]) -> Any:
        from jinja2 import nodes

        if not isinstance(arg, nodes.Slice):
            return part(arg)
        ends = [None if item is None else part(item) for item in (arg.start, arg.stop, arg.step)]
        return slice(*ends)

    def _method(self, callee: nodes.Getattr, args: list[Any], part: Callable[[nodes.Node], Any]) -> Any:
        text = part(callee.node)
        if not isinstance(text, str) or callee.attr not in _METHODS:
            if isinstance(text, str) and callee.attr == "format":
                return _braced(text, args)
            raise _Untold
        return _METHODS[callee.attr](text, *args)


def strings_of(node: nodes.Node, folding: Folding) -> list[str]:
    """The texts of the template that flow into the expression `node`, and what those come to that can be told."""
    from jinja2 import nodes

    found: list[str] = []
    for item in folding.sources(node):
        if isinstance(item, nodes.Const) and isinstance(item.value, str):
            found.append(item.value)
        elif isinstance(item, nodes.TemplateData):
            found.append(item.data)
        elif _is_made(item) and (values := folding.values(item)) is not None:
            found.extend(value for value in values if isinstance(value, str))
    return found


def _is_made(node: nodes.Node) -> bool:
    """Whether the expression is an operation that can give a new text."""
    from jinja2 import nodes

    return isinstance(node, nodes.Concat | nodes.Add | nodes.Mod | nodes.Mul | nodes.Filter) or (
        isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr)
    )


def _label(node: nodes.Node) -> str:
    """What a value is set under: "name", or "namespace.name"."""
    from jinja2 import nodes

    if isinstance(node, nodes.NSRef):
        return f"{node.name}.{node.attr}"
    if isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name):
        return f"{node.node.name}.{node.attr}"
    return node.name if isinstance(node, nodes.Name) else ""


def _checked(value: Any) -> Any:
    if isinstance(value, str | list):
        if len(value) > _LONGEST:
            raise _TooMuch
    elif isinstance(value, int) and abs(value) >= 1 << 64:
        raise _TooMuch
    return value


def _times(left: Any, right: Any) -> Any:
    if isinstance(left, int) and isinstance(right, str | list):
        left, right = right, left
    if isinstance(left, str | list) and isinstance(right, int) and len(left) * right > _LONGEST:
        raise _TooMuch
    return left * right


def _formatted(text: Any, values: Any) -> Any:
    """`text % values` for %s, %c and %d, the forms without widths: a width could make a text of any length."""
    if not isinstance(text, str):
        return text % values
    parts = iter(values if isinstance(values, list) else [values])
    return "".join(_percent(text, parts))


def _percent(text: str, parts: Iterator[Any]) -> Iterator[str]:
    at = 0
    while (found := text.find("%", at)) >= 0:
        yield text[at:found]
        form = text[found + 1 : found + 2]
        if form == "%":
            yield "%"
        elif form in ("s", "c", "d"):
            value = next(parts, None)
            yield chr(value) if form == "c" and isinstance(value, int) else str(value)
        else:
            raise _Untold
        at = found + 2
    yield text[at:]


def _braced(text: str, values: list[Any]) -> str:
    """`text.format(*values)` for {} and {0} alone."""
    out: list[str] = []
    at = count = 0
    while (found := text.find("{", at)) >= 0:
        end = text.find("}", found)
        inner = text[found + 1 : end]
        if end < 0 or not (inner == "" or (inner.isascii() and inner.isdigit() and len(inner) < 4)):
            raise _Untold
        out += [text[at:found], str(values[int(inner) if inner else count])]
        count += 1
        at = end + 1
    return "".join([*out, text[at:]])
