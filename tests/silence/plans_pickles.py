"""Pickles as files: every spelling, behind heads of other formats, compressed, behind and before other files."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import zlib
from collections.abc import Callable, Iterator

from tests.silence import kinds, polyglots
from tests.silence.payloads import PLAIN, PROTO_2, SEQUENCES, SHARED_MEMO, SPELLINGS
from tests.silence.plan import Plan, built, single
from tests.silence.polyglots import HEADS, headed, skippable
from tests.silence.writers import tar_of, zip_of

NAMES = {
    "gif": "icon.gif", "bmp": "icon.bmp", "windows-program": "model.dll", "pyc-38": "model.cpython-38.pyc",
    "pyc-37": "model.cpython-37.pyc", "tar": "notes.tar", "gguf": "model.gguf", "text-lines": "README.md",
    "markdown": "CHANGELOG.md", "numbers": "table.csv", "floats": "table.tsv", "quoted": "vocab.txt",
    "marks": "notes.txt", "binary-text": "notes.bin", "letters": "key.pem",
}  # fmt: skip
HARMLESS = (
    "README.md", "LICENSE", "icon.png", "config.json", "setup.py", "model.safetensors", "index.html", ".gitignore", "a",
)  # fmt: skip
GOOD = b"\x80\x02}."


def plans() -> Iterator[Plan]:
    for spelling, pair in SPELLINGS.items():
        yield single("pickle", spelling, "pickle", "model.pkl", pair)
    for name, pair in SEQUENCES.items():
        yield single("pickle", name, "pickles", "log.pkl", pair)
    yield single("pickle", "shared-memo", "one-unpickler", "log.pkl", SHARED_MEMO)
    for head in HEADS:
        yield single("pickle", f"{head}-head", "pickle", NAMES[head], headed(head))
    for name in HARMLESS:
        yield single("pickle", f"named-{name}", "pickle", name, PLAIN)
    yield from compressed()
    yield from appended()
    yield from loaders_of_arrays()


def compressed() -> Iterator[Plan]:
    ways: tuple[tuple[str, str, Callable[[bytes], bytes]], ...] = (
        ("gz", ".gz", gzip_of),
        ("gz-name", ".gz", lambda data: gzip_of(data, b"icon.png")),
        ("gz-empty-first", ".gz", lambda data: gzip_of(b"") + gzip_of(data)),
        ("bz2", ".bz2", bz2.compress),
        ("bz2-empty-first", ".bz2", lambda data: bz2.compress(b"") + bz2.compress(data)),
        ("xz", ".xz", lzma.compress),
        ("xz-empty-first", ".xz", lambda data: lzma.compress(b"") + lzma.compress(data)),
        ("lzma-alone", ".xz", polyglots.alone),
        ("lzma-icon", ".xz", polyglots.icon),
        ("lzma-font", ".xz", polyglots.true_type),
        ("zip", ".zip", lambda data: zip_of({"README.md": data})),
        ("tar", ".tar", lambda data: tar_of({"README.md": data})),
        ("tar-gz", ".tar.gz", lambda data: tar_of({"icon.png": data}, "w:gz")),
        ("tar-xz", ".tar.xz", lambda data: tar_of({"icon.png": data}, "w:xz")),
    )
    for name, ending, way in ways:
        yield single(f"compressed-{name}", "read-by-pandas", "pandas", f"frame{ending}", PROTO_2.map(way))
        yield single(
            f"compressed-{name}", "text-head-inside", "pandas", f"frame{ending}", headed("text-lines").map(way)
        )
    for name, way in (("icon", polyglots.icon), ("font", polyglots.true_type)):
        yield single(
            "compressed-lzma", f"named-{name}", "lzma-alone", {"icon": "a.ico", "font": "a.ttf"}[name], PROTO_2.map(way)
        )
    yield single("compressed-lzma", "movie-head", "lzma-alone", "clip.mp4", PROTO_2.map(polyglots.movie))
    yield single("compressed-lzma", "tiff-head", "lzma-alone", "scan.tif", PROTO_2.map(polyglots.tiff))
    yield single("joblib", "zlib", "joblib", "model.joblib", PROTO_2.map(zlib.compress))
    yield single("joblib", "gzip", "joblib", "model.joblib", PROTO_2.map(gzip_of))
    yield single(
        "joblib",
        "lzma",
        "joblib",
        "model.joblib",
        PROTO_2.map(lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE)),
    )
    yield from by_frames()


def gzip_of(data: bytes, name: bytes = b"") -> bytes:
    out = gzip.compress(data, mtime=0)
    return out[:3] + b"\x08" + out[4:10] + name + b"\0" + out[10:] if name else out


def by_frames() -> Iterator[Plan]:
    """Formats with skippable frames; their writers may not be installed, so the frames are stored ones, by hand."""
    heads = {
        "plain": b"",
        "webp": b"WEBP\0\0\0\0",
        "png": polyglots.png(),
        "text": b"plain words\n" * 400,
        "zip": zip_of({"a": b""}),
    }
    for name, head in heads.items():
        for number in (0, 15):
            first = skippable(head, number) if name != "plain" else b""
            if name == "plain" and number:
                continue
            trick = f"{name}-frame-{number}"
            yield single("zstd", trick, "zstd", "frame.pkl.zst", PROTO_2.map(lambda data, f=first: f + zstd_of(data)))  # type: ignore[misc]
            yield single("lz4", trick, "lz4", "frame.pkl.lz4", PROTO_2.map(lambda data, f=first: f + lz4_of(data)))  # type: ignore[misc]


def zstd_of(data: bytes) -> bytes:
    """One frame with one raw block: single segment, size in one byte."""
    assert len(data) < 256
    return b"\x28\xb5\x2f\xfd\x20" + bytes([len(data)]) + (len(data) << 3 | 1).to_bytes(3, "little") + data


def lz4_of(data: bytes) -> bytes:
    """One frame with one uncompressed block, no checksums."""
    return b"\x04\x22\x4d\x18\x60\x40\x82" + (len(data) | 1 << 31).to_bytes(4, "little") + data + b"\0\0\0\0"


def appended() -> Iterator[Plan]:
    """Two files in one: what reads from the front and what reads from the end."""
    evil_zip = PLAIN.map(lambda data: zip_of({"a.pkl": data}))
    whole_heads = {
        "png": (polyglots.png(), "icon.png"), "pdf": (polyglots.PDF, "paper.pdf"), "wav": (polyglots.WAV, "a.wav"),
        "text": (b"plain words\n" * 500, "README.md"), "json": (b'{"a": 1}\n', "config.json"),
        "python": (b"x = 1\n" * 900, "setup.py"), "gif": (b"GIF89a\1\0\1\0\0\0\0;", "icon.gif"),
        "pickle": (GOOD, "model.pkl"), "checkpoint": (kinds.checkpoint(), "model.pt"),
    }  # fmt: skip
    for name, (head, file) in whole_heads.items():
        yield single(
            f"{name}+zip", "zip-appended", "zip-member", file, evil_zip.map(lambda data, h=head: h + data), "a.pkl"
        )  # type: ignore[misc]
    for name in ("png", "wav"):
        head, file = whole_heads[name]
        yield single(
            f"{name}+pickle",
            "pickle-appended",
            "offset",
            file,
            PLAIN.map(lambda data, h=head: h + data),
            str(len(head)),
        )  # type: ignore[misc]
    yield single(
        "png",
        "zip-in-a-chunk",
        "zip-member",
        "icon.png",
        evil_zip.map(lambda data: polyglots.png((b"zTXt", data))),
        "a.pkl",
    )
    yield single(
        "pickle+zip", "clean-zip-appended", "pickle", "model.pt", PLAIN.map(lambda data: data + kinds.checkpoint())
    )
    yield single("torch-legacy", "payload-first", "torch", "model.pt", PLAIN.map(lambda data: data + kinds.legacy()))
    yield built("torch-legacy", "payload-as-object", "torch", "model.pt", legacy_with)


def legacy_with(hostile: bool) -> bytes:
    start = b"".join(pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}))
    return start + PROTO_2.of(hostile) + pickle.dumps([], 2)


def loaders_of_arrays() -> Iterator[Plan]:
    arrays = PROTO_2.map(kinds.object_array)
    yield single("npy", "object-array", "numpy", "a.npy", arrays)
    yield single("npy", "named-png", "numpy", "a.png", arrays)
    yield single("npy", "bare-pickle", "numpy", "a.npy", PROTO_2)
    for name in ("a.npy", "a.NPY", "a", "README.md"):
        yield single(
            "npz", f"object-array-in-{name}", "numpy", "a.npz", arrays.map(lambda data, n=name: zip_of({n: data})), name
        )  # type: ignore[misc]
    yield single("npz", "second-of-a-name", "numpy", "a.npz", arrays.map(twice), "a.npy")._replace(twin=False)


def twice(data: bytes) -> bytes:
    """Two members of one name: the last counts for Python."""
    import warnings
    import zipfile

    out = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w") as archive:
        warnings.simplefilter("ignore")
        archive.writestr("a.npy", kinds.array())
        archive.writestr("a.npy", data)
    return out.getvalue()
