"""The little language that torch.export writes for sizes and guards, checked without evaluating anything.

Both are texts of the file, and torch 2.13 runs both: it gives every `expr_str` to `sympy.sympify`, which evaluates
Python, as soon as the file is loaded; and it compiles every line of `guards_code` with `exec` when somebody calls
`ExportedProgram.module()`. torch's serializer writes much less than Python, and this grammar takes no more than that:

* expressions: what `sympy.srepr` prints of torch's own symbols and functions, `Add(Symbol('s0', integer=True),
  Integer(1))`, and what older releases wrote, `2*s0 + 1`. Strings stand in `Symbol` and `Float` only, whole, as one
  token; a name is a symbol of torch's own naming (`s0`, `u3`, `zuf0`), a constant or a function of the table below.
* guards: comparisons over `L['x'][0].size()[1]`, Python's operators and the functions that torch's printer writes.

SECURITY: sympy computes constants while it parses, so `9**9**9` would never end. The walk carries an upper bound of
each value along, and refuses an exponent, a shift or a result beyond the limits. The time that sympy takes over many
symbols is not bounded.

The walk is one pass over tokens with its own stack. This file reads text, and imports and evaluates nothing.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from safeload.errors import Malformed

_LENGTH = 1 << 18
"""Longest text: a sum of a thousand sizes has 50 KB."""

_DEPTH = 200
"""Open parentheses at once: real texts have less than 20, and Python's parser, which gets the text, takes no more."""

_EXPONENT_BITS = 12
_RESULT_BITS = 1 << 17
"""How much sympy may compute while it parses: results of up to 40,000 digits. Real sizes have 64 bits."""

_OPAQUE = (
    "sqrt", "cos", "cosh", "sin", "sinh", "tan", "tanh", "asin", "acos", "atan", "exp", "log", "asinh", "log2",
)  # fmt: skip
_POWERS = frozenset({"Pow", "PowByNatural", "FloatPow", "LShift"})
_EXPONENTIALS = frozenset({"OpaqueUnaryFn_exp", "OpaqueUnaryFn_cosh", "OpaqueUnaryFn_sinh", "exp"})  # of constants


# torch/utils/_sympy/functions.py, then the heads that sympy.srepr prints and the short names of its str.
_FUNCTION_WORDS = """
FloorDiv ModularIndexing Where PythonMod Mod CleanDiv CeilToInt FloorToInt CeilDiv IntTrueDiv FloatTrueDiv LShift RShift
IsNonOverlappingAndDenseIndicator TruncToFloat TruncToInt RoundToInt RoundDecimal ToFloat FloatPow PowByNatural Identity
Max Min BitwiseFn_bitwise_and BitwiseFn_bitwise_or BitwiseFn_bitwise_xor
Add Mul Pow Abs floor ceiling sqrt exp log Piecewise ExprCondPair ITE And Or Not Eq Ne Lt Le Gt Ge
Equality Unequality StrictLessThan LessThan StrictGreaterThan GreaterThan
"""
_FUNCTIONS = frozenset([*_FUNCTION_WORDS.split(), *(f"OpaqueUnaryFn_{name}" for name in _OPAQUE)])

_CONSTANTS = frozenset({"true", "false", "True", "False", "oo", "zoo", "nan", "int_oo"})

_GUARD_FUNCTION_WORDS = """
max min abs round int float IsNonOverlappingAndDenseIndicator cast_symbool_to_symint_guardless
torch.sym_float torch.sym_int torch.sym_max torch.sym_min torch.sym_not torch.sym_ite torch.sym_sqrt
math.floor math.ceil math.trunc math.fabs
"""
_GUARD_FUNCTIONS = frozenset(
    [*_GUARD_FUNCTION_WORDS.split()] + [f"torch._sym_{name}" for name in _OPAQUE] + [f"math.{name}" for name in _OPAQUE]
)
_GUARD_CONSTANTS = frozenset({"True", "False", "math.inf", "math.nan", "math.pi", "math.e"})
_GUARD_WORDS = frozenset({"and", "or", "if", "else"})

