"""The program of a torch.export archive (`models/*.json`, once `serialized_exported_program.json`), judged by a table.

`pt2_schema.py` says, field by field, what torch does with each text. In short: it gives sizes to `sympy.sympify`; it
gives guards, names of nodes and names of parameters to `exec`; it looks targets up with getattr; it imports what a tree
specification names. All of this but the guards and the operators happens while the archive is loaded.

* A text outside its closed form is dangerous: torch does not write it, and would run it.
* Operators of other libraries, classes of custom objects, and what a specification imports are findings by name.
* torch 2.13 ignores a key that the table does not have, but the next torch may evaluate it. A text under such a key
  makes the file unjudged. Numbers under it do not, so small changes of the format cause no alarm.

Every occurrence of a key is judged, so a key that stands twice hides nothing. Builds no tree; evaluates nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from safeload.containers.descriptions.pt2_expression import check_expression, check_guard
from safeload.containers.descriptions.pt2_schema import (
    DUNDER_OPERATORS,
    FIELDS,
    FILE_OPERATORS,
    HIGHER_ORDER,
    NAMESPACES,
    OPERATORS,
)
from safeload.containers.descriptions.pt2_treespec import check_treespec
from safeload.containers.interface import ImportedName
from safeload.containers.text.json_text import Event, EventKind, events
from safeload.errors import LimitExceeded, Malformed
from safeload.findings import Finding, Severity, Verdict
from safeload.limits import Limits

_UNKNOWN = "?"
_REFUSE = "Do not load this file; ask its author for the weights as safetensors."
_LOOK = "Load it only when you trust its author with your account; the weights alone can be taken without running it."
_TARGET = re.compile(r"torch\.ops\.([A-Za-z_]\w*)\.([A-Za-z_]\w*)(?:\.([A-Za-z_]\w*))?", re.ASCII)
_KERNEL = re.compile(r"([A-Za-z_]\w*)::([A-Za-z_]\w*)(?:\.(\w+))?", re.ASCII)
_WORD = re.compile(r"[A-Za-z0-9_:.<>=+\-]{0,64}", re.ASCII)
# A name that torch's `_format_target` puts between double quotes in source: a quote, a backslash or a line break would
# end them, and what follows would be code.
_PATH = re.compile(r"[^\"'\\\x00-\x1f\x7f\u0085\u2028\u2029]{0,1000}")
_IMPORTER = "torch.export.custom_ops._call_custom_autograd_function_in_pre_dispatch"
"""Imports the class that its first argument names, and calls its `apply`."""
_NUMBERS = frozenset({"Infinity", "-Infinity", "NaN"})


def pt2_program(data: bytes, member: str, limits: Limits) -> Iterator[Finding | ImportedName]:
    """The findings and imports of the program in `data`: see the module, and `ContentReader`."""
    return _once(data, member, limits, "ExportedProgram")


def extern_kernels(data: bytes, member: str, limits: Limits) -> Iterator[Finding | ImportedName]:
    """The same for the operators that an AOTInductor library calls back (`*.wrapper.json`)."""
    return _once(data, member, limits, "ExternKernelNodes")


def _once(data: bytes, member: str, limits: Limits, root: str) -> Iterator[Finding | ImportedName]:
    """What the walk finds, each thing once. Raises LimitExceeded for too many."""
    seen: set[tuple[str, str]] = set()
    for found in _ProgramWalk(limits, root).findings(data):
        key = (found.rule, found.message) if isinstance(found, Finding) else (found.module, found.name)
        if key not in seen:
            seen.add(key)
            if len(seen) > limits.findings:
                raise LimitExceeded("more things to say about one program than are kept", limit="findings")
            yield found._replace(member=member)


class _Open(NamedTuple):
    """An object or list that is open.

    values   the type of its values
    record   the record of `pt2_schema` whose fields its keys are, "" for none
    keys     the type of its keys, when these are free texts; "" otherwise
    """

    values: str
    record: str = ""
    keys: str = ""


class _GraphNode:
    """A node of the graph that is open, and what has to be known of it when it ends."""

    __slots__ = ("first", "imports", "offset")

    def __init__(self, offset: int) -> None:
        self.first = ""  # the first text among its arguments
        self.imports = False
        self.offset = offset

    def ended(self) -> Iterator[Finding | ImportedName]:
        if self.imports:
            module, _, name = self.first.rpartition(".")
            yield ImportedName(module, name, "the program imports it when it is called", offset=self.offset)


class _ProgramWalk:
    """The walk over one program. `stack` holds what is open, `wanted` the type that the next value has to have."""

    def __init__(self, limits: Limits, root: str) -> None:
        self.limits = limits
        self.stack: list[_Open] = []
        self.wanted = root
        self.key = ""
        self.checked: set[tuple[str, str]] = set()
        self.nodes: list[_GraphNode] = []

    def findings(self, data: bytes) -> Iterator[Finding | ImportedName]:
        for event in events(data, self.limits):
            match event.kind:
                case EventKind.OBJECT | EventKind.ARRAY:
                    yield from self.opened(event)
                case EventKind.OBJECT_END | EventKind.ARRAY_END:
                    if self.stack.pop().record == "Node":
                        yield from self.nodes.pop().ended()
                    self.resume()
                case EventKind.KEY:
                    yield from self.keyed(event)
                case _:
                    yield from self.leaf(event)
                    self.resume()

    def resume(self) -> None:
        """A value has ended. The next one in a list has the same type; in an object the next key says its type."""
        if self.stack:
            self.wanted = self.stack[-1].values

    def opened(self, event: Event) -> Iterator[Finding | ImportedName]:
        wanted, entered = self.wanted, None
        if wanted == _UNKNOWN:
            entered = _Open(_UNKNOWN)
        elif event.kind is EventKind.ARRAY and wanted.startswith("["):
            entered = _Open(wanted[1:-1])
        elif event.kind is EventKind.OBJECT and wanted.startswith("{"):
            keys, _, values = wanted[1:-1].rpartition(":")
            entered = _Open(values, keys=keys)
        elif event.kind is EventKind.OBJECT and wanted in FIELDS:
            entered = _Open(_UNKNOWN, record=wanted)
            if wanted == "Node":
                self.nodes.append(_GraphNode(event.offset))
        else:
            yield _unread(f"{self.where()} is a {'list' if event.kind is EventKind.ARRAY else 'table'}", event)
            entered = _Open(_UNKNOWN)
        self.stack.append(entered)
        self.wanted = entered.values

    def keyed(self, event: Event) -> Iterator[Finding | ImportedName]:
        key, inside = str(event.value), self.stack[-1]
        if inside.record:
            self.wanted = FIELDS[inside.record].get(key, _UNKNOWN)
            self.key = f"{inside.record}.{key[:60]}"
        else:
            self.wanted = inside.values
            if inside.keys:
                yield from self.text(inside.keys, key, event)

    def leaf(self, event: Event) -> Iterator[Finding | ImportedName]:
        if not self.stack:
            yield _unread("the whole is no table", event)
        elif event.kind is EventKind.WORD and (event.value is None or self.wanted in ("number", _UNKNOWN)):
            return
        elif event.kind is EventKind.STRING:
            yield from self.text(self.wanted, str(event.value), event)
        elif self.wanted not in ("number", _UNKNOWN):
            yield _unread(f"{self.where()} is a number", event)

    def text(self, wanted: str, text: str, event: Event) -> Iterator[Finding | ImportedName]:
        if self.nodes and self.key == "Argument.as_string":
            self.nodes[-1].first = self.nodes[-1].first or text
        elif self.nodes and text == _IMPORTER and self.key == "Node.target":
            self.nodes[-1].imports = True
            return
        if wanted == "free" or (wanted, text) in self.checked:
            return
        self.checked.add((wanted, text))
        if wanted in ("in_spec", "treespec"):
            yield from check_treespec(text, event.offset, self.limits, arguments=wanted == "in_spec")
        elif closed := _CLOSED.get(wanted):
            rule, message_for = closed
            if message := message_for(text):
                yield _dangerous(rule, message, text, event)
        elif check := _CHECKS.get(wanted):
            yield from check(text, event)
        elif wanted == _UNKNOWN:
            if text:
                yield Finding(
                    "pt2-unknown-field", Verdict.UNJUDGED, Severity.MEDIUM,
                    f"{self.where()}, which this version does not know, holds the text {_cut(text)}; a torch that "
                    "knows it may evaluate it",
                    _LOOK, offset=event.offset, evidence=text[:200],
                )  # fmt: skip
        else:
            yield _unread(f"{self.where()} is a text", event)

    def where(self) -> str:
        return f"the field {self.key or 'at the top'!r}"


def _cut(text: str) -> str:
    return repr(text[:200]) + ("..." if len(text) > 200 else "")


def _unread(what: str, event: Event) -> Finding:
    return Finding(
        "pt2-program-form", Verdict.UNJUDGED, Severity.MEDIUM,
        f"{what}, where torch.export writes something else: the program is not understood",
        _LOOK, offset=event.offset,
    )  # fmt: skip


def _dangerous(rule: str, message: str, text: str, event: Event) -> Finding:
    return Finding(
        rule, Verdict.DANGEROUS, Severity.CRITICAL, message, _REFUSE, offset=event.offset, evidence=text[:200]
    )


def _expression(text: str) -> str:
    if not (why := _refused(check_expression, text)):
        return ""
    return (
        f"the size {_cut(text)} is no expression that torch writes ({why}); torch.export.load gives it "
        "to sympy, which evaluates it as Python"
    )


def _guard(text: str) -> str:
    if not (why := _refused(check_guard, text)):
        return ""
    return (
        f"the guard {_cut(text)} is no condition that torch writes ({why}); it is compiled and run as "
        "Python when the program is made a module and called"
    )


def _refused(check: Callable[[str], None], text: str) -> str:
    """Why `check` raises Malformed for `text`; "" when it does not."""
    try:
        check(text)
    except Malformed as error:
        return error.message
    return ""


def _number(text: str) -> str:
    if text in _NUMBERS:
        return ""
    return f"the text {_cut(text)} stands where torch writes a number; numbers reach sympy, which evaluates text"


def _name(text: str) -> str:
    if not text or text.isidentifier():
        return ""
    return (
        f"the name {_cut(text)} is no identifier; torch writes names unquoted into Python source, which it runs "
        "when the archive is loaded"
    )


def _path(text: str) -> str:
    if _PATH.fullmatch(text):
        return ""
    return f"the name {_cut(text)} would break out of the quotes in the Python source that torch makes and runs"


_CLOSED: dict[str, tuple[str, Callable[[str], str]]] = {
    "expr": ("pt2-expression", _expression),
    "guard": ("pt2-expression", _guard),
    "number": ("pt2-expression", _number),
    "name": ("pt2-name", _name),
    "path": ("pt2-name", _path),
}
"""Type of a text -> the rule of a finding, and what gives its message: "" for a text of the type's closed form."""


