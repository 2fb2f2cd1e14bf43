"""`getattr(EnumClass, "MEMBER")`: how Python 3.11 and later pickle some enum members; and the hooks of lazy layers.

Semantics: CPython 3.11 Lib/enum.py `pickle_by_enum_name`, and Objects/classobject.c `method___reduce__`: a bound method
is pickled as `getattr(object, "method")`, and torch/nn/modules/lazy.py has two of them. Nothing is looked up here: the
result is an inert record, so the file is never clean.
"""

from __future__ import annotations

from safeload.document.document import resolve
from safeload.document.record import Record
from safeload.findings import Verdict
from safeload.machine.program import Call
from safeload.vetted.interface import Constructor, Context, ShapeError, arguments

RULE = "reaches-attributes"
LAZY_HOOKS = frozenset({"_infer_parameters", "_lazy_load_hook"})
"""The methods that torch.nn.modules.lazy.LazyModuleMixin registers as hooks of its own object."""


def member(call: Call, ctx: Context) -> Record:
    """A record of the class, with the name of the member as its only argument.

    SECURITY: the first argument has to be a bare, unvetted class. Attributes of vetted names reach code
    (`UntypedStorage.from_file`), and attributes of results could be chained.
    """
    try:
        owner, name = arguments(call, Record, str)
    except ShapeError as error:
        raise ShapeError(f"takes a class outside the table and a name: {error.message}", rule=RULE) from None
    if isinstance(owner, Record) and _made_empty(call) and name in LAZY_HOOKS:
        return Record(owner.module, owner.qualname, (name,))
    if not isinstance(owner, Record) or not isinstance(name, str) or owner.args is not None:
        raise ShapeError("looks into something that is no bare class", rule=RULE)
    if len(name) > 200 or not name.isidentifier() or name.startswith("_"):
        raise ShapeError("looks up a name that no enum member has", Verdict.DANGEROUS, RULE)
    return Record(owner.module, owner.qualname, (name,))


def _made_empty(call: Call) -> bool:
    """Whether the first argument is an object that NEWOBJ made without arguments, and not the result of a call."""
    made = call.args[0] if type(call.args) is tuple else None
    return type(made) is Call and made.kind == "newobj" and resolve(made.args) == () and not made.kwargs


CONSTRUCTORS: tuple[Constructor, ...] = (Constructor("enum-lookup", member),)