# torch/utils/_sympy/symbol.py: a prefix for each kind, and a number. No function or constant above has this form. The
# number is bounded because torch counts up to that of an unbacked symbol (u, zuf) one by one.
_SYMBOL_NAME = r"(?:s|u|zf|zuf|tmp|ps|i|r0_|r1_|idx|x|y|z|indirect|view|h)[0-9]{1,7}"
_SYMBOL = re.compile(_SYMBOL_NAME)
_ASSUMPTIONS = (
    "integer|positive|negative|nonnegative|nonpositive|zero|nonzero|real|finite|infinite|even|odd|rational|commutative"
    "|extended_real|extended_positive|extended_negative|extended_nonnegative|extended_nonpositive|extended_nonzero"
    "|hermitian|complex|algebraic|noninteger|prime|composite|irrational|transcendental|imaginary|antihermitian|polar"
)
_SYMBOL_TOKEN = rf"Symbol\('{_SYMBOL_NAME}'(?:, (?:{_ASSUMPTIONS})=(?:True|False)){{0,32}}\)"
_DECIMAL = r"[0-9]{1,40}(?:\.[0-9]{0,60})?(?:e[+-]?[0-9]{1,3})?"
_END = r"(?![A-Za-z0-9_.'\"])"
_KEY = r"(?:'[^'\"\\{}\x00-\x1f]{0,200}'|-?[0-9]{1,9})"
_SOURCE = (
    rf"L\['[^'\"\\{{}}\x00-\x1f]{{1,200}}'\](?:\[{_KEY}\]|\.[A-Za-z][A-Za-z0-9_]{{0,100}}(?![A-Za-z0-9_(])){{0,20}}"
)
_READING = r"(?:\.(?:size|stride)\(\)\[[0-9]{1,4}\]|\.(?:storage_offset|item|dim|numel)\(\))?"

_WORD = r"[A-Za-z_][A-Za-z0-9_]{0,60}(?:\.[A-Za-z_][A-Za-z0-9_]{0,60})?"

_COMMON = rf"""(?P<blank>\ +)|(?P<number>{_DECIMAL}{_END})
|(?P<operator>\*\*|//|<=|>=|==|!=|[-+*/%<>&|~])|(?P<open>\()|(?P<close>\))|(?P<comma>,)"""
_EXPRESSION_TOKEN = re.compile(
    rf"""(?P<symbol>{_SYMBOL_TOKEN.replace(" ", "[ ]")})|Integer\(-?(?P<integer>[0-9]{{1,40}})\)
|Rational\(-?(?P<above>[0-9]{{1,40}}),[ ](?P<below>[0-9]{{1,40}})\)
|Float\('-?(?P<float>{_DECIMAL})',[ ]precision=[0-9]{{1,4}}\)
|{_COMMON}|(?P<call>[A-Za-z_][A-Za-z0-9_]{{0,60}})\(|(?P<name>[A-Za-z_][A-Za-z0-9_]{{0,60}}){_END}""",
    re.VERBOSE,
)
_GUARD_TOKEN = re.compile(
    rf"""(?P<symbol>{_SOURCE.replace(" ", "[ ]")}{_READING})|{_COMMON}
|(?P<call>{_WORD})\(|(?P<name>{_WORD}){_END}""",
    re.VERBOSE,
)


class _Language(NamedTuple):
    """What expressions and guards have different."""

    token: re.Pattern[str]
    functions: frozenset[str]
    constants: frozenset[str]
    words: frozenset[str]
    symbols: re.Pattern[str] | None


_EXPRESSION = _Language(_EXPRESSION_TOKEN, _FUNCTIONS, _CONSTANTS, frozenset(), _SYMBOL)
_GUARD = _Language(_GUARD_TOKEN, _GUARD_FUNCTIONS, _GUARD_CONSTANTS, _GUARD_WORDS, None)


def check_expression(text: str) -> None:
    """Raise Malformed unless `text` is an expression as torch's serializer writes them, or is too large."""
    _check(text, _EXPRESSION)


def check_guard(text: str) -> None:
    """Raise Malformed unless `text` is a guard as torch's printer writes them, or is too large."""
    _check(text, _GUARD)


class _Parenthesis:
    """An open parenthesis: its function, and an upper bound of the bits of each argument so far."""

    __slots__ = ("arguments", "bits", "function", "last", "power", "raised")

    def __init__(self, function: str) -> None:
        self.function = function
        self.arguments: list[int] = []
        self.bits = 0
        self.last = 0  # bits of the operand that just ended: the base of a `**` that may follow
        self.power = False  # the next operand is an exponent
        self.raised = False  # the operand that just ended was an exponent

    def operand(self, bits: int, at: int) -> None:
        """Take an operand of at most `bits` bits, which has just ended."""
        self.raised = self.power
        if self.power:
            bits = _raised(self.last, bits, at)
            self.power = False
        self.bits += bits
        self.last = bits
        _bounded(self.bits, at)

    def closed(self, at: int) -> int:
        """An upper bound of the bits of the result, at the closing parenthesis."""
        self.arguments.append(self.bits)
        name, arguments = self.function, self.arguments
        if name in _POWERS and len(arguments) == 2:
            return _bounded(_raised(arguments[0], arguments[1], at), at)
        if name in _EXPONENTIALS:
            return _bounded(_raised(2, max(arguments), at), at)
        if name in _POWERS:
            raise Malformed(f"{name} with {len(arguments)} arguments", offset=at)
        return _bounded(sum(arguments), at)


