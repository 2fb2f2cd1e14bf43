"""Each format is proven to its last byte: the whole file is told, and a file changed anywhere is not."""

from __future__ import annotations

import io
import random
import struct
import sysconfig
import zipfile
import zlib
from pathlib import Path

import pytest

from safeload.containers.whole import FORMS, Whole, whole
from safeload.containers.whole.media.flac import crc16
from safeload.containers.whole.media.ogg import checksum
from safeload.errors import LimitExceeded
from safeload.inputs import FileSource, MemorySource
from safeload.inputs.part import PartSource
from safeload.limits import Limits
from tests.containers.whole import made, made_programs

FILES = {name: make() for name, (make, _, _) in made.MADE.items()}
WHAT = {name: Whole(kind, what) for name, (_, kind, what) in made.MADE.items()}

# Where a byte can be put in without a trace: data whose end is found, not told; what a comment may hold.
OPEN = {
    "jpeg": lambda at: at >= FILES["jpeg"].index(made.SCAN) - 6,
    "two jpegs": lambda at: True,
    "pdf": lambda at: at >= FILES["pdf"].index(b"xref"),
}

# Where a file may end as well: its format says nothing of what follows.
SHORTER = {
    "two jpegs": [len(made.jpeg())],
    "avi": [FILES["avi"].index(b"AVIX") - 8],
    "mp3": [len(FILES["mp3"]) - 128],
    "flv": [13 + 19, 13 + 19 + 21],
    "a": [72, 396],
    "bc": [32],
    "wasm": [12, 23, 27],
    "terminfo": [31],
    "mat, old": [38],
    "mat, old and big": [38],
    "fits": [2 * 2880],
}


def told(data: bytes, limits: Limits = Limits()) -> Whole | None:  # noqa: B008
    return whole(MemorySource(data), limits)


def archive() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("data.pkl", b"\x80\x02N.")
    return out.getvalue()


