"""Which programs read a file as what: every container that fits, and whether a pickle in another format does anything.

Runs the machine over such a pickle to find out. Judges nothing. Knows no format, no opcode and no name.
"""

from __future__ import annotations

from safeload.containers import Container, recognise
from safeload.containers.interface import Pickle
from safeload.containers.sniff import HEAD, kind_of
from safeload.containers.torch_legacy import MAGIC
from safeload.errors import LimitExceeded, Malformed
from safeload.limits import Limits
from safeload.machine import Extension, Persistent, Program
from safeload.scanning.streams import interpret
from safeload.source import Source

# Plain values in a row before a second format; more than that is taken for an attack on patience.
_STREAMS = 64
# What no reader of ours takes, and another program would: never taken for numbers.
_FILES = frozenset({"elf", "pe", "sqlite", "gguf", "7z", "rar", "encrypted", "torch7", "parquet", "lfs-pointer"})


def readings(source: Source, limits: Limits) -> tuple[Container, ...]:
    """Every container that some program takes `source` for. Beside another one, a pickle counts if it does anything."""
    found = recognise(source)
    # The length at the start of a safetensors file is a pickle of a plain value now and then, by chance.
    values_count = found[0].name != "safetensors"
    if len(found) > 1 and found[-1].name == "pickle" and not may_do(source, limits, values_count=values_count):
        return found[:-1]
    return found


def does_anything(source: Source, found: tuple[Container, ...], limits: Limits) -> bool:
    """Whether a program could read `source` as more than numbers: raw data that something else describes.

    `found` are the readings of `source`.
    """
    if all(container.name == "unknown" for container in found):
        return kind_of(source.peek(0, HEAD), source.size) in _FILES
    # Raw numbers are a pickle of a plain value now and then, by chance.
    return any(c.name != "pickle" for c in found) or may_do(source, limits, values_count=False)


def may_do(source: Source, limits: Limits, *, values_count: bool = True) -> bool:
    """Whether an unpickler that is given `source` gets to an effect that is more than a load of what is there already.

    A text persistent load runs nothing that the file names, and every PNG begins with one (0x89, "PNG", a newline).
    Without `values_count` a plain value alone is no end, unless it is torch's magic number or a pickle that does
    something stands behind it.

    SECURITY: an unpickler with other limits or another encoding than ours goes on where we would stop, so a limit
    counts as an effect, and the encoding is the one that no text breaks.
    """
    start = 0
    memo: dict[int, object] = {}
    for number in range(_STREAMS):
        end = 0
        # What follows a pickle is read with the memo that one Unpickler has by then, and without.
        for remembered in (memo, None) if number else (memo,):
            part = Pickle("object", start, source.size, encoding="latin1")
            try:
                program = interpret(source, part, limits, remembered)
            except LimitExceeded:
                return True
            except Malformed as error:
                if error.partial is None or _acts(error.partial):
                    return True
                continue
            if values_count or _acts(program) or (type(program.value) is int and program.value == MAGIC):
                return True
            end = program.end
        if not end:
            return False
        start += end
        if start >= source.size:
            return False
    return True


def _acts(program: Program) -> bool:
    """Whether the program gets to more than what runs nothing that the file names.

    That is a persistent load, and an extension code: it stands for what the process itself registered, and before a
    call nothing is done with it. Raw numbers begin with one in three files of 256.
    """
    return not all(type(effect) in (Persistent, Extension) for effect in program.effects)
