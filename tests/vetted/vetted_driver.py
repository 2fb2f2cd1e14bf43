"""A small stand-in for the scanner (the machine, then the shapes, effect by effect), and Documents as literals."""

from __future__ import annotations

import importlib
from pathlib import Path

from safeload.document.cell import UNSET
from safeload.document.document import ArraySpec, Built, Symbol, resolve
from safeload.document.record import Record
from safeload.findings import Verdict
from safeload.limits import Limits
from safeload.machine import Call, Global, Mutation, run
from safeload.policy.packs import parse
from safeload.vetted.interface import Context, ShapeError

DEFAULTS = Limits()
RULES = Path(__file__).parents[2] / "rules" / "vetted"
FAMILIES = (
    "builtins_types",
    "codecs_encode",
    "collections_types",
    "copyreg_forms",
    "datetimes",
    "enum_lookup",
    "namespaces",
    "numpy.arrays",
    "numpy.dtypes",
    "numpy.random",
    "paths",
    "stdlib_values",
)
CONSTRUCTORS = {
    made.shape: made for name in FAMILIES for made in importlib.import_module(f"safeload.vetted.{name}").CONSTRUCTORS
}


def names() -> dict[tuple[str, str], tuple[str, str]]:
    """(module, name) -> (shape, denotation) of the rules of this part."""
    found = {}
    for file in ("stdlib", "numpy", "enum"):
        for rule in parse((RULES / f"{file}.toml").read_text(), file).vetted:
            for module in rule.modules:
                for name in rule.names:
                    denotes = rule.denotes or f"{module}.{name}"
                    found[module, name] = (rule.shape, denotes.removesuffix("*") + name * denotes.endswith(".*"))
    return found


NAMES = names()


def context(program=None, limits: Limits = DEFAULTS) -> Context:
    """A context without storages."""
    return Context(limits, None, program.touched if program else {}, None, None)


class Judged:
    """What a stream denotes: `value` (cells kept), `refused` (one ShapeError for each), `ctx`."""

    def __init__(self, data: bytes, encoding: str = "ASCII", limits: Limits = DEFAULTS) -> None:
        program = run(data, encoding=encoding)
        self.program, self.ctx, self.refused = program, context(program, limits), []
        for effect in program.effects:
            try:
                self.judge(effect)
            except ShapeError as error:
                self.refused.append(error)
        self.value = program.value

    def judge(self, effect) -> None:
        if isinstance(effect, Global):
            known = NAMES.get((effect.module, effect.name))
            effect.value = Symbol(known[1]) if known else Record(effect.module, effect.name)
        elif isinstance(effect, Call):
            shape = self.shape(effect)
            if shape is None:
                effect.value = Record(*self.owner(effect), effect.args)
                return
            effect.value = Record(*self.owner(effect), ())
            if shape.call is None or effect.kind not in shape.kinds:
                raise ShapeError("is never called like this")
            effect.value = UNSET
            effect.value = shape.call(effect, self.ctx)
        elif isinstance(effect, Mutation) and isinstance(effect.target, Call):
            shape = self.shape(effect.target)
            if shape is None:
                effect.target.value.state = effect.payload
            elif shape.change is None:
                raise ShapeError("is never changed")
            else:
                shape.change(effect.target, effect, self.ctx)

    def owner(self, call: Call) -> tuple[str, str]:
        func = call.func
        return (func.module, func.name) if isinstance(func, Global) else ("?", "?")

    def shape(self, call: Call):
        known = NAMES.get(self.owner(call))
        if known is None:
            return None
        return CONSTRUCTORS.get(known[0]) or type("V", (), {"call": None, "change": None, "kinds": ()})


def clean(data: bytes, **options) -> object:
    """What a stream denotes, when every shape admits it."""
    judged = Judged(data, **options)
    assert judged.refused == [], judged.refused
    return resolve(judged.value)


def refusal(data: bytes, **options) -> tuple[Verdict, str, str]:
    """(verdict, rule, message) of the first refusal; there must be one."""
    judged = Judged(data, **options)
    assert judged.refused, f"admitted: {resolve(judged.value)!r}"
    first = judged.refused[0]
    return first.verdict, first.rule, first.message


def plain(value):
    """`value` without cells: Built -> (kind, args, items, state), Symbol -> "<name>", Record -> ("Record", ...)."""
    value = resolve(value)
    if isinstance(value, Built):
        return (value.kind, plain(value.args), plain(value.items), plain(value.state))
    if isinstance(value, Symbol):
        return f"<{value.name}>"
    if isinstance(value, Record):
        return ("Record", f"{value.module}.{value.qualname}", plain(value.args), plain(value.state), plain(value.items))
    if isinstance(value, ArraySpec):
        shown = plain(value.objects) if value.objects is not None else value.data
        return ("array", value.dtype, value.shape, value.fortran, shown, value.fields, value.scalar)
    if type(value) in (tuple, list):
        return type(value)(plain(item) for item in value)
    if type(value) in (set, frozenset):
        return type(value)(plain(item) for item in value)
    if type(value) is dict:
        return {plain(key): plain(item) for key, item in value.items()}
    return value


class Made:
    """Pickles as the call `func(*args)`, with a state (BUILD), items (APPENDS) and pairs (SETITEMS)."""

    def __init__(self, func, *args, state=None, items=None, pairs=None) -> None:
        self.reduced = (func, args, state, items and iter(items), pairs and iter(pairs))

    def __reduce__(self):
        return self.reduced
