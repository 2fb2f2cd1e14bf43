"""Kinds by content, and above all: nothing that could run as a pickle is passed over as no model."""

import collections
import gzip
import importlib.util
import io
import json
import lzma
import pickle
import pickletools
import tarfile
import zlib

import pytest

from safeload.containers import sniff
from safeload.containers.sniff import is_tar_header, kind_of, may_be_pickle
from safeload.inputs import MemorySource
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.scanning.recognition import readings
from safeload.scanning.skips.no_model import no_model

VALUES = [
    None, True, 0, 1, -3, 2**100, 1.5, "x", "y" * 10000, b"a", [1], [], (), (1,), {"a": 1}, {1}, frozenset([2]), print,
    collections.OrderedDict(a=1), bytearray(b"xx"),
]  # fmt: skip


@pytest.mark.parametrize("protocol", range(6))
def test_what_pickle_writes_is_a_pickle(protocol):
    for value in VALUES:
        data = pickle.dumps(value, protocol)
        assert kind_of(data[:4096], len(data)) == "pickle", value
        assert kind_of(data[:4096]) == "pickle", value


def test_operands_of_every_opcode_are_known():
    table = {**sniff._FIXED, **sniff._PREFIXED, **sniff._LINES}
    assert table.keys() == {ord(op.code) for op in pickletools.opcodes}
    for op in pickletools.opcodes:
        if op.arg is None or op.arg.n >= 0:
            assert sniff._FIXED[ord(op.code)] == (0 if op.arg is None else op.arg.n), op.name


@pytest.mark.parametrize(
    "payload",
    [
        b"cos\nsystem\n(S'true'\ntR.",
        b"(cos\nsystem\nS'true'\no.",
        b"(S'true'\nios\nsystem\n.",
        b"Vtext first\n0cos\nsystem\n.",
        b"GIF89aXYZ0cos\nsystem\n(Vtrue\ntR.",
        b"MIT0cos\nsystem\n(Vtrue\ntR.",
        b"I1\n0cos\nsystem\n.",
        b"F1.5\n0cos\nsystem\n.",
        b"S'import this'\n0cos\nsystem\n.",
        b"U\x04%PDF0cos\nsystem\n.",
        b"N0)0]0}0cos\nsystem\n.",
        b"K\x01q\x000h\x000cos\nsystem\n.",
        b"((1cos\nsystem\n.",
        b"\x82\x01.",
        b"X\xff\xff\x00\x00" + b"a" * 5000,
    ],
)
def test_payloads_in_disguise_are_pickles(payload):
    assert kind_of(payload) == "pickle"
    assert may_be_pickle(payload)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "empty"),
        (b"PK\x03\x04rest", "zip"),
        (b"\x93NUMPY\x01\x00", "npy"),
        (gzip.compress(b"x", mtime=0), "gzip"),
        (b"BZh91AY&SY...", "bz2"),
        (lzma.compress(b"x"), "xz"),
        (lzma.compress(b"x", lzma.FORMAT_ALONE), "xz"),
        (zlib.compress(b"x"), "zlib"),
        (zlib.compress(b"x", 9), "zlib"),
        (b"\x28\xb5\x2f\xfd\x04\x00", "zstd"),
        (b"\x04\x22\x4d\x18\x64", "lz4"),
        (b"\x89HDF\r\n\x1a\n\x00", "hdf5"),
        (b"GGUF\x03\x00\x00\x00" + bytes(16), "gguf"),
        (b"\x7fELF\x02\x01", "elf"),
        (b"SQLite format 3\x00", "sqlite"),
        (b"PAR1\x15", "parquet"),
        (b"\x08\x07\x12\x07pytorch", "onnx"),
        (b"\x1c\x00\x00\x00TFL3", "tflite"),
        (b"\x04\x00\x00\x00\x01\x00\x00\x00\x03\x00\x00\x00V 1\x0d", "torch7"),
        (b"4\n1\n3\nV 1\n13\nnn.Sequential\n", "torch7"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "lfs-pointer"),
        (b"<!DOCTYPE html><html>", "html"),
        (b"\n<html lang='en'>", "html"),
        (b'{"a": [1, 2]}', "json"),
        (b"[1, 2]", "json"),
        (json.dumps({"weight_map": {f"layer.{n}": "a.safetensors" for n in range(999)}}).encode()[:4096], "json"),
        (b"import torch\n", "python"),
        (b"#!/usr/bin/env python\nprint()\n", "python"),
        (b"# A title\n\nSome words.\n", "text"),
        (b"The licence, in full: as follows\n", "text"),
        (b"MIT License\n", "text"),
        (b"hello\n", "text"),
        ("\ufeffLebenslauf\n".encode("utf-16"), "text"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR", "image"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "image"),
        (b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff", "image"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "audio"),
        (b"\x00\x00\x00\x18ftypmp42", "video"),
        (b"\x00\x01\x00\x00\x00\x10", "font"),
        (b"wOF2\x00\x01", "font"),
        (b"%PDF-1.7\n", "pdf"),
        (b"\x10\x00\x00\x00\x00\x00\x00\x00{\"a\":1}        ", "safetensors"),
        (b"\x00\x00\x00", "unknown"),
        (b"\xee\xee\xee\xee", "unknown"),
        (b"Salted__12345678", "encrypted"),
    ],
)  # fmt: skip
def test_kinds(data, kind):
    assert kind_of(data, len(data)) == kind


