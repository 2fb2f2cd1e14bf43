"""What else a Program tells: changes after a call, literals that are pickles, keys of unknown value."""

from __future__ import annotations

import base64
import pickle
import random

import pytest

from safeload.document.cell import UNSET, Cell
from safeload.errors import Malformed
from safeload.limits import Limits
from safeload.machine import Call, Global, Persistent, is_nested, run
from safeload.machine.blobs import SHORTEST, may_begin
from safeload.machine.interpreter import interpret
from safeload.machine.nested import acts


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
CALL = b"cA\nB\n)R"
NESTED = [
    *INNER,
    pickle.dumps(print, 0),
    pickle.dumps({"a": [complex(1, 2)]}, 4),
    CALL,
    b"(cA\nB\no!",
    b"(iA\nB\n!",
    # what stands before the name is nothing by which a pickle is known
    b"]" + CALL,
    b"}" + CALL,
    b"N0" + CALL,
    b"K\x01J\0\0\0\0M\0\0" + CALL,
    b"G" + b"\0" * 8 + CALL,
    b"S'a'\n" + CALL,
    b"I1\nL1L\nF1\nVa\n" + CALL,
    b"((((" + CALL,
    b"\x95\x40\0\0\0\0\0\0\0" + CALL,
    b"\x8c\x01A\x8c\x01B\x93)R",
    b"U\x01AU\x01B\x93N\x81",
    b"\x82\x01N\x85R..",
    b"\x83\x01\x01N\x85R.",
    b"\x84\x01\x01\x01\0N\x85R.",
    b"cA\nB\nNb",
    b"cA\nB\nNa",
    b"cA\nB\nNNs",
    b"NQ)R...",
    b"Px\n)R..",
    # the next pickle, also with the memo of the first
    b"N." + CALL,
    b"N.N.N." + CALL,
    b"VA\np0\n.VB\np1\n.g0\ng1\n\x93)R",
    # what only holds another one
    pickle.dumps({"a": [1, CALL]}, 4),
    b"PK\x03\x04 and so on",
]


@pytest.mark.parametrize("inner", NESTED)
def test_nested_pickles_are_pointed_out(inner: bytes) -> None:
    for literal in (inner, bytearray(inner)):
        for protocol in range(3, 6):
            data = pickle.dumps([literal], protocol)
            if isinstance(literal, bytearray) and protocol < 5:
                continue  # spelled as a call of bytes
            program = run(data)
            assert [value for _, value in program.blobs] == [inner]
            assert data[program.blobs[0][0]] in b"BC\x8e\x96"
    assert run(b"U" + bytes([len(inner)]) + inner + b".", encoding="bytes").blobs
    assert run(b"T" + len(inner).to_bytes(4, "little") + inner + b".", encoding="bytes").blobs
    assert run(b"S" + repr(inner)[1:].encode() + b"\n.", encoding="bytes").blobs


@pytest.mark.parametrize("inner", NESTED)
def test_text_is_never_a_pickle(inner: bytes) -> None:
    text = inner.decode("latin1")
    for protocol in range(6):
        assert not run(pickle.dumps([text, {text: text}], protocol)).blobs
        assert not run(pickle.dumps([base64.b64encode(inner)], protocol)).blobs
    for encoding in ("ASCII", "latin1"):
        if inner.isascii() or encoding == "latin1":
            assert not run(b"U" + bytes([len(inner)]) + inner + b".", encoding=encoding).blobs


@pytest.mark.parametrize(
    "value",
    [
        b"conv1.weight", b"g" * 40, b"gamma", b"U-Net", b"PK", b"Parameter containing", b"", b"\x80",
        b"\x80\x06aaaaaaaa", b"\x80\x02\xff\xff\xff\xff\xff", b"\0" * 40, b"import os\nimport sys\n",
        b"c\n\n", b"(a, b)",
        # plain data, and names that nothing uses before the break
        pickle.dumps({"a": [1, b"x", 2.5, ("y", None), b"Copyright notice"], "c": {"i": 1}}),
        b"K\x01.", b"N." * 9, b"cposix\nsystem\n",
        b"cposix\nsystem\n0", b"conda\nenvironment\nS", b"(iA", b"(iA\n", b"(cA\nB\n", b"\x8c\x01A\x8c\x01B\x93",
        b"T\xff\xff\xff\x7fcQ\n",
        b"NNNb" + b"\xff" * 9, b"cA\nB\n)\xff", b"\x97\x97\x97\x97\x97\x97\x97i",
    ],
)  # fmt: skip
def test_usual_literals_are_not(value: bytes) -> None:
    for protocol in range(3, 6):
        assert not run(pickle.dumps([value], protocol)).blobs


def test_a_literal_that_takes_too_much_counts() -> None:
    # An unpickler with other limits goes on.
    inner = b"((((((((((((i\n"
    assert not is_nested(inner, Limits())
    assert is_nested(inner, Limits(opcodes=10))
    assert is_nested(b"N." * 64 + b"N" + CALL, Limits())
    assert is_nested(b"N." * 65 + b"Q", Limits())
    assert not is_nested(b"N." * 63 + b"Q", Limits())
    # What is longer than the bytes is no limit of ours.
    assert not is_nested(b"\x8b\xff\xff\xff\x0fQQQ", Limits())


def test_literals_in_literals_are_not_asked_in_their_turn() -> None:
    inner = CALL
    for _ in range(3000):
        inner = b"B" + len(inner).to_bytes(4, "little") + inner
    assert run(inner + b".").blobs == []
    assert len(run(b"B" + len(CALL).to_bytes(4, "little") + CALL + b".").blobs) == 1


FRAGMENTS = [
    b"cA\nB\n", b")", b")", b"R", b"R", b"(", b"N", b"b", b"a", b"\x82\x01", b".", b".", b"]", b"\x8c\x01A", b"\x93",
    b"iA\nB\n", b"Q", b"PA\n", b"0", b"o", b"\x81", b"}", b"s", b"\x80\x02", b"t", b"K\x01", b"\x94", b"h\0", b"I1\n",
]  # fmt: skip


def test_the_first_look_hides_nothing() -> None:
    rng = random.Random(5)
    seen = 0
    for _ in range(20_000):
        raw = b"".join(rng.choice(FRAGMENTS) for _ in range(rng.randrange(1, 9)))
        if acts(raw, Limits(), interpret):
            seen += 1
            # What is shorter calls nothing that has a name.
            assert may_begin(raw) or len(raw) < SHORTEST, raw
    assert seen > 100


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
