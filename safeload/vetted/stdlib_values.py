"""Values of the standard library: UUID, Decimal, Fraction, BytesIO, StringIO, random.Random.

Semantics: the `__reduce__`, `__getstate__` and `__setstate__` of each class in CPython 3.8 to 3.14.
"""

from __future__ import annotations

import re

from safeload.document.document import Built, resolve
from safeload.findings import Verdict
from safeload.machine.program import Call, Mutation
from safeload.vetted.consumption import INTEGER_BITS, inert, known, latin1, made, spend, unchanged, whole
from safeload.vetted.interface import Constructor, Context, ShapeError

_NEW = frozenset({"reduce", "newobj"})
# int() of 4,301 digits is refused by CPython; a Decimal of exponent 10**9 becomes an int of as many digits.
DIGITS = 4_300
_DECIMAL = r"[+-]?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,6})?|Inf(?:inity)?|s?NaN[0-9]{0,100})"
_FRACTION = r"(-?[0-9]+)(?:/([0-9]+))?"
_NEWLINES = (None, "", "\n", "\r", "\r\n")


def uuid(call: Call, ctx: Context) -> Built:
    """`UUID.__new__(UUID)`; the number comes with BUILD."""
    known(call)
    if not call.mutations:
        raise ShapeError("is made without its number", Verdict.UNJUDGED)
    return Built("uuid.UUID", (0, None))


def change_uuid(call: Call, mutation: Mutation, ctx: Context) -> None:
    """BUILD {"int": 0 <= n < 2**128[, "is_safe": 0 or -1]} (Lib/uuid.py `UUID.__getstate__`)."""
    made(call, "uuid.UUID")
    state = _state(mutation, dict, ctx)
    if not isinstance(state, dict) or not {"int"} <= state.keys() <= {"int", "is_safe"}:
        raise ShapeError("a UUID takes its number as state")
    safe = resolve(state.get("is_safe"))
    if isinstance(safe, Built) and safe.kind == "uuid.SafeUUID":
        safe = safe.args[0]
    if not (safe is None or (type(safe) is int and safe in (0, -1))):
        raise ShapeError("a UUID is safe (0), unsafe (-1) or neither")
    call.value = Built("uuid.UUID", (whole(state["int"], 0, 1 << 128, "a UUID"), safe))


def safe_uuid(call: Call, ctx: Context) -> Built:
    """`SafeUUID(value)`, the enum of Lib/uuid.py."""
    (value,) = known(call, object)
    if not (value is None or (type(value) is int and value in (0, -1))):
        raise ShapeError("takes 0, -1 or None")
    return Built("uuid.SafeUUID", (value,))


def decimal(call: Call, ctx: Context) -> Built:
    """`Decimal(str)` of at most 4,300 characters and an exponent of at most six digits (`Decimal.__reduce__`)."""
    (text,) = known(call, str)
    if not isinstance(text, str) or len(text) > DIGITS:
        raise ShapeError("has too many digits", Verdict.UNJUDGED)
    if re.fullmatch(_DECIMAL, text) is None:
        raise ShapeError("is no decimal number with a modest exponent", Verdict.UNJUDGED)
    spend(ctx, len(text), call.offset)
    return Built("decimal.Decimal", (text,))


def fraction(call: Call, ctx: Context) -> Built:
    """`Fraction(numerator, denominator)`, or `Fraction("n/d")` before 3.11 (Lib/fractions.py `__reduce__`)."""
    args = known(call, (int, str), optional=(int,))
    bound = 1 << INTEGER_BITS
    numerator, denominator = args[0], args[1] if len(args) == 2 else 1
    if isinstance(numerator, str):
        match = re.fullmatch(_FRACTION, numerator) if len(numerator) <= DIGITS and len(args) == 1 else None
        if match is None:
            raise ShapeError("is no fraction", Verdict.UNJUDGED)
        spend(ctx, len(numerator), call.offset)
        numerator, denominator = int(match[1]), int(match[2] or 1)
    elif len(args) != 2:
        raise ShapeError("takes two ints or a str")
    top = whole(numerator, -bound, bound, "a numerator")
    bottom = whole(denominator, -bound, bound, "a denominator")
    if bottom == 0:
        raise ShapeError("has denominator 0", Verdict.UNJUDGED)
    return Built("fractions.Fraction", (top, bottom))