@pytest.mark.parametrize("name", FILES)
def test_a_whole_file_is_told(name: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(FILES[name])
    on_disk, in_memory = FileSource(path), MemorySource(FILES[name])
    assert whole(on_disk, Limits()) == WHAT[name]
    assert whole(in_memory, Limits()) == WHAT[name]
    assert on_disk.judged_sha256() == in_memory.judged_sha256()
    assert on_disk.still_judged()
    on_disk.close()


@pytest.mark.parametrize("name", FILES)
def test_a_file_inside_another_is_told(name: str) -> None:
    outer = MemorySource(b"before" + FILES[name] + b"behind")
    assert whole(PartSource(outer, 6, len(FILES[name]), "inner"), Limits()) == WHAT[name]


@pytest.mark.parametrize("name", FILES)
def test_a_cut_file_is_not_told(name: str) -> None:
    data = FILES[name]
    kept = [length for length in range(len(data)) if told(data[:length]) is not None]
    assert kept == SHORTER.get(name, [])


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("more", [b"\1", b"PK\5\6" + bytes(18), archive(), b"\x80\x02N.", bytes(512), b"%%EOF"])
def test_a_file_with_anything_behind_is_not_told(name: str, more: bytes) -> None:
    assert told(FILES[name] + more) is None
    assert told(FILES[name] + more + FILES[name][-8:]) is None


@pytest.mark.parametrize("name", FILES)
def test_a_file_with_anything_before_is_not_told(name: str) -> None:
    for more in (b"\0", b"\1", archive(), b"\x80\x02N.", FILES[name][:4]):
        assert told(more + FILES[name]) is None


@pytest.mark.parametrize("name", FILES)
def test_a_file_with_a_byte_put_in_is_not_told(name: str) -> None:
    data = FILES[name]
    free = OPEN.get(name, lambda at: False)
    kept = [at for at in range(len(data)) if not free(at) and told(data[:at] + b"\x7f" + data[at:]) is not None]
    assert kept == []


@pytest.mark.parametrize("name", FILES)
def test_a_file_with_an_archive_put_in_is_not_told(name: str) -> None:
    data, more = FILES[name], archive()
    free = OPEN.get(name, lambda at: False)
    kept = [at for at in range(0, len(data), 3) if not free(at) and told(data[:at] + more + data[at:]) is not None]
    assert kept == []


def mutants(count: int, seed: int) -> list[bytes]:
    chance = random.Random(seed)
    files = list(FILES.values())
    out = []
    for _ in range(count):
        data = bytearray(chance.choice(files))
        match chance.randrange(6):
            case 0:
                data = bytearray(chance.randbytes(chance.randrange(64)))
            case 1:
                start = chance.choice(chance.choice(FORMS).starts)
                data = bytearray(chance.randbytes(chance.randrange(200)))
                data[start[0] : start[0] + len(start[1])] = start[1]
            case 2:
                at = chance.randrange(len(data))
                data[at : at + 4] = struct.pack("<I", chance.choice((0, 1, 0xFFFFFFFF, 0x7FFFFFFF, len(data))))
            case 3:
                other = chance.choice(files)
                at = chance.randrange(len(data))
                data[at:] = other[chance.randrange(len(other)) :]
            case 4:
                del data[chance.randrange(len(data)) :]
                data += chance.randbytes(chance.randrange(8))
            case _:
                for _ in range(chance.randrange(1, 6)):
                    data[chance.randrange(len(data))] = chance.randrange(256)
        out.append(bytes(data))
    return out


def test_nothing_but_the_answer_or_a_limit_for_20000_mutants() -> None:
    limits = Limits(passive_steps=50_000)
    answers = {type(None): 0, Whole: 0, LimitExceeded: 0}
    for data in mutants(20_000, seed=11):
        try:
            answers[type(told(data, limits))] += 1
        except LimitExceeded:
            answers[LimitExceeded] += 1
    assert sum(answers.values()) == 20_000
    assert answers[type(None)] > 10_000
    assert answers[Whole] > 100


def test_a_file_of_no_format_is_not_looked_at() -> None:
    for data in (b"", b"hello", archive(), b"\x80\x02N.", b"\x93NUMPY\1\0", b"\x1f\x8b\x08", b"\x89HDF\r\n\x1a\n"):
        source = MemorySource(data)
        assert whole(source, Limits(passive_bytes=1)) is None
        assert source.judged_sha256() == MemorySource(b"").judged_sha256()


def test_the_limits_are_told() -> None:
    with pytest.raises(LimitExceeded, match="--limit passive_bytes="):
        told(FILES["png"], Limits(passive_bytes=len(FILES["png"]) - 1))
    assert told(FILES["png"], Limits(passive_bytes=len(FILES["png"]))) == Whole("image", "PNG image")
    with pytest.raises(LimitExceeded, match="--limit passive_steps="):
        told(FILES["gif"], Limits(passive_steps=3))


def test_a_picture_larger_than_the_limit_is_told_as_that() -> None:
    head = struct.pack(">IIBBBBB", 1 << 30, 1 << 30, 8, 6, 0, 0, 0)
    data = FILES["png"].replace(FILES["png"][8:33], made.chunk(b"IHDR", head))
    with pytest.raises(LimitExceeded, match="--limit inflated_bytes="):
        told(data)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("bytes behind the pixels, inside their chunk", made.png(behind=archive())),
        ("a chunk whose sum is wrong", FILES["png"][:-13] + bytes((FILES["png"][-13] ^ 1,)) + FILES["png"][-12:]),
        ("a box up to the end of the file", FILES["mp4"] + struct.pack(">I", 0) + b"mdat" + archive()),
        ("an element of unknown size", FILES["webm"] + b"\x18\x53\x80\x67\xff" + archive()),
        ("sound up to the end of the file", b".snd" + struct.pack(">IIIII", 24, 0xFFFFFFFF, 3, 8000, 1) + archive()),
        ("a hole between sections", made_programs.elf(pad=64).replace(bytes(60), b"X" * 60)),
        ("an installer", FILES["dll"] + archive()),
        ("a certificate table beyond its certificates", made_programs.pe(True, True) + bytes(8)),
        ("a library of texts", FILES["a"] + b"%-16s%-12d%-6d%-6d%-8s%-10d`\n" % (b"x/", 0, 0, 0, b"0", 4) + b"text"),
        ("an archive between objects", FILES["pdf"].replace(b"\nxref", b"\n" + archive() + b"\nxref")),
        ("a last reference to nowhere", FILES["pdf"].replace(b"startxref\n", b"startxref\n1")),
        ("a number that says there is more", FILES["sqlite"] + bytes(512)),
        ("two code objects", FILES["pyc"] + FILES["pyc"][16:]),
        ("frames that are missing", FILES["mp3"][:20] + FILES["mp3"][-128 - 3 * 144 * 128 // 44 :]),
    ],
)
def test_what_a_reader_would_forgive_is_not_told(name: str, data: bytes) -> None:
    assert told(data) is None, name


def test_a_moved_section_table_is_known() -> None:
    old = struct.pack("<IIQQQQIIQQ", *(0,) * 10) + struct.pack("<IIQQQQIIQQ", 0, 1, 6, 0, 120, 13, 0, 0, 1, 0)
    moved = made_programs.elf(pad=136)
    at = moved.index(bytes(136))
    at += -at % 8
    assert told(moved[:at] + old + moved[at + 128 :]) == Whole("code", "shared library")
    assert told(moved[:at] + old[:-40] + archive()[:40] + moved[at + 128 :]) is None


def test_an_icon_of_256_pictures_is_not_told() -> None:
    # Its first bytes would be the head of an LZMA stream.
    picture = FILES["png"]
    entry = struct.pack("<BBBBHHII", 3, 2, 0, 0, 1, 32, len(picture), 6 + 16 * 256)
    assert told(struct.pack("<HHH", 0, 1, 256) + entry * 256 + picture) is None
    entry = struct.pack("<BBBBHHII", 3, 2, 0, 0, 1, 32, len(picture), 6 + 16 * 255)
    assert told(struct.pack("<HHH", 0, 1, 255) + entry * 255 + picture) == Whole("image", "Windows icon")


def test_a_table_named_by_many_fonts_is_summed_once() -> None:
    fonts, size = 500, 3 << 20
    # Each font has a directory of its own, all name the same three tables.
    at = 12 + 4 * fonts + 60 * fonts
    records = b"".join(
        name + struct.pack(">III", 0, at + start, length)
        for name, start, length in ((b"big ", 0, size), (b"cmap", size, 8), (b"head", size, 8))
    )
    font = b"OTTO" + struct.pack(">HHHH", 3, 0, 0, 0) + records
    offsets = struct.pack(f">{fonts}I", *(12 + 4 * fonts + 60 * number for number in range(fonts)))
    data = b"ttcf" + struct.pack(">II", 0x10000, fonts) + offsets + font * fonts + bytes(size + 8)
    assert told(data, Limits(passive_steps=200_000)) == Whole("font", "font collection")


def test_a_marker_across_two_blocks_is_found() -> None:
    head, tail = FILES["jpeg"].split(made.SCAN)
    for length in range((1 << 20) - len(head) - 3, (1 << 20) - len(head) + 4):
        assert told(head + b"\x11" * length + tail) == Whole("image", "JPEG image")
        assert told(head + b"\x11" * length + b"\xff\x01" + tail) is None
        assert told(head + b"\x11" * length + b"\xff\x00\xff\xd7" + tail) == Whole("image", "JPEG image")


def test_all_of_a_large_file_counts_as_judged(tmp_path: Path) -> None:
    path = tmp_path / "large.wav"
    size = 3 << 20
    made_of = made.riff(b"WAVE", (b"fmt ", bytes(16)), (b"data", bytes(size)))
    path.write_bytes(made_of)
    source = FileSource(path)
    assert whole(source, Limits()) == Whole("audio", "WAV audio")
    assert source.bytes_in_memory() == 0
    assert source.still_judged()
    before = source.judged_sha256()
    with path.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"\1")
    assert not source.still_judged()
    source.close()
    again = FileSource(path)
    assert whole(again, Limits()) == Whole("audio", "WAV audio")
    assert again.judged_sha256() != before
    again.close()


