"""JSON text -> plain values, for text that nobody vouches for: iterative, bounded, exact.

Python's own reader recurses (what it can read depends on the caller's stack), keeps the last of two equal keys, and
turns 1e999 into infinity. Here an object is an `Object`, which knows where it stands, with each key once; a number is
an int of at most 53 bits or, when it is written with a point or an exponent, a finite float. Knows nothing of trees.

Contract: returns, or raises Malformed or LimitExceeded, with the offset in characters. Source: RFC 8259.
"""

from __future__ import annotations

import re
from json.decoder import JSONDecodeError, scanstring  # type: ignore[attr-defined]

from safeload.errors import LimitExceeded, Malformed

SAFE_INTEGER = (1 << 53) - 1
"""The largest int that every JSON reader keeps."""

_SPACE = r"[ \t\n\r]*"
_VALUE = re.compile(
    _SPACE + r'(?:"([^"\\\x00-\x1f]*)"|(-?(?:0|[1-9][0-9]{0,15}))(?![0-9.eE])'
    r"|(-?(?:0|[1-9][0-9]{0,39})(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,4})?)(?![0-9.eE])"
    r'|(\{)|(\[)|(true|false|null)(?![a-z])|("))'
)
_STRING, _INTEGER, _FLOAT, _OBJECT, _ARRAY, _WORD, _QUOTE = range(1, 8)
_KEY = re.compile(_SPACE + r'"(?:([^"\\\x00-\x1f]*)"' + _SPACE + r":)?")
_COLON = re.compile(_SPACE + ":")
_NEXT = re.compile(_SPACE + r"([,\]}])")
_CLOSED = {kind: re.compile(_SPACE + end) for kind, end in ((_OBJECT, r"\}"), (_ARRAY, r"\]"))}
_END = re.compile(_SPACE + r"\Z")
_WORDS = {"true": True, "false": False, "null": None}


class Object(dict[str, object]):
    """A JSON object, in the order of the text. `offset` is that of its opening brace."""

    __slots__ = ("offset",)
    offset: int


def parse(text: str, *, depth: int, values: int) -> object:
    """The value of `text`: None, bool, int, float, str, list or Object.

    Raises LimitExceeded (`depth`, `opcodes`) for more nesting or more values than given.
    """
    stack: list[list[object] | Object] = []
    keys: list[str] = []
    key = ""
    at = 0
    while True:
        found = _VALUE.match(text, at)
        if found is None:
            raise Malformed("no JSON: a value was expected", offset=at)
        values -= 1
        if values < 0:
            raise LimitExceeded("the JSON holds more values than allowed", limit="opcodes", offset=at)
        kind, at = found.lastindex or 0, found.end()
        if kind in (_OBJECT, _ARRAY):
            value: object = []
            if kind == _OBJECT:
                value = made = Object()
                made.offset = at - 1
            closed = _CLOSED[kind].match(text, at)
            if closed is None:
                if len(stack) >= depth:
                    raise LimitExceeded("the JSON is nested deeper than allowed", limit="depth", offset=at)
                stack.append(value)  # type: ignore[arg-type]
                keys.append(key)
                if kind == _OBJECT:
                    key, at = _key(text, at)
                continue
            at = closed.end()
        elif kind == _STRING:
            value = found[1]
        else:
            value, at = _scalar(text, found, kind)
        # What follows a value closes any number of containers.
        while stack:
            top = stack[-1]
            if type(top) is list:
                top.append(value)
            elif key in top:
                raise Malformed(f"no JSON: the key {key[:100]!r} stands twice in one object", offset=at)
            else:
                top[key] = value  # type: ignore[call-overload]
            after = _NEXT.match(text, at)
            mark = "" if after is None else after[1]
            if after is None or mark not in (",]" if type(top) is list else ",}"):
                raise Malformed("no JSON: a comma or the end of a container was expected", offset=at)
            at = after.end()
            if mark == ",":
                if type(top) is Object:
                    key, at = _key(text, at)
                break
            value = stack.pop()
            key = keys.pop()
        else:
            if _END.match(text, at) is None:
                raise Malformed("no JSON: something follows the value", offset=at)
            return value


def _key(text: str, at: int) -> tuple[str, int]:
    found = _KEY.match(text, at)
    if found is None:
        raise Malformed("no JSON: a key was expected", offset=at)
    if found[1] is not None:
        return found[1], found.end()
    key, at = _escaped(text, found.end())
    colon = _COLON.match(text, at)
    if colon is None:
        raise Malformed("no JSON: a colon was expected", offset=at)
    return key, colon.end()


def _scalar(text: str, found: re.Match[str], kind: int) -> tuple[object, int]:
    at = found.end()
    if kind == _QUOTE:
        return _escaped(text, at)
    if kind == _WORD:
        return _WORDS[found[kind]], at
    if kind == _INTEGER:
        number = int(found[kind])
        if abs(number) > SAFE_INTEGER or found[kind] == "-0":
            raise Malformed("an integer that not every reader of JSON keeps", offset=at)
        return number, at
    if found[kind].lstrip("-").isdigit():
        raise Malformed("an integer that not every reader of JSON keeps", offset=at)
    real = float(found[kind])
    if real in (float("inf"), float("-inf")):
        raise Malformed("a number that is larger than any float", offset=at)
    return real, at


def _escaped(text: str, at: int) -> tuple[str, int]:
    """A string from behind its quote; half of a surrogate pair stays one, as Python has it."""
    try:
        value, end = scanstring(text, at, True)
    except JSONDecodeError as error:
        raise Malformed(f"no JSON: {error.msg}", offset=error.pos) from error
    return str(value), int(end)
