"""What else a Program tells: changes after a call, literals that look like pickles, keys of unknown value."""

from __future__ import annotations

import base64
import pickle

import pytest

from safeload.cell import UNSET, Cell
from safeload.errors import Malformed
from safeload.machine import Call, Global, Persistent, run
from safeload.machine.blobs import FIRST, looks_nested


def test_changes_are_kept_from_the_first_call_with_changeable_arguments() -> None:
    # a list that changes before, between and after two calls that take it
    data = b"]q\x00(NNe0cA\nB\nq\x01h\x00\x85Rq\x02h\x00Na0h\x01h\x00\x85R\x86."
    program = run(data)
    (first, _) = program.value  # type: ignore[misc]
    (changed,) = first.args
    assert changed == [None, None, None]
    assert program.touched == {id(changed): data.index(b"a0")}


@pytest.mark.parametrize(
    ("argument", "kept"),
    [
        (b"N", False),
        (b"X\x01\x00\x00\x00a", False),
        (b"NN\x86", False),
        (b"(" + b"N" * 30 + b"t", False),
        (b"]", True),
        (b"}", True),
        (b"\x8f", True),
        (b"\x96" + bytes(8), True),
        (b"]\x85", True),
        (b"cC\nD\n)R", True),
        (b"(" + b"N" * 200 + b"t", True),
        (b"cC\nD\n", False),
    ],
)
def test_what_turns_the_keeping_on(argument: bytes, kept: bool) -> None:
    for opening, closing in ((b"cA\nB\n", b"\x85R"), (b"", b"Q"), (b"cA\nB\n", b"\x85\x81"), (b"(cA\nB\n", b"o")):
        program = run(b"]" + opening + argument + closing + b"0Na.")
        assert bool(program.touched) == kept, closing


def test_keywords_and_states_turn_it_on_too() -> None:
    assert run(b"]cA\nB\n)}\x92" + b"0Na.").touched
    assert run(b"]cA\nB\n)RNb" + b"0Na.").touched
    assert not run(b"]cA\nB\n)R" + b"0Na.").touched


@pytest.mark.parametrize("change", [b"](NNe", b"]Na", b"}NNs", b"}(NNu", b"\x8f(N\x90", b"cA\nB\n)RNb", b"cA\nB\n)RNa"])
def test_every_kind_of_change_is_kept(change: bytes) -> None:
    program = run(b"cA\nB\n]\x85R0" + change + b".")
    assert program.touched[id(program.value)] == program.end - 2


INNER = [pickle.dumps([len], protocol) for protocol in range(6)]
NESTED = [
    pickle.dumps(print, 0),
    pickle.dumps(print, 2),
    pickle.dumps(print, 4),
    *INNER[2:],
    b"(cA\nB\nR.",
    b"(iA\nB\n.",
]
NESTED += [b"PK\x03\x04 and so on"]


@pytest.mark.parametrize("inner", NESTED)
def test_nested_pickles_are_pointed_out(inner: bytes) -> None:
    texts = [base64.b64encode(inner + b"." * 20).decode()] if inner[:1] in b"\x80P" else []
    for literal in (inner, bytearray(inner), inner.decode("latin1"), *texts, *[t.encode() for t in texts]):
        for protocol in range(6):
            data = pickle.dumps([literal], protocol)
            program = run(data)
            if isinstance(literal, bytes | bytearray) and protocol < 3:
                # such bytes are spelled as latin1 text
                assert program.blobs[0][1] == literal.decode("latin1")
            else:
                (blob,) = program.blobs
                assert blob[1] in (literal, bytes(literal, "latin1") if isinstance(literal, str) else literal)
            assert data[program.blobs[0][0]] in b"VXBC\x8c\x8d\x8e\x96"
    assert run(b"U" + bytes([len(inner)]) + inner + b".", encoding="bytes").blobs
    assert run(b"T" + len(inner).to_bytes(4, "little") + inner + b".", encoding="latin1").blobs


