"""A file of nothing but pickles: one, or several that were dumped one after the other.

All of them are judged, because a program that calls `pickle.load` again runs the next one. They are judged as one row,
because a program that calls `load` of one Unpickler again keeps its memo. Knows no opcode: the scanner says where each
pickle ends.
"""

from __future__ import annotations

from safeload.containers.interface import ContainerLayout, Following, Pickle, Reading
from safeload.containers.remarks import trailing_bytes
from safeload.containers.sniff import HEAD, kind_of, may_be_pickle
from safeload.containers.torch_legacy import BEGINNING, MAGIC, TorchLegacy
from safeload.errors import LimitExceeded
from safeload.findings import Finding, Severity, Verdict
from safeload.limits import Limits
from safeload.source import Source

# First opcodes of a pickle that makes sense only behind another one: they read the memo, or push a value first and may
# read it then.
_BEGINNINGS = [bytes([code]) for code in b"ghj(N)]}\x80\x95\x8f\x88\x89KMJGIFLSVTUXCB\x8a\x8b\x8c\x8d\x8e\x96"]
_ENTRY = b"Nq\x000"

# How many bytes are searched for the name of joblib's array wrapper.
_JOBLIB_HEAD = 1 << 20


class BarePickle:
    """See the module."""

    name = "pickle"

    def recognise(self, source: Source) -> bool:
        """See `Container.recognise`. True of all bytes that could run as a pickle, whatever else they are."""
        head = source.peek(0, HEAD)
        if kind_of(head, source.size) == "pickle":
            return BEGINNING.match(head) is None
        # SECURITY: a file of another format whose first bytes could be opcodes is also a pickle, to a program that
        # gives it to pickle.load. The scanner finds out whether it does anything. This holds for one that stops at
        # once, too: torch reads four more pickles behind its magic number, in any spelling of it.
        # "P" is excepted: zips, and one safetensors file in 32, start with this opcode, PERSID. It fails at once unless
        # persistent_load is set, and no loader sets it for the first pickle of a file.
        return head[:1] != b"P" and may_be_pickle(head, source.size)

    def read(self, source: Source, limits: Limits) -> Reading:
        """See `Container.read`."""
        # SECURITY: joblib skips the raw arrays between opcodes, and we would read them as opcodes. What follows an
        # array could look harmless to us and still run in joblib. So such a file is unjudged even when it reads well.
        if b"joblib.numpy_pickle" in source.peek(0, _JOBLIB_HEAD):
            yield Finding(
                "joblib", Verdict.UNJUDGED, Severity.INFO,
                "a joblib file: arrays are interleaved with opcodes and are not read by this version",
                "save the arrays with numpy.savez or as safetensors, or load it only from a source you trust",
            )  # fmt: skip
        at = 0
        count = 0
        while at < source.size:
            if at and not _pickle_at(source.peek(at, HEAD), source.size - at):
                yield trailing_bytes(at, source.size - at, "the last pickle")
                break
            if count >= limits.members:
                raise LimitExceeded(f"the file holds more than {count} pickles", limit="members", offset=at)
            role = "object" if count == 0 else f"pickle {count + 1}"
            follows = Following.READER if count else Following.NOTHING
            answer = yield Pickle(role, at, source.size, main=count == 0, follows=follows)
            # Not understood: nobody knows where the next pickle begins. An end that does not move would loop for ever.
            if answer is None or answer.end is None or answer.end <= at:
                break
            if count == 0 and type(answer.value) is int and answer.value == MAGIC:
                # SECURITY: `recognise` of the legacy format knows the spellings that picklers write. A file may spell
                # the magic number in another way, or put a payload before it, and torch reads on all the same.
                return (yield from TorchLegacy().after_magic(source, limits, answer.end))
            at = answer.end
            count += 1
        return ContainerLayout()


def _pickle_at(head: bytes, size: int) -> bool:
    """Whether `head`, which begins the `size` bytes behind a pickle, could begin another pickle.

    Also true of a bare PROTO, which is a pickle that was cut off, and of a pickle that reads the memo first: it works
    in the Unpickler that read the pickle before.
    """
    if may_be_pickle(head, size) or (head[:1] == b"\x80" and head[1:2] < b"\x10"):
        return True
    return head[:1] in _BEGINNINGS and may_be_pickle(_ENTRY + head, size + len(_ENTRY))
