"""The storages that a tree names: each a tensor of the safetensors file it stands in, with what its header cannot say.

Knows the declared tensors and the tree's own table of storages; reads bytes only where a tree wants them as bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from safeload.document.document import StorageSpec, StorageValue, TensorSpec
from safeload.document.dtypes import BITS, itemsize
from safeload.document.elements import spec_bytes
from safeload.errors import Malformed
from safeload.tree.interface import names_digest
from safeload.tree.json_text import Object
from safeload.vetted.torch.storages import is_location


class Storages:
    """The storages of one tree.

    objects   persistent id -> StorageValue, for the judge: one number for each storage, one more when it is untyped
    """

    def __init__(self, tensors: Mapping[str, TensorSpec], table: object, read: Callable[[str], bytes]) -> None:
        self.objects: dict[object, object] = {}
        self._tensors = tensors
        self._table = _checked(table, tensors)
        self._read = read
        self._specs: dict[str, StorageSpec] = {}
        self._bytes: dict[str, bytes] = {}
        self._all = False

    def declared(self, name: object, offset: int) -> TensorSpec:
        """The tensor of the file called `name`."""
        found = self._tensors.get(name) if type(name) is str else None
        if found is None:
            raise Malformed(
                f"the tree names the tensor {str(name)[:200]!r}, which the file does not hold", offset=offset
            )
        return found

    def spec(self, name: object, offset: int) -> StorageSpec:
        """The storage that the tensor `name` is."""
        declared = self.declared(name, offset)
        key = str(name)
        if key not in self._specs:
            if self._all:
                raise Malformed(f"the tree uses {key[:200]!r} beside all tensors of the file", offset=offset)
            dtype, location = self._table.get(key, (None, "cpu"))
            home = None if declared.storage is None else declared.storage.home
            size = spec_bytes(declared)
            if dtype is not None and size % itemsize(dtype):
                raise Malformed(f"the {size} bytes of {key[:200]!r} are no whole elements of {dtype}", offset=offset)
            self._specs[key] = StorageSpec(key, dtype or declared.dtype, size, location, home=home)
        return self._specs[key]

    def number(self, spec: StorageSpec, untyped: bool) -> int:
        """The persistent id of a storage."""
        value = StorageValue(spec.but(dtype=None) if untyped else spec, not untyped)
        self.objects[len(self.objects)] = value
        return len(self.objects) - 1

    def content(self, name: object, offset: int) -> bytes:
        """All bytes of the tensor `name`, read once."""
        key = self.spec(name, offset).key
        if key not in self._bytes:
            self._bytes[key] = self._read(key)
        return self._bytes[key]

    def every(self, digest: object, offset: int) -> Mapping[str, TensorSpec]:
        """All tensors of the file as its header declares them, by name and in its order. Nothing else may use one.

        SECURITY: `digest` is that of the names when the tree was written, see `complete`.
        """
        if self._all or self._specs or self._table:
            raise Malformed("the tree uses all tensors of the file, and some of them elsewhere", offset=offset)
        if digest != names_digest(self._tensors):
            raise Malformed("the file holds other tensors than the tree speaks of", offset=offset)
        self._all = True
        return self._tensors

    def complete(self, aside: object) -> None:
        """Require that each tensor of the file is in the tree or set aside by it, and not both.

        SECURITY: a tool that adds or renames tensors keeps the metadata as it was; what a load returns must not
        silently lack what the file holds.
        """
        names = [] if aside is None else aside
        if type(names) is not list or any(type(name) is not str for name in names) or len(set(names)) != len(names):
            raise Malformed("the field aside must list names of tensors")
        for name in names:
            if self._all or name in self._specs or name not in self._tensors:
                raise Malformed(f"the tree sets aside {name[:200]!r}, which it uses or which the file does not hold")
        unused = [] if self._all else sorted(self._tensors.keys() - self._specs.keys() - set(names))
        if unused:
            raise Malformed(f"the file holds {unused[0][:200]!r}, of which the tree says nothing")


def _checked(table: object, tensors: Mapping[str, TensorSpec]) -> dict[str, tuple[str | None, str]]:
    """The field storages: name -> (element type or None, device tag)."""
    if table is None:
        return {}
    if type(table) is not Object:
        raise Malformed("the field storages must be an object")
    found: dict[str, tuple[str | None, str]] = {}
    for name, how in table.items():
        if type(how) is not Object or not {"dtype", "location"} >= how.keys() or name not in tensors:
            raise Malformed(f"the field storages says nothing known of a tensor of the file at {name[:200]!r}")
        dtype, location = how.get("dtype"), how.get("location", "cpu")
        if "dtype" in how and (type(dtype) is not str or dtype not in BITS):
            raise Malformed(f"no element type {str(dtype)[:100]!r}", offset=how.offset)
        if type(location) is not str or not is_location(location):
            raise Malformed(f"no device tag that torch writes: {str(location)[:100]!r}", offset=how.offset)
        found[name] = (dtype if type(dtype) is str else None, location)
    return found