def _check_word(text: str, event: Event) -> Iterator[Finding | ImportedName]:
    if not _WORD.fullmatch(text):
        yield _unread(f"the word {_cut(text)} is none", event)


def _check_class(text: str, event: Event) -> Iterator[Finding | ImportedName]:
    if text:
        yield Finding(
            "pt2-custom-object", Verdict.UNVETTED, Severity.MEDIUM,
            f"the program takes an object of the class {_cut(text)}, which a library outside the file defines",
            _LOOK, offset=event.offset, evidence=text[:200],
        )  # fmt: skip


def _check_target(text: str, event: Event) -> Iterator[Finding | ImportedName]:
    if text in OPERATORS:
        return
    match = _TARGET.fullmatch(text)
    if match is None:
        if text.startswith(("_operator", "torch", "math")):
            message = (
                f"the operator {_cut(text)} is none of torch's; torch finds it with getattr and the program calls it"
            )
            yield _dangerous("pt2-target", message, text, event)
            return
        yield _extension(f"the operator {_cut(text)}", text, event)
        return
    yield from _check_operator(match, event)


def _check_kernel(text: str, event: Event) -> Iterator[Finding | ImportedName]:
    """An operator of a kernel, `mylib::foo.default`.

    SECURITY: only here. As a target of a program, Python would resolve a text like `torchx::y.load` by attributes.
    """
    match = _KERNEL.fullmatch(text)
    if match is None:
        yield from _check_target(text, event)
    else:
        yield from _check_operator(match, event)


