"""Record graphs of modules, made by the real way: torch.save, then the scanner."""

from __future__ import annotations

import io
import warnings
from typing import Any

import torch

from safeload.document.document import TensorSpec, WrappedTensor, resolve
from safeload.findings import Verdict
from safeload.inputs import MemorySource
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.scanning.scanner import scan_source


def saved(value: Any, *, protocol: int = 2, zipped: bool = True) -> bytes:
    """The bytes of torch.save."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(value, file, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def document_root(value: Any, *, protocol: int = 2, zipped: bool = True) -> Any:
    """The root of the Document of `value`, saved: Records, Cells and specs."""
    data = saved(value, protocol=protocol, zipped=zipped)
    scan = scan_source(MemorySource(data, "<test>"), policy=Policy.default(), limits=Limits())
    assert scan.document is not None
    assert scan.report.verdict in (Verdict.CLEAN, Verdict.UNVETTED), scan.report.findings
    return scan.document.root


def spec(leaf: object) -> TensorSpec:
    """The TensorSpec inside a leaf of a document."""
    while isinstance(leaf, WrappedTensor):
        leaf = resolve(leaf.data)
    assert isinstance(leaf, TensorSpec)
    return leaf
