"""The second reader: what it refuses, and that safeload calls clean what it takes."""

from __future__ import annotations

import io
import pickle as standard
import struct
import zipfile
from collections import Counter, OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from safeload import scan
from safeload.findings import Verdict
from safeload.policy import Policy
from safeload.vetted import CONSTRUCTORS
from samples.assemble import (
    ECHO,
    ORDERED_DICT,
    PROTO4,
    Code,
    build,
    call,
    get,
    inst,
    name,
    new,
    obj,
    old_storage,
    persistent,
    pickle,
    put,
    stack_name,
    storage,
    tensor,
    value,
)
from samples.files_of_torch import legacy, zip_of
from tests.differential.second_opinion import second_opinion
from tests.differential.second_reader import derive
from tests.differential.second_table import SHAPES, Outside

REBUILD = name("torch._utils", "_rebuild_tensor_v2")
CODECS = name("_codecs", "encode")
DTYPE = call(name("numpy", "dtype"), "f4", False, True)
RECONSTRUCT = call(name("numpy.core.multiarray", "_reconstruct"), name("numpy", "ndarray"), (0,), b"b")
OTHER = Code(b"\x82\x01")
UINT16 = name("torch", "uint16")
FACTORY = "collections.defaultdict"


def takes(data: bytes) -> None:
    derive(data)


def refuses(data: bytes, why: str | None = None) -> None:
    with pytest.raises(Outside, match=why):
        derive(data)


def agrees(data: bytes) -> None:
    """Both take it, and see the same."""
    takes(data)
    assert scan(data).verdict is Verdict.CLEAN
    assert second_opinion(data) == ""


def test_its_closed_list_is_a_part_of_ours() -> None:
    """A name with another shape could never agree; one outside the table would widen what is trusted."""
    assert set(SHAPES.values()) <= set(CONSTRUCTORS)
    assert {of: Policy.default().decide(*of.rsplit(".", 1)).shape for of in SHAPES} == SHAPES


# One value in a bare pickle, or in a zip with four floats.


@pytest.mark.parametrize(
    "code",
    [
        call(ORDERED_DICT),
        call(name("collections", "OrderedDict"), "print()"),
        call(name("collections", "OrderedDict"), [1, 2]),
        call(name("collections", "OrderedDict"), [[[], 1]]),
        call(name("collections", "Counter"), "abc"),
        call(name("collections", "Counter"), [1]),
        new(name("collections", "OrderedDict")),
        call(name("argparse", "Namespace")),
        new(name("argparse", "Namespace"), 1),
        inst("collections", "OrderedDict"),
        obj(name("collections", "OrderedDict")),
        OTHER,
        name("collections", "OrderedDict.fromkeys"),
        name("torch", "_utils._rebuild_tensor_v2"),
        stack_name("collections", b"OrderedDict"),
        call(CODECS, "x", "rot13"),
        call(CODECS, "x"),
        call(CODECS, b"x", "latin1"),
        call(CODECS, "\u0100", "latin1"),
        build(ORDERED_DICT, {"__class__": 1}),
        build(ORDERED_DICT, {"update": 1}),
        build(ORDERED_DICT, ({}, {"_metadata": 1})),
        build(build(ORDERED_DICT, {"_metadata": 1}), {"_metadata": 2}),
        build(new(name("argparse", "Namespace")), {"__setstate__": 1}),
        build(new(name("argparse", "Namespace")), ({}, {"lr": 1})),
        build(name("collections", "OrderedDict"), {"_metadata": 1}),
        build(value([]), {}),
        Code(value({}) + value([1]) + value(2) + b"s"),
        Code(value({}) + b"(" + value(1) + b"u"),
        Code(value(1) + value(2) + b"a"),
        Code(ORDERED_DICT + value(2) + b"a"),
        Code(b"(" + value(1) + value(2) + b"lK\x00a"),
        call(name("numpy", "dtype"), "O8", False, True),
        call(name("numpy", "dtype"), "f4", True, True),
        build(DTYPE, (3, "<", None, None, None, 9, -1, 0)),
        build(DTYPE, (3, "<", None, ("x",), {}, -1, -1, 0)),
        call(name("numpy.core.multiarray", "scalar"), DTYPE, b"12345"),
        call(name("numpy.core.multiarray", "scalar"), name("numpy", "ndarray"), b"1234"),
        call(name("numpy.core.multiarray", "_reconstruct"), name("collections", "OrderedDict"), (0,), b"b"),
        call(name("numpy.core.multiarray", "_reconstruct"), name("numpy", "ndarray"), (9,), b"b"),
        build(RECONSTRUCT, (1, (2,), DTYPE, False, b"1234")),
        build(build(RECONSTRUCT, (1, (1,), DTYPE, False, b"1234")), (1, (1,), DTYPE, False, b"1234")),
        build(RECONSTRUCT, (1, (1,), DTYPE, False, [1])),
        persistent(("storage", name("torch", "FloatStorage"), "0", "cpu", 4)),
        Code(b"P0\n"),
        get(7),
        Code(b"(" + value(1)),
        Code(b"(K\x01K\x020"),
        Code(b"N(b"),
        Code(b"\x97"),
        Code(b"\x80\x02N"),
        Code(b"I1\n"),
    ],
    ids=lambda code: ascii(code[:60]),
)  # fmt: skip
def test_what_one_value_may_not_be(code: Code) -> None:
    takes(pickle({"x": [1]}))
    refuses(pickle(code))
    refuses(pickle({"x": [code]}))


