"""Static libraries: ar archives (System V, BSD, Windows) of nothing but object files and their indices."""

from __future__ import annotations

import re

from safeload.containers.whole.interface import CODE, Whole, WholeFormat, need
from safeload.containers.whole.view import FileView
from safeload.errors import Malformed

MAGIC = b"!<arch>\n"
_HEAD = re.compile(rb"([ -~]{16})([0-9 ]{12})([0-9 ]{6})([0-9 ]{6})([0-7 ]{8})([0-9]{1,10}) *`\n")
_INDICES = (b"/ ", b"// ", b"/SYM64/ ", b"__.SYMDEF", b"/<ECSYMBOLS>/", b"/<XFGHASHMAP>/")
# ELF, Mach-O, LLVM bitcode, WebAssembly, Windows import, Rust metadata; then COFF for x86, x86-64, ARM, ARM64.
_OBJECTS = (
    b"\x7fELF",
    b"\xce\xfa\xed\xfe",
    b"\xcf\xfa\xed\xfe",
    b"\xfe\xed\xfa\xce",
    b"\xfe\xed\xfa\xcf",
    b"BC\xc0\xde",
    b"\xde\xc0\x17\x0b",
    b"\0asm",
    b"\0\0\xff\xff",
    b"rust\0",
    b"\x4c\x01",
    b"\x64\x86",
    b"\xc4\x01",
    b"\x64\xaa",
)


def holds(view: FileView) -> Whole:
    """See `WholeFormat.holds`."""
    need(view.get(0, 8) == MAGIC, 0)
    at = 8
    while at < view.size:
        view.step()
        head = _HEAD.fullmatch(view.get(at, 60))
        if head is None:
            raise Malformed("the structure does not hold", offset=at)
        length = int(head[6])
        begin, end = at + 60, at + 60 + length
        need(end <= view.size, at)
        name = head[1]
        if name.startswith(b"#1/"):
            digits = name[3:].strip()
            need(digits.isdigit() and int(digits) <= length, at)
            name = view.get(begin, int(digits)).rstrip(b"\0") + b" "
            begin += int(digits)
        if not name.startswith(_INDICES) and begin < end:
            need(view.get(begin, min(5, end - begin)).startswith(_OBJECTS), begin)
        at = end
        if length & 1 and at < view.size:
            need(view.get(at, 1) in (b"\n", b"\0"), at)
            at += 1
    need(view.size > 8, 8)
    return Whole(CODE, "static library")


FORMS = (WholeFormat(((0, MAGIC),), holds),)
