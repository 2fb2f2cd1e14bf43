"""The hostile files: every payload, every spelling, every place, and the samples of this project. Needs no torch.

`corpus` gives the same bytes in every run. Whether a file does run something is not claimed here: proof.py shows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from payloads import EVALUATORS, FAMILIES, PLAIN, RUNNERS
from placements import LIES, PLACES, checkpoint, stream
from spellings import SPELLINGS

from samples.assemble import Code
from samples.build import SAMPLES

EVERYWHERE: dict[str, Code] = {
    "os.system": PLAIN,
    "builtins.exec": EVALUATORS["builtins.exec"],
    "timeit.timeit": EVALUATORS["timeit.timeit"],
    "uuid._get_command_stdout": RUNNERS["uuid._get_command_stdout"],
}
"""What is put into every place: from what every list of names holds to what few do."""


@dataclass(frozen=True, slots=True)
class Hostile:
    """One file.

    path     "group/name"; unique
    payload  what it calls, or "" for a file that is hostile for another reason
    reason   what is wrong with it when it calls nothing: never to be called clean
    data     the file
    memory   whether loading it would be the harm: a loader has to refuse it
    """

    path: str
    payload: str
    data: bytes
    reason: str = ""
    memory: bool = False


def file_name(text: str, extension: str = "") -> str:
    """Words as a file name."""
    stem = re.sub(r"[^A-Za-z0-9_.]+", "-", text).strip("-")
    return f"{stem}.{extension}" if extension else stem


def payloads() -> Iterator[Hostile]:
    """Every payload alone, and as a value among the weights of a checkpoint."""
    for family, calls in FAMILIES.items():
        for called, code in calls.items():
            yield Hostile(f"call-{family}/{file_name(called, 'pkl')}", called, stream(code))
            yield Hostile(
                f"call-{family}/{file_name(called, 'pt')}", called, PLACES["torch"]["value of the state_dict"][1](code)
            )


def spellings() -> Iterator[Hostile]:
    """os.system in every spelling, alone and as data.pkl."""
    from samples.files_of_torch import zip_around

    for form, data in SPELLINGS.items():
        yield Hostile(f"spelling/{file_name(form, 'pkl')}", "os.system", data)
        yield Hostile(f"spelling/{file_name(form, 'pt')}", "os.system", zip_around(data).build())


def places() -> Iterator[Hostile]:
    """Four payloads in every place."""
    for container, spots in PLACES.items():
        for where, (extension, make) in spots.items():
            for called, code in EVERYWHERE.items():
                path = f"place-{container}/{file_name(f'{where} {called}', extension)}"
                yield Hostile(path, called, make(code))


def lies() -> Iterator[Hostile]:
    """A checkpoint and a pickle under extensions that are not theirs."""
    for extension in LIES:
        yield Hostile(
            f"lie/{file_name('zip ' + extension.replace('.', ' '), extension)}", "os.system", checkpoint(PLAIN)
        )
        yield Hostile(
            f"lie/{file_name('pickle ' + extension.replace('.', ' '), extension)}", "os.system", stream(PLAIN)
        )


def samples() -> Iterator[Hostile]:
    """The hostile samples of this project, most of which run nothing: they are broken, ambiguous, or harm memory."""
    for sample in SAMPLES:
        if sample.hostile:
            memory = sample.path.startswith("memory/")
            yield Hostile(f"sample-{sample.path}", "", sample.data, sample.what, memory)


def corpus() -> tuple[Hostile, ...]:
    """All of them, in one order."""
    found = tuple(each for part in (payloads, spellings, places, lies, samples) for each in part())
    assert len({each.path for each in found}) == len(found), "two files of one name"
    return found
