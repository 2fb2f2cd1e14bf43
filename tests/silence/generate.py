"""Writes the cases of this suite: `cases(folder)`. Each lies in a folder of its own, beside a clean model.

Runs none of them. The order and the bytes are the same each time, as far as the writers of the kinds are.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.silence import kinds, plans_folders, plans_members, plans_pickles, plans_programs, plans_shapes, plans_tricks
from tests.silence.plan import Plan

SOURCES = (
    plans_pickles.plans,
    plans_members.plans,
    plans_programs.plans,
    plans_tricks.plans,
    plans_folders.plans,
    plans_shapes.plans,
)
GOOD = "good.pt"
ODD = {
    *(("zip", trick) for trick in ("named-/a.pkl", "named-../a.pkl", "twice")),
    *(("torch-zip", f"{way}-archive/{name}") for way in ("upper", "both") for name in ("DATA.PKL", "Data.pkl")),
    *(("tar", f"leaves-{name}") for name in ("../OUT.pkl", "/tmp/safeload-silence/OUT.pkl")),
    ("torch-zip", "twice"),
    ("png-is-tar", "whole"),
    ("jpeg-is-tar", "whole"),
}
"""The trick itself is dangerous, whatever the payload: no benign twin."""


class Case(NamedTuple):
    """One file or folder.

    name      unique: kind, trick, and which of the two
    path      what is scanned and loaded
    folder    what holds it, with a clean model beside it
    loader    that runs the payload, "" when none is claimed
    argument  for the loader
    hostile   or the twin
    twin      name of the other one, "" for none
    """

    name: str
    path: Path
    folder: Path
    loader: str
    argument: str
    hostile: bool
    twin: str
    trick: str
    kind: str


def plans() -> Iterator[Plan]:
    for source in SOURCES:
        for plan in source():
            yield plan._replace(twin=plan.twin and (plan.kind, plan.trick) not in ODD)


def slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.+_-]+", "_", text).strip("_")


def cases(folder: Path) -> tuple[Case, ...]:
    """All cases, written below `folder`."""
    found: list[Case] = []
    seen: set[str] = set()
    for plan in plans():
        stem = slug(f"{plan.kind}--{plan.trick}")
        while stem in seen:
            stem += "_"
        seen.add(stem)
        for hostile in (True, False) if plan.twin else (True,):
            found.append(written(plan, stem, folder, hostile))
    return tuple(found)


def written(plan: Plan, stem: str, folder: Path, hostile: bool) -> Case:
    names = f"{stem}:hostile", f"{stem}:benign"
    place = folder / stem / ("hostile" if hostile else "benign")
    inner = place if plan.main else place / "unit"
    for name, data in plan.files(hostile).items():
        path = inner / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    if plan.kind == "git":
        staged(inner)
    else:
        (place / GOOD).write_bytes(kinds.checkpoint())
    twin = names[hostile] if plan.twin else ""
    path = inner / plan.main if plan.main else inner
    return Case(names[not hostile], path, place, plan.loader, plan.argument, hostile, twin, plan.trick, plan.kind)


def staged(folder: Path) -> None:
    """A repository whose index holds the files."""
    for command in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", "-C", str(folder), *command], check=True, capture_output=True)
