"""Tells from the first bytes what kind of file this is. The name of the file is never asked.

It may err in one direction only. It may say "pickle" of a text, because then the machine decides. It must never say
"text" or "image" of bytes that CPython would run as a pickle, because a folder scan may skip those kinds. So it asks
`may_be_pickle` before it names a kind that may be skipped. Reads no file, and knows no meaning of an opcode.
"""

from __future__ import annotations

import codecs
import re

HEAD = 4096
"""How many of the first bytes `kind_of` needs."""

# Formats that their loaders recognise by these bytes. A reader of ours takes the file then, or `unrecognised` says what
# it is. None of these kinds may be skipped: a mistake here makes a file unjudged, never unseen.
_STRONG: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "zip"), (b"PK\x05\x06", "zip"), (b"PK\x07\x08", "zip"),
    (b"\x93NUMPY", "npy"),
    (b"\x1f\x8b", "gzip"), (b"\xfd7zXZ\x00", "xz"), (b"\x5d\x00\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"), (b"\x04\x22\x4d\x18", "lz4"), (b"\x02\x21\x4c\x18", "lz4"), (b"ZF0x", "zfile"),
    (b"version https://git-lfs.github.com/spec/v1", "lfs-pointer"),
    (b"\x89HDF\r\n\x1a\n", "hdf5"), (b"GGUF", "gguf"), (b"PAR1", "parquet"), (b"SQLite format 3\x00", "sqlite"),
    (b"\x04\x00\x00\x00\x01\x00\x00\x00\x03\x00\x00\x00V 1", "torch7"), (b"4\n1\n3\nV 1\n", "torch7"),
    (b"\x03\x00\x00\x00\x01\x00\x00\x00", "torch7"),
    (b"\x7fELF", "elf"), (b"MZ\x90\x00", "pe"), (b"7z\xbc\xaf\x27\x1c", "7z"), (b"Rar!\x1a\x07", "rar"),
    (b"Salted__", "encrypted"), (b"age-encryption.org/v1\n", "encrypted"), (b"-----BEGIN PGP MESSAGE", "encrypted"),
)  # fmt: skip

# SECURITY: every text that git-lfs takes for a pointer and replaces by a file: each address it knows, and white space
# before it.
_POINTER = re.compile(r"\s*version https?://(git-lfs\.github\.com|hawser\.github\.com|git-media\.io)/")
_POINTER_HEAD = 1024

# Kinds that a folder scan may skip: (offset, bytes, kind).
_HARMLESS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "image"), (0, b"\xff\xd8\xff", "image"), (0, b"GIF87a", "image"), (0, b"GIF89a", "image"),
    (0, b"II*\x00", "image"), (0, b"MM\x00*", "image"), (0, b"8BPS\x00\x01", "image"),
    (0, b"\x00\x00\x01\x00", "image"), (8, b"WEBP", "image"), (4, b"ftypavif", "image"), (4, b"ftyphei", "image"),
    (0, b"\x00\x01\x00\x00\x00", "font"), (0, b"OTTO\x00", "font"), (0, b"wOFF", "font"), (0, b"wOF2", "font"),
    (0, b"ttcf\x00", "font"), (0, b"true\x00", "font"),
    (8, b"WAVE", "audio"), (0, b"ID3", "audio"), (0, b"\xff\xfb", "audio"), (0, b"fLaC", "audio"),
    (0, b"OggS", "audio"),
    (4, b"ftyp", "video"), (0, b"\x1a\x45\xdf\xa3", "video"), (8, b"AVI ", "video"), (0, b"FLV\x01", "video"),
    (0, b"%PDF-", "pdf"),
)  # fmt: skip

# Where the operands of each opcode end: after n bytes (_FIXED), after a length prefix of n bytes and that many bytes
# (_PREFIXED), or after n lines (_LINES). From CPython's Modules/_pickle.c. What an operand means is not known here.
_FIXED = dict.fromkeys(b"(.012N)l]}tdaesuobRQ\x81\x85\x86\x87\x88\x89\x8f\x90\x91\x92\x93\x94\x97\x98", 0)
_FIXED |= {0x80: 1, 0x82: 1, 0x83: 2, 0x84: 4, 0x95: 8, **dict.fromkeys(b"Khq", 1), 0x4D: 2, 0x47: 8}
_FIXED |= dict.fromkeys(b"Jjr", 4)
_PREFIXED = {0x54: 4, 0x58: 4, 0x42: 4, 0x55: 1, 0x43: 1, 0x8A: 1, 0x8B: 4, 0x8C: 1, 0x8D: 8, 0x8E: 8, 0x96: 8}
_LINES = dict.fromkeys(b"ILFSVPpg", 1) | {0x63: 2, 0x69: 2}
_NEEDS_MARK = frozenset(b"1lteduoi\x90\x91")
_NEEDS_VALUE = frozenset(b".02asRbQpqr\x81\x85\x86\x87\x92\x93\x94\x98")
_NEEDS_MEMO = frozenset(b"ghj")
_EFFECT = frozenset(b"cioRb\x81\x92\x93\x82\x83\x84")
_PUSHES_NOTHING = frozenset(b"(.0absuepqr\x80\x90\x94\x95\x98")
_NUMBER = rb"(?i:\s*[-+]?(\d|\.\d|inf|nan|_))"


