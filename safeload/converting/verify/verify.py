"""Does the output hold what the source holds? Answered by reading both again, with no code of the writer's.

The safetensors library says which names, types and shapes the file has; our own reader of the format says where their
bytes are; every byte is then compared with the source (`comparing`, `agreeing`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from safeload.containers.interface import ContainerLayout
from safeload.containers.safetensors_file import Safetensors
from safeload.converting.encoding import CODES
from safeload.converting.interface import Stored, Verification
from safeload.converting.portions import Crew, Told, hands, portions
from safeload.converting.verify.comparing import Comparison
from safeload.errors import LimitExceeded, Malformed, MissingExtra, NotEqual
from safeload.findings import Finding
from safeload.install import install_line
from safeload.limits import Limits
from safeload.source import Source


def library_says(path: str, tensors: Mapping[str, Stored]) -> str:
    """The name of the safetensors library, after it opened the file and found just `tensors` in it."""
    try:
        import safetensors
    except ImportError as error:
        raise MissingExtra(f"conversion needs safetensors: {install_line('convert')}") from error
    opened: Any = safetensors.safe_open
    try:
        # Reads by position where the library can: its other way is a map of the file.
        try:
            file = opened(path, framework="numpy", backend="pread")
        except TypeError:
            file = opened(path, framework="numpy")
        with file as reader:
            names = set(reader.keys())
            if names != set(tensors):
                odd = sorted(names ^ set(tensors))[0]
                raise NotEqual(f"the safetensors library finds other names in the output, first {odd[:200]!a}")
            for name, stored in tensors.items():
                part = reader.get_slice(name)
                found = (part.get_dtype(), tuple(part.get_shape()))
                if found != (CODES[stored.dtype], stored.shape):
                    raise NotEqual(
                        f"{name[:200]!a} should be {CODES[stored.dtype]} {stored.shape} and is {found[0]} {found[1]}"
                    )
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise NotEqual(f"the safetensors library does not read the output: {error}") from error
    return f"safetensors {safetensors.__version__}"


def declared(source: Source, limits: Limits) -> ContainerLayout:
    """What the header of an output declares, by our own reader of the format. Raises NotEqual for what is wrong."""
    reading = Safetensors().read(source, limits)
    try:
        while True:
            part = next(reading)
            if isinstance(part, Finding):
                raise NotEqual(f"the header of the output is faulty: {part.message}")
    except StopIteration as stop:
        found: ContainerLayout = stop.value
        return found
    except (Malformed, LimitExceeded) as error:
        raise NotEqual(f"the header of the output cannot be read: {error.message}") from error


def compare(
    tensors: Mapping[str, Stored],
    output: Source,
    path: str,
    folder: str,
    *,
    limits: Limits,
    told: Told,
    digests: bool = False,
    alone: bool = False,
) -> Verification:
    """Compare every tensor of `output`, a safetensors file, with its source. Raises NotEqual for a difference.

    path     where the library can open the output
    folder   for compressed storages, laid open
    told     called with bytes done
    alone    the source cannot be read by several threads
    """
    crew = Crew()
    comparison = prepared(tensors, output, path, folder, limits=limits, told=crew.told(told), digests=digests)
    try:
        workers = [comparison.hand().compare for _ in range(hands(alone=alone))]
        with crew:
            crew.share(portions(comparison.sizes), workers)
        return comparison.result()
    finally:
        comparison.close()


def prepared(
    tensors: Mapping[str, Stored],
    output: Source,
    path: str,
    folder: str,
    *,
    limits: Limits,
    told: Told,
    digests: bool = False,
) -> Comparison:
    """What compares `output`, made when it has its header. Raises NotEqual unless it declares just `tensors`.

    told   called with bytes more; the others as for `compare`
    """
    library = library_says(path, tensors)
    storages = declared(output, limits).storages
    if set(storages) != set(tensors):
        raise NotEqual("the output holds other tensors than it should")
    places = [(stored, storages[name].offset) for name, stored in tensors.items()]
    for stored, _ in places:
        size = storages[stored.name].size
        if size != stored.nbytes:
            raise NotEqual(f"{stored.name[:200]!a} has {size} bytes and should have {stored.nbytes}")
    # Of tensors that begin at one place, empty ones come first, as their bytes do.
    places.sort(key=lambda place: (place[1], place[0].nbytes))
    return Comparison(places, output, folder, library, told, digests=digests)