def test_real_programs_are_told() -> None:
    ours, others = Path(sysconfig.get_paths()["stdlib"]), Path(sysconfig.get_paths()["platlib"])
    objects = [*sorted(ours.glob("lib-dynload/*.so"))[:30], *sorted(others.glob("*/*.so"))[:10]]
    compiled = [*sorted(ours.glob("__pycache__/*.pyc"))[:40], *sorted(others.glob("*/__pycache__/*.pyc"))[:20]]
    if not objects or not compiled:
        pytest.skip("this Python has no shared objects or no compiled modules")
    wrong = []
    for path in (*objects, *compiled):
        source = FileSource(path)
        found = whole(source, Limits())
        expected = "shared library" if path.suffix == ".so" else "compiled Python module"
        if found is None or found.what != expected:
            wrong.append((path, found))
        source.close()
    assert wrong == []


@pytest.mark.parametrize(
    ("kind", "options", "what"),
    [
        ("PNG", {"optimize": True}, "PNG image"),
        ("JPEG", {"progressive": True}, "JPEG image"),
        ("JPEG", {"quality": 30, "restart_marker_blocks": 1}, "JPEG image"),
        ("GIF", {}, "GIF image"),
        ("BMP", {}, "BMP image"),
        ("ICO", {}, "Windows icon"),
        ("TIFF", {}, "TIFF image"),
        ("TIFF", {"compression": "tiff_lzw"}, "TIFF image"),
        ("WEBP", {}, "WebP image"),
        ("WEBP", {"lossless": True}, "WebP image"),
        ("AVIF", {}, "AVIF image"),
        ("JPEG2000", {}, "JPEG 2000 image"),
        ("PPM", {}, "Netpbm image"),
        ("PDF", {}, "PDF document"),
    ],
)
def test_pictures_of_a_real_writer_are_told(kind: str, options: dict[str, object], what: str) -> None:
    image = pytest.importorskip("PIL.Image")
    features = pytest.importorskip("PIL.features")
    needed = {"WEBP": "webp", "AVIF": "avif", "JPEG2000": "jpg_2000", "TIFF": "libtiff"}.get(kind)
    if needed and not features.check(needed):
        pytest.skip(f"no {needed} here")
    picture = image.effect_noise((67, 45), 60).convert("RGB")
    out = io.BytesIO()
    picture.save(out, kind, **options)
    data = out.getvalue()
    found = told(data)
    assert found is not None
    assert found.what == what
    assert told(data + archive()) is None
    assert [cut for cut in range(0, len(data) - 1, 7) if told(data[:cut]) is not None] == []


def test_sums_are_those_of_their_formats() -> None:
    chance = random.Random(3)
    for length in (0, 1, 2, 7, 64, 255):
        data = chance.randbytes(length)
        assert checksum(data) == made.crc(data, 0x04C11DB7, 32)
        assert crc16(data) == made.crc(data, 0x8005, 16)
    # The check values of the two, as catalogs of such sums give them for the digits.
    assert crc16(b"123456789") == 0xFEE8
    assert zlib.crc32(b"123456789") == 0xCBF43926
