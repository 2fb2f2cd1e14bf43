"""Expressions of torch.export: everything that torch writes is taken, and nothing that sympy would run."""

from __future__ import annotations

import pytest

from safeload.containers.descriptions.pt2_expression import check_expression, check_guard
from safeload.errors import Malformed

WRITTEN = [
    "Symbol('s77', positive=True, integer=True)",
    "Symbol('zuf0')",
    "Add(Mul(Integer(2), Symbol('u0', integer=True)), Integer(-1))",
    "FloorDiv(Add(FloorDiv(Add(Symbol('s16', positive=True, integer=True), Integer(-1)), Integer(4)), Integer(-1)), "
    "Integer(2))",
    "Max(Integer(1), TruncToInt(Mul(Float('1.5', precision=53), ToFloat(Symbol('s25', positive=True, integer=True)))))",
    "Piecewise(ExprCondPair(Symbol('s1', integer=True), StrictGreaterThan(Symbol('s1', integer=True), Integer(5))), "
    "ExprCondPair(Symbol('s2', integer=True), true))",
    "Add(BitwiseFn_bitwise_and(Symbol('s1', integer=True), Integer(3)), Pow(Symbol('s1', integer=True), Integer(2)))",
    "FloatPow(ToFloat(Symbol('s1', integer=True)), Float('0.33333333333333331', precision=53))",
    "Mul(Rational(1, 2), OpaqueUnaryFn_sqrt(Symbol('s0')))",
    "PowByNatural(Integer(2), Symbol('s10', integer=True))",
    "s0",
    "2*s0 + 1",
    "(s0//2)",
    "Mod(s0, 2)",
    "Max(1, s0**2, -s1)",
    "(s0 >= 2) & ~(s1 < 3)",
    "Piecewise((s0, s0 > 5), (s1, True))",
    "-oo",
    "int_oo",
    "1.5*ToFloat(s63)",
]

HOSTILE = [
    "__import__('os').system('true')",
    "open('x', 'w')",
    "[open('x', 'w').close(), Symbol('s77', positive=True, integer=True)][1]",
    "Symbol('s0').__class__",
    "s0.name",
    "Symbol(open('x'))",
    "Symbol('open')",
    "Symbol('s0', integer=open('x'))",
    "Function('f')(s0)",
    "Lambda(s0, s0)",
    "lambda: 1",
    "Integer(1)(2)",
    "Add('1', '2')",
    "Add",
    "Add()",
    "()",
    "",
    "1 2",
    "s0;s1",
    "s0\n",
    "s0!",
    "0x10",
    "f'x'",
    "Add(s0, evaluate=False)",
    "s0 if s0 else s1",
    "Max(1, s0",
    "1e5.x",
    "１",
    "Integer(1",
    "s0 +",
]

BOMBS = [
    "9**9**9",
    "9**(9**9)",
    "9**9999",
    "9**-9999999",
    "Pow(Integer(9), Pow(Integer(9), Integer(9)))",
    "Pow(Pow(Pow(Integer(9), Integer(4000)), Integer(4000)), Integer(4000))",
    "LShift(Integer(1), Integer(1000000))",
    "PowByNatural(Integer(2), Mul(Integer(1000), Integer(1000), Integer(1000)))",
    "OpaqueUnaryFn_exp(Integer(100000))",
    "Integer(" + "9" * 41 + ")",
    "Float('1e9999', precision=53)",
    "Float('1.0', precision=99999)",
    "(" * 1_000_000,
    "(" * 201 + "s0" + ")" * 201,
    "-" * 300_000 + "1",
    "Add(" * 50_000,
]


@pytest.mark.parametrize("text", WRITTEN)
def test_what_torch_writes_is_taken(text: str) -> None:
    check_expression(text)


@pytest.mark.parametrize("text", HOSTILE)
def test_what_torch_does_not_write_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        check_expression(text)


@pytest.mark.parametrize("text", BOMBS, ids=lambda text: text[:30])
def test_what_would_be_computed_without_end_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        check_expression(text)


@pytest.mark.parametrize("text", WRITTEN)
def test_sympy_reads_what_is_taken(text: str) -> None:
    """The grammar is a part of the language of the real reader, not another one."""
    sympy = pytest.importorskip("sympy")
    functions = pytest.importorskip("torch.utils._sympy.functions")
    sympy.sympify(text, locals={name: getattr(functions, name) for name in functions.__all__})


@pytest.mark.parametrize(
    "text",
    [
        "L['x'].size()[0] == 2",
        "(((-1) + L['input'].size()[2]) // 4) >= 1 and not (L['x']['k'][0].stride()[1] % 3) != 0",
        "math.trunc(torch.sym_float(L['a'][0].size()[1]) ** 0.5) == 3",
        "(max(1, L['a'][0].size()[0] // 2)*L['d'].field.size()[0]) != 1",
        "(1 if L['x'].size()[0] == 2 else 3) == 1",
    ],
)
def test_guards_that_torch_writes_are_taken(text: str) -> None:
    check_guard(text)


@pytest.mark.parametrize(
    "text",
    [
        "open('x', 'w') is None",
        "True, 'x') or open('x', 'w'",
        "True\nimport os",
        "L['x'].__class__",
        "L['x'].foo()",
        "L['x'].tofile('y')",
        'L[\'a" + open("x") + "\'].size()[0] == 2',
        "torch.os.system('true')",
        "torch.load('x')",
        "math.inf.hex()",
        "L['x'] # \n",
        "(x := 1)",
        "Symbol('s0') == 1",
        "",
    ],
)
def test_guards_that_run_something_are_refused(text: str) -> None:
    with pytest.raises(Malformed):
        check_guard(text)
