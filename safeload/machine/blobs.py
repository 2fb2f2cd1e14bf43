"""Does a literal look like a pickle or an archive of its own?

Recognises only, by the first bytes; whoever reads the Program decides what to do with it. Errs towards yes: a literal
wrongly taken for a pickle costs one more parse, a missed one hides a payload.
"""

from __future__ import annotations

import binascii
import re
from typing import Final

from safeload.machine.opcodes import BY_CODE

# 1 for each byte with which a literal worth a closer look may start, in UTF-8 for text. The machine looks here first,
# so that the usual literal costs one table read. Text holds raw pickles too: protocol 2 writes bytes as latin1 text.
FIRST: Final = bytes(int(code in b"\x80\xc2Pc(igU") for code in range(256))

# How many first bytes of a literal are looked at: a module and a name of 200 letters.
HEAD: Final = 410
# Nothing shorter can hold a pickle that names anything: `cA\nb\n.`
SHORTEST: Final = 7

# A protocol 0 or 1 pickle which begins with a name, maybe under a mark.
_TEXT_PICKLE: Final = rb"\(?[ci][\w.]{1,200}\n[\w.]{1,200}\n"
_URL_SAFE: Final = bytes.maketrans(b"-_", b"+/")
# base64 of PROTO 0 to 5, and of a zip's first bytes. 16 letters without a space are not a word of a vocabulary.
_BASE64: Final = rb"(?:gA[A-X]|UEsDB)[A-Za-z0-9+/_\-\r\n]{9}"


def looks_nested(head: bytes) -> bool:
    """Is `head`, the first `HEAD` bytes of a literal, the start of a pickle or an archive?"""
    if head.startswith(b"\xc2\x80"):
        # bytes that protocol 2 wrote as latin1 text: give each letter its one byte back
        head = head[:8].decode("utf-8", "ignore").encode("latin1", "replace")
    if head.startswith(b"\x80"):
        return len(head) > 2 and head[1] <= 5 and head[2] in BY_CODE
    if head.startswith(b"PK\x03\x04"):
        return True
    return re.match(_TEXT_PICKLE, head) is not None or re.match(_BASE64, head) is not None


def content(value: object) -> bytes | None:
    """The bytes that a literal which `looks_nested` stands for: itself, its latin1 letters, or its base64 decoded."""
    if isinstance(value, str):
        try:
            data = value.encode("latin1")
        except UnicodeEncodeError:
            return None
    elif isinstance(value, bytes | bytearray):
        data = bytes(value)
    else:
        return None
    if re.match(_BASE64, data) is None:
        return data
    text = data.translate(_URL_SAFE, b"\r\n\t =")
    try:
        return binascii.a2b_base64(text + b"=" * (-len(text) % 4))
    except binascii.Error:
        return None
