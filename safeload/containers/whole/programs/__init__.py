"""Programs and parts of programs, one format a file."""

from __future__ import annotations

from safeload.containers.whole.interface import WholeFormat
from safeload.containers.whole.programs import (
    ar,
    bitcode,
    bytecode,
    elf,
    java_class,
    macho,
    pe,
    wasm,
)

FORMS: tuple[WholeFormat, ...] = (
    *elf.FORMS,
    *pe.FORMS,
    *macho.FORMS,
    *java_class.FORMS,
    *ar.FORMS,
    *bytecode.FORMS,
    *bitcode.FORMS,
    *wasm.FORMS,
)
