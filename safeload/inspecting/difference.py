"""`safeload.diff`: in what two checkpoints differ, whatever their formats. Both are judged, none is loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from os import PathLike
from typing import Any

from safeload.document.document import Document
from safeload.document.record import Record
from safeload.errors import LimitExceeded, Malformed
from safeload.findings import Verdict
from safeload.inputs import open_source
from safeload.inspecting.comparing import Comparison
from safeload.inspecting.interface import Change, Changed, Difference, Renaming, Side
from safeload.inspecting.places import Place, places
from safeload.inspecting.prefixes import renaming, said
from safeload.inspecting.streaming import Storages
from safeload.inspecting.tensors import Facts, facts
from safeload.inspecting.values import digest, text_of, type_of
from safeload.limits import Limits
from safeload.machine.pause import pause, resume
from safeload.modules.node import is_module
from safeload.policy import Policy
from safeload.scanning.scanner import scan_source
from safeload.source import Source
from safeload.tree.interface import DIGEST_KEY, KEY

Progress = Callable[[str, int, int], None]

_VERSIONS = "_metadata"
_CLASS = "(class)"
_METADATA = "(metadata)"

# Places that parts shared by several paths may multiply to: a checkpoint with a model, its average and both in a list.
_FREE = 10_000
_TIMES = 8


def diff(
    a: Any,
    b: Any,
    *,
    keys_only: bool = False,
    policy: Policy | str | PathLike[str] | None = None,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> Difference:
    """In what two files differ, whatever their formats and verdicts. Nothing of them is run, torch is not needed.

    Compared are tensors by name (see `Renaming`) and what is no tensor. Not compared are requires_grad, Parameter or
    tensor, devices, strides and the order of keys. Memory stays bounded.

    Args:
        a: A path, the bytes themselves, or a binary file object.
        b: The other one, likewise.
        keys_only: Compare names, types, shapes and values, but not the bytes of tensors.
        policy: To judge by, as for `safeload.scan`.
        limits: What a file may cost. None is `Limits()`.
        progress: Called with "comparing", bytes done and bytes in all.

    Returns:
        A `Difference`: what only one of them has, and what differs.

    Raises:
        InputError: One of them cannot be read (an OSError).
        Malformed: Nothing in one of them was understood (a ValueError).

    Example:
        >>> safeload.diff("model.pt", "model.pt").equal
        True
    """
    rules, limits = Policy.find(policy), limits or Limits()
    with ExitStack() as stack:
        sources = []
        for f in (a, b):
            source = open_source(f)
            stack.callback(source.close)
            sources.append(source)
        pause()
        stack.callback(resume)
        sides = [_Held(source, rules, limits) for source in sources]
        _name(sides, limits)
        return _difference(sides[0], sides[1], keys_only, progress)


def _name(sides: list[_Held], limits: Limits) -> None:
    """Name everything in both, what is shared on each of its paths: unless there are very many, then on its first."""
    for side in sides:
        side.named(limits, again=False)
    if not any(side.shares for side in sides):
        return
    try:
        for side in sides:
            most = _FREE + _TIMES * (len(side.tensors) + len(side.values))
            side.named(limits._replace(names=min(limits.names, most)), again=True)
    except LimitExceeded:
        for side in sides:
            side.named(limits, again=False)


class _Held:
    """One file: its places by name."""

    def __init__(self, source: Source, policy: Policy, limits: Limits) -> None:
        scan = scan_source(source, policy=policy, limits=limits)
        self.report = scan.report
        document = scan.document
        if document is None or document.container == "unknown":
            why = scan.report.findings[0].message if scan.report.findings else "it holds no object"
            raise Malformed(f"{scan.report.path} cannot be compared, nothing in it was understood: {why}")
        self.document: Document = document
        self.tensors: dict[str, Place] = {}
        # Name -> (digest, text).
        self.values: dict[str, tuple[bytes, str]] = {}
        # Names of values that are, or lie below, a pickled nn.Module.
        self.of_modules: set[str] = set()
        # Whether a container stands on several paths.
        self.shares = False
        self.whole = scan.report.verdict is not Verdict.UNJUDGED

    def named(self, limits: Limits, *, again: bool) -> None:
        """Name everything. Raises LimitExceeded."""
        self.tensors, self.values, self.of_modules = {}, {}, set()
        self.shares = False
        known: dict[int, bytes] = {}
        # Depth of the modules around the place that is looked at.
        around: list[int] = []
        for place in places(self.document, limits, again=again):
            while around and around[-1] >= place.depth:
                around.pop()
            if place.kind == "container" and is_module(place.value):
                around.append(place.depth)
            found = self._value(place, known)
            if found is not None:
                name = found[0]
                self.values[name] = found[1:]
                if around:
                    self.of_modules.add(name)

    def _value(self, place: Place, known: dict[int, bytes]) -> tuple[str, bytes, str] | None:
        """(name, digest, text) of a place that is no tensor and has something to compare."""
        value = place.value
        if place.kind == "tensor":
            self.tensors[place.path] = place
        elif place.kind == "unread":
            self.whole = False
        elif place.kind == "same":
            self.shares = True
            return place.path, place.first.encode("utf-8", "surrogatepass"), f"same object as {place.first or 'root'}"
        elif place.kind == "value":
            return place.path, digest(value, known), text_of(value)
        elif isinstance(value, Record):
            return f"{place.path} {_CLASS}".lstrip(), digest(type_of(value), known), type_of(value)
        return None

    def without_modules(self) -> None:
        """Leave out what modules hold beside tensors."""
        self.values = {name: found for name, found in self.values.items() if name not in self.of_modules}

    def metadata(self) -> dict[str, tuple[bytes, str]]:
        """What the container says of itself, in the form of `values`."""
        entries = self.document.metadata.items()
        return {
            f"{_METADATA} {key}": (digest(value, {}), text_of(value))
            for key, value in entries
            if key not in (KEY, DIGEST_KEY)
        }

    def side(self) -> Side:
        """What the answer says of it."""
        return Side(self.report, len(self.tensors), len(self.values))


def _difference(a: _Held, b: _Held, keys_only: bool, progress: Progress | None) -> Difference:
    mine, theirs = list(a.tensors), list(b.tensors)
    found = renaming(mine, theirs)
    there = {found.bare(name): name for name in theirs}
    pairs: list[tuple[str, str]] = []
    missing: list[str] = []
    met: set[str] = set()
    for name in mine:
        bare = found(name)
        other = None if bare is None else there.get(bare)
        if other is None:
            missing.append(name)
        else:
            pairs.append((name, other))
            met.add(other)
    modules = ""
    if bool(a.of_modules) != bool(b.of_modules):
        modules = "A" if a.of_modules else "B"
        (a if a.of_modules else b).without_modules()
    added = tuple([name for name in theirs if name not in met])
    changed, compared = _changed(a, b, pairs, keys_only, progress)
    return Difference(
        a.side(), b.side(), found, said(found, mine, theirs), tuple(missing), added, tuple(changed),
        tuple(_values(a, b, found)), len(pairs) - len(changed), compared, keys_only, modules, a.whole and b.whole,
    )  # fmt: skip


def _changed(
    a: _Held, b: _Held, pairs: list[tuple[str, str]], keys_only: bool, progress: Progress | None
) -> tuple[list[Change], int]:
    """The tensors that differ, and the bytes that were compared."""

    def of(side: _Held, name: str) -> Facts:
        place = side.tensors[name]
        return facts(place.value, place.home)

    total = 0 if keys_only or progress is None else sum([of(a, name).nbytes for name, _ in pairs])
    told: Callable[[int], None] = lambda done: None if progress is None else progress("comparing", done, total)  # noqa: E731
    changed = []
    with Storages() as left, Storages() as right:
        comparison = Comparison(left, right, told)
        for name, other in pairs:
            change = comparison.differs(name, other, of(a, name), of(b, other), values=not keys_only)
            if change is not None:
                changed.append(change)
        return changed, comparison.compared


def _values(a: _Held, b: _Held, found: Renaming) -> Iterable[Changed]:
    """What is no tensor and differs."""
    mine, theirs = dict(a.values), dict(b.values)
    if a.document.container == b.document.container == "safetensors":
        mine |= a.metadata()
        theirs |= b.metadata()
    # Versions of modules are kept by torch.save alone: their lack says nothing.
    for name in [*mine, *theirs]:
        if name.rpartition(".")[2] == _VERSIONS and not (name in mine and name in theirs):
            mine.pop(name, None)
            theirs.pop(name, None)
    there = {found.bare(name): name for name in theirs}
    met: set[str] = set()
    for name, (mark, text) in mine.items():
        moved = found(name)
        # A value that stands beside the model keeps its name.
        other = there.get(moved) if moved is not None else None
        if other is None and name in theirs:
            other = name
        if other is None:
            yield Changed(name, text, None)
            continue
        met.add(other)
        if theirs[other][0] != mark:
            yield Changed(name, text, theirs[other][1])
    for name, (_, text) in theirs.items():
        if name not in met:
            yield Changed(name, None, text)