def _raised(base: int, exponent: int, at: int) -> int:
    if exponent > _EXPONENT_BITS:
        raise Malformed(f"an exponent of {exponent} bits, which would be computed while reading", offset=at)
    return max(base, 1) << exponent


def _bounded(bits: int, at: int) -> int:
    if bits > _RESULT_BITS:
        raise Malformed("a number of so many digits that computing it would not end", offset=at)
    return bits


def _check(text: str, language: _Language) -> None:
    if len(text) > _LENGTH:
        raise Malformed(f"{len(text)} characters, more than any expression that torch writes", offset=0)
    frames = [_Parenthesis("")]
    at = 0
    operand = True  # whether an operand has to follow
    while at < len(text):
        match = language.token.match(text, at)
        if match is None:
            raise Malformed("a character or word outside the grammar", offset=at)
        at = match.end()
        kind, word = match.lastgroup, match.group()
        frame = frames[-1]
        match kind:
            case "blank":
                pass
            case "symbol" | "integer" | "below" | "float" | "number" if operand:
                frame.operand(_bits(match), at)
                operand = False
            case "call" if operand and match["call"] in language.functions:
                _push(frames, match["call"], at)
            case "name":
                operand = _name(word, at, frame, language, operand)
            case "operator":
                operand = _operator(word, frame, operand, at)
            case "open" if operand:
                _push(frames, "", at)
            case "close" if not operand and len(frames) > 1:
                frames.pop()
                frames[-1].operand(frame.closed(at), at)
            case "comma" if not operand and _may_list(frames):
                frame.arguments.append(frame.bits)
                frame.bits = frame.last = 0
                operand = True
            case _:
                raise Malformed(f"{word!r} where the grammar has no place for it", offset=match.start())
    if operand or len(frames) > 1:
        raise Malformed("an expression that breaks off", offset=len(text))


def _may_list(frames: list[_Parenthesis]) -> bool:
    """Whether a comma may come: between arguments of a call, or in the pairs of Piecewise in older releases."""
    return bool(frames[-1].function) or (len(frames) > 1 and frames[-2].function == "Piecewise")


def _push(frames: list[_Parenthesis], function: str, at: int) -> None:
    if len(frames) > _DEPTH:
        raise Malformed(f"more than {_DEPTH} nested parentheses, which no loader of it could parse", offset=at)
    frames.append(_Parenthesis(function))


def _name(word: str, at: int, frame: _Parenthesis, language: _Language, operand: bool) -> bool:
    """Read a word that ends at `at` and calls nothing. Returns whether an operand has to follow."""
    if not operand and word in language.words:
        return True
    if operand and word == "not" and language.words:
        return True
    known = word in language.constants or (language.symbols is not None and language.symbols.fullmatch(word))
    if operand and known:
        frame.operand(1, at)
        return False
    raise Malformed(f"the name {word!r}, which torch does not write here", offset=at)


def _operator(word: str, frame: _Parenthesis, operand: bool, at: int) -> bool:
    """Read an operator; a sign may stand before an operand. Returns whether an operand has to follow: always."""
    if operand:
        if word not in {"-", "+", "~"}:
            raise Malformed(f"the operator {word!r} without a value before it", offset=at)
        return True
    if word == "~":
        raise Malformed("the operator '~' between two values", offset=at)
    if word == "**":
        # SECURITY: `9**9**9` groups to the right: a walk from left to right cannot bound it. torch never writes it.
        if frame.raised:
            raise Malformed("a power of a power without parentheses", offset=at)
        frame.power = True
    return True


def _bits(match: re.Match[str]) -> int:
    """An upper bound of the bits of the number in a token; a symbol counts as one."""
    for group in ("integer", "float", "number"):
        if match.groupdict().get(group) is not None:
            return _magnitude(match[group])
    if match.groupdict().get("above") is not None:
        return max(_magnitude(match["above"]), _magnitude(match["below"]))
    return 1


def _magnitude(digits: str) -> int:
    mantissa, _, exponent = digits.partition("e")
    whole = mantissa.partition(".")[0].lstrip("0")
    power = int(exponent) if exponent else 0
    return max(int(whole or "0").bit_length(), 1) + (4 * power if power > 0 else 0)
