"""datetime's date, time, datetime, timedelta and timezone.

Semantics: CPython 3.11 Modules/_datetimemodule.c, the `__reduce__` methods and the state branches of `*_new`. Those
accept states that the constructors refuse (day 31 in February). Here the rules of the constructors hold.
"""

from __future__ import annotations

import datetime as clock

from safeload.document.document import Built, resolve
from safeload.findings import Verdict
from safeload.machine.program import Call
from safeload.vetted.consumption import inert, known, latin1, unchanged, whole
from safeload.vetted.interface import Constructor, Context, ShapeError

NAME_LENGTH = 1000
_FOLD = 0x80


def _state(call: Call, ctx: Context, args: tuple[object, ...], size: int) -> bytes:
    """The packed fields: bytes, or the text that python 2 wrote for them."""
    text = args[0]
    if isinstance(text, str) and len(text) != size:
        raise ShapeError(f"takes a state of {size} bytes")
    data = latin1(ctx, text, call.offset)
    if data is None or len(data) != size:
        raise ShapeError(f"takes a state of {size} bytes")
    return data


def _zone(call: Call, ctx: Context, args: tuple[object, ...]) -> object:
    """The tzinfo behind the state: None, or the Cell of a vetted timezone."""
    if len(args) < 2 or args[1] is None or not isinstance(call.args, tuple):
        return None
    if inert(args[1]):
        raise ShapeError("has a time zone outside the vetted table", Verdict.UNVETTED)
    if not isinstance(args[1], Built) or args[1].kind != "datetime.timezone":
        raise ShapeError("takes a time zone as its second argument")
    unchanged(ctx, call.offset, call.args[1])
    return call.args[1]


def date(call: Call, ctx: Context) -> Built:
    """`date(4 bytes)`: year (2, big-endian), month, day."""
    args = known(call, (bytes, str))
    data = _state(call, ctx, args, 4)
    fields = (int.from_bytes(data[:2], "big"), data[2], data[3])
    try:
        clock.date(*fields)
    except ValueError as error:
        raise ShapeError(f"is no date: {error}", Verdict.UNJUDGED) from None
    return Built("datetime.date", fields)


def time(call: Call, ctx: Context) -> Built:
    """`time(6 bytes[, tzinfo])`: hour (with the fold bit), minute, second, microsecond (3, big-endian)."""
    args = known(call, (bytes, str), optional=(object,))
    data = _state(call, ctx, args, 6)
    fields = (data[0] & ~_FOLD, data[1], data[2], int.from_bytes(data[3:6], "big"))
    try:
        clock.time(*fields)
    except ValueError as error:
        raise ShapeError(f"is no time of day: {error}", Verdict.UNJUDGED) from None
    return Built("datetime.time", (*fields, _zone(call, ctx, args), data[0] >> 7))


def datetime(call: Call, ctx: Context) -> Built:
    """`datetime(10 bytes[, tzinfo])`: year (2), month (and fold bit), day, hour, minute, second, microsecond (3)."""
    args = known(call, (bytes, str), optional=(object,))
    data = _state(call, ctx, args, 10)
    head = (int.from_bytes(data[:2], "big"), data[2] & ~_FOLD, data[3], data[4], data[5], data[6])
    micro = int.from_bytes(data[7:10], "big")
    try:
        clock.datetime(*head, micro)
    except ValueError as error:
        raise ShapeError(f"is no date and time: {error}", Verdict.UNJUDGED) from None
    return Built("datetime.datetime", (*head, micro, _zone(call, ctx, args), data[2] >> 7))


def timedelta(call: Call, ctx: Context) -> Built:
    """`timedelta(days, seconds, microseconds)`, normalised as `delta_reduce` writes them."""
    args = known(call, int, int, int)
    limits = ((-999_999_999, 1_000_000_000), (0, 86_400), (0, 1_000_000))
    return Built(
        "datetime.timedelta",
        tuple(whole(a, low, high, "a timedelta") for a, (low, high) in zip(args, limits, strict=True)),
    )


def timezone(call: Call, ctx: Context) -> Built:
    """`timezone(timedelta[, name])`, the offset strictly between -24 and 24 hours."""
    args = known(call, object, optional=(str,))
    offset = args[0]
    if inert(offset):
        raise ShapeError("has an offset outside the vetted table", Verdict.UNVETTED)
    if not isinstance(offset, Built) or offset.kind != "datetime.timedelta" or not isinstance(call.args, tuple):
        raise ShapeError("takes a timedelta")
    days, seconds, micro = (value for value in offset.args if isinstance(value, int))
    if not -86_400_000_000 < (days * 86_400 + seconds) * 1_000_000 + micro < 86_400_000_000:
        raise ShapeError("is a whole day or more from UTC", Verdict.UNJUDGED)
    if len(args) == 2 and len(str(args[1])) > NAME_LENGTH:
        raise ShapeError("has a name longer than any time zone", Verdict.UNJUDGED)
    return Built("datetime.timezone", (call.args[0], *(resolve(arg) for arg in args[1:])))


CONSTRUCTORS: tuple[Constructor, ...] = (
    Constructor("date", date),
    Constructor("time", time),
    Constructor("datetime", datetime),
    Constructor("timedelta", timedelta),
    Constructor("timezone", timezone),
)
