"""The closed table: every shape that a vetted name can have. The files rules/vetted/*.toml say which names have one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

from safeload.vetted.interface import Constructor, Context, ShapeError
from safeload.vetted.torch.storages import persistent_value

FAMILIES: dict[str, tuple[str, ...]] = {
    "torch.tensors": (
        "torch-tensor-v1",
        "torch-tensor-v2",
        "torch-tensor-v3",
        "torch-meta-tensor",
        "torch-rebuild-parameter",
        "torch-rebuild-parameter-with-state",
        "torch-from-type",
        "torch-device-tensor",
        "torch-numpy-tensor",
        "torch-parameter",
        "torch-legacy-tensor",
        "torch-uninitialized",
    ),
    "torch.quantized": ("torch-quantized",),
    "torch.storages": ("torch-storage-class",),
    "torch.values": (
        "torch-size",
        "torch-device",
        "torch-layout",
        "torch-version",
        "torch-load-from-bytes",
        "torch-sparse",
        "torch-nested",
        "value-only",
    ),
    "collections_types": ("ordered-dict", "counter", "defaultdict", "deque", "chain-map"),
    "builtins_types": (
        "set",
        "frozenset",
        "bytearray",
        "bytes",
        "complex",
        "slice",
        "range",
        "list",
        "dict",
        "object",
        "singleton-type",
    ),
    "codecs_encode": ("latin1-bytes",),
    "copyreg_forms": ("reconstructor", "newobj-function", "newobj-ex-function"),
    "datetimes": ("date", "time", "datetime", "timedelta", "timezone"),
    "enum_lookup": ("enum-lookup",),
    "namespaces": ("namespace", "simple-namespace"),
    "numpy.arrays": ("numpy-reconstruct", "numpy-scalar", "numpy-frombuffer"),
    "numpy.dtypes": ("numpy-dtype",),
    "numpy.random": ("numpy-bit-generator", "numpy-generator", "numpy-random-state", "numpy-seed-sequence"),
    "paths": ("posix-path", "windows-path"),
    "stdlib_values": ("uuid", "safe-uuid", "decimal", "fraction", "bytes-io", "string-io", "random"),
}
"""Family, a module of this folder -> the ids of its shapes. It is imported when a file first needs one of them."""


class _Table(Mapping[str, Constructor]):
    """The shapes of all families, by id. Imports a family when one of its shapes is asked for."""

    def __init__(self) -> None:
        self._homes = {shape: family for family, shapes in FAMILIES.items() for shape in shapes}
        self._found: dict[str, Constructor] = {}

    def __getitem__(self, shape: str) -> Constructor:
        if shape not in self._found:
            family = import_module(f"safeload.vetted.{self._homes[shape]}")
            self._found.update((constructor.shape, constructor) for constructor in family.CONSTRUCTORS)
        return self._found[shape]

    def __iter__(self) -> Iterator[str]:
        return iter(self._homes)

    def __len__(self) -> int:
        return len(self._homes)


CONSTRUCTORS: Mapping[str, Constructor] = _Table()

__all__ = ["CONSTRUCTORS", "FAMILIES", "Constructor", "Context", "ShapeError", "persistent_value"]
