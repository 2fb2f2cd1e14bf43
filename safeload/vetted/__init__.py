"""The closed table: every shape that a vetted name can have. Names are admitted by rules/vetted/*.toml."""

from __future__ import annotations

from safeload.vetted import (
    builtins_types,
    codecs_encode,
    collections_types,
    copyreg_forms,
    datetimes,
    enum_lookup,
    namespaces,
    numpy_arrays,
    numpy_dtypes,
    numpy_random,
    paths,
    stdlib_values,
    torch_quantized,
    torch_storages,
    torch_tensors,
    torch_values,
)
from safeload.vetted.interface import Constructor, Context, ShapeError
from safeload.vetted.torch_storages import persistent_value

FAMILIES = (
    torch_tensors,
    torch_quantized,
    torch_storages,
    torch_values,
    collections_types,
    builtins_types,
    codecs_encode,
    copyreg_forms,
    datetimes,
    enum_lookup,
    namespaces,
    numpy_arrays,
    numpy_dtypes,
    numpy_random,
    paths,
    stdlib_values,
)

CONSTRUCTORS: dict[str, Constructor] = {c.shape: c for family in FAMILIES for c in family.CONSTRUCTORS}

__all__ = ["CONSTRUCTORS", "FAMILIES", "Constructor", "Context", "ShapeError", "persistent_value"]
