"""The archive kinds that are described by a table, one file each. Kinds that torch loads come first."""

from __future__ import annotations

from safeload.containers.kinds import keras, mar, plain, pt2, skops, stable_baselines3, torch_package
from safeload.containers.kinds.archive import KindArchive
from safeload.containers.kinds.interface import ArchiveKind

KINDS: tuple[ArchiveKind, ...] = (
    torch_package.KIND,
    pt2.KIND,
    pt2.OLD,
    mar.KIND,
    keras.KIND,
    skops.KIND,
    stable_baselines3.KIND,
    plain.KIND,
)

ARCHIVES: tuple[KindArchive, ...] = tuple(map(KindArchive, KINDS))
