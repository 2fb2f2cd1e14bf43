"""Files around whose pickles something hides: names in other case, empty heads, texts that a loader evaluates.

Every payload prints one line.
"""

from __future__ import annotations

import base64
import io
import json
import lzma
import struct
import tarfile
import zlib

from samples.assemble import ECHO, PROTO2, STOP, name, pickle, tensor
from samples.files_of_torch import plain_zip, zip_of
from samples.sample import dangerous, unjudged, unvetted
from tests.containers.zip_builder import Archive, Member

CLEAN = zip_of({"w": tensor()}).build()
PAYLOAD = pickle(ECHO)
LINES = b"cos\nsystem\n(S'echo safeload-sample'\ntR."
SHADOW = b"print('safeload-sample')\nclass OrderedDict(dict): pass\n"


def short(text: str) -> bytes:
    """SHORT_BINUNICODE."""
    return b"\x8c" + bytes([len(text)]) + text.encode()


def remembered() -> bytes:
    """Two pickles: the second names what the first left in the memo of one Unpickler, and is harmless without it."""
    one = b"\x80\x04(" + b"".join(short(t) + b"\x94" for t in ("os", "system", "echo safeload-sample")) + b"t."
    two = b"\x80\x04(" + short("collections") + b"\x94" + short("OrderedDict") + b"\x94]\x94"
    return one + two + b"h\x00h\x01\x93h\x02\x85Rt."


def empty_blocks() -> bytes:
    """A deflated member of a zip whose stream gives nothing for its first 8,500 bytes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    raw = b"\x00\x00\x00\xff\xff" * 1700 + packer.compress(PAYLOAD) + packer.flush()
    crc, size, title = zlib.crc32(PAYLOAD), len(PAYLOAD), b"optimizer.pkl"
    local = struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 20, 0, 8, 0, 33, crc, len(raw), size, len(title), 0) + title
    entry = struct.pack(
        "<4sHHHHHHIIIHHHHHII", b"PK\1\2", 20, 20, 0, 8, 0, 33, crc, len(raw), size, len(title), 0, 0, 0, 0, 0, 0
    )
    directory = entry + title
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 1, 1, len(directory), len(local) + len(raw), 0)
    return local + raw + directory + end


def serialized(before: str = "") -> bytes:
    """The JSON of stable-baselines3 with a pickle in it."""
    held = {":type:": "x", ":serialized:": base64.b64encode(PAYLOAD).decode()}
    return (before + json.dumps({"policy_class": held})).encode()


def package(names: str) -> bytes:
    """A torch.package that brings its own `collections`; `names` is how its list of modules is called."""
    return plain_zip(
        {
            f"net/{names}": b"torch\n",
            "net/model/model.pkl": pickle(name("collections", "OrderedDict")),
            "net/collections.py": SHADOW,
        }
    ).build()


def keras() -> bytes:
    """A Keras model whose configuration names a function of Python's library."""
    inner = {"class_name": "function", "config": "print", "module": "builtins", "registered_name": "function"}
    layer = {"module": "keras.layers", "class_name": "Lambda", "config": {"function": inner}, "registered_name": None}
    config = {"module": "keras", "class_name": "Sequential", "config": {"layers": [layer]}, "registered_name": None}
    return plain_zip({"metadata.json": b"{}", "config.json": json.dumps(config).encode()}).build()


def exported() -> bytes:
    """A torch.export archive in which a size is Python."""
    size = {"as_expr": {"expr_str": "[print('safeload-sample'), Symbol('s0')][1]", "hint": None}}
    graph = {"tensor_values": {"x": {"sizes": [size]}}}
    return Archive(
        tuple(
            Member(title, data)
            for title, data in {
                b"m/archive_format": b"pt2",
                b"m/archive_version": b"0",
                b"m/models/model.json": json.dumps({"graph_module": {"graph": graph}}).encode(),
            }.items()
        )
    ).build()


def two_paths() -> bytes:
    """A tar member with two extended headers: `tarfile` takes the first name, other programs the last."""

    def header(title: str, size: int, kind: bytes) -> bytes:
        about = tarfile.TarInfo(title)
        about.size, about.type = size, kind
        return about.tobuf(tarfile.USTAR_FORMAT)

    def path(title: str) -> bytes:
        record = f"{len(title) + 9} path={title}\n".encode()
        return header("h", len(record), b"x") + record.ljust(512, b"\0")

    body = pickle({"a": 1})
    return path("../away.pkl") + path("here.pkl") + header("z", len(body), b"0") + body.ljust(512, b"\0") + bytes(1024)


def icon() -> bytes:
    """A pickle in the old .lzma format, whose header is that of an icon."""
    chain = [{"id": lzma.FILTER_LZMA1, "dict_size": 4096, "lc": 0, "lp": 0, "pb": 0}]
    raw = lzma.compress(PAYLOAD, format=lzma.FORMAT_ALONE, filters=chain)
    return b"\0\0\x01\0\0" + raw[5:]


def member_of_tar(title: str, data: bytes) -> bytes:
    """A tar with one member."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        about = tarfile.TarInfo(title)
        about.size = len(data)
        archive.addfile(about, io.BytesIO(data))
    return out.getvalue()


SAMPLES = (
    dangerous("silence/one-memo-for-two.pkl", "two pickles, of which one Unpickler that reads both makes a call",
              remembered(), "runs-programs", "shared-memo"),
    unjudged("silence/empty-deflate-blocks.zip", "a member that gives nothing for 8,500 bytes, and then a payload",
             empty_blocks(), "zip-deflate", "zip-nothing-to-scan"),
    dangerous("silence/json-behind-blanks.zip", "5,000 blanks, and then a JSON that holds a pickle as base64",
              plain_zip({"data": serialized(" " * 5000), "policy.pth": CLEAN}).build(), "runs-programs"),
    dangerous("silence/json-alone.json", "the same JSON, unpacked", serialized(), "runs-programs"),
    unvetted("silence/package-in-upper-case.pt", "a torch.package whose own list of modules is spelled in upper case",
             package(".DATA/EXTERN_MODULES"), "package-code", "zip-python-code"),
    dangerous("silence/function-in-keras.keras", "a Keras model that names print of Python's library", keras(),
              "keras-foreign-code", "keras-lambda", "keras-model"),
    dangerous("silence/python-for-a-size.pt2", "a torch.export archive in which a size is Python code", exported(),
              "pt2-expression", "pt2-program"),
    dangerous("silence/two-paths.tar", "a tar member with two names, of which one leads out of the folder", two_paths(),
              "tar-name-ambiguous", "unsafe-member-name"),
    dangerous("silence/icon.ico", "a compressed pickle whose header is that of an icon", icon(), "runs-programs"),
    dangerous("silence/settings.yaml", "a YAML whose tag names a function", b"a: !!python/object/apply:os.system [x]\n",
              "runs-programs", "yaml-python"),
    unjudged("silence/frame-passed-over.zst", "a frame that readers of zstd and lz4 pass over, named like a picture",
             b"\x51\x2a\x4d\x18\x08\0\0\0WEBP" + bytes(4), "malformed"),
    dangerous("silence/lines-in-a-tar.tar", "a pickle in lines under the name of a text",
              member_of_tar("README.md", LINES), "runs-programs"),
    dangerous("silence/behind-a-number.txt", "a plain value, and behind it a pickle in lines",
              PROTO2 + b"K\x01" + STOP + LINES, "runs-programs"),
)  # fmt: skip
