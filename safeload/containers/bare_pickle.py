"""A file of nothing but pickles: one, or several that were dumped one after the other.

All of them are judged, because whoever calls `pickle.load` again runs the next one, and as one row, because whoever
calls `load` of one Unpickler again does so with its memo. Knows no opcode: where a pickle ends is the scanner's answer.
"""

from __future__ import annotations

from safeload.containers.interface import Following, Layout, Pickle, Reading
from safeload.containers.remarks import trailing_bytes
from safeload.containers.sniff import HEAD, kind_of, may_be_pickle
from safeload.containers.torch_legacy import MAGIC, TorchLegacy, starts_with_magic
from safeload.errors import LimitExceeded
from safeload.findings import Finding, Severity, Verdict
from safeload.limits import Limits
from safeload.source import Source

# Opcodes that take nothing from the stack, so that a memo entry can come next, or that take the entry.
_BEGINNINGS = [bytes([code]) for code in b"ghj(N)]}\x80\x95\x8f\x88\x89KMJGIFLSVTUXCB\x8a\x8b\x8c\x8d\x8e\x96"]
_ENTRY = b"Nq\x000"

# How far the name of joblib's array wrapper is looked for.
_JOBLIB_HEAD = 1 << 20


class BarePickle:
    """See the module."""

    name = "pickle"

    def recognise(self, source: Source) -> bool:
        """See `Container.recognise`. True of whatever could be run as a pickle, also when it is something else too."""
        head = source.peek(0, HEAD)
        if kind_of(head, source.size) == "pickle":
            return not starts_with_magic(head)
        # SECURITY: a file of another format whose first bytes could be opcodes is a pickle too, to whoever gives it to
        # pickle.load; the scanner finds out whether it does anything. Also one that stops at once: torch reads four
        # more pickles behind its magic number, in whatever spelling. Zips, and one safetensors file in 32, start with
        # the opcode PERSID, which fails at once wherever no persistent_load is set: in every loader's first pickle.
        return head[:1] != b"P" and may_be_pickle(head, source.size)

    def read(self, source: Source, limits: Limits) -> Reading:
        """See `Container.read`."""
        # SECURITY: joblib skips the raw arrays between opcodes, we would read them as opcodes. What follows them can
        # look harmless to us and be run by joblib, so such a file stays unjudged even when it reads well.
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
            # An end that does not move would repeat for ever.
            if answer is None or answer.end is None or answer.end <= at:
                break
            if count == 0 and type(answer.value) is int and answer.value == MAGIC:
                # SECURITY: the number can be spelt in ways that its first bytes do not show, or behind a payload; torch
                # reads on as in any of its files.
                return (yield from TorchLegacy().after_magic(source, limits, answer.end))
            at = answer.end
            count += 1
        return Layout()


def _pickle_at(head: bytes, size: int) -> bool:
    """Whether `head`, the beginning of `size` bytes behind a pickle, could be one; a bare PROTO was cut off.

    One that takes a memo entry right away is a pickle too, to the Unpickler that read the pickle before.
    """
    if may_be_pickle(head, size) or (head[:1] == b"\x80" and head[1:2] < b"\x10"):
        return True
    return head[:1] in _BEGINNINGS and may_be_pickle(_ENTRY + head, size + len(_ENTRY))
