"""What the hostile files of this suite carry, and the harmless twin of each: pickles and Python source.

A hostile payload makes an empty file MARKER in the working folder of whoever runs it, and nothing else. Its twin has
the same shape and touches nothing. Writes bytes; loads none.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import NamedTuple

MARKER = "MARKER"


class Pair(NamedTuple):
    """A hostile payload and its benign twin."""

    hostile: bytes
    benign: bytes

    def of(self, hostile: bool) -> bytes:
        return self.hostile if hostile else self.benign

    def map(self, change: Callable[[bytes], bytes]) -> Pair:
        return Pair(change(self.hostile), change(self.benign))


def short(text: str) -> bytes:
    """SHORT_BINUNICODE."""
    return b"\x8c" + bytes([len(text)]) + text.encode()


def long_text(text: str) -> bytes:
    """BINUNICODE."""
    return b"X" + len(text).to_bytes(4, "little") + text.encode()


OPEN = b"cbuiltins\nopen\n(S'MARKER'\nS'w'\ntR"
"""Opcodes of any protocol that leave an open file on the stack: no PROTO, no STOP."""

NOTHING = b"ccollections\nOrderedDict\n(tR"
"""The same for the twin: an empty OrderedDict."""

BODY = Pair(OPEN, NOTHING)
PLAIN = BODY.map(lambda body: body + b".")

SYSTEM = Pair(b"cposix\nsystem\n(S'touch MARKER'\ntR.", b"ccollections\nOrderedDict\n(tR.")
PROTO_2 = Pair(
    b"\x80\x02cbuiltins\nopen\n" + long_text(MARKER) + long_text("w") + b"\x86R.",
    b"\x80\x02ccollections\nOrderedDict\n)R.",
)
PYTHON_2 = Pair(b"\x80\x02c__builtin__\nopen\n" + long_text(MARKER) + long_text("w") + b"\x86R.", PROTO_2.benign)
INST = Pair(b"(S'MARKER'\nS'w'\nibuiltins\nopen\n.", b"(dp0\nS'a'\nI1\ns.")
OBJ = Pair(b"(cio\nFileIO\nS'MARKER'\nS'w'\no.", b"(lp0\nI1\na.")
PROTO_4 = Pair(
    b"\x80\x04"
    + short("builtins")
    + b"\x94"
    + short("open")
    + b"\x94\x93\x94"
    + short(MARKER)
    + short("w")
    + b"\x86\x94R.",
    b"\x80\x04" + short("collections") + b"\x94" + short("OrderedDict") + b"\x94\x93\x94)R.",
)
FROM_MEMO = Pair(
    b"\x80\x04("
    + short("io")
    + b"\x94"
    + short("open")
    + b"\x941h\x00h\x01\x93("
    + short(MARKER)
    + short("w")
    + b"tR.",
    b"\x80\x04(" + short("collections") + b"\x94" + short("OrderedDict") + b"\x941h\x00h\x01\x93)R.",
)


def framed(body: bytes, protocol: int) -> bytes:
    """A pickle of protocol 4 or 5 in one frame, of a body without PROTO."""
    return b"\x80" + bytes([protocol]) + b"\x95" + len(body).to_bytes(8, "little") + body


FRAMED_4 = PROTO_4.map(lambda data: framed(data[2:], 4))
FRAMED_5 = PROTO_4.map(lambda data: framed(data[2:], 5))
BEHIND_VALUES = BODY.map(lambda body: b"(lp0\nI1\naF1.5\naS'word'\na0" + body + b"0(dp1\nS'a'\nI1\ns.")
POPPED = BODY.map(lambda body: b"\x80\x02" + body + b"0}.")
BROKEN_BEHIND = Pair(OPEN + b"\xff\xff not a pickle any more", NOTHING + b"0}.")
ESCAPED = Pair(b"cbuiltins\nopen\n(S'\\x4dARKER'\nV\\u0077\ntR.", NOTHING + b".")
SECOND_STREAM = PLAIN.map(lambda data: b"\x80\x02}." + data)
LATE_STREAM = PLAIN.map(lambda data: b"\x80\x02}." * 50 + data)
SHARED_MEMO = Pair(
    b"\x80\x04(" + short("io") + b"\x94" + short("open") + b"\x94" + short(MARKER) + b"\x94t."
    b"\x80\x04(" + short("collections") + b"\x94" + short("OrderedDict") + b"\x94]\x94h\x00h\x01\x93h\x02" + short("w")
    + b"\x86Rt.",
    b"\x80\x04(" + short("a") + b"\x94t.\x80\x04(" + short("b") + b"\x94h\x00t.",
)  # fmt: skip

SPELLINGS: dict[str, Pair] = {
    "proto-0": PLAIN,
    "system": SYSTEM,
    "proto-2": PROTO_2,
    "python-2-names": PYTHON_2,
    "inst": INST,
    "obj": OBJ,
    "proto-4": PROTO_4,
    "from-memo": FROM_MEMO,
    "framed-4": FRAMED_4,
    "framed-5": FRAMED_5,
    "behind-values": BEHIND_VALUES,
    "popped": POPPED,
    "broken-behind": BROKEN_BEHIND,
    "escaped": ESCAPED,
}
"""One pickle each, for a loader that reads one."""

SEQUENCES: dict[str, Pair] = {"second-stream": SECOND_STREAM, "late-stream": LATE_STREAM}
"""For a loader that reads pickle after pickle."""

SOURCE = Pair(b"open('MARKER', 'w').close()\n", b"x = 1\n")
"""Python."""


def serialized(pair: Pair, **more: object) -> Pair:
    """The `data` of a stable-baselines3 archive: a pickle as base64 under the key that its loader decodes."""
    return pair.map(lambda data: json.dumps(policy(data, **more)).encode())


def policy(data: bytes, **more: object) -> dict[str, object]:
    return {"policy_class": {":type:": "x", ":serialized:": base64.b64encode(data).decode()}, **more}
