"""What a conversion is told, and what it tells: options, results, and the parts that its files hand to each other.

Data only: reads nothing, imports neither numpy nor torch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from safeload.document.document import Document, Extent
from safeload.errors import UsageError
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.report import Report

Progress = Callable[[str, int, int], None]
"""Called with a stage ("write", "sync", "verify", "hash"), bytes done and bytes in all; by any of a few threads, but
never by two at a time. It must not wait for the thread that converts."""

DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}
"""What `dtype` may ask for, and torch's names."""

CONVERT_KEY = "safeload.convert"
"""Key of `__metadata__` with the record of the conversion: JSON, what `verify` needs to repeat the plan."""

DISARMED_KEY = "safeload.disarmed"
"""Key of `__metadata__` that marks tensors taken out of a dangerous file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to convert. Everything that changes the output is recorded in it; see `record`.

    allow         "unvetted" takes files with objects outside the vetted table: what is not data is dropped and listed
    disarm        takes the tensors out of a dangerous file; every call that was dropped is listed
    records       the file is a whole pickled module: convert its state_dict
    dtype         "bf16", "fp16" or "fp32": cast floating tensors, round to nearest even
    keys          keep tensors whose dotted name matches one of these globs (fnmatch, case counts); () keeps all
    strip_prefix  taken off every name; refused when one has it not
    rename        old name -> new name, after `strip_prefix`
    metadata      further entries of `__metadata__`
    force         replace an existing destination
    manifest      where to write the manifest (JSON); None: none is made, and nothing is hashed
    sync          fsync the file and its folder before it is shown under its name
    overlap       compare each portion right after it is written; False: all of them at the end, which would
                  notice a write that went astray, too
    policy        rules to judge by, None for the default ones
    progress      see Progress
    """

    allow: str | None = None
    disarm: bool = False
    records: bool = False
    dtype: str | None = None
    keys: tuple[str, ...] = ()
    strip_prefix: str = ""
    rename: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    force: bool = False
    manifest: str | os.PathLike[str] | None = None
    sync: bool = True
    overlap: bool = True
    policy: Policy | None = None
    limits: Limits = field(default_factory=Limits)
    progress: Progress | None = None

    def __post_init__(self) -> None:
        if self.allow not in (None, "unvetted"):
            raise UsageError(f"allow must be 'unvetted', not {self.allow!r}")
        if self.dtype is not None and self.dtype not in DTYPES:
            raise UsageError(f"dtype must be one of {', '.join(DTYPES)}, not {self.dtype!r}")
        if not isinstance(self.keys, tuple | list) or not all(isinstance(glob, str) for glob in self.keys):
            raise UsageError("keys takes a tuple of globs")
        object.__setattr__(self, "keys", tuple(self.keys))
        if not isinstance(self.strip_prefix, str):
            raise UsageError("strip_prefix takes a text")
        for name, texts in (("rename", self.rename), ("metadata", self.metadata)):
            if not isinstance(texts, Mapping) or not all(type(k) is str and type(v) is str for k, v in texts.items()):
                raise UsageError(f"{name} maps texts to texts")

    @property
    def selects(self) -> bool:
        """Whether the output is a flat dict of chosen or renamed tensors in place of the whole object."""
        return bool(self.keys or self.strip_prefix or self.rename)

    def record(self) -> dict[str, object]:
        """What of it changed the output, as JSON: `Options(**recorded(...))` plans the same file again."""
        found: dict[str, object] = {}
        for name in ("allow", "disarm", "records", "dtype", "strip_prefix"):
            if value := getattr(self, name):
                found[name] = value
        if self.keys:
            found["keys"] = list(self.keys)
        if self.rename:
            found["rename"] = dict(self.rename)
        if self.metadata:
            found["metadata"] = dict(self.metadata)
        return found


class Piece(NamedTuple):
    """Where the elements of one tensor of the output come from: a strided view of the bytes of one storage.

    document, extent   the Document whose source holds the bytes, and where
    start              of the first element, in bytes from the start of the (inflated) storage
    shape, stride      in elements of `width` bytes
    width              bytes of one element
    unit               bytes whose order is reversed (big-endian storages), 1 for none
    """

    document: Document
    extent: Extent
    start: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    width: int
    unit: int = 1


class Stored(NamedTuple):
    """One tensor of the output.

    name     its key
    dtype    element type by torch's name, as the header says it
    shape    as the header says it
    nbytes   of all its elements, as written
    piece    where the elements are in the source
    source   element type of the piece when it is cast, by torch's name; None: bytes are moved as they are
    negated  whose sign is changed: "" none, "neg" every element, "conj" the imaginary half, "conj-neg" the real half
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    nbytes: int
    piece: Piece
    source: str | None = None
    negated: str = ""


class Dropped(NamedTuple):
    """Something of the source that is not in the output.

    what    "object": of a class outside the vetted table; "call": what the file would have done; "tensor": not
            selected; "value": what is no tensor, left out by a selection
    name    the class, function, or tensor
    place   dotted path, "" when unknown
    member  of the container, "" when it has none;  offset: in it, None when no place applies
    reason  one sentence
    """

    what: str
    name: str
    place: str = ""
    member: str = ""
    offset: int | None = None
    reason: str = ""


class Verification(NamedTuple):
    """What was compared, after it was found equal.

    tensors, nbytes   of the output, all of them
    library           the safetensors library that reopened it ("safetensors 0.8.0")
    digests           name -> sha256 of the tensor's bytes, when asked for
    recorded          the options by which the output says it was made, and by which it was compared: whoever made it
                      chose them. None: it says nothing, and its tensors (and its tree, if any) were compared
    """

    tensors: int
    nbytes: int
    library: str
    digests: Mapping[str, str] = {}
    recorded: Mapping[str, object] | None = {}


@dataclass(frozen=True, slots=True)
class Conversion:
    """A conversion that succeeded.

    source, output   paths as given;  sidecar: the tree's own file when it was too large for the header, else None
    report           of the scan of the source
    tensors, nbytes  stored in the output;  size: bytes of the output file
    ties             name left out -> name that has its bytes
    dropped          what of the source is not in it
    notes            what a reader should know: casts, encodings, overlapping views
    verification     see Verification
    seconds          stage ("judge", "plan", "write", "sync", "verify", "hash") -> duration
    manifest         path of the manifest, None when none was asked for
    shards           paths of the shards when there are several; `output` is then their index
    """

    source: str
    output: str
    sidecar: str | None
    report: Report
    tensors: int
    nbytes: int
    size: int
    ties: Mapping[str, str]
    dropped: tuple[Dropped, ...]
    notes: tuple[str, ...]
    verification: Verification
    seconds: Mapping[str, float]
    manifest: str | None = None
    shards: tuple[str, ...] = ()
