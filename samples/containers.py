"""Files that hide bytes: another range is read by one program than by another, or nobody looks where the pickle is.

Every payload prints one line.
"""

from __future__ import annotations

import base64
import json
import struct
from dataclasses import replace

from samples.assemble import ECHO, PRINT, PROTO2, STOP, after, floats, name, old_storage, pickle, storage, tensor, value
from samples.deflate import gzip, unrolled
from samples.files_of_torch import (
    MAGIC,
    SYSTEM,
    deflated,
    extra,
    legacy,
    npy,
    plain_zip,
    tar,
    tar_storages,
    tar_tensors,
    zip_around,
    zip_of,
)
from samples.sample import dangerous, unjudged
from tests.containers.zip_builder import Member

CLEAN = zip_of({"w": tensor()})
PAYLOAD = pickle(ECHO)
LEGACY = {"w": tensor(old_storage())}
LEGACY_STORAGE = {"0": (4, floats(1, 1, 1, 1))}


def directory_of(archive: bytes) -> bytes:
    """Its central directory."""
    return archive[archive.index(b"PK\1\2") : archive.index(b"PK\5\6")]


def three_of_one_name() -> bytes:
    """Which of equal names torch takes depends on how many there are: its search halves a sorted list."""
    first, *others = CLEAN.members
    return CLEAN.but(members=(Member(first.name, PAYLOAD), *others, first, first)).build()


def two_directories() -> bytes:
    """Two central directories: one at the offset that the end record gives, one directly before that record."""
    honest, name = CLEAN.members[0], CLEAN.members[0].name
    bad = Member(name, PAYLOAD)
    first = CLEAN.but(members=(bad, replace(honest, hidden=True), *CLEAN.members[1:]), zip64=False)
    second = CLEAN.but(members=(replace(bad, hidden=True), *CLEAN.members), zip64=False)
    other = directory_of(first.build())
    return second.but(before_directory=other, offset=second.build().index(b"PK\1\2")).build()


def zip64_elsewhere() -> bytes:
    """The zip64 locator names a record behind the directory; another stands in front of the locator."""
    whole = CLEAN.build()
    at = whole.index(b"PK\6\6")
    record = whole[at : whole.index(b"PK\6\7")]
    return CLEAN.but(after_directory=record, record_at=at, size=at - whole.index(b"PK\1\2")).build()


def hidden_member() -> bytes:
    """A member without an entry, after the first."""
    first, *others = CLEAN.members
    return CLEAN.but(members=(first, Member(b"archive/x.pkl", PAYLOAD, hidden=True), *others)).build()


def deflate_bomb() -> bytes:
    """One storage of 2 MiB, all of it one run."""
    data = unrolled(b"\0", 8100)
    held = storage("0", len(data), "ByteStorage")
    return deflated(zip_of({"w": tensor(held, (len(data),))}, {"0": data}), "archive/data/0").build()


def two_archives(first: bytes, second: bytes) -> bytes:
    """A zip whose comment is a whole zip of its own."""
    at = first.rindex(b"PK\5\6") + 20
    return first[:at] + struct.pack("<H", len(second)) + first[at + 2 :] + second


def torchscript(**others: bytes) -> bytes:
    """An archive like torch.jit.save's, with some members replaced."""
    members = {
        "net/data.pkl": pickle({}),
        "net/code/__torch__.py": b"def forward(self, x):\n  return x\n",
        "net/code/__torch__.py.debug_pkl": pickle(()),
        "net/constants.pkl": pickle(()),
        "net/version": b"3\n",
    }
    return plain_zip({**members, **{f"net/{key}": data for key, data in others.items()}}).build()


def stable_baselines() -> bytes:
    """A zip whose JSON holds a pickle as base64."""
    packed = base64.b64encode(PAYLOAD).decode()
    text = json.dumps({"policy_class": {":type:": "<class 'abc.ABCMeta'>", ":serialized:": packed}}).encode()
    return plain_zip({"data": text, "_stable_baselines3_version": b"2.3.0"}).build()


def legacy_first() -> bytes:
    """The payload stands in the pickle of the magic number."""
    return legacy(LEGACY, LEGACY_STORAGE, magic=pickle(after(PRINT, MAGIC)))


def tar_with_payload() -> bytes:
    """The payload stands in the description of a storage."""
    held = value((1, "cpu", name("torch", "FloatStorage")))
    entry = (after(ECHO, held), 4, floats(1, 1, 1, 1))
    flat = (value((2, 1, name("torch", "FloatTensor"))), (4,), (1,), 0)
    return tar(
        {
            "sys_info": pickle(SYSTEM),
            "pickle": PROTO2 + b"K\x02Q" + STOP,
            "tensors": tar_tensors((flat,)),
            "storages": tar_storages((entry,)),
        }
    )


