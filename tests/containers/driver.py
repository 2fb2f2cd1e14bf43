"""A stand-in for the scanner: answers what a container yields, by CPython's unpickler without any imports."""

import io
import pickle

from safeload.containers.interface import Answer, MemberNames, Naming, Pickle
from safeload.document.document import StorageSpec
from safeload.document.dtypes import itemsize
from safeload.limits import Limits

DTYPES = {"FloatStorage": "float32", "DoubleStorage": "float64", "LongStorage": "int64", "ByteStorage": "uint8"}


class Name(str):
    """A global: text that can be called, which does nothing."""

    def __call__(self, *args):
        return Built()


class Built(dict):
    def __setstate__(self, state):
        pass


# The one in C allocates whatever a damaged memo index asks for.
class Reader(pickle._Unpickler):
    def __init__(self, file, part):
        super().__init__(file, encoding=part.encoding)
        self.part = part
        self.storages = {}

    def find_class(self, module, name):
        return Name(f"{module}.{name}")

    def persistent_load(self, pid):
        if self.part.naming is Naming.OBJECTS:
            return self.part.objects[int(pid)]
        assert self.part.naming is Naming.STORAGES
        _, kind, key, _, numel = pid[:5]
        dtype = DTYPES[kind.rpartition(".")[2]]
        self.storages[key] = StorageSpec(key, dtype, numel * itemsize(dtype))
        return key


def plain(value):
    if isinstance(value, Name):
        return str(value)
    if type(value) in (tuple, list):
        return type(value)(map(plain, value))
    return value


def answer_to(source, part):
    data = part.data if part.data is not None else source.read(0, source.size)
    assert 0 <= part.start <= part.end <= len(data)
    file = io.BytesIO(data[part.start : part.end])
    reader = Reader(file, part)
    try:
        value = reader.load()
    except Exception:
        return Answer()
    return Answer(part.start + file.tell(), plain(value), None, reader.storages)


def drive(container, source, limits=None):
    """Every part that `container` yields but the names of all members, and its ContainerLayout."""
    parts = []
    reading = container.read(source, limits or Limits())
    answer = None
    while True:
        try:
            part = reading.send(answer)
        except StopIteration as stop:
            return parts, stop.value
        if not isinstance(part, MemberNames):
            parts.append(part)
        answer = answer_to(source, part) if isinstance(part, Pickle) else None
