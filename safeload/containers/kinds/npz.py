"""Numpy's .npz: a zip with one .npy for each array. Each is a file of its own, which the .npy reader reads.

numpy gives an array the name of its member without `.npy`. Semantics: numpy/lib/_npyio_impl.py (`NpzFile`).
"""

from __future__ import annotations

from safeload.containers.interface import ContainerLayout, Reading
from safeload.containers.zip.directory import read_directory
from safeload.containers.zip.flavour import NPZ, flavours
from safeload.containers.zip.members import Members, files
from safeload.limits import Limits
from safeload.source import Source


class Npz:
    """See the module."""

    name = NPZ

    def recognise(self, source: Source) -> bool:
        """See `Container.recognise`."""
        return NPZ in flavours(source)

    def read(self, source: Source, limits: Limits) -> Reading:
        """See `Container.read`."""
        directory = read_directory(source, limits)
        yield from directory.findings
        members = Members(source, limits)
        for entry in files(directory.entries):
            if entry.readable:
                with members.noting(entry):
                    yield members.nested(entry)
                yield from members.notes.take()
        yield from members.notes.rest()
        return ContainerLayout(root="dict")
