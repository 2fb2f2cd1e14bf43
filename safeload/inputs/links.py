"""Finds the links to folders that a walk met, and where the walk went through the folder of each. Follows no link."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from safeload.inputs.walk import LINKED_FOLDER, Target


def folder_links(targets: Iterable[Target]) -> Iterator[tuple[str, str]]:
    """(path of the link, path of its folder as the walk gives it), for each link to a folder that the walk skipped.

    A loader that takes the folder with the link goes through the link.
    """
    found = [target for target in targets if target.skip.startswith(LINKED_FOLDER)]
    roots = {root: os.path.realpath(root) for root in dict.fromkeys(target.root for target in found)}
    for target in found:
        real = os.path.realpath(target.path)
        for root, place in roots.items():
            if real == place or real.startswith(os.path.join(place, "")):
                yield target.path, os.path.normpath(os.path.join(root, os.path.relpath(real, place)))
                break