def kind_of(head: bytes, size: int | None = None) -> str:
    """The kind of the file that starts with `head`, its first 4096 bytes (fewer when the file is shorter).

    `size` is the file's length when known; it lets more texts be told from pickles. Returns one of: pickle, zip, gzip,
    bz2, xz, zstd, lz4, zlib, zfile, tar, npy, safetensors, text, json, python, image, font, html, lfs-pointer, torch7,
    hdf5, elf, pe, sqlite, onnx, tflite, gguf, parquet, audio, video, pdf, 7z, rar, encrypted, empty, unknown.
    """
    if not head:
        return "empty"
    for magic, kind in _STRONG:
        if head.startswith(magic):
            return kind
    # SECURITY: a skippable frame. Readers of zstd and of lz4 pass over its content, and read the frame behind it.
    if head[1:4] == b"\x2a\x4d\x18" and head[0] & 0xF0 == 0x50:
        return "zstd"
    if b"version http" in head[:_POINTER_HEAD] and _POINTER.match(head[:_POINTER_HEAD].decode("utf-8", "ignore")):
        return "lfs-pointer"
    if head.startswith(b"BZh") and head[4:10] in (b"1AY&SY", b"\x17rE8P\x90"):
        return "bz2"
    if is_tar_header(head[:512]):
        return "tar"
    if is_safetensors(head):
        return "safetensors"
    if head[0] == 0x78 and len(head) > 1 and int.from_bytes(head[:2], "big") % 31 == 0 and not head[1] & 0x20:
        return "zlib"
    if head[4:8] == b"TFL3":
        return "tflite"
    # ONNX is a protobuf: ir_version (field 1), then the name of the producer, a domain or the graph.
    if head[0] == 8 and head[1:2] < b"\x20" and head[2:3] in (b"\x12", b"\x1a", b"\x3a"):
        return "onnx"
    # SECURITY: this check stands before the kinds below, which a folder scan may skip. "GIF89a" is also an opcode of a
    # pickle with its operand, and a payload can follow it.
    if (head[0] == 0x80 and head[1:2] < b"\x10") or may_be_pickle(head, size):
        return "pickle"
    for at, magic, kind in _HARMLESS:
        if head.startswith(magic, at):
            return kind
    return _text_kind(head)


def may_be_pickle(head: bytes, size: int | None = None) -> bool:
    """Whether CPython could run `head` as a pickle up to STOP or a first effect. Errs towards True.

    False is certain. It means that CPython stops before it could import or call anything: at a byte that is no opcode,
    at an operand beyond the end, at a number or string that does not parse, or at an opcode that needs a value, a mark
    or a memo entry which nothing before it has made.
    """
    return _first_event(head, size) != "error"


def may_import(data: bytes) -> bool:
    """Whether CPython could run `data`, which is the whole pickle, up to a first import. Errs towards True.

    A call or a state before the first import raises in CPython: there is nothing yet that could be called. So does an
    extension code, unless the process has registered one.
    """
    return _first_event(data[:HEAD], len(data)) in ("import", "unknown")


def _first_event(head: bytes, size: int | None) -> str:
    """What CPython comes to first in `head`: "error", "stop", "import", "effect"; "unknown" when `head` ends before."""
    if size is None and len(head) < HEAD:
        size = len(head)
    at = 0
    pushed = marked = memoed = False
    while at < len(head):
        op = head[at]
        if (op in _NEEDS_MARK and not marked) or (op in _NEEDS_MEMO and not memoed):
            return "error"
        # A mark counts as a value here, because POP takes one away. The machine knows better what lies under it.
        if op in _NEEDS_VALUE and not (pushed or marked):
            return "error"
        end = _operand_end(head, at, op, size)
        if end is None:
            return "unknown"
        if end < 0:
            return "error"
        if op in _EFFECT or op == 0x2E:
            return "stop" if op == 0x2E else "import" if op in b"ci\x93" else "effect"
        memoed = memoed or op in b"pqr\x94"
        marked = marked or op == 0x28
        pushed = pushed or op not in _PUSHES_NOTHING
        at = end
    return "unknown" if size is None or size > len(head) else "error"


