"""`safeload.open`: reads single tensors out of a checkpoint of any size, as `safe_open` of safetensors does.

The file is judged once, when it is opened, by the same gate as a load. No storage is read before a caller asks for it.
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
from safeload.loading.judged import Judged, LoadTerms, judge
from safeload.loading.placement import Placement, own_errors
from safeload.loading.rebuild import Rebuild
from safeload.loading.slicing import narrowed, span
from safeload.loading.storages import TorchStorages
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
    """Open a checkpoint for reading single tensors; a context manager, used as `safe_open` of safetensors.

    Args:
        path: A path, the bytes themselves, or a binary file object: torch zip, legacy torch, safetensors, and what else
            `load` reads.
        framework: "pt"; for numpy arrays call `.numpy()` on the tensors.
        device: Where tensors are put.
        unvetted: "refuse" raises for classes outside the table; "record" lists what the states of their objects hold.
        trust: As for `load`; but a trusted class is not built here either: its attributes are listed.
        policy: As for `load`.
        weights_only: As for `load`.
        mmap: None or True: tensors view a private map of the file. False: they are read into memory.
        limits: What a file may cost. None is `Limits()`.

    Returns:
        A `LazyCheckpoint` with `keys()`, `get_tensor(name)`, `get_slice(name)` and `metadata()`.

    Raises:
        LimitExceeded: Parts of the file are shared on so many paths that its tensors have more than `limits.names`
            names. What else is raised is as for `load`.

    Example:
        >>> with safeload.open("model.pt") as f:
        ...     rows = f.get_slice("weight")[0:1]
        >>> rows.shape
        torch.Size([1, 3])
    """
    if framework not in _FRAMEWORKS:
        raise UsageError(f"framework must be 'pt', not {framework!r}: for numpy arrays call .numpy() on the tensors")
    where = Placement(f"cuda:{device}" if isinstance(device, int) else device).target or torch.device("cpu")
    terms = LoadTerms(unvetted, trust, policy, bool(weights_only), limits or Limits())
    judged = judge(path, terms, mapped=bool(mmap))
    try:
        return LazyCheckpoint(judged, where, use_mmap=mmap, limits=terms.limits)
    except BaseException:
        judged.close()
        raise


class LazyCheckpoint:
    """An opened checkpoint. Keys are dotted paths (see `safeload.tree.paths`): plain names for a flat state_dict.

    A tied tensor is listed under each of its names. Not listed are parameters without values (uninitialized ones), and
    what is no tensor (numpy arrays, numbers): `load` gives those. Tensors are plain and without gradient, also where
    the file holds Parameters. Several threads may use it at once.
    """

    def __init__(self, judged: Judged, device: torch.device, *, use_mmap: bool | None, limits: Limits) -> None:
        self._document = document = judged.document()
        self._judged = judged
        self._device = device
        self._leaves: dict[str, Any] = named_leaves(document.root, _is_tensor, limits)
        # SECURITY: a file inside this one has its own storages under the same keys. Each leaf has to be read from the
        # file that it belongs to.
        self._homes = {id(leaf): home for _, leaf, home in enclosed_leaves(document, _is_tensor, limits)}
        self._metadata = dict(document.metadata)
        self._cpu = Placement("cpu")
        self._storages: TorchStorages | None = TorchStorages(document, self._cpu, use_mmap=use_mmap)
        # Held while a tensor is made: `close` in another thread waits for it, and the storages of one file are read and
        # mapped by one thread at a time.
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
        """The shape of a tensor. For a nested tensor: how many pieces, and the largest size of each dimension."""
        return _shape(self._leaf(key))

    def get_dtype(self, key: str) -> torch.dtype:
        """The dtype of a tensor."""
        return _dtype(self._leaf(key))

    def metadata(self) -> dict[str, str]:
        """What the container says of itself: `__metadata__` of safetensors, the version of a torch zip."""
        return dict(self._metadata)

    def get_tensor(self, key: str) -> torch.Tensor:
        """One tensor. Its storage holds only the bytes that the tensor shows."""
        leaf, home = self._found(key)
        if isinstance(leaf, TensorSpec):
            return self._view(leaf, home)
        with self._lock, own_errors():
            storages = self._open_storages(home).fresh()
            made: torch.Tensor = Rebuild(home, storages, self._cpu, self._judged.trust).build(leaf)
            return made.detach().to(self._device)

    def get_slice(self, key: str) -> LazySlice:
        """A tensor to index: `f.get_slice("w")[10:20]` reads only those rows."""
        leaf, home = self._found(key)
        if not isinstance(leaf, TensorSpec):
            raise UsageError(f"{key!r} is sparse, nested or quantized and cannot be sliced: use get_tensor")
        return LazySlice(self, leaf, home)

    def close(self) -> None:
        """Close the file. Tensors that were read stay valid."""
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

    def _open_storages(self, home: Document) -> TorchStorages:
        """The storages of the Document `home`."""
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
        """The plain tensor under a name, and the Document that its storage belongs to."""
        leaf = self._leaf(key)
        return _plain(leaf), self._homes.get(id(leaf), self._document)

    def _view(self, spec: TensorSpec, home: Document) -> torch.Tensor:
        """The tensor of `spec`, over a storage of only the bytes that it shows."""
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
    """A tensor whose elements are read when it is indexed, by whole numbers, slices of positive step and an ellipsis.

    Over a mapped storage the result is a view, and nothing is read. Otherwise it reads the bytes from the first to the
    last element of the result.
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
        """The shape as a list, as safetensors gives it."""
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
    """The plain tensor in any tensor-like leaf; None for no tensor, and for one without values."""
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
