"""Values that are easily built otherwise than an unpickler builds them: shared lists, byte orders, texts in fields."""

from __future__ import annotations

from typing import Any

import pytest

import safeload
from tests.vetted.spelled import named, text


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
