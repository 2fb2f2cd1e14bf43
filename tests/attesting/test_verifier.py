"""The verifier's own closed list against forgers, and how much of what is clean it takes."""

from __future__ import annotations

import json
import os
import pickle as standard
import random
from collections import Counter, OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from safeload.attesting.verifier import SHAPES, derive
from safeload.errors import NotAttested, SafeloadError
from safeload.findings import Verdict
from safeload.inputs import MemorySource
from samples.assemble import (
    ECHO,
    ORDERED_DICT,
    PRINT,
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
from samples.build import SAMPLES
from samples.files_of_torch import legacy, zip_of
from tests.attesting.certified import attested, certificate, check, forged

CONTAINERS = ("torch-zip", "torch-legacy", "pickle")
REBUILD = name("torch._utils", "_rebuild_tensor_v2")
CODECS = name("_codecs", "encode")
DTYPE = call(name("numpy", "dtype"), "f4", False, True)
RECONSTRUCT = call(name("numpy.core.multiarray", "_reconstruct"), name("numpy", "ndarray"), (0,), b"b")
OTHER = Code(b"\x82\x01")
UINT16 = name("torch", "uint16")
FACTORY = "collections.defaultdict"
BEYOND = {"memory/deep-nesting.pkl", "names/pickle-in-bytes.pkl"}


def takes(data: bytes) -> None:
    derive(MemorySource(data))


def refuses(data: bytes, why: str | None = None) -> None:
    with pytest.raises(NotAttested, match=why):
        derive(MemorySource(data))


# A certificate that claims clean and lists the dangerous names.


FORGED = {
    "a call": (ECHO, "os.system"),
    "a call by STACK_GLOBAL": (call(stack_name("os", "system"), "echo safeload-sample"), "os.system"),
    "eval": (PRINT, "builtins.eval"),
    "a name": (name("os", "system"), "os.system"),
    "an attribute": (name("builtins", "getattr"), "builtins.getattr"),
    "a factory": (call(name("collections", "defaultdict"), name("os", "abort")), "os.abort"),
}


@pytest.mark.parametrize("what", FORGED)
@pytest.mark.parametrize("kind", ["zip", "legacy", "pickle"])
def test_a_forged_certificate_is_refused_by_the_own_list(what: str, kind: str) -> None:
    code, dangerous = FORGED[what]
    made = {
        "zip": lambda: zip_of({"w": tensor(), "x": code}).build(),
        "legacy": lambda: legacy({"w": tensor(old_storage()), "x": code}, {"0": (4, b"\0" * 16)}),
        "pickle": lambda: pickle({"x": code}),
    }[kind]()
    given = forged(made, [dangerous, FACTORY])
    assert dangerous in json.dumps(given)
    with pytest.raises(NotAttested, match="closed list"):
        check(made, given)


def test_which_hostile_samples_are_taken() -> None:
    """What is taken runs nothing: bytes that look like a pickle, and lists in lists beyond the scan's limit."""
    taken = {s.path for s in SAMPLES if s.verdict != Verdict.CLEAN.value and _taken(s.data)}
    assert taken == BEYOND


def _taken(data: bytes) -> bool:
    try:
        derive(MemorySource(data))
    except SafeloadError:
        return False
    return True


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
        Code(value(1) + b"0"),
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
            check(path.read_bytes(), certificate(path.read_bytes(), full_hash=True))
    plain = {key: made[key] for key in ("scheduler", "order", "best")}
    for protocol in (2, 3, 4, 5):
        data = standard.dumps(plain, protocol=protocol)
        check(data, certificate(data))


# The share of what is clean. Whoever widens or narrows the verifier changes this list.

NOT_TAKEN = {
    "benign/attributes.pt", "benign/big-endian.pt", "benign/conjugate.pt", "benign/deflated.pt",
    "benign/legacy-views.pt",
    "benign/meta.pt", "benign/nested.pt", "benign/parameter-0.3.pt", "benign/plain-types.pkl",
    "benign/quantized-channels.pt", "benign/quantized.pt", "benign/shared-lists.pkl", "benign/small-values.pt",
    "benign/sparse-csr.pt", "benign/sparse.pt", "benign/storage-in-bytes.pkl", "benign/text-protocol.pkl",
    "benign/thrown-away.pkl", "benign/torch-0.3-tensor.pt",
}  # fmt: skip


def test_which_clean_samples_get_a_certificate() -> None:
    clean = [s for s in SAMPLES if (r := attested(s.data).report).verdict == "clean" and r.container in CONTAINERS]
    assert {s.path for s in clean if attested(s.data).statement is None} == NOT_TAKEN
    assert len(clean) > len(NOT_TAKEN)


WILD = Path(__file__).resolve().parents[3] / "shared" / "wild" / "files"


@pytest.mark.skipif(not WILD.is_dir(), reason="the collection of real checkpoints is not here")
def test_real_checkpoints_are_taken() -> None:
    """All that are clean and of a format that it reads, but one that is quantized."""
    found = {name: attested((WILD / name).read_bytes()) for name in sorted(os.listdir(WILD))}
    clean = {n: a for n, a in found.items() if a.report.verdict == "clean" and a.report.container in CONTAINERS}
    refused = {n: a.reason for n, a in clean.items() if a.statement is None}
    assert len(clean) > 50
    assert list(refused) == ["4ea1de00fedfdf1c.pth"]
    assert "torch.qint8" in refused["4ea1de00fedfdf1c.pth"]


def test_any_bytes_are_derived_or_refused() -> None:
    """The contract: an error of ours, or what is taken has names of the list only and is clean to the scanner too."""
    generator = random.Random(11)
    seeds = [s.data for s in SAMPLES if len(s.data) < 20_000 and s.path not in BEYOND]
    taken = 0
    for _ in range(5000):
        data = bytearray(generator.choice(seeds))
        for _ in range(generator.choice((1, 1, 1, 2, 4))):
            if not data:
                break
            at = generator.randrange(len(data))
            match generator.randrange(4):
                case 0:
                    data[at] ^= 1 << generator.randrange(8)
                case 1:
                    del data[at : at + generator.randrange(1, 9)]
                case 2:
                    data[at:at] = generator.randbytes(generator.randrange(1, 5))
                case _:
                    data[at:at] = generator.choice(seeds)[:64]
        try:
            derived = derive(MemorySource(bytes(data)))
        except SafeloadError:
            continue
        taken += 1
        assert {n["name"] for s in derived["streams"] for n in s["names"]} <= SHAPES.keys()
        assert attested(bytes(data)).reason == ""
    assert taken > 3
