"""The machine: what a pickle would do, read without running it. See `interpreter.run` and `program.Program`."""

from __future__ import annotations

from safeload.machine.interpreter import is_nested, run, steps
from safeload.machine.opcodes import OPCODES, Opcode
from safeload.machine.program import (
    Buffer,
    Call,
    Effect,
    Extension,
    Global,
    Mutation,
    Note,
    Persistent,
    Program,
)

__all__ = [
    "OPCODES",
    "Buffer",
    "Call",
    "Effect",
    "Extension",
    "Global",
    "Mutation",
    "Note",
    "Opcode",
    "Persistent",
    "Program",
    "is_nested",
    "run",
    "steps",
]