def test_a_dtype_may_not_change_once_it_is_used() -> None:
    state = (3, "<", None, None, None, -1, -1, 0)
    of = name("numpy.core.multiarray", "scalar")
    takes(pickle([build(put(DTYPE, 1), state), call(of, get(1), b"1234")]))
    scalar = call(of, put(DTYPE, 1), b"1234")
    refuses(pickle([scalar, build(get(1), state)]), "takes no such state")


@pytest.mark.parametrize(
    "code",
    [
        tensor(size=(5,)),
        tensor(offset=1),
        tensor(offset=-1),
        tensor(stride=(2,)),
        tensor(stride=(-1,)),
        tensor(size=(True,)),
        tensor(size=[4]),
        tensor(size=(2, 2)),
        tensor(size=(1 << 40,), stride=(0,)),
        tensor(size=(0,), offset=5),
        tensor(grad=1),  # type: ignore[arg-type]
        tensor(hooks=value({})),
        tensor(hooks=Code(ORDERED_DICT + value("x") + value(1) + b"s")),
        tensor(hooks=build(ORDERED_DICT, {"_metadata": 1})),
        tensor(value(1)),
        tensor(storage(count=5)),
        tensor(storage(count=True)),
        tensor(storage("1")),
        tensor(storage("00")),
        tensor(storage("\u0660")),
        tensor(storage(kind="DoubleStorage")),
        tensor(storage(kind="torch.storage.TypedStorage")),
        tensor(storage(kind="torch.storage.UntypedStorage", count=16)),
        tensor(storage(location="/dev/mem")),
        persistent(("module", name("torch", "FloatStorage"), "0", "cpu", 4)),
        persistent(("storage", name("torch", "FloatStorage"), "0", "cpu", 4, None)),
        persistent("0"),
        persistent(()),
        call(REBUILD, storage(), 0, (4,), (1,), False),
        call(REBUILD, storage(), 0, (4,), (1,), False, ORDERED_DICT, {"conj": True}),
        call(name("torch._utils", "_rebuild_parameter"), storage(), True, ORDERED_DICT),
        call(name("torch._utils", "_rebuild_parameter"), tensor(), 1, ORDERED_DICT),
        call(name("torch._utils", "_rebuild_tensor_v3"), storage(), 0, (4,), (1,), False, ORDERED_DICT, UINT16),
        call(name("torch", "FloatStorage"), 4),
        new(name("torch", "FloatStorage"), 4),
    ],
    ids=lambda code: ascii(code[:90]),
)  # fmt: skip
def test_what_a_tensor_may_not_be(code: Code) -> None:
    takes(zip_of({"w": tensor()}).build())
    refuses(zip_of({"w": code}).build())


def test_hooks_filled_later_are_refused() -> None:
    hooks = put(ORDERED_DICT, 1)
    late = Code(get(1) + value("x") + value(1) + b"s")
    refuses(zip_of([tensor(hooks=hooks), late]).build(), "backward hooks")


def test_a_storage_is_declared_in_one_way() -> None:
    takes(zip_of([tensor(), tensor(offset=2, size=(2,))]).build())
    refuses(zip_of([tensor(), tensor(storage(location="cuda:0"))]).build(), "declared in two ways")


# Other files.


@pytest.mark.parametrize(
    "changes",
    [
        {"magic": pickle(1)},
        {"protocol": pickle(1002)},
        {"protocol": pickle(True)},
        {"keys": pickle([])},
        {"keys": pickle(["0", "0"])},
        {"keys": pickle(["1"])},
        {"keys": pickle([0])},
        {"keys": pickle({"0": 1})},
        {"system": pickle(ECHO)},
        {"magic": pickle(ECHO)},
    ],
    ids=repr,
)
def test_legacy_files_have_one_form(changes: dict[str, bytes]) -> None:
    four = {"0": (4, b"\0" * 16)}
    takes(legacy({"w": tensor(old_storage())}, four))
    refuses(legacy({"w": tensor(old_storage())}, four, **changes))
    refuses(legacy({"w": tensor(old_storage())}, {"0": (5, b"\0" * 16)}))


