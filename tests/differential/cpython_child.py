"""CPython's unpicklers in a process of their own: bytes in, what they did out. Run as a script by any CPython from 3.8.

One line of JSON comes in for each batch, [[hex, encoding], ...], and one goes out for each input: the answers of the C
unpickler, of Python's, and of pickletools. Every name is inert, memory and CPU are limited, and nothing is imported
because an input names it. A crash or an endless loop ends this process and nobody else's.
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
            answer = [first, None if same else second, disassembled(data)]
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


if __name__ == "__main__":
    main()