@pytest.mark.parametrize(
    "value",
    [
        "conv1.weight", "g" * 40, "gamma", "gADGET of the house", "U-Net", "PK", "Parameter containing", b"", b"\x80",
        b"\x80\x06aaaaaaaa", b"\x80\x02\xff\xff\xff\xff\xff", b"\0" * 40, "import os\nimport sys\n", "c\n\n", "(a, b)",
    ],
)  # fmt: skip
def test_usual_literals_are_not(value: object) -> None:
    for protocol in range(6):
        assert not run(pickle.dumps([value], protocol)).blobs


def test_the_first_byte_table_hides_nothing() -> None:
    for first in range(256):
        for rest in (
            b"\x02c aaaaaaa",
            b"\x80\x02caaaaa",
            b"K\x03\x04aaaa",
            b"a\na\n...",
            b"ca\na\n...",
            b"ASV" + b"a" * 20,
        ):
            head = bytes([first]) + rest
            assert FIRST[first] or not looks_nested(head)


def test_cells_are_keys_by_identity() -> None:
    program = run(b"}(cA\nB\nNcA\nB\nN)NcA\nB\n\x85Nu.")
    assert not program.notes
    keys = list(program.value)  # type: ignore[call-overload]
    assert len(keys) == 4
    assert [type(k) for k in keys] == [Global, Global, tuple, tuple]


@pytest.mark.parametrize(
    ("data", "noted"),
    [
        (b"}(K\x01NK\x01Nu.", False),
        (b"}(cA\nB\nNK\x01Nu.", False),
        (b"}(cA\nB\nNK\x01NK\x01Nu.", True),
        (b"}cA\nB\nNsK\x01NsK\x01Ns.", True),
        (b"(cA\nB\nNK\x01NK\x01Nd.", True),
        (b"}cA\nB\nq\x00Nsh\x00Ns.", True),
        (b"}cA\nB\n\x85NsK\x01NsK\x01Ns.", True),
        (b"\x8f(K\x01K\x01\x90.", False),
        (b"\x8f(cA\nB\nK\x01K\x01\x90.", True),
        (b"(cA\nB\nK\x01K\x01\x91.", True),
    ],
)
def test_setting_a_key_twice_beside_keys_of_unknown_value(data: bytes, noted: bool) -> None:
    assert bool(run(data).notes) == noted


def test_equal_plain_keys_behave_as_in_cpython() -> None:
    program = run(b"}(K\x01NG\x3f\xf0\x00\x00\x00\x00\x00\x00K\x02\x88K\x03u.")
    assert program.value == {1: 3}
    assert [type(k) for k in program.value] == [int]  # type: ignore[attr-defined]


def test_a_computed_name_is_refused() -> None:
    with pytest.raises(Malformed, match="computed"):
        run(b"\x80\x04\x8c\x02oscA\nB\n)R\x93.")


def test_nodes_start_unjudged() -> None:
    program = run(b"(cA\nB\n)RPx\n\x97\x82\x01t.")
    assert all(isinstance(e, Cell) and e.value is UNSET for e in program.effects)
    assert [type(e).__name__ for e in program.effects] == ["Global", "Call", "Persistent", "Buffer", "Extension"]


def test_memo_slots_can_be_overwritten_and_used_after_pop() -> None:
    program = run(b"(K\x01q\x000K\x02q\x00h\x00h\x00t.")
    assert program.value == (2, 2, 2)
    popped = run(b"cA\nB\n)Rq\x000h\x00.")
    assert isinstance(popped.value, Call)


def test_a_persistent_id_is_what_was_on_the_stack() -> None:
    program = run(b"]q\x00Q0h\x00Na.")
    (loaded,) = program.effects
    assert isinstance(loaded, Persistent)
    assert loaded.pid == [None]
    assert program.touched == {id(loaded.pid): 8}
