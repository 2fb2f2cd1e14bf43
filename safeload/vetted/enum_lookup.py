"""`getattr(EnumClass, "MEMBER")`: how Python 3.11 and later pickle some enum members.

Semantics: CPython 3.11 Lib/enum.py `pickle_by_enum_name`. Nothing is looked up: the member stays an inert record.
"""

from __future__ import annotations

from safeload.findings import Verdict
from safeload.machine.program import Call
from safeload.record import Record
from safeload.vetted.interface import Constructor, Context, ShapeError, arguments

RULE = "reaches-attributes"


def member(call: Call, ctx: Context) -> Record:
    """A record of the class with the name of the member as its only argument.

    SECURITY: only a bare, unvetted class is looked into. Attributes of vetted names reach code
    (`UntypedStorage.from_file`), and attributes of results chain.
    """
    try:
        owner, name = arguments(call, Record, str)
    except ShapeError as error:
        raise ShapeError(f"takes a class outside the table and a name: {error.message}", rule=RULE) from None
    if not isinstance(owner, Record) or not isinstance(name, str) or owner.args is not None:
        raise ShapeError("looks into something that is no bare class", rule=RULE)
    if len(name) > 200 or not name.isidentifier() or name.startswith("_"):
        raise ShapeError("looks up a name that no enum member has", Verdict.DANGEROUS, RULE)
    return Record(owner.module, owner.qualname, (name,))


CONSTRUCTORS: tuple[Constructor, ...] = (Constructor("enum-lookup", member),)
