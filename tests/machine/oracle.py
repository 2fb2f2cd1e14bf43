"""CPython's own unpicklers with inert names, and what they did compared with what the machine says they would do."""

from __future__ import annotations

import io
import pickle
import struct
from typing import Any

from safeload.document.cell import Cell
from safeload.machine import Buffer, Call, Extension, Global, Mutation, Persistent, Program
from tests.machine.recorder import Recorder, Thing, oracle_class


class Rejected(Exception):
    """CPython refused the stream; `log` is what it did before."""

    def __init__(self, error: BaseException, log: list[tuple[Any, ...]]) -> None:
        super().__init__(repr(error))
        self.error = error
        self.log = log


C_ORACLE = oracle_class(pickle.Unpickler)
PYTHON_ORACLE = oracle_class(pickle._Unpickler)  # type: ignore[attr-defined]


def cpython(
    data: bytes, kind: type = C_ORACLE, encoding: str = "ASCII", buffers: Any = None
) -> tuple[Any, list[tuple[Any, ...]], int]:
    """Value, log and end of the pickle at the start of `data`, as CPython has them. Raises Rejected."""
    stream = io.BytesIO(data)
    unpickler = kind(stream, encoding=encoding, buffers=buffers)
    unpickler.log = []
    try:
        value = unpickler.load()
    except Exception as error:
        raise Rejected(error, unpickler.log) from None
    return value, unpickler.log, stream.tell()


def our_log(program: Program) -> list[tuple[Any, ...]]:
    """The effects of `program` in the form of the oracle's log; INST, OBJ and the like are all calls."""
    log: list[tuple[Any, ...]] = []
    for effect in program.effects:
        if isinstance(effect, Global):
            log.append(("global", effect.raw_module, effect.raw_name, effect))
        elif isinstance(effect, Call):
            log.append(("call", effect.func, effect.args, effect.kwargs or {}, effect))
        elif isinstance(effect, Persistent):
            log.append(("persistent", effect.pid, effect))
        elif isinstance(effect, Mutation) and effect.kind == "setitem":
            payload: Any = effect.payload
            log.extend(("setitem", effect.target, payload[i], payload[i + 1]) for i in range(0, len(payload), 2))
        elif isinstance(effect, Mutation) and effect.kind == "additem":
            items: Any = effect.payload
            log.extend(("additem", effect.target, item) for item in items)
        elif isinstance(effect, Mutation):
            log.append((effect.kind, effect.target, effect.payload))
        else:
            log.append((type(effect).__name__, effect))
    return log


def difference(ours: Any, theirs: Any) -> str:
    """Where two values (or logs) differ, or "". Follows cycles and sharing; an object must always meet the same one."""
    partners: dict[int, Any] = {}
    tuples: set[tuple[int, int]] = set()
    pending = [(ours, theirs, "")]
    while pending:
        a, b, path = pending.pop()
        if isinstance(a, Cell):
            if isinstance(a, Buffer | Extension):
                continue
            if not isinstance(b, Thing | Recorder):
                return f"{path}: {type(a).__name__} against {b!r:.80}"
            if partners.setdefault(id(a), b) is not b:
                return f"{path}: another {type(a).__name__}"
            continue
        if type(a) is not type(b):
            return f"{path}: {a!r:.80} against {b!r:.80}"
        if isinstance(a, tuple):
            # not `partners`: Python packs the arguments of a call into a tuple of their own
            if (id(a), id(b)) in tuples:
                continue
            tuples.add((id(a), id(b)))
        elif isinstance(a, list | dict | set | bytearray) and len(a):
            if id(a) in partners:
                if partners[id(a)] is not b:
                    return f"{path}: shared otherwise"
                continue
            partners[id(a)] = b
        if isinstance(a, list | tuple | dict | set | frozenset) and len(a) != len(b):
            return f"{path}: {len(a)} against {len(b)} parts"
        if isinstance(a, list | tuple):
            pending.extend((x, y, f"{path}[{i}]") for i, (x, y) in enumerate(zip(a, b, strict=True)))
        elif isinstance(a, dict):
            for i, ((k, v), (m, w)) in enumerate(zip(a.items(), b.items(), strict=True)):
                pending += [(k, m, f"{path}.key{i}"), (v, w, f"{path}.{i}")]
        elif isinstance(a, set | frozenset):
            plain = {x for x in a if not holds_cell(x)}
            if not plain <= b:
                return f"{path}: {a!r:.80} against {b!r:.80}"
        elif isinstance(a, float):
            if struct.pack("<d", a) != struct.pack("<d", b):
                return f"{path}: {a!r} against {b!r}"
        elif a != b:
            return f"{path}: {a!r:.80} against {b!r:.80}"
    return ""


def holds_cell(value: Any) -> bool:
    """Is there a Cell, or a NaN, in a hashable value? Either equals nothing on the other side."""
    if isinstance(value, tuple | frozenset):
        return any(holds_cell(x) for x in value)
    return isinstance(value, Cell) or value != value


def disagreement(program: Program, data: bytes, **options: Any) -> str:
    """Where the machine and CPython's C unpickler differ over `data`, or "". Raises Rejected when CPython refuses."""
    value, log, end = cpython(data[program.start :], **options)
    if end != program.end - program.start:
        return f"ends at {program.end} against {end}"
    # A global is looked up with its raw names: the remapping is find_class's own and tested apart.
    return difference([our_log(program), program.value], [log, value])
