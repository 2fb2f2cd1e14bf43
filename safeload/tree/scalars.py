"""The values that JSON does not have, out of the text that a tree writes for them. Each raises Malformed."""

from __future__ import annotations

import binascii
import re
import struct

from safeload.errors import LimitExceeded, Malformed
from safeload.limits import Limits

_WORDS = ("nan", "inf", "-inf")


def integer(text: object, limits: Limits) -> int:
    """An int in hexadecimal: exact in every reader, and read in linear time."""
    if type(text) is not str or re.fullmatch(r"-?0x[0-9a-f]+", text) is None:
        raise Malformed("the value of 'int' must be hexadecimal, with 0x")
    if len(text) > 2 * limits.integer_bytes:
        raise LimitExceeded("an integer is too long", limit="integer_bytes")
    return int(text, 16)


def real(text: object) -> float:
    """A float that is no number, or infinite: by its name, or by its bits, most significant first."""
    if type(text) is str and text in _WORDS:
        return float(text)
    if type(text) is not str or re.fullmatch(r"0x[0-9a-f]{16}", text) is None:
        raise Malformed("the value of 'float' must be nan, inf, -inf or the 64 bits of one")
    (value,) = struct.unpack(">d", bytes.fromhex(text[2:]))
    return float(value)


def binary(text: object) -> bytes:
    """Bytes in base64 with its padding, of the standard alphabet, without line breaks (RFC 4648, section 4)."""
    try:
        if type(text) is not str:
            raise ValueError
        return binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    except ValueError:
        raise Malformed("the value of 'bytes' or 'bytearray' must be base64") from None