def bytes_io(call: Call, ctx: Context) -> Built:
    """`BytesIO.__new__(BytesIO)`; its content comes with BUILD."""
    known(call)
    return Built("io.BytesIO", (b"", 0))


def change_bytes_io(call: Call, mutation: Mutation, ctx: Context) -> None:
    """BUILD (bytes, position, None) (Modules/_io/bytesio.c `bytesio_setstate`)."""
    made(call, "io.BytesIO")
    state = _state(mutation, tuple, ctx)
    if not isinstance(state, tuple) or len(state) != 3 or resolve(state[2]) not in (None, {}):
        raise ShapeError("takes bytes, a position and no attributes")
    data = latin1(ctx, state[0], mutation.offset) if type(resolve(state[0])) is not str else None
    if data is None:
        raise ShapeError("takes bytes")
    call.value = Built("io.BytesIO", (data, whole(state[1], 0, 1 << 63, "a position")))


def string_io(call: Call, ctx: Context) -> Built:
    """`StringIO.__new__(StringIO)`; its content comes with BUILD."""
    known(call)
    return Built("io.StringIO", ("", "\n", 0))


def change_string_io(call: Call, mutation: Mutation, ctx: Context) -> None:
    """BUILD (text, newline, position, None) (Modules/_io/stringio.c `stringio_setstate`)."""
    made(call, "io.StringIO")
    state = _state(mutation, tuple, ctx)
    if not isinstance(state, tuple) or len(state) != 4 or resolve(state[3]) not in (None, {}):
        raise ShapeError("takes text, a newline, a position and no attributes")
    text, newline = resolve(state[0]), resolve(state[1])
    if type(text) is not str or (newline is not None and type(newline) is not str) or newline not in _NEWLINES:
        raise ShapeError("takes text and a newline")
    call.value = Built("io.StringIO", (text, newline, whole(state[2], 0, 1 << 63, "a position")))


def random(call: Call, ctx: Context) -> Built:
    """`Random()`; its state comes with BUILD. Without one it would be seeded from the system."""
    known(call)
    return Built("random.Random")


def change_random(call: Call, mutation: Mutation, ctx: Context) -> None:
    """BUILD (3, 625 ints, next gaussian or None), what `random.Random.getstate` returns (Lib/random.py)."""
    made(call, "random.Random")
    state = _state(mutation, tuple, ctx)
    if not isinstance(state, tuple) or len(state) != 3:
        raise ShapeError("takes a state of three parts")
    words, gauss = resolve(state[1]), resolve(state[2])
    if type(words) is not tuple or len(words) != 625 or not (gauss is None or type(gauss) is float):
        raise ShapeError("takes 625 words and a float or None")
    whole(state[0], 2, 4, "the version of a state")
    spend(ctx, 625, mutation.offset)
    key = (*(whole(w, 0, 1 << 32, "a word of a state") for w in words[:624]), whole(words[624], 0, 625, "a position"))
    call.value = Built("random.Random", (3, key, gauss))


def _state(mutation: Mutation, kind: type, ctx: Context) -> object:
    """The payload of a BUILD of exactly `kind`."""
    state = resolve(mutation.payload)
    if inert(state):
        raise ShapeError("takes a state that is outside the vetted table", Verdict.UNVETTED)
    if mutation.kind != "build" or type(state) is not kind:
        raise ShapeError(f"takes a {kind.__name__} as its state, nothing else")
    unchanged(ctx, mutation.offset, mutation.payload)
    return state


CONSTRUCTORS: tuple[Constructor, ...] = (
    Constructor("uuid", uuid, change_uuid, frozenset({"newobj"})),
    Constructor("safe-uuid", safe_uuid),
    Constructor("decimal", decimal),
    Constructor("fraction", fraction),
    Constructor("bytes-io", bytes_io, change_bytes_io, _NEW),
    Constructor("string-io", string_io, change_string_io, _NEW),
    Constructor("random", random, change_random, _NEW),
)
