"""What the machine holds between two opcodes: the bytes it reads, its stacks, its memo, and the Program it writes.

Knows how to get more bytes, where frames end and how to record an effect; knows no opcode. The state splits the stack
at the last mark, as the standard library's Python unpickler does: `stack` holds the values above the mark, and `below`
holds one list for each mark. An underflow is then an IndexError of `stack`, and no opcode reaches under a mark by
mistake.
"""

from __future__ import annotations

from collections.abc import Callable

from safeload.errors import LimitExceeded, Malformed, UsageError
from safeload.limits import Limits
from safeload.machine.blobs import may_begin
from safeload.machine.keys import Keys
from safeload.machine.program import Call, Effect, Mutation, Note, Program

# One Note already makes a stream unjudged; the rest only explain.
NOTES_KEPT = 100
# How many bytes `line` asks for at a time while it finds no newline: more than any line of a real pickle has.
LINE_STEP = 4096
ENCODINGS = ("ASCII", "utf-8", "bytes", "latin1")


class State:
    """The machine between two opcodes. `pos` is the next byte, `end` the first that may not be read yet."""

    __slots__ = (
        "below",
        "blob_limit",
        "cell_keyed",
        "data",
        "effects",
        "encoding",
        "end",
        "frame_end",
        "framed",
        "integer_limit",
        "keys",
        "memo",
        "more",
        "pos",
        "probe",
        "program",
        "proto",
        "stack",
        "string_limit",
        "touched",
        "touching",
    )

    def __init__(
        self,
        data: bytes,
        start: int,
        limits: Limits,
        more: Callable[[int], bytes] | None,
        encoding: str,
        memo: dict[int, object] | None = None,
        probe: Callable[[bytes], bool] | None = None,
    ) -> None:
        if encoding not in ENCODINGS:
            raise UsageError(f"encoding must be one of {', '.join(ENCODINGS)}, not {encoding!r}")
        if start < 0:
            raise UsageError(f"a stream cannot start at {start}")
        self.data = data
        self.pos = start
        self.end = len(data)
        self.more = more
        self.encoding = encoding
        self.string_limit: int = limits.string_bytes
        self.integer_limit: int = limits.integer_bytes
        self.blob_limit: int = limits.nested_files
        self.keys = Keys(limits.key_elements, limits.numeric_tuple_keys)
        self.program = Program(start)
        self.effects: list[Effect] = self.program.effects
        self.touched: dict[int, int] = self.program.touched
        self.touching = False
        self.stack: list[object] = []
        self.below: list[list[object]] = []
        self.memo: dict[int, object] = {} if memo is None else memo
        # Says of a bytes literal whether it does something when it is read as a pickle; None: the caller does not ask.
        self.probe = probe
        # Dicts and sets that have a Cell as a key, by id. Held here, because Python gives the id of a freed object to a
        # new one.
        self.cell_keyed: dict[int, object] = {}
        self.proto = 0
        self.framed = False
        self.frame_end = 0

    # -- bytes

    def need(self, upto: int, offset: int) -> None:
        """Make the bytes before `upto` readable for the opcode at `offset`, or raise Malformed.

        `end` never lies behind the end of a frame. So an opcode that crosses a frame comes here like one that runs out
        of bytes, and the loop has to know nothing of frames.
        """
        while upto > self.end:
            if self.framed and self.end == self.frame_end:
                self._leave_frame(offset)
            elif not self._grow(upto):
                raise Malformed(
                    f"the pickle is cut off: {upto - self.end} bytes are missing at byte {self.end}",
                    offset=offset,
                )

    def _leave_frame(self, offset: int) -> None:
        if offset < self.frame_end:
            # C ignored frames until 3.13.15 and 3.14.7, Python never did (cpython issue 154848).
            self.note("an opcode crosses the end of its frame", offset)
        self.framed = False
        self.end = len(self.data)

    def _grow(self, upto: int) -> bool:
        """Ask for the input up to `upto`. False when there is no further byte."""
        if self.more is None:
            return False
        data = self.more(upto)
        if len(data) <= len(self.data):
            self.more = None
            return False
        self.data = data
        self.end = len(data)
        if self.framed and self.frame_end < self.end:
            self.end = self.frame_end
        return True

    def enter_frame(self, size: int, offset: int) -> None:
        """A frame of `size` bytes starts at `pos`."""
        if self.framed and offset < self.frame_end:
            self.note("a frame begins inside a frame", offset)
        self.framed = True
        self.frame_end = self.pos + size
        self.end = min(len(self.data), self.frame_end)

    def line(self, offset: int) -> bytes:
        """The next line without its newline, read as CPython's `readline` does."""
        searched = self.pos
        while True:
            found = self.data.find(b"\n", searched, self.end)
            stop = self.end if found < 0 else found
            if stop - self.pos > self.string_limit:
                raise self.limit("string_bytes", f"a line is longer than {self.string_limit} bytes", offset)
            if found >= 0:
                text = self.data[self.pos : found]
                self.pos = found + 1
                return text
            searched = self.end
            if self.framed and self.end == self.frame_end:
                self._leave_frame(offset)
            elif not self._grow(len(self.data) + LINE_STEP):
                # CPython takes what is left, drops its last byte as if it were the newline, and acts on it:
                # a name cut off this way is still imported.
                self.note("the last line has no end", offset)
                text = self.data[self.pos : max(self.pos, self.end - 1)]
                self.pos = self.end
                return text

    def count(self, width: int, offset: int) -> int:
        """Take the unsigned number of `width` bytes at `pos`."""
        pos = self.pos
        self.need(pos + width, offset)
        self.pos = pos + width
        return int.from_bytes(self.data[pos : pos + width], "little")

    def take(self, width: int, offset: int) -> bytes:
        """Take the literal at `pos`: a length of `width` bytes, then as many bytes as it says."""
        size = self.count(width, offset)
        # SECURITY: before `need`, which would read up to the announced length: the length is the attacker's.
        self.check_size(size, offset)
        pos = self.pos
        self.need(pos + size, offset)
        self.pos = pos + size
        return self.data[pos : pos + size]

    def check_size(self, size: int, offset: int) -> None:
        """Raise Malformed or LimitExceeded unless a literal may have `size` bytes. Call it before a byte is read."""
        if size >= 1 << 63:
            raise Malformed(f"a literal declares {size} bytes, which no machine can hold", offset=offset)
        if size > self.string_limit:
            raise self.limit("string_bytes", f"a literal of {size} bytes is over {self.string_limit}", offset)

    # -- what is recorded

    def limit(self, name: str, message: str, offset: int) -> LimitExceeded:
        """The error for limit `name`."""
        return LimitExceeded(f"{message} (byte {offset})", limit=name, offset=offset)

    def note(self, message: str, offset: int) -> None:
        """Record that the stream is not canonical."""
        notes = self.program.notes
        if len(notes) < NOTES_KEPT:
            notes.append(Note(message, offset))

    def blob(self, raw: bytes, offset: int) -> None:
        """Keep the bytes literal `raw` if it is a pickle that does something, or an archive."""
        probe = self.probe
        # `may_begin` says no to nearly every literal, and costs less than a call of `probe`, which starts with it too.
        if probe is None or not may_begin(raw) or not probe(raw):
            return
        blobs = self.program.blobs
        if len(blobs) >= self.blob_limit:
            raise self.limit("nested_files", f"more than {self.blob_limit} bytes literals are pickles", offset)
        blobs.append((offset, raw))

    def call(self, kind: str, func: object, args: object, kwargs: object, offset: int) -> Call:
        """Record a call, and return its node: it stands for what the call would return."""
        made = Call(kind, func, args, kwargs, offset)
        self.effects.append(made)
        if not isinstance(args, tuple):
            # C refuses it, Python unpacks any iterable.
            self.note(f"the arguments of a call are a {type(args).__name__}, not a tuple", offset)
        # From here on changes are written down, unless nothing in the arguments can change: see `Program.touched`.
        # From here on `touched` is kept, unless nothing in the arguments can change: see `Program`. Most checkpoints
        # never get there, and writing down each change of each container would cost a tenth of the time.
        if not self.touching:
            self.touching = kwargs is not None or changeable(args)
        return made

    def mutate(self, kind: str, target: object, payload: object, offset: int) -> None:
        """Record a change that the machine cannot make itself: see `Mutation`."""
        change = Mutation(kind, target, payload, offset)
        self.effects.append(change)
        if isinstance(target, Call):
            if target.mutations is None:
                target.mutations = [change]
            else:
                target.mutations.append(change)
        # This consumes its payload, as a call consumes its arguments: a later opcode may still change it.
        self.touching = True
        self.touched[id(target)] = offset

    def pop_mark(self) -> list[object]:
        """Take the values above the last mark off the stack, and the mark. IndexError when there is none."""
        above = self.stack
        self.stack = self.below.pop()
        return above

    def underflow(self, offset: int) -> Malformed:
        """The error for an opcode that takes more than there is above the last mark."""
        if self.below:
            return Malformed(f"a mark is where a value should be (byte {offset})", offset=offset)
        return Malformed(f"the stack is empty, or has no mark (byte {offset})", offset=offset)


def changeable(args: object) -> bool:
    """Whether a later opcode could change a part of `args`. Looks at a hundred parts, and says yes to larger ones."""
    pending: list[object] = [args]
    for _ in range(100):
        if not pending:
            return False
        part = pending.pop()
        if isinstance(part, tuple):
            pending.extend(part[:101])
        elif isinstance(part, (list, dict, set, bytearray, Call)):
            return True
    return True