def reason(data):
    """Why a file met in a folder is no model, "" when it is judged."""
    source = MemorySource(data)
    return no_model(source, readings(source, Limits()), Limits(), Policy.default(), lambda name: False)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (b"# A title\n\nSome words.\n", "text, no model"),
        (b"import torch\n", "Python source, no model"),
        (b"<!DOCTYPE html><html></html>\n", "HTML, no model"),
        # A head alone is no structure that holds, and is judged.
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR", ""),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", ""),
        (b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff", ""),
        (b"wOF2\x00\x01", ""),
        (b"%PDF-1.7\n\xff", ""),
        # ... and so is what stands for a model, or hides one.
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", ""),
        (b"Salted__12345678", ""),
        (b"\xee\xee\xee\xee", ""),
    ],
)
def test_what_is_no_model(data, why):
    assert reason(data) == why


def test_a_tar_is_told_by_its_checksum_alone():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("cos\nsystem"), io.BytesIO())
    block = bytearray(buffer.getvalue()[:512])
    assert kind_of(bytes(block)) == "tar"
    # tarfile does not ask for the word ustar.
    block[257:265] = b"nothing!"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    assert tarfile.TarInfo.frombuf(bytes(block), "utf-8", "strict").name == "cos\nsystem"
    assert is_tar_header(bytes(block))
    block[0] ^= 1
    assert not is_tar_header(bytes(block))
    assert not is_tar_header(bytes(512))


@pytest.mark.slow
def test_never_raises_and_never_hides_a_pickle():
    import random

    chance = random.Random(20)
    good = [pickle.dumps(value, protocol) for value in VALUES for protocol in range(6)]
    for _ in range(3000):
        head = bytearray(chance.choice(good)[:4096])
        for _ in range(chance.randrange(4)):
            head[chance.randrange(len(head))] = chance.randrange(256)
        data = bytes(head)
        kind_of(data, len(data))
        if reason(data):
            asked = []
            with pytest.raises(Exception):  # noqa: B017, PT011
                NoNames(io.BytesIO(data), asked).load()
            # Whatever a text would import breaks it, as no such module is there.
            assert [module for module in asked if is_there(module)] == []


class NoNames(pickle.Unpickler):
    """Notes what it was asked to import, and refuses."""

    def __init__(self, file, asked):
        super().__init__(file)
        self.asked = asked

    def find_class(self, module, name):
        self.asked.append(module)
        raise ImportError(name)


def is_there(module):
    """Whether this Python finds the outermost package of a module."""
    top = module.partition(".")[0]
    return bool(top) and "\0" not in top and importlib.util.find_spec(top) is not None
