"""Containers: what wraps the pickles and tensors of a file. They know bytes, not opcodes.

`recognise` asks every reader about a file, and does not stop at the first that fits: one file can be a zip to one
program and a pickle to another.
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
"""Every reader, the more particular first. `Unrecognised` takes what none of them recognises."""


def recognise(source: Source) -> tuple[Container, ...]:
    """Every reader for the content of `source`, at least one.

    More than one means that two programs may see two different files in these bytes. The first reader is the one that
    torch would use; the verdict has to hold for all of them.
    """
    # One look at the directory says which readers take a zip. Each reader's `recognise` would look again, and the
    # directory may hold a million names.
    zip_readers = flavours(source)
    found = tuple(
        container
        for container in CONTAINERS
        if (container.name in zip_readers if container.name in FLAVOURS else container.recognise(source))
    )
    return found or (Unrecognised(),)