def test_a_tar_that_begins_like_a_pickle_is_refused() -> None:
    """torch.load asks tarfile before it takes a file for a pickle."""
    text = bytearray(b"x" * 600)
    text[148 - 7 : 156 - 7] = b" " * 8
    data = pickle(Code(b"X" + len(text).to_bytes(4, "little") + text))
    takes(data)
    checksum = sum(data[:512])
    for field in (b"%06o\0 " % checksum, b"\0\0%06o" % checksum):
        refuses(data[:148] + field + data[156:], "begins like a tar")


def test_a_zip_behind_a_pickle_is_refused() -> None:
    refuses(pickle(b"PK\5\6" + b"\0" * 18), "ends like a zip")


def test_frames_are_those_of_a_pickler() -> None:
    def framed(length: int, body: bytes = b"K\x01.") -> bytes:
        return PROTO4 + b"\x95" + length.to_bytes(8, "little") + body

    takes(framed(3))
    takes(framed(2))  # as picklers do around large strings
    refuses(pickle(Code(b"K\1K\2")), "more than one value")
    for data in (
        framed(1),
        framed(4),
        framed(0),
        framed(1 << 63),
        framed(12, b"\x95" + bytes([3]) + bytes(7) + b"K\1."),
    ):
        refuses(data)


def test_plain_objects_of_today_are_taken(tmp_path: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(4, 2)).sum().backward()
    optimizer.step()
    made = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": {"milestones": Counter({3: 1}), "last_epoch": 1},
        "best": np.float64(0.5),
        "rng": np.random.RandomState(0).get_state()[1],
        "fp8": torch.ones(2).to(torch.float8_e4m3fn),
        "parameters": list(model.parameters()),
        "order": OrderedDict(a=(1, -1, 1 << 70, None, True, 1.5, b"x", "\xe9")),
    }
    path = tmp_path / "x.pt"
    for zipped in (True, False):
        for protocol in (2, 4) if zipped else (2,):
            torch.save(made, path, _use_new_zipfile_serialization=zipped, pickle_protocol=protocol)
            agrees(path.read_bytes())
    plain = {key: made[key] for key in ("scheduler", "order", "best")}
    for protocol in (2, 3, 4, 5):
        agrees(standard.dumps(plain, protocol=protocol))


# Files whose verdict is not clean are not taken, though they differ little from ones that are.

PROGRAM = b"\x80\x02cbuiltins\nprint\nX\x02\0\0\0hi\x85R."


def _archive(folder: str = "model", **records: bytes) -> bytes:
    """A file as torch writes it, with another folder and other records."""
    saved = io.BytesIO()
    torch.save({"weight": torch.ones(4)}, saved)
    made = io.BytesIO()
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            relative = name.partition("/")[2]
            info = zipfile.ZipInfo(f"{folder}/{relative}", (1980, 1, 1, 0, 0, 0))
            info.external_attr = 0
            new.writestr(info, records.get(relative, old.read(name)))
    return made.getvalue()


def _options(attribute: str) -> bytes:
    name = attribute.encode()
    text = b"X" + struct.pack("<I", len(name)) + name
    return b"\x80\x02cargparse\nNamespace\n)\x81}" + text + b"Nsb."


@pytest.mark.parametrize("data", [_archive(), _archive("a model (1)"), _archive(version=b"3"), _options("lr")])
def test_what_is_clean_is_taken(data: bytes) -> None:
    agrees(data)


@pytest.mark.parametrize(
    "data",
    [
        *(pytest.param(_archive(folder), id=f"folder {folder!r}") for folder in ("", ".", "..", "C:")),
        *(pytest.param(_archive(byteorder=text), id=f"byteorder {text!r}") for text in (b"", b"LITTLE", b"little\n")),
        *(pytest.param(_archive(version=text), id=f"version {text!r}") for text in (b"", b"x")),
        pytest.param(_archive(byteorder=PROGRAM), id="byteorder program"),
        pytest.param(_archive(version=PROGRAM), id="version program"),
        *(
            pytest.param(_options(name), id=repr(name))
            for name in ("_get_kwargs", "_get_args", "a b", "a\0", "a\n", "")
        ),
        pytest.param(b"\x80\x02Nr\xff\xff\xff\x7f.", id="memo"),
    ],
)
def test_what_is_not_clean_is_not_taken(data: bytes) -> None:
    assert scan(data).verdict is not Verdict.CLEAN
    refuses(data)