SAMPLES = (
    dangerous(
        "bytes/same-name-thrice.pt", "three members named data.pkl: torch runs the first, Python's zipfile the last",
        three_of_one_name(),
        "runs-programs", "zip-duplicate-name",
    ),
    dangerous(
        "bytes/upper-case-data-pkl.pt", "torch finds DATA.PKL when it looks for data.pkl; an exact reader does not",
        extra(CLEAN, "archive/DATA.PKL", PAYLOAD).build(),
        "runs-programs", "torch-zip-name-case", "zip-duplicate-name",
    ),
    dangerous(
        "bytes/legacy-with-zip-appended.pt", "a legacy checkpoint with a payload, and a harmless zip behind it",
        legacy(ECHO, {}) + CLEAN.build(),
        "polyglot", "runs-programs", "trailing-bytes", "zip-prefix",
    ),
    dangerous(
        "bytes/two-directories.pt", "two central directories: torch reads one, Python's zipfile the other",
        two_directories(), "runs-programs", "zip-gap", "zip-two-directories",
    ),
    dangerous(
        "bytes/local-name-differs.pt", "the local header calls data.pkl by another name than the directory",
        CLEAN.but_member(b"archive/data.pkl", data=PAYLOAD, local={"name": b"archive/notes.tx"}).build(),
        "runs-programs", "zip-local-name",
    ),
    dangerous(
        "bytes/local-size-differs.pt", "a stored member with two sizes: each reader ends it somewhere else",
        CLEAN.but_member(b"archive/data/0", central={"length": 8}).build(),
        "zip-stored-size", "zip-descriptor",
    ),
    unjudged(
        "bytes/encrypted-member.pt", "data.pkl carries the flag of encryption: what is in it cannot be known",
        CLEAN.but_member(b"archive/data.pkl", flags=0x809).build(),
        "encrypted",
    ),
    dangerous(
        "bytes/comment-holds-end-record.pt", "the comment of a harmless zip is a second zip with a payload",
        two_archives(CLEAN.build(), zip_around(PAYLOAD).build()), "runs-programs", "zip-prefix",
    ),
    dangerous(
        "bytes/zip64-elsewhere.pt", "the zip64 locator points away from the record in front of it",
        zip64_elsewhere(), "zip-zip64-elsewhere",
    ),
    dangerous(
        "bytes/count-too-small.pt", "the end record counts one member less than the directory holds",
        CLEAN.but(count=6).build(), "zip-count-mismatch",
    ),
    dangerous(
        "bytes/overlapping-members.pt", "the range of one storage runs into the members behind it",
        CLEAN.but_member(b"archive/data/0", central={"length": 200, "size": 200}).build(),
        "argument-shape", "persistent-id", "zip-overlap",
    ),
    dangerous(
        "bytes/pickle-before-zip.pt", "a pickle with a payload in front of a zip: two files in one",
        CLEAN.but(prefix=PAYLOAD, shifted=True).build(),
        "polyglot", "runs-programs", "trailing-bytes", "zip-prefix",
    ),
    unjudged(
        "bytes/deflate-bomb.pt", "a storage of 2 MiB of zeros in 13 kB of deflate",
        deflate_bomb(),
        "zip-limit",
    ),
    dangerous(
        "bytes/wrong-checksum.pt", "the checksum of data.pkl is wrong: torch loads it, strict readers skip it",
        CLEAN.but_member(b"archive/data.pkl", data=PAYLOAD, central={"crc": 1}).build(),
        "runs-programs", "zip-crc", "zip-descriptor",
    ),
    dangerous(
        "bytes/nul-in-member-name.pt", "a name with a NUL, at which Python's zipfile cuts it: it then hides data.pkl",
        extra(zip_around(PAYLOAD), "archive/data.pkl\0x", pickle({})).build(),
        "foreign-member", "runs-programs", "zip-name-nul",
    ),
    dangerous(
        "bytes/member-outside-folder.pt", "a member whose name leads out of the folder it is unpacked to",
        extra(CLEAN, "../archive.pkl", PAYLOAD).build(),
        "runs-programs", "torch-zip-outside-folder", "zip-name-traversal",
    ),
    unjudged(
        "bytes/hidden-between-members.pt", "a member that the directory does not list stands between two others",
        hidden_member(), "zip-gap",
    ),
    dangerous(
        "bytes/legacy-payload-in-magic.pt", "legacy checkpoint: the first of its five pickles runs a program",
        legacy_first(), "runs-code",
    ),
    dangerous(
        "bytes/legacy-payload-in-version.pt", "legacy checkpoint: the second of its five pickles runs a program",
        legacy(LEGACY, LEGACY_STORAGE, protocol=pickle(after(ECHO, 1001))), "runs-programs",
    ),
    dangerous(
        "bytes/legacy-payload-in-system-info.pt", "legacy checkpoint: the third of its five pickles runs a program",
        legacy(LEGACY, LEGACY_STORAGE, system=pickle(after(ECHO, SYSTEM))), "runs-programs",
    ),
    dangerous(
        "bytes/legacy-payload-in-keys.pt", "legacy checkpoint: the last of its five pickles runs a program",
        legacy(LEGACY, LEGACY_STORAGE, keys=pickle(after(ECHO, ["0"]))), "runs-programs",
    ),
    dangerous(
        "bytes/tar-payload-in-storages.tar", "the oldest torch format: the list of storages runs a program",
        tar_with_payload(), "runs-programs",
    ),
    unjudged(
        "bytes/lua-torch.t7", "a file of Lua Torch 7",
        b"\x04\x00\x00\x00\x01\x00\x00\x00\x03\x00\x00\x00V 1\x11\x00\x00\x00torch.FloatTensor", "torch7",
    ),
    dangerous(
        "bytes/pickle-in-extra-member.pt", "a pickle with a payload under the name of a text file beside data.pkl",
        extra(CLEAN, "archive/notes.txt", PAYLOAD).build(), "foreign-member", "runs-programs",
    ),
    dangerous(
        "bytes/pickle-among-storages.pt", "a pickle with a payload among the storages, where no tensor names it",
        extra(CLEAN, "archive/data/1", PAYLOAD).build(), "runs-programs",
    ),
    dangerous(
        "bytes/torchscript-constants.pt", "TorchScript archive whose constants.pkl runs a program",
        torchscript(**{"constants.pkl": PAYLOAD}), "runs-programs", "torchscript-code",
    ),
    dangerous(
        "bytes/torchscript-debug-pkl.pt", "TorchScript archive whose hidden debug_pkl runs a program",
        torchscript(**{"code/__torch__.py.debug_pkl": PAYLOAD}), "runs-programs", "torchscript-code",
    ),
    dangerous(
        "bytes/torch-package.pt", "a torch.package: a resource pickle with a payload, and code that an import runs",
        plain_zip(
            {
                "net/.data/extern_modules": b"",
                "net/.data/python_version": b"3.11.7",
                "net/model/model.pkl": PAYLOAD,
                "net/model/net.py": b"print('safeload-sample')\n",
            }
        ).build(),
        "package-code", "runs-programs", "zip-python-code",
    ),
    dangerous("bytes/object-array.npy", "an array of objects: its pickle runs a program",
              npy("|O", (1,), PAYLOAD), "runs-programs"),
    dangerous("bytes/object-array.npz", "an archive of arrays, one of them an array of objects with a payload",
              plain_zip({"x.npy": npy("<f4", (4,), floats(1, 1, 1, 1)), "y.npy": npy("|O", (1,), PAYLOAD)}).build(),
              "runs-programs"),
    dangerous("bytes/joblib-gzip.joblib", "a pickle with a payload, compressed as joblib does",
              gzip(PAYLOAD), "runs-programs"),
    dangerous("bytes/pickle-in-json.zip", "a zip whose JSON holds a pickle with a payload as base64",
              stable_baselines(), "runs-programs"),
    dangerous("bytes/zip-in-zip.pt", "a checkpoint with a payload inside a zip inside a zip",
              deflated(plain_zip({"models/in.zip": plain_zip({"a.bin": zip_around(PAYLOAD).build()}).build()})).build(),
              "runs-programs"),
    dangerous("bytes/pickle-in-tar-gz.tgz", "a pickle with a payload in a compressed tar",
              gzip(tar({"weights": PAYLOAD})), "runs-programs"),
    dangerous("bytes/picture.jpg", "a pickle with a payload that calls itself a picture", PAYLOAD, "runs-programs"),
    dangerous("bytes/picture-and-pickle.gif", "starts like a GIF, and is a pickle: 'G' reads eight bytes as a number",
              b"GIF89a\x01\x00\x01" + b"0" + ECHO + STOP, "runs-programs"),
    dangerous("bytes/no-extension", "a text pickle with a payload and no extension",
              b"cos\nsystem\n(S'echo safeload-sample'\ntR.", "runs-programs"),
    unjudged("bytes/lfs-pointer.pt", "a Git LFS pointer in place of the file",
             b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n", "lfs-pointer"),
    unjudged("bytes/login-page.bin", "a web page in place of the file",
             b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>\n", "html-page"),
    unjudged("bytes/truncated.pt", "a zip cut off in the middle", CLEAN.build()[:900], "malformed"),
    unjudged("bytes/truncated-legacy.pt", "a legacy checkpoint cut off inside a storage",
             legacy(LEGACY, LEGACY_STORAGE)[:-4], "malformed"),
    unjudged("bytes/empty.pt", "an empty file", b"", "empty-file"),
    unjudged("bytes/zlib-of-nothing.bin", "a compressed file that does not inflate", b"\x78\x9c\xff\xff\xff",
             "malformed"),
)  # fmt: skip
