"""Chat templates: text in the language of Jinja, parsed and never rendered, compiled or optimised.

transformers renders them in a sandbox that refuses what is reported here; other programs render the same text without
one. From a template everything in the process is one chain of attributes away ("".__class__.__mro__ ...), and a chain
has to begin with a name that begins with an underscore, or with one of few names inside Python's own frames and
generators. No template needs such a name, so each is dangerous, however the template comes by it: as an attribute, as a
subscript, as the argument of a filter, whole or put together from pieces.

A key that only the chat knows (message[key]) is ordinary, and silent.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from safeload.errors import LimitExceeded
from safeload.findings import Finding, Severity, Verdict
from safeload.limits import Limits
from safeload.scanning.units.interface import unread
from safeload.scanning.units.templates.folding import Folding, strings_of

if TYPE_CHECKING:
    from jinja2 import Environment, nodes

_INTERNAL_WORDS = """
mro gi_frame gi_code gi_yieldfrom cr_frame cr_code ag_frame ag_code tb_frame tb_next f_globals f_locals f_builtins
f_code f_back func_globals func_code func_closure func_defaults im_func im_self im_class co_code co_consts
"""
_INTERNAL = frozenset(_INTERNAL_WORDS.split())

_BY_NAME = {
    "attr": (0, "name"),
    "map": (None, "attribute"),
    "sum": (0, "attribute"),
    "sort": (2, "attribute"),
    "unique": (1, "attribute"),
    "min": (1, "attribute"),
    "max": (1, "attribute"),
    "groupby": (0, "attribute"),
    "join": (1, "attribute"),
    "selectattr": (0, None),
    "rejectattr": (0, None),
}
"""Filters that get an attribute by its name: place of the argument among the positional ones, and its keyword."""

_REMEDY = "do not render this template outside a sandbox; delete it, or use the template of the model's publisher"


def judge_template(text: str, member: str, where: str, limits: Limits) -> Iterator[Finding]:
    """What is wrong with one template; nothing for one that only formats a chat. `where` names it within the member."""
    if len(text) > limits.template_bytes:
        raise LimitExceeded(f"{where} is a text of {len(text)} letters", limit="template_bytes")
    from jinja2 import TemplateSyntaxError

    try:
        tree = _environment().parse(text)
    except TemplateSyntaxError as error:
        message = f"{where} cannot be parsed as a template of Jinja (line {error.lineno}: {str(error.message)[:200]})"
        yield unread(member, message, rule="template-unread")
        return
    except (RecursionError, ValueError, OverflowError, MemoryError) as error:
        # The parser recurses, and converts numbers; both have an end that no template of a chat comes near.
        message = f"{where} is nested too deeply, or holds a number too large, to be parsed ({type(error).__name__})"
        yield unread(member, message, rule="template-unread")
        return
    yield from _Walk(tree, member, where, limits).findings()


@cache
def _environment() -> Environment:
    """As transformers makes it (utils/chat_template_utils.py), with the extension "do" that other programs add."""
    from jinja2 import nodes
    from jinja2.ext import Extension
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """{% generation %} ... {% endgeneration %}: marks what the model said."""

        tags = {"generation"}

        def parse(self, parser: Any) -> nodes.Node | list[nodes.Node]:
            line = next(parser.stream).lineno
            return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line)

    return ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=[Generation, "jinja2.ext.loopcontrols", "jinja2.ext.do"],
    )


class _Walk:
    """One tree, walked without recursion; at most one finding for each kind of thing and line."""

    def __init__(self, tree: nodes.Template, member: str, where: str, limits: Limits) -> None:
        self._nodes: list[nodes.Node] = []
        todo: list[nodes.Node] = [tree]
        while todo:
            node = todo.pop()
            self._nodes.append(node)
            todo.extend(node.iter_child_nodes())
        self._folding = Folding(self._nodes, limits)
        self._member = member
        self._where = where
        self._told: set[tuple[str, int]] = set()

    def findings(self) -> Iterator[Finding]:
        from jinja2 import nodes

        for node in self._nodes:
            if isinstance(node, nodes.Include | nodes.Import | nodes.FromImport | nodes.Extends):
                yield from self._escape(node, f"reads another template ({type(node).__name__.lower()})", "")
            elif isinstance(node, nodes.Getattr):
                yield from self._name(node, node.attr)
                if node.attr in ("format", "format_map"):
                    yield from self._format(node)
            elif isinstance(node, nodes.NSRef):
                yield from self._name(node, node.attr)
            elif isinstance(node, nodes.Getitem):
                yield from self._computed(node, node.arg)
            elif isinstance(node, nodes.Filter):
                yield from self._filter(node)
            elif isinstance(node, nodes.Call):
                yield from self._call(node)

    def _filter(self, node: nodes.Filter) -> Iterator[Finding]:
        place = _BY_NAME.get(node.name)
        if node.name == "map" and node.args:
            # map("attr", name): the filter that is mapped gets the rest.
            first = self._folding.fold(node.args[0])
            if first == "attr" or first is None:
                for argument in (*node.args[1:], *(pair.value for pair in node.kwargs)):
                    yield from self._computed(node, argument, attribute=True)
        if place is None:
            return
        index, keyword = place
        if index is not None and index < len(node.args):
            yield from self._computed(node, node.args[index], attribute=True)
        for pair in node.kwargs:
            if pair.key == keyword:
                yield from self._computed(node, pair.value, attribute=True)
        if node.dyn_args is not None or node.dyn_kwargs is not None:
            yield from self._unknown(node, f"hands the filter {node.name} arguments that cannot be told")

    def _call(self, node: nodes.Call) -> Iterator[Finding]:
        for pair in node.kwargs:
            if "__" in pair.key:
                yield from self._escape(node, "hands over an argument by a name with a double underscore", pair.key)

    def _format(self, node: nodes.Getattr) -> Iterator[Finding]:
        """`"{0.__class__}".format(x)`: the language of formats walks attributes of its own."""
        for part in strings_of(node.node, self._folding):
            if "{" in part and "__" in part:
                yield from self._escape(node, "formats a text that walks attributes", part)

    def _computed(self, node: nodes.Node, key: nodes.Node, *, attribute: bool = False) -> Iterator[Finding]:
        """A name that an expression gives: told when it can be worked out, and by its pieces when not."""
        from jinja2 import nodes

        if isinstance(key, nodes.Slice):
            return
        values = self._folding.values(key)
        if values is not None:
            for value in values:
                if isinstance(value, str):
                    yield from self._name(node, value, attribute=attribute)
            return
        pieces = strings_of(key, self._folding)
        if bad := next((piece for piece in pieces if "__" in piece or piece in _INTERNAL), None):
            yield from self._escape(node, "puts a name together from pieces", bad)
        elif isinstance(node, nodes.Filter) and node.name == "attr":
            yield from self._escape(node, "gets an attribute by a name that it computes", "attr")
        elif any(piece.startswith("_") for piece in pieces) and self._folding.builds(key):
            yield from self._unknown(node, "puts a key together from underscores and parts that cannot be told")
        elif self._folding.untold(key):
            yield from self._unknown(node, "puts a key together in a way that is not followed")

    def _name(self, node: nodes.Node, name: str, *, attribute: bool = True) -> Iterator[Finding]:
        from jinja2 import nodes

        # A subscript with a single underscore ("_id") is a key of the chat: no object of Python has such an attribute
        # that leads anywhere, but for those with a second one inside (_TemplateReference__context).
        plain = isinstance(node, nodes.Getitem) or not attribute
        for part in name.split("."):
            if (part.startswith("_") and ("__" in part or not plain)) or part in _INTERNAL:
                yield from self._escape(node, "reaches for a name inside Python's objects", part)

    def _escape(self, node: nodes.Node, what: str, evidence: str) -> Iterator[Finding]:
        if self._new("template-escape", node):
            yield Finding(
                "template-escape", Verdict.DANGEROUS, Severity.HIGH,
                f"{self._where}, line {node.lineno}: the template {what}; outside a sandbox it can run any code",
                _REMEDY, member=self._member, evidence=evidence[:400],
            )  # fmt: skip

    def _unknown(self, node: nodes.Node, what: str) -> Iterator[Finding]:
        if self._new("template-unread", node):
            message = f"{self._where}, line {node.lineno}: the template {what}"
            yield unread(self._member, message, rule="template-unread")

    def _new(self, rule: str, node: nodes.Node) -> bool:
        place = (rule, node.lineno)
        if place in self._told:
            return False
        self._told.add(place)
        return True