def _check_operator(match: re.Match[str], event: Event) -> Iterator[Finding | ImportedName]:
    """Check the operator whose namespace, name and overload are the groups of `match`."""
    namespace, name, overload = match.groups()
    text = match.string
    for part in (namespace, name, overload or ""):
        if part.startswith("__") and part.endswith("__") and part not in DUNDER_OPERATORS:
            yield _dangerous("pt2-target", f"the operator {_cut(text)} names an attribute of Python's", text, event)
            return
    if f"{namespace}.{name}" in FILE_OPERATORS:
        message = f"the operator {_cut(text)} reads or writes a file whose name the program holds"
        yield _dangerous("pt2-target", message, text, event)
    elif namespace == "higher_order":
        if name not in HIGHER_ORDER or overload:
            yield _extension(f"the higher-order operator {_cut(text)}", text, event)
    elif namespace not in NAMESPACES:
        yield _extension(f"operators of {namespace!r}, for example {_cut(text)},", text, event)


def _extension(what: str, text: str, event: Event) -> Finding:
    return Finding(
        "pt2-custom-op", Verdict.UNVETTED, Severity.MEDIUM,
        f"the program calls {what} which something outside torch's own operators defines",
        _LOOK, offset=event.offset, evidence=text[:200],
    )  # fmt: skip


_CHECKS: dict[str, Callable[[str, Event], Iterator[Finding | ImportedName]]] = {
    "word": _check_word,
    "class": _check_class,
    "target": _check_target,
    "kernel": _check_kernel,
}
