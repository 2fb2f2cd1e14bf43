"""Loads that once differed from CPython, ran a method of a trusted class, or took time without bound."""

from __future__ import annotations

import struct
import time
from typing import Any, ClassVar

import pytest

import safeload


def text(value: str) -> bytes:
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def named(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def test_two_equal_towers_of_sets_as_keys_take_little_time() -> None:
    data = b"\x80\x02" + named("builtins", "frozenset") + b"q\x000"
    for place in (b"\x01", b"\x02"):
        data += text("z") + b"q" + place + b"0"
        data += (b"h\x00](h" + place + b"h" + place + b"\x86e\x85Rq" + place + b"0") * 40
    load = safeload.load  # torch is imported here, which is not what is measured
    start = time.monotonic()
    with pytest.raises(safeload.UnsafeCheckpoint):
        load(data + b"}(h\x01Nh\x02Nu.")
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(("parts", "fits"), [(700, True), (800, False)])
def test_a_set_as_a_key_that_only_a_call_makes(parts: int, fits: bool) -> None:
    items = b"](" + b"".join(text(f"e{number}") for number in range(parts)) + b"e"
    data = b"\x80\x02}" + named("builtins", "frozenset") + items + b"\x85RNs."
    assert safeload.scan(data).verdict is safeload.Verdict.CLEAN
    if fits:
        assert safeload.load(data) == {frozenset(f"e{number}" for number in range(parts)): None}
    else:
        with pytest.raises(safeload.Malformed, match="more than 768 parts"):
            safeload.load(data)


class Noisy:
    """A class whose methods say that they ran."""

    ran: ClassVar[list[str]] = []

    def __hash__(self) -> int:
        self.ran.append("hash")
        return 1

    def __eq__(self, other: object) -> bool:
        self.ran.append("eq")
        return False


class Quiet:
    """A class with the hash of object."""


def instance(cls: type) -> bytes:
    return named(cls.__module__, cls.__qualname__) + b")\x81"


FORMS = {
    "dict": lambda one: b"}(" + one + b"K\x01" + one + b"K\x02u",
    "tuple": lambda one: b"}" + one + b"\x85K\x01s",
    "OrderedDict": lambda one: named("collections", "OrderedDict") + b")R" + one + b"K\x01s",
    "set": lambda one: named("builtins", "set") + b"]" + one + b"a\x85R",
    "frozenset": lambda one: named("builtins", "frozenset") + b"]" + one + b"a\x85R",
}


@pytest.mark.parametrize("form", FORMS)
def test_an_object_with_a_hash_of_its_own_is_no_key(form: str) -> None:
    Noisy.ran.clear()
    with pytest.raises(safeload.SafeloadError, match="Noisy is a key"):
        safeload.load(b"\x80\x02" + FORMS[form](instance(Noisy)) + b".", trust=[Noisy])
    assert Noisy.ran == []


@pytest.mark.parametrize("form", FORMS)
def test_an_object_that_hashes_by_identity_is_a_key(form: str) -> None:
    (found, *_) = safeload.load(b"\x80\x02" + FORMS[form](instance(Quiet)) + b".", trust=[Quiet])
    assert type(found[0] if isinstance(found, tuple) else found) is Quiet


def test_a_chain_of_maps_shares_the_list_of_the_file() -> None:
    data = b"\x80\x02]q\x01}a0" + named("collections", "ChainMap") + b")\x81}" + text("maps") + b"h\x01sbh\x01\x86."
    chain, maps = safeload.load(data)
    assert chain.maps is maps
    assert maps == [{}]


def dtype(name: str, order: str, size: bytes) -> bytes:
    state = b"(K\x03" + text(order) + b"NNN" + size + b"tb"
    return named("numpy", "dtype") + text(name) + b"\x89\x88\x87R" + state


def array(kind: bytes, raw: bytes) -> bytes:
    start = named("numpy._core.multiarray", "_reconstruct") + named("numpy", "ndarray") + b"K\x00\x85C\x01b\x87R"
    return b"\x80\x03" + start + b"(K\x01K\x01\x85" + kind + b"\x89C" + bytes([len(raw)]) + raw + b"tb."


def test_an_array_of_the_other_byte_order_becomes_native() -> None:
    got: Any = safeload.load(array(dtype("i4", ">", b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00"), b"\0\0\0\1"))
    assert (got.dtype.str, got.tolist()) == ("<i4", [1])


@pytest.mark.parametrize(("code", "fits"), [(b"a\0\0\0", True), (b"\xff\xff\x10\0", True), (b"\0\0\x11\0", False)])
def test_a_text_in_a_field_holds_characters(code: bytes, fits: bool) -> None:
    field = text("a") + dtype("U1", "<", b"K\x04K\x04K\x08") + b"K\x00\x86"
    state = b"(K\x03" + text("|") + b"N" + text("a") + b"\x85}" + field + b"sK\x04K\x01K\x10tb"
    data = array(named("numpy", "dtype") + text("V4") + b"\x89\x88\x87R" + state, code)
    if fits:
        assert safeload.load(data)["a"].tolist() == [code.decode("utf-32-le")]
    else:
        with pytest.raises(safeload.LoadFailed, match="no character"):
            safeload.load(data)
