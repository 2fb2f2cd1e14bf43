"""What one case is made of, before it is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from tests.silence.payloads import Pair

Files = Mapping[str, bytes]


class Plan(NamedTuple):
    """A hostile file and its twin.

    kind      of the archive or file
    trick     how the payload hides
    loader    of loaders.LOADERS, "" when no loader is claimed
    argument  for the loader
    main      the file that is scanned and loaded; "" for the folder of all files
    files     hostile or benign -> path -> content
    twin      whether the benign one makes sense
    """

    kind: str
    trick: str
    loader: str
    argument: str
    main: str
    files: Callable[[bool], Files]
    twin: bool = True


def single(kind: str, trick: str, loader: str, name: str, pair: Pair, argument: str = "") -> Plan:
    """One file of these bytes."""
    return Plan(kind, trick, loader, argument, name, lambda hostile: {name: pair.of(hostile)})


def built(kind: str, trick: str, loader: str, name: str, make: Callable[[bool], bytes], argument: str = "") -> Plan:
    """One file that is made when it is asked for."""
    return Plan(kind, trick, loader, argument, name, lambda hostile: {name: make(hostile)})
