"""Files that are wholly one thing and wholly another: printable text that is a tar or a zlib stream, whole pictures
that are a tar or an HDF5. Python's tarfile asks for a checksum and for no magic; zlib asks for two bytes.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator

from tests.containers.whole.made import chunk
from tests.silence import kinds
from tests.silence.payloads import NOTHING, OPEN, PLAIN, PROTO_2, Pair
from tests.silence.plan import Plan, built, single
from tests.silence.plans_programs import h5_model
from tests.silence.polyglots import headed
from tests.silence.writers import END, by_hand, header, padded, record, tar_of

WORDS = "plain words of people for people, line after line, \n"


def plans() -> Iterator[Plan]:
    yield from printable()
    yield from pictures()
    yield from streams()
    yield from by_record()


def line_block(name: str, size: int, kind: str = "0") -> bytes:
    """A header of tar without one byte that is not printable: no magic, fields filled with blanks, a checksum."""
    start = f"{name:<100}000644  000000  000000  {size:011o} 00000000000         {kind}"
    block = (start + (WORDS * 10)).encode()[:511] + b"\n"
    block = block[:329] + b"000000  000000  " + block[345:]
    total = sum(block[:148]) + 8 * 32 + sum(block[156:])
    return block[:148] + f"{total:06o}  ".encode() + block[156:]


def filled(data: bytes) -> bytes:
    """Padding of a member, printable as well."""
    return data + (WORDS * 10).encode()[: -len(data) % 512]


def line_entry(name: str, data: bytes) -> bytes:
    """A pax header gives the name, as a printable name field cannot end before its 100 characters."""
    for length in range(1, 200):
        line = f"{length} path={name}\n".encode()
        if len(line) == length:
            break
    return line_block("words", len(line), "x") + filled(line) + line_block("words", len(data)) + filled(data)


def text_tar(members: dict[str, bytes]) -> bytes:
    return b"".join(line_entry(name, data) for name, data in members.items())


def torch_members(body: bytes) -> dict[str, bytes]:
    """The oldest format of torch with pickles of protocol 0."""
    return {"storages": b"I0\n.(l.", "tensors": b"I0\n.", "pickle": body + b"."}


def text_zlib(data: bytes) -> bytes:
    """A zlib stream of one stored block, in printable UTF-8: the length is one whose complement is a letter."""
    size = 0x563C
    letters = bytearray(b"a" * (size - len(data)))
    # The low half of the checksum is a sum of bytes: letters are raised until it spells two characters.
    missing = (0x4141 - (zlib.adler32(data + letters) & 0xFFFF)) % 65521
    for at in range(len(letters)):
        step = min(25, missing)
        letters[at] += step
        missing -= step
    # The high half depends on their order.
    for at in range(len(letters) - 1):
        check = zlib.adler32(data + letters).to_bytes(4, "big")
        if all(32 <= byte < 127 for byte in check):
            return b"x^a" + size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little") + data + letters + check
        letters[at], letters[-1 - at] = letters[-1 - at], letters[at]
    raise AssertionError("no order fits")


def printable() -> Iterator[Plan]:
    for file in ("README.md", "notes.txt", "model.pkl"):
        made = Pair(*(text_tar({"a.pkl": body + b"."}) for body in (OPEN, NOTHING)))
        yield single("text-is-tar", f"named-{file}", "tar-member", file, made, "a.pkl")
        made = Pair(*(text_tar(torch_members(body)) for body in (OPEN, NOTHING)))
        yield single("text-is-torch-tar", f"named-{file}", "torch", file, made)
        yield single("text-is-zlib", f"named-{file}", "joblib", file, PLAIN.map(text_zlib))
        yield single("text-is-zlib", f"unpacked-{file}", "zlib", file, PLAIN.map(text_zlib))


def old_entry(name: str, data: bytes) -> bytes:
    """A member of a tar without magic."""
    return without_magic(header(name, len(data))) + padded(data)


def without_magic(block: bytes) -> bytes:
    block = block[:148] + b" " * 8 + block[156:257] + b"\0" * 255
    return block[:148] + f"{sum(block):06o}\0 ".encode() + block[156:]


def old_tar(members: dict[str, bytes]) -> bytes:
    return b"".join(old_entry(name, data) for name, data in members.items()) + END


def first_block(head: bytes) -> bytes:
    """A header whose name is the head of a picture, for an empty member."""
    block = without_magic(header("x", 0))
    block = head + block[len(head) :]
    block = block[:148] + b" " * 8 + block[156:]
    return block[:148] + f"{sum(block):06o}\0 ".encode() + block[156:]


PNG_HEAD = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
PNG_TAIL = chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")


def png_around(tar: bytes) -> bytes:
    """A whole PNG: the tar is the content of a chunk that decoders pass over."""
    head = PNG_HEAD + struct.pack(">I", 512 - len(PNG_HEAD) - 8 + len(tar)) + b"teST"
    inside = (first_block(head) + tar)[len(head) :]
    return PNG_HEAD + chunk(b"teST", inside) + PNG_TAIL


def wav_around(tar: bytes) -> bytes:
    form = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 8000, 1, 8)
    size = 512 - 12 - len(form) - 8 + len(tar)
    sound = b"data" + struct.pack("<I", 2) + b"\x80\x80"
    head = b"RIFF" + struct.pack("<I", 4 + len(form) + 8 + size + len(sound)) + b"WAVE" + form
    return first_block(head + b"junk" + struct.pack("<I", size)) + tar + sound


def pdf_around(tar: bytes) -> bytes:
    from tests.silence.polyglots import PDF

    return first_block(b"%PDF-1.4\n1 0 obj<</Length 9999>>stream\n") + tar + b"\nendstream endobj\n" + PDF[9:]


def movie_around(tar: bytes) -> bytes:
    kind = struct.pack(">I", 24) + b"ftypmp42\0\0\0\0mp42isom"
    return first_block(kind + struct.pack(">I", 512 - 24 + len(tar)) + b"free") + tar + struct.pack(">I", 8) + b"mdat"


def jpeg_around(tar: bytes) -> bytes:
    """The smallest whole JPEG, with a comment of up to 64 KB around the tar."""
    image = bytes.fromhex(
        "ffdb004300" + "01" * 64 + "ffc0000b080001000101011100ffc4001400010000000000000000000000000000000009"
        "ffc40014100100000000000000000000000000000000ffda0008010100003f0054dfffd9"
    )
    return first_block(b"\xff\xd8\xff\xfe" + struct.pack(">H", 512 - 4 + len(tar))) + tar + image


AROUND: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "png": (png_around, "icon.png"),
    "wav": (wav_around, "a.wav"),
    "pdf": (pdf_around, "paper.pdf"),
    "mp4": (movie_around, "clip.mp4"),
    "jpeg": (jpeg_around, "photo.jpg"),
}


def pictures() -> Iterator[Plan]:
    for name, (around, file) in AROUND.items():
        made = PLAIN.map(lambda data, w=around: w(old_tar({"a.pkl": data})))  # type: ignore[misc]
        yield single(f"{name}-is-tar", "whole", "tar-member", file, made, "a.pkl")
        made = PROTO_2.map(lambda data, w=around: w(old_tar({**kinds.torch_tar(), "pickle": data})))  # type: ignore[misc]
        yield single(f"{name}-is-torch-tar", "whole", "torch", file, made)
    yield built("png-is-h5", "whole", "keras-unsafe", "icon.h5", h5_picture)
    yield single(
        "tar", "without-magic", "tar-member", "m.tar", PLAIN.map(lambda data: old_tar({"a.pkl": data})), "a.pkl"
    )
    yield single("gif-is-pickle", "whole", "pickle", "icon.gif", headed("gif"))


def h5_picture(hostile: bool) -> bytes:
    data = h5_model(hostile, 512, b"")[512:]
    inside = b"\0" * (512 - len(PNG_HEAD) - 8) + data
    return PNG_HEAD + chunk(b"teST", inside) + PNG_TAIL


def streams() -> Iterator[Plan]:
    """zlib with other windows, and the first compressed format of joblib."""
    for first in (0x08, 0x18, 0x48, 0x58, 0x68):
        second = next(n for n in range(256) if not n & 0x20 and (first * 256 + n) % 31 == 0)
        made = PROTO_2.map(lambda d, f=first, s=second: bytes([f, s]) + zlib.compress(d)[2:])  # type: ignore[misc]
        yield single("zlib", f"window-{first:02x}", "" if first < 0x18 else "zlib", "m.pkl.z", made)
    yield single("joblib", "first-format", "joblib", "m.joblib", PROTO_2.map(first_format))


def first_format(data: bytes) -> bytes:
    return b"ZF" + hex(len(data)).encode().ljust(len(hex(2**64))) + zlib.compress(data)


def by_record() -> Iterator[Plan]:
    """What torch's reader gives by name, and what is extracted or mapped."""
    members = kinds.torch_zip()
    for name in ("OPTIMIZER.PKL", "Readme.md"):
        made = PLAIN.map(
            lambda data, n=name: by_hand([*map(record, members, members.values()), record(f"archive/{n}", data)])
        )  # type: ignore[misc]
        yield single("torch-zip", f"record-{name}", "torch-record", "m.pt", made, name.lower())
    made = PROTO_2.map(
        lambda data: by_hand([record(n, data if n.endswith("data.pkl") else d) for n, d in members.items()])
    )
    yield single("torch-zip", "mapped", "torch-mmap", "m.pt", made)
    made = PLAIN.map(lambda data: tar_of({"README.md": data})[:1024] + header("b.pkl", 0, b"2", "README.md") + END)
    yield single("tar", "extracted-link", "extract", "m.tar", made, "b.pkl")
    for size in (0, 1024):
        yield built("h5", f"pickle-in-an-attribute-{size}", "h5-attribute", "m.h5", attribute(size), "state")


def attribute(size: int) -> Callable[[bool], bytes]:
    def make(hostile: bool) -> bytes:
        try:
            import h5py
            import numpy as np
        except ImportError:
            return b"\0" * size + b"\x89HDF\r\n\x1a\n" + PLAIN.of(hostile)
        out = io.BytesIO()
        with h5py.File(out, "w", userblock_size=size) as file:
            file.attrs["state"] = np.void(PLAIN.of(hostile))
        return out.getvalue()

    return make
