"""From an input to a Document that may be built: opens it, scans it, and asks the gate. Every load begins here.

The caller closes what it gets. Nothing is judged a second time: the Document is over the bytes that were judged.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, NamedTuple

from safeload.containers import Container
from safeload.document.document import Document
from safeload.errors import LoadFailed, UnsafeCheckpoint, UsageError
from safeload.inputs import FileSource, MemorySource, open_source
from safeload.limits import Limits
from safeload.loading.gate import admit
from safeload.loading.trust import Trust
from safeload.policy import Policy
from safeload.scanning.scanner import Scan, scan_source
from safeload.source import Source


class LoadTerms(NamedTuple):
    """What a caller accepts. The fields are arguments of `load`, but for one:

    scripts   whether a TorchScript archive may be loaded for the data in it
    """

    unvetted: str = "refuse"
    trust: Iterable[type | str] | type | str = ()
    policy: Policy | str | os.PathLike[str] | None = None
    weights_only: bool = False
    limits: Limits = Limits()
    encoding: str | None = None
    scripts: bool = True

    def rules(self) -> Policy:
        """The policy that is meant. Reads the pack when `policy` is the path of one."""
        policy = Policy.find(self.policy)
        return policy.weights_only() if self.weights_only else policy


class Judged(NamedTuple):
    """An admitted input."""

    source: Source
    scan: Scan
    trust: Trust

    def document(self) -> Document:
        """The Document, whose objects may be built."""
        if self.scan.document is None:
            report = self.scan.report
            raise UnsafeCheckpoint(f"{report.path} holds no object to load", report=report)
        return self.scan.document

    def close(self) -> None:
        """Close the input."""
        self.source.close()


def judge(
    f: Any,
    terms: LoadTerms,
    *,
    private: bool = False,
    mapped: bool = False,
    containers: tuple[Container, ...] | None = None,
) -> Judged:
    """Scan `f`, and return it if the gate admits it. Raises UnsafeCheckpoint if not, and what `scan` raises.

    Args:
        f: The input, as in `load`.
        terms: What the caller accepts.
        private: Read all bytes into memory first. Another reader can then be given exactly the judged bytes.
        mapped: The caller insists on a map of the file, so `f` has to be a path.
        containers: Read the input as these formats, whatever it looks like.
    """
    rules = terms.rules()
    trust = Trust(terms.trust, rules)
    source = open_source(f)
    try:
        if mapped and not isinstance(source, FileSource):
            raise UsageError("mmap=True needs a path: a file object or bytes cannot be mapped")
        if private:
            source = _private(source)
        scan = scan_source(source, policy=rules, limits=terms.limits, encoding=terms.encoding, containers=containers)
        if not terms.scripts and "torchscript" in scan.report.container.split("+"):
            raise UnsafeCheckpoint(
                f"{ascii(scan.report.path)[1:-1]} is a TorchScript archive, a program and no checkpoint: torch.load "
                "would hand it to torch.jit.load. Call that yourself if you trust its author",
                report=scan.report,
            )
        admit(scan.report, unvetted=terms.unvetted, trust=trust, narrowed=terms.weights_only, policy=rules)
    except MemoryError:
        # When this block ends, the error and all that filled the memory are freed. Only then is there room for another.
        pass
    except BaseException:
        source.close()
        raise
    else:
        return Judged(source, scan, trust)
    source.close()
    raise LoadFailed("there is not enough memory to judge this file")


def _private(source: Source) -> Source:
    """A source with all bytes of the input in memory."""
    data = source.peek(0, source.size)
    source.close()
    return MemorySource(data, source.name)
