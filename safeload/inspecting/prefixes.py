"""Under which names of B the tensors of A stand, when the names differ by what wraps a model.

DataParallel puts "module." before every name, torch.compile "_orig_mod." (somewhere within, when a part was compiled),
a trainer "model." or "state_dict.". Any prefix is found, not these words alone: candidates are what is left before the
longest common ending of two names, and the one that matches most names wins.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from safeload.inspecting.interface import Renaming

_WRAPPERS = ("module", "_orig_mod")
_SAMPLES = 8
_CANDIDATES = 12


def renaming(mine: Sequence[str], theirs: Sequence[str]) -> Renaming:
    """The Renaming of A's tensor names that meets most of B's; none at all where names agree best as they are."""
    best, most = Renaming(), len(set(mine) & set(theirs))
    if not mine or not theirs or most == min(len(mine), len(theirs)):
        return best
    for dropped in ((), _WRAPPERS):
        plain = Renaming(dropped=dropped)
        left, right = [plain.bare(name) for name in mine], {plain.bare(name) for name in theirs}
        if len(set(left)) < len(left) or len(right) < len(theirs):
            continue  # two names would be one
        pairs = [("", "")] if dropped else []
        for before, after in [*pairs, *_candidates(left, right)]:
            found = Renaming(before, after, dropped)
            met = _met(found, mine, right)
            # A handful of names that happen to end alike is no wrapper.
            if met > most and 2 * met >= min(len(mine), len(theirs)):
                best, most = found, met
    return best


def _met(found: Renaming, names: Sequence[str], there: Collection[str]) -> int:
    return sum([found(name) in there for name in names])


def _candidates(mine: Sequence[str], theirs: Collection[str]) -> list[tuple[str, str]]:
    """Pairs of prefixes, those that most of the sampled names speak for first."""
    step = max(len(mine) // _SAMPLES, 1)
    ends: dict[str, list[list[str]]] = {}
    for name in mine[::step][:_SAMPLES]:
        parts = name.split(".")
        ends.setdefault(parts[-1], []).append(parts)
    votes: Counter[tuple[str, str]] = Counter()
    for name in theirs:
        samples = ends.get(name[name.rfind(".") + 1 :])
        if samples:
            parts = name.split(".")
            votes.update({_left(sample, parts) for sample in samples})
    # The shorter prefix of equals: it is the more general one.
    order = sorted(votes.items(), key=lambda item: (-item[1], len(item[0][0]) + len(item[0][1]), item[0]))
    return [pair for pair, _ in order[:_CANDIDATES]]


def _left(one: list[str], two: list[str]) -> tuple[str, str]:
    """What stands before the longest common ending of two names."""
    same = 0
    while same < min(len(one), len(two)) and one[-1 - same] == two[-1 - same]:
        same += 1
    return _prefix(one[: len(one) - same]), _prefix(two[: len(two) - same])


def _prefix(parts: list[str]) -> str:
    return "".join(f"{part}." for part in parts)


def said(found: Renaming, mine: Sequence[str], theirs: Collection[str]) -> str:
    """The renaming in words, "" for none. Prefixes come from the files and are untrusted."""
    if found == Renaming():
        return ""
    bare = {found.bare(name) for name in theirs}
    met = _met(found, mine, bare)
    every = "every key" if met == len(mine) else f"{met:,} of {len(mine):,} keys"
    less = " once module and _orig_mod are left out" if found.dropped and _drops(mine, theirs) else ""
    under = f" under the prefix {found.after!r}" if found.after else ""
    without = f" without the prefix {found.before!r}" if found.before else ""
    if under and without:
        without = f" in place of {found.before!r}"
    return f"B has {every} of A{under}{without}{less}"


def _drops(mine: Collection[str], theirs: Collection[str]) -> bool:
    return any(part in _WRAPPERS for names in (mine, theirs) for name in names for part in name.split("."))
