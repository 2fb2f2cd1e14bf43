"""torch's small values: sizes, devices, layouts, dtypes, version strings. Semantics: torch 2.13."""

from __future__ import annotations

import re

from safeload.document.document import Built, Enclosed, Symbol, resolve
from safeload.findings import Verdict
from safeload.machine.program import Call, Mutation
from safeload.vetted.consumption import elements, spend
from safeload.vetted.interface import Constructor, Context, ShapeError, arguments, positional
from safeload.vetted.torch.geometry import MAX_RANK, sizes
from safeload.vetted.torch.sparse import rebuild_nested, rebuild_sparse

_DEVICE = r"[a-z_]{2,20}(?::[0-9]{1,4})?"
_LAYOUTS = frozenset(
    f"torch.{name}"
    for name in ("strided", "sparse_coo", "sparse_csr", "sparse_csc", "sparse_bsr", "sparse_bsc", "jagged", "_mkldnn")
)
_VERSION = r"[0-9A-Za-z.+_-]{1,100}"


def size(call: Call, ctx: Context) -> Built:
    """`torch.Size(sequence of ints)`."""
    (raw,) = positional(call, 1)
    value = resolve(raw)
    if type(value) is list and len(value) <= MAX_RANK:
        value = tuple(elements(ctx, value, raw, call.offset))
    return Built("torch.Size", (sizes(value, "torch.Size"),))


def device(call: Call, ctx: Context) -> Built:
    """`torch.device(type[, index])`."""
    args = arguments(call, str, optional=(int,))
    if re.fullmatch(_DEVICE, str(args[0])) is None or (len(args) == 2 and not 0 <= int(str(args[1])) < 10_000):
        raise ShapeError("no device that torch could mean", Verdict.UNJUDGED)
    return Built("torch.device", args)


def layout(call: Call, ctx: Context) -> Symbol:
    """`torch.serialization._get_layout(name)`: torch looks the name up in a table, and so does this."""
    (name,) = arguments(call, str)
    if name not in _LAYOUTS:
        raise ShapeError("no layout of torch has this name")
    return Symbol(str(name))


def version(call: Call, ctx: Context) -> Built:
    """`TorchVersion(str)`, a subclass of str in old training states."""
    (text,) = arguments(call, str)
    if re.fullmatch(_VERSION, str(text)) is None:
        raise ShapeError("no version of torch is written like this", Verdict.UNJUDGED)
    return Built("torch.torch_version.TorchVersion", (text,))


def version_state(call: Call, mutation: Mutation, ctx: Context) -> None:
    """BUILD on a TorchVersion: an empty state."""
    if mutation.kind != "build" or mutation.payload not in (None, {}):
        raise ShapeError("a version takes no state")


def load_from_bytes(call: Call, ctx: Context) -> Enclosed:
    """`torch.storage._load_from_bytes(bytes)`: the bytes are a whole checkpoint, which is judged as a file of its own.

    SECURITY: torch loads the inner file with weights_only=False, so its pickles run like those of the outer file.
    """
    (data,) = arguments(call, bytes)
    if not isinstance(data, bytes):
        raise ShapeError("takes bytes")
    spend(ctx, len(data), call.offset)
    return Enclosed(ctx.enclosed(data, call.offset))


CONSTRUCTORS = (
    Constructor("torch-size", size, kinds=frozenset({"reduce", "newobj"})),
    Constructor("torch-device", device),
    Constructor("torch-layout", layout),
    Constructor("torch-version", version, version_state, frozenset({"reduce", "newobj"})),
    Constructor("torch-load-from-bytes", load_from_bytes),
    Constructor("torch-sparse", rebuild_sparse),
    Constructor("torch-nested", rebuild_nested),
    Constructor("value-only"),
)
