"""`safeload.open`: one tensor at a time out of a checkpoint of any size, lazily as safetensors' `safe_open`.

The file is judged once, when it is opened, through the same gate as a load; no storage is read before it is asked for.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Self

import torch

from safeload.document.document import (
    ArraySpec,
    Built,
    Document,
    NestedTensorSpec,
    QuantizedSpec,
    SparseSpec,
    StorageSpec,
    TensorSpec,
    WrappedTensor,
    resolve,
)
from safeload.document.dtypes import itemsize
from safeload.errors import UsageError
from safeload.limits import Limits
from safeload.loading.judged import Judged, Terms, judge
from safeload.loading.placement import Placement, own_errors
from safeload.loading.rebuild import Rebuild
from safeload.loading.slicing import narrowed, span
from safeload.loading.storages import Storages
from safeload.loading.tensors import DTYPES
from safeload.policy import Policy
from safeload.tree.paths import enclosed_leaves, named_leaves

_FRAMEWORKS = ("pt", "torch", "pytorch")
_WITHOUT_VALUES = ("UninitializedParameter", "UninitializedBuffer")
_EMPTY = "torch.Tensor"
_FROM_NUMPY = "torch.from_numpy"


def open(
    path: Any,
    *,
    framework: str = "pt",
    device: str | torch.device | int = "cpu",
    unvetted: str = "refuse",
    trust: Iterable[type | str] | type | str = (),
    policy: Policy | str | os.PathLike[str] | None = None,
    weights_only: bool | None = None,
    mmap: bool | None = None,
    limits: Limits | None = None,
) -> LazyCheckpoint:
    """Open a checkpoint for reading single tensors; a context manager.

        with safeload.open("model.pth") as f:
            for name in f.keys(): ...
            weight = f.get_tensor("model.layer1.weight")
            rows = f.get_slice("model.embedding.weight")[1000:2000]

    path      a path, the bytes themselves or a binary file object: torch zip, legacy torch, safetensors, and what else
              `load` reads
    device    where tensors are put
    unvetted  "refuse" raises for classes outside the table; "record" lists what the states of their objects hold. A
              trusted class is not built here either: its attributes are listed
    mmap      None or True: tensors view a private map of the file; False: they are read into memory

    The other arguments, and what is raised, are as for `load`; and LimitExceeded when parts of the file are shared on
    so many paths that its tensors have more than `limits.names` names.
    """
    if framework not in _FRAMEWORKS:
        raise UsageError(f"framework must be 'pt', not {framework!r}: for numpy arrays call .numpy() on the tensors")
    where = Placement(f"cuda:{device}" if isinstance(device, int) else device).target or torch.device("cpu")
    terms = Terms(unvetted, trust, policy, bool(weights_only), limits or Limits())
    judged = judge(path, terms, mapped=bool(mmap))
    try:
        return LazyCheckpoint(judged, where, use_mmap=mmap, limits=terms.limits)
    except BaseException:
        judged.close()
        raise


class LazyCheckpoint:
    """An opened checkpoint. Keys are dotted paths (see `safeload.tree.paths`), plain for a flat state_dict.

    A tensor that is tied is listed under each of its names. What has no values yet (an uninitialized parameter) and
    what is no tensor (numpy arrays, numbers) is not listed: `load` gives those. Tensors are plain ones without
    gradient, also where the file holds Parameters. May be used by several threads at once.
    """

    def __init__(self, judged: Judged, device: torch.device, *, use_mmap: bool | None, limits: Limits) -> None:
        self._document = document = judged.document()
        self._judged = judged
        self._device = device
        self._leaves: dict[str, Any] = named_leaves(document.root, _is_tensor, limits)
        # SECURITY: a file inside this one has storages of its own under the same keys.
        self._homes = {id(leaf): home for _, leaf, home in enclosed_leaves(document, _is_tensor, limits)}
        self._metadata = dict(document.metadata)
        self._cpu = Placement("cpu")
        self._storages: Storages | None = Storages(document, self._cpu, use_mmap=use_mmap)
        self._lock = threading.Lock()

    def keys(self) -> list[str]:
        """The names of the tensors, in the order of the file."""
        return list(self._leaves)

    def __iter__(self) -> Iterator[str]:
        return iter(self._leaves)

    def __len__(self) -> int:
        return len(self._leaves)

    def __contains__(self, key: object) -> bool:
        return key in self._leaves

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Name -> shape of every tensor, without reading any."""
        return MappingProxyType({key: _shape(leaf) for key, leaf in self._leaves.items()})

    def get_shape(self, key: str) -> tuple[int, ...]:
        """The shape of a tensor, in elements. Of a nested tensor: (pieces,) and the largest size of each dimension."""
        return _shape(self._leaf(key))

    def get_dtype(self, key: str) -> torch.dtype:
        """The dtype of a tensor."""
        return _dtype(self._leaf(key))

    def metadata(self) -> dict[str, str]:
        """What the container itself says: `__metadata__` of safetensors, the version of a torch zip."""
        return dict(self._metadata)

    def get_tensor(self, key: str) -> torch.Tensor:
        """One tensor. Its storage holds no more than the part that it shows."""
        leaf, home = self._found(key)
        if isinstance(leaf, TensorSpec):
            return self._view(leaf, home)
        with self._lock, own_errors():
            storages = self._open_storages(home).fresh()
            made: torch.Tensor = Rebuild(home, storages, self._cpu, self._judged.trust).build(leaf)
            return made.detach().to(self._device)

    def get_slice(self, key: str) -> LazySlice:
        """A tensor to be indexed: `f.get_slice("w")[10:20]` reads those rows alone."""
        leaf, home = self._found(key)
        if not isinstance(leaf, TensorSpec):
            raise UsageError(f"{key!r} is sparse, nested or quantized and cannot be sliced: use get_tensor")
        return LazySlice(self, leaf, home)

    def close(self) -> None:
        """Give the file back. Tensors that were read stay valid."""
        with self._lock:
            self._storages = None
            self._judged.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = " (closed)" if self._storages is None else ""
        return f"<safeload.open of {self._judged.source.name!a}: {len(self._leaves)} tensors{state}>"

    def _open_storages(self, home: Document) -> Storages:
        """The storages as `home` names them."""
        if self._storages is None:
            raise UsageError("the checkpoint is closed: read its tensors inside the `with`, or before close()")
        return self._storages if home is self._document else self._storages.within(home)

    def _leaf(self, key: str) -> Any:
        found = self._leaves.get(key)
        if found is None:
            near = get_close_matches(str(key), list(self._leaves)[:10_000], n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise UsageError(f"the checkpoint has no tensor {key!r}{hint}")
        return found

    def _found(self, key: str) -> tuple[Any, Document]:
        """The plain tensor under a name, and the Document that has its storage."""
        leaf = self._leaf(key)
        return _plain(leaf), self._homes.get(id(leaf), self._document)

    def _view(self, spec: TensorSpec, home: Document) -> torch.Tensor:
        """The tensor of `spec` over no more bytes than it shows."""
        dtype = DTYPES[spec.dtype]
        with self._lock, own_errors():
            storages = self._open_storages(home)
            if spec.storage is None or self._device.type == "meta":
                return torch.empty_strided(spec.shape, spec.stride, dtype=dtype, device="meta")
            first, count = span(spec)
            width = itemsize(spec.dtype)
            storage = storages.span(spec.storage, first * width, count * width)
            tensor = torch.empty((0,), dtype=dtype)
            tensor.set_(storage, 0, spec.shape, spec.stride)
            if spec.conj:
                torch._C._set_conj(tensor, True)
            if spec.neg:
                torch._C._set_neg(tensor, True)
            return tensor.to(self._device)


class LazySlice:
    """A tensor that is read where it is indexed. Indices are whole numbers, slices of positive step and an ellipsis.

    Of a mapped storage nothing is read: the result is a view. Otherwise the bytes from the first to the last element
    shown are read.
    """

    def __init__(self, checkpoint: LazyCheckpoint, spec: TensorSpec, home: Document) -> None:
        self._checkpoint = checkpoint
        self._spec = spec
        self._home = home

    @property
    def shape(self) -> tuple[int, ...]:
        """In elements."""
        return self._spec.shape

    @property
    def dtype(self) -> torch.dtype:
        """As torch names it."""
        return DTYPES[self._spec.dtype]

    def get_shape(self) -> list[int]:
        """The shape, in the form that safetensors gives."""
        return list(self._spec.shape)

    def get_dtype(self) -> torch.dtype:
        """The dtype."""
        return self.dtype

    def __getitem__(self, index: Any) -> torch.Tensor:
        return self._checkpoint._view(narrowed(self._spec, index), self._home)

    def __len__(self) -> int:
        if not self._spec.shape:
            raise UsageError("a tensor without dimensions has no length")
        return self._spec.shape[0]

    def __iter__(self) -> Iterator[torch.Tensor]:
        return (self[number] for number in range(len(self)))


def _is_tensor(value: object) -> bool:
    return _plain(value) is not None


def _plain(value: object) -> TensorSpec | QuantizedSpec | SparseSpec | NestedTensorSpec | Built | None:
    """The plain tensor in any tensor-like leaf; None for what is no tensor, or has no values yet."""
    while isinstance(value, WrappedTensor):
        if value.kind in _WITHOUT_VALUES:
            return None
        value = resolve(value.data)
    if isinstance(value, Built) and value.kind == _EMPTY:
        dtype = str(value.args[0])
        return TensorSpec(StorageSpec("", dtype, 0), dtype, (0,), (1,))
    if isinstance(value, TensorSpec | QuantizedSpec | SparseSpec | NestedTensorSpec):
        return value
    return value if isinstance(value, Built) and value.kind == _FROM_NUMPY else None


def _shape(leaf: object) -> tuple[int, ...]:
    match _plain(leaf):
        case TensorSpec() | SparseSpec() as spec:
            return spec.shape
        case QuantizedSpec() as spec:
            return spec.data.shape
        case NestedTensorSpec() as spec:
            return len(spec.sizes), *(max(sizes) for sizes in zip(*spec.sizes, strict=True))
        case Built() as built:
            array = resolve(built.args[0])
            return array.shape if isinstance(array, ArraySpec) else ()
        case None:
            return ()


def _dtype(leaf: object) -> torch.dtype:
    match _plain(leaf):
        case TensorSpec() as spec:
            return DTYPES[spec.dtype]
        case QuantizedSpec() as spec:
            return DTYPES[spec.data.dtype]
        case SparseSpec() as spec:
            return DTYPES[spec.values.dtype]
        case NestedTensorSpec() as spec:
            return DTYPES[spec.buffer.dtype]
        case Built() as built:
            return DTYPES[str(built.args[1])]
        case None:
            raise AssertionError("only tensors are listed")
