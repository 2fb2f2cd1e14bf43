"""CPython's unpicklers in a process of their own: bytes in, what they did out. Run as a script by any CPython from 3.8.

One line of JSON comes in for each batch, [[hex, encoding], ...], and one goes out for each input: the answers of the C
unpickler, of Python's, of pickletools, and what each of the first two does when one unpickler reads all the pickles of
the input, or all from a later one on, where that differs. Every name is inert, memory and CPU are limited, and nothing
is imported because an input names it. A crash or an endless loop ends this process and nobody else's.
"""

from __future__ import annotations

import io
import json
import pickle
import pickletools
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from tests.differential.transcripts import EXTENSIONS, Transcript, containers_in
from tests.machine.recorder import oracle_class

MEMORY = 1 << 30
# Seconds of CPU that one case may take; a usual one takes a thousandth of it.
CPU = 0.7
STREAMS = 8
REGISTERED = {code: (EXTENSIONS, str(code)) for code in (1, 0x101, 0x10001)}

C_READER = oracle_class(pickle.Unpickler)
PYTHON_READER = oracle_class(pickle._Unpickler)  # type: ignore[attr-defined]


def read(kind: Any, data: bytes, encoding: str) -> list[list[Any]]:
    """What `kind` does with each pickle of `data`: [accepted, end, effects, rest, changed later, error]."""
    stream = io.BytesIO(data)
    answers: list[list[Any]] = []
    while len(answers) < STREAMS and (not answers or (answers[-1][0] and stream.tell() < len(data))):
        forget_extensions()
        unpickler = kind(stream, encoding=encoding)
        unpickler.log = log = Log()
        value, error = None, ""
        try:
            value = unpickler.load()
        except Exception as caught:
            error = f"{type(caught).__name__}: {ascii(str(caught))[:120]}"
        written = Transcript(log, value, not error)
        answers.append([not error, stream.tell(), written.effects, written.rest, log.changed(), error])
    return answers


def remembering(kind: Any, data: bytes, encoding: str, starts: list[int]) -> list[list[Any]]:
    """The same by one unpickler that is called for each of these pickles and keeps its memo between them."""
    stream = io.BytesIO(data)
    stream.seek(starts[0])
    unpickler = kind(stream, encoding=encoding)
    answers: list[list[Any]] = []
    told: list[tuple[Any, Any]] = []
    for _ in starts:
        forget_extensions()
        unpickler.log = log = Log()
        value, error = None, ""
        try:
            value = unpickler.load()
        except Exception as caught:
            error = f"{type(caught).__name__}: {ascii(str(caught))[:120]}"
        written = Transcript(log, value, not error)
        answers.append([not error, stream.tell(), written.effects, written.rest, log.changed(), error])
        told.append((log, value))
        if error:
            break
    for answer, (log, value) in zip(answers, told):  # noqa: B905 - newer than 3.8
        # A later pickle may change what an earlier one left.
        written = Transcript(log, value, answer[0])
        if [written.effects, written.rest] != answer[2:4]:
            answer[3] = [*answer[3], "and is changed by a later pickle"]
    return answers


def others(data: bytes, encoding: str, readers: list[tuple[Any, list[list[Any]]]]) -> list[list[Any]]:
    """Where one unpickler differs from one for each pickle: [reader, first pickle, answers], for each first pickle."""
    found: list[list[Any]] = []
    for kind, alone in readers:
        starts = [0] + [answer[1] for answer in alone if answer[0]]
        starts = starts[: len(alone)]
        for first in range(len(starts) - 1):
            answers = remembering(kind, data, encoding, starts[first:])
            usual = alone[first:][: len(answers)]
            if [a[:5] for a in answers] != [a[:5] for a in usual]:
                found.append([kind.__base__.__name__, first, answers])
    return found


class Log(list):  # type: ignore[type-arg]
    """The log of one run, with what the containers held that each call consumed, at the time of the call."""

    def __init__(self) -> None:
        super().__init__()
        self.held: list[tuple[int, list[tuple[Any, list[Any]]]]] = []
        self.made = 0

    def append(self, entry: Any) -> None:
        """Keep one line."""
        kind = entry[0]
        if kind == "call" or kind == "persistent":
            found = containers_in((entry[2], entry[3]) if kind == "call" else entry[1])
            if found:
                self.held.append((self.made, [(x, _parts(x)) for x in found]))
        if kind in ("call", "persistent", "global"):
            self.made += 1
        super().append(entry)

    def changed(self) -> list[int]:
        """The numbers of the calls that consumed a container which was changed later."""
        return [number for number, held in self.held if any(_differs(_parts(x), parts) for x, parts in held)]


def _parts(container: Any) -> list[Any]:
    if type(container) is dict:
        return [part for pair in container.items() for part in pair]
    return list(container)


def _differs(now: list[Any], then: list[Any]) -> bool:
    return len(now) != len(then) or any(a is not b for a, b in zip(now, then))  # noqa: B905 - newer than 3.8


def forget_extensions() -> None:
    """Let every extension code be looked up again."""
    import copyreg

    copyreg._inverted_registry.update(REGISTERED)  # type: ignore[attr-defined]
    copyreg._extension_cache.clear()  # type: ignore[attr-defined]


def disassembled(data: bytes) -> list[int]:
    """How many opcodes pickletools sees in the first pickle, and where it ends; nothing when it sees an error."""
    try:
        seen = [at for _, _, at in pickletools.genops(data)]
    except Exception:
        return []
    return [len(seen), (seen[-1] or 0) + 1]


def limited() -> None:
    """Limit the memory of this process, where the system can."""
    try:
        import resource

        with open("/proc/self/statm") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
    except (ImportError, OSError):
        return
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    """Answer cases until the input ends."""
    limited()
    for line in sys.stdin:
        for text, encoding in json.loads(line):
            # Ends this process inside C code too: nothing handles the signal.
            signal.setitimer(signal.ITIMER_VIRTUAL, CPU)
            data = bytes.fromhex(text)
            first = read(C_READER, data, encoding)
            second = read(PYTHON_READER, data, encoding)
            same = [a[:4] for a in first] == [a[:4] for a in second]
            rows = others(data, encoding, [(C_READER, first), (PYTHON_READER, second)])
            answer = [first, None if same else second, disassembled(data), rows]
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


if __name__ == "__main__":
    main()
