"""What becomes of one odd archive in a campaign: how the readers compare, and what of it breaks the promise.

Each form of archive has its maker and its examiner. Imports neither torch nor safeload itself: the parent of a
campaign does without.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tests.differential.archive_kinds import make_kind
from tests.differential.archives import Case, make

BAD = "DIFFERENT"
_QUIET = frozenset({"a torch-package", "a pt2", "a npz", "a keras", "a stable-baselines3"})
"""Kinds whose honest archives are no false alarm."""

Seen = dict[str, Any]


def examine(case: Case, path: Path) -> tuple[str, Seen]:
    """The outcome of one case and, of a bad one, what each reader saw. `path` is a file to write it to."""
    # Imports torch, which the parent does without.
    from tests.differential import archive_readers as readers
    from tests.differential.second_opinion import second_opinion

    ours = readers.ours_reads(case.data)
    if ours.clean:
        # Made anew each time: a file system that is to empty a file first writes the old one to the disk.
        path.unlink(missing_ok=True)
        path.write_bytes(case.data)
        if not readers.loads_from(path, ours):
            ours.foreign = "load: the path gives another object than the bytes"
        theirs = readers.torch_reads_all(case.data, path)
        zipped = readers.zipfile_reads(case.data, every=True)
        found = readers.disagreements(ours, theirs, zipped)
        # Of an archive of archives there is no object to compare; mapped, compressed storages are garbage to torch.
        if not found and ours.main is not None and ours.stored and theirs.main is not None:
            mapped = readers.torch_maps(path)
            if mapped is not readers.NOTHING and not readers.same(mapped, ours.loaded):
                found.append("torch.load(mmap=True) gives another object")
        loads = theirs.loaded is not readers.NOTHING
        outcome = "clean, loads as torch loads it" if loads else "clean, torch refuses"
    else:
        theirs, zipped = readers.torch_reads(case.data), readers.zipfile_reads(case.data)
        found = [] if ours.loaded is readers.NOTHING else ["loaded although it is not clean"]
        outcome = f"refused, {_among(theirs.main, zipped.main)}"
        if case.plain:
            found.append("an honest archive is refused")
    found += readers.passed_over(case.data, ours)
    if opinion := second_opinion(case.data):
        found.append(opinion)
    if ours.foreign:
        found.append(ours.foreign)
    if not found:
        return outcome, {}
    seen = {"safeload": ours, "torch": theirs, "zipfile": zipped}
    return f"{BAD}: {_kind(found[0])}", {"found": found, "seen": {who: vars(s) for who, s in seen.items()}}


def examine_kind(case: Case, path: Path) -> tuple[str, Seen]:
    """The same of an archive of any kind, which has no object of torch's: members, arrays, and who takes it."""
    from tests.differential import archive_readers as readers

    ours = readers.ours_reads(case.data)
    found = readers.passed_over(case.data, ours)
    if ours.clean:
        path.unlink(missing_ok=True)
        path.write_bytes(case.data)
        theirs = readers.torch_reads_all(case.data, path)
        found += readers.disagreements(ours, theirs, readers.zipfile_reads(case.data, every=True))
        found += readers.other_arrays(case.data, ours)
    if ours.foreign:
        found.append(ours.foreign)
    if len(case.tricks) == 1 and case.tricks[0] in _QUIET and ours.verdict not in ("clean", "unvetted"):
        found.append("an honest archive is refused")
    if not found:
        return ours.verdict, {}
    return f"{BAD}: {_kind(found[0])}", {"found": found, "seen": {"safeload": vars(ours)}}


def examine_tar(case: Case, path: Path) -> tuple[str, Seen]:
    """A tar: the members that tarfile sees, or told; and the object that torch loads of its oldest format."""
    from tests.differential.tar_tricks import compare

    compared = compare(case.data)
    if compared.wrong:
        return f"{BAD}: other members", {"found": [compared.wrong]}
    if not compared.quiet:
        return "refused, tarfile refuses too" if compared.refused else "refused, tarfile reads it", {}
    return "quiet, and torch loads the same" if compared.torch else "quiet, and tarfile sees the same", {}


def _among(torch_main: bytes | None, zipfile_main: bytes | None) -> str:
    """How torch and zipfile compare on a file that safeload refuses."""
    if torch_main is None:
        return "only zipfile reads it" if zipfile_main is not None else "nobody reads it"
    if zipfile_main is None:
        return "only torch reads it"
    return "torch and zipfile read the same" if torch_main == zipfile_main else "torch and zipfile differ"


def _kind(words: str) -> str:
    """A disagreement without its names and numbers, to count by."""
    return " ".join("..." if any(c.isdigit() or c == "'" for c in word) else word for word in words.split())[:100]


def make_tar(seed: int, number: int) -> Case:
    """Case `number` of `seed`."""
    from tests.differential.tar_tricks import Maker

    return Case(number, Maker(f"{seed}:{number}").one(), ("a tar",))


class Form(NamedTuple):
    """How the cases of one form are made and examined."""

    make: Callable[[int, int], Case]
    examine: Callable[[Case, Path], tuple[str, Seen]]


FORMS = {
    "checkpoint": Form(make, examine),
    "kind": Form(make_kind, examine_kind),
    "tar": Form(make_tar, examine_tar),
}
