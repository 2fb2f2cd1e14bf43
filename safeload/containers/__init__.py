"""Containers: what wraps the pickles and tensors of a file. They know bytes, not opcodes.

A file is asked for all it is, not for the first that fits: one file can be two to two programs.
"""

from __future__ import annotations

from safeload.containers.bare_pickle import BarePickle
from safeload.containers.compressed import Compressed
from safeload.containers.hdf5 import Hdf5
from safeload.containers.interface import Container
from safeload.containers.kinds import ARCHIVES
from safeload.containers.kinds.npz import Npz
from safeload.containers.kinds.torch_zip import TorchZip
from safeload.containers.kinds.torchscript import TorchScript
from safeload.containers.npy import Npy
from safeload.containers.safetensors_file import Safetensors
from safeload.containers.tar.archive import TarArchive
from safeload.containers.tar.torch_tar import TorchTar
from safeload.containers.text.json_file import JsonFile
from safeload.containers.text.yaml_file import YamlFile
from safeload.containers.torch_legacy import TorchLegacy
from safeload.containers.unrecognised import Unrecognised
from safeload.containers.zip.flavour import FLAVOURS, flavours
from safeload.containers.zip.sequence import ZipSequence
from safeload.source import Source

__all__ = ["CONTAINERS", "Container", "recognise"]

CONTAINERS: tuple[Container, ...] = (
    TorchZip(),
    TorchScript(),
    Npz(),
    ZipSequence(),
    *ARCHIVES,
    TorchTar(),
    TarArchive(),
    TorchLegacy(),
    Safetensors(),
    Npy(),
    Hdf5(),
    Compressed(),
    JsonFile(),
    YamlFile(),
    BarePickle(),
)
"""Every reader, the more particular first; `Unrecognised` stands behind them all."""


def recognise(source: Source) -> tuple[Container, ...]:
    """Every container that the content of `source` could be, never none.

    More than one means that two programs may read two files here: the first is what torch would take, and a verdict has
    to hold for each.
    """
    # The readers of zips are told apart by one look at the directory, which may hold a million names.
    zip_readers = flavours(source)
    found = tuple(
        container
        for container in CONTAINERS
        if (container.name in zip_readers if container.name in FLAVOURS else container.recognise(source))
    )
    return found or (Unrecognised(),)
