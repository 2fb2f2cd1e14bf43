"""Encodings in which git may write a file of the work tree (`working-tree-encoding`), and Python's codec for each.

git stores such a file in UTF-8, and has iconv encode it. The table is closed: it holds a codec only if this gives the
same bytes as iconv for every character that it knows, which a test checks. Any other name is Unknown, and never taken
for "no encoding". Mirrors `reencode_string_len` of git's utf8.c. Encodes text; reads nothing and judges nothing.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

SINGLE = {
    "ascii": "ASCII US-ASCII ANSI_X3.4-1968 ISO646-US ISO_646.IRV:1991 IBM367 CP367 US",
    "latin-1": "ISO-8859-1 ISO8859-1 ISO88591 ISO_8859-1 LATIN1 LATIN-1 L1 CP819 IBM819",
    **{f"iso8859-{n}": f"ISO-8859-{n} ISO8859-{n}" for n in (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16)},
    **{f"cp{n}": f"CP{n} WINDOWS-{n}" for n in (1250, 1251, 1252, 1253, 1254, 1256, 1257)},
    **{
        f"cp{n}": f"CP{n} IBM{n}"
        for n in ("037", 437, 500, 850, 852, 855, 857, 858, 860, 861, 862, 863, 865, 866, 869, 1140)
    },
    "koi8-r": "KOI8-R KOI8R",
    "koi8-u": "KOI8-U KOI8U",
}
"""Codec of Python -> its names in iconv. All of these have one byte for each character."""

EBCDIC_NAMES = "EBCDIC-CP-US EBCDIC-CP-CA EBCDIC-CP-NL EBCDIC-CP-WT CSIBM037"

# Name in iconv -> codecs of every byte order, with and without a mark: which one iconv takes depends on the system.
_UNICODE = {
    "UTF-16": ("utf-16-le", "utf-16-be"),
    "UTF-16LE": ("utf-16-le",), "UTF-16BE": ("utf-16-be",),
    "UTF-16LE-BOM": ("utf-16-le",), "UTF-16BE-BOM": ("utf-16-be",),
    "UTF-32": ("utf-32-le", "utf-32-be"),
    "UTF-32LE": ("utf-32-le",), "UTF-32BE": ("utf-32-be",),
}  # fmt: skip

# Encodings that keep ASCII, except for signs that national sets replace. Tables differ about other characters.
_ASCII_INSIDE = frozenset(
    (
        *("SHIFT_JIS", "SHIFT-JIS", "SJIS", "CP932", "WINDOWS-31J", "EUC-JP", "EUCJP", "ISO-2022-JP"),
        *("EUC-KR", "EUCKR", "CP949", "UHC", "JOHAB", "ISO-2022-KR"),
        *("GBK", "GB2312", "EUC-CN", "GB18030", "CP936", "BIG5", "BIG-5", "CP950", "BIG5-HKSCS", "EUC-TW"),
        *("TIS-620", "CP874", "WINDOWS-874", "CP1255", "WINDOWS-1255", "CP1258", "WINDOWS-1258", "MACINTOSH", "MAC"),
    )
)
_CHANGED = re.compile(rb"[\\~\x0e\x0f\x1b\x80-\xff]")

_CODECS = {name: codec for codec, names in SINGLE.items() for name in names.split()}
_CODECS |= dict.fromkeys(EBCDIC_NAMES.split(), "cp037")


class Unknown(Exception):
    """Nobody knows what git would write. The message is a clause that says why."""


def encoded(blob: bytes, name: str) -> Iterator[tuple[str, bytes]]:
    """Every (encoding, content) that a checkout may write for `blob` with working-tree-encoding=`name`.

    None for an empty name, for UTF-8, and for a blob that iconv refuses: git then writes the blob as it is. Raises
    Unknown.
    """
    if not name or name.lower() in {"utf-8", "utf8"}:
        return
    wanted = name.upper()
    if wanted in _ASCII_INSIDE and not _CHANGED.search(blob):
        return
    if wanted not in _CODECS and not (wide := _wide(wanted)):
        raise Unknown(f"it is written in the encoding {name[:60]!r}, which is not one that is reproduced here")
    try:
        text = blob.decode("utf-8")
    except UnicodeDecodeError:
        if _lenient(blob):
            raise Unknown(
                f"it is written in the encoding {name[:60]!r}, and only some iconv take it for UTF-8"
            ) from None
        return
    if wanted in _CODECS:
        try:
            yield name.upper(), text.encode(_CODECS[wanted])
        except UnicodeEncodeError:
            raise Unknown(f"the encoding {name[:60]!r} lacks some of its characters, and systems differ then") from None
        return
    for codec in wide:
        data = text.encode(codec)
        mark = codecs.BOM_UTF16_LE if codec == "utf-16-le" else codecs.BOM_UTF16_BE
        if codec.startswith("utf-32"):
            mark = codecs.BOM_UTF32_LE if codec == "utf-32-le" else codecs.BOM_UTF32_BE
        yield codec.upper(), data
        yield f"{codec.upper()} with a mark of its order", mark + data


def _wide(wanted: str) -> tuple[str, ...]:
    return _UNICODE.get(re.sub(r"^UTF(?=\d)", "UTF-", wanted), ())


def _lenient(blob: bytes) -> bool:
    """Whether `blob` is UTF-8 for a reader that accepts halves of surrogate pairs. No reader accepts overlong forms."""
    try:
        blob.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return bool(re.search(rb"[\xf4-\xfd][\x80-\xbf]{3}|\xc0\x80", blob))
    return True