def _operand_end(head: bytes, at: int, op: int, size: int | None) -> int | None:
    """Offset behind the operands of the opcode at `at`. None when `head` is too short, -1 when CPython refuses them."""
    end: int | None = at + 1
    if op in _FIXED:
        end = at + 1 + _FIXED[op]
        if op == 0x80 and head[at + 1 : at + 2] >= b"\x10":
            return -1
    elif op in _PREFIXED:
        start = at + 1 + _PREFIXED[op]
        if start > len(head):
            return None if size is None or start <= size else -1
        end = start + int.from_bytes(head[at + 1 : start], "little")
    elif op in _LINES:
        end = _lines_end(head, at, op)
        if end is None or end < 0:
            return end
    else:
        return -1
    if size is not None and end > size:
        return -1
    return end


def _lines_end(head: bytes, at: int, op: int) -> int | None:
    """As `_operand_end`, for opcodes whose operands are lines of text."""
    end = at + 1
    complete = True
    for _ in range(_LINES[op]):
        newline = head.find(b"\n", end)
        complete = newline >= 0
        end = newline + 1 if complete else len(head)
        if not complete:
            break
    line = head[at + 1 : end]
    if op in b"ILFpg" and not re.match(_NUMBER, line) and (complete or line.strip()):
        return -1
    if op == 0x53 and not line.lstrip(b" \t").startswith((b"'", b'"')) and (complete or line.strip()):
        return -1
    # CPython refuses a module name with a NUL, or one that is no UTF-8, before it imports anything.
    if op in b"ci" and complete and (b"\0" in line or not _is_utf8(line)):
        return -1
    # A line without its newline may go on behind the head. At the end of a file, CPython versions differ about it.
    return end if complete else None


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def is_tar_header(block: bytes) -> bool:
    """Whether `block` (512 bytes) is a tar header by its checksum: the only thing that `tarfile` asks for.

    SECURITY: torch.load tries `tarfile` on every file that is no zip. A header without the word "ustar" is one to it.
    """
    if len(block) < 512:
        return False
    stated = _tar_number(block[148:156])
    rest = block[:148] + b" " * 8 + block[156:]
    unsigned = sum(rest)
    return stated in (unsigned, unsigned - 256 * sum(byte > 127 for byte in rest))


def _tar_number(field: bytes) -> int | None:
    """A number, read as leniently as `tarfile.nti` does: octal text up to a NUL, or base 256 after 0x80 or 0xff."""
    if field[0] in (0x80, 0xFF):
        return int.from_bytes(field[1:], "big") - (256 ** (len(field) - 1) if field[0] == 0xFF else 0)
    try:
        return int(field.split(b"\0")[0].decode("ascii").strip() or "0", 8)
    except ValueError:
        return None


def is_safetensors(head: bytes) -> bool:
    """Whether `head` starts with a safetensors header: a small little-endian length, then a JSON object."""
    length = int.from_bytes(head[:8], "little")
    return len(head) > 8 and 2 <= length <= 1 << 32 and head[8:40].lstrip(b" \t\r\n").startswith(b"{")


def _text_kind(head: bytes) -> str:
    """The kind of a text: "html", "json", "python" or "text"; "unknown" when `head` does not decode."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            head = head[: len(head) & ~1].decode("utf-16").encode("utf-8", "ignore")
        except UnicodeDecodeError:
            return "unknown"
    # A multi-byte character may be cut at the end of the head.
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        text = decoder.decode(head.removeprefix(b"\xef\xbb\xbf"), final=len(head) < HEAD)
    except UnicodeDecodeError:
        return "unknown"
    if re.search(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]", text):
        return "unknown"
    start = text.lstrip()[:200].lower()
    if re.match(r"(<!--.*?-->\s*)?<(!doctype html|html|head|body|script)\b", start, re.DOTALL):
        return "html"
    if start.startswith(("{", "[")) and _looks_like_json(text):
        return "json"
    if re.match(r"#!.*python", start) or re.search(r"^(import|from|def|class|async def) ?\w+", text, re.MULTILINE):
        return "python"
    return "text"


def _looks_like_json(text: str) -> bool:
    """Whether `text` is JSON, or its beginning. Decides nothing but the word in a report."""
    if len(text) < HEAD // 4:
        import json

        try:
            json.loads(text)
        except (ValueError, RecursionError):
            return False
        return True
    return bool(re.match(r'\s*(\{\s*("|\})|\[\s*(["\d\-\[{tfn]|\]))', text))
