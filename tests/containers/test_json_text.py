"""json_text against Python's own json: the same texts are JSON, with the same scalars, and every string is found."""

from __future__ import annotations

import json
import random
import tracemalloc

import pytest

from safeload.containers.text.json_text import EventKind, events, strings, unescaped
from safeload.errors import LimitExceeded, Malformed
from safeload.limits import Limits

LIMITS = Limits()

ENCODINGS = ["utf-8"] * 6 + ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
PIECES = rb"""{ } [ ] , : " \ \u00 \ud83d \ude00 NaN -Infinity Infinity 1. 1e5 00 - true nul "a":1 1E+2 {} []"""
FRAGMENTS = [
    *PIECES.split(),
    b"\xff",
    b"\0",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b" ",
    b"\n",
    b"\x0b",
    b"\xc2\xa0",
    b"\xc0",
]
LETTERS = ["a", '"', "\\", "/", "\n", "é", "€", "\U0001f600", "\ud83d", "\ude00", "\0", ":", "{", " "]


def value(chance, depth=0):
    kind = chance.randrange(9 if depth < 4 else 6)
    if kind == 0:
        return chance.choice([True, False, None])
    if kind == 1:
        return chance.choice([0, -1, 12345678901234567890, 1.5, -2e300, 1e-7])
    if kind < 6:
        return "".join(chance.choice(LETTERS) for _ in range(chance.randrange(8)))
    if kind < 8:
        return [value(chance, depth + 1) for _ in range(chance.randrange(4))]
    return {str(chance.randrange(5)): value(chance, depth + 1) for _ in range(chance.randrange(4))}


def mutant(chance):
    text = json.dumps(value(chance), ensure_ascii=chance.random() < 0.5, indent=chance.choice([None, 1]))
    if chance.random() < 0.3:
        text = chance.choice(["\ufeff", " \n", "\t"]) + text + chance.choice(["", " ", "\n\n", "\0"])
    data = bytearray(text.encode(chance.choice(ENCODINGS), "surrogatepass"))
    for _ in range(chance.choice([0, 1, 1, 2])):
        at = chance.randrange(len(data) + 1)
        data[at : at + chance.choice([0, 0, 1, 2])] = chance.choice(FRAGMENTS)
    return bytes(data)


class Number(str):
    __slots__ = ()


def flat_json(data):
    """What json.loads makes of `data`, as a list of what `events` gives; None when it is no JSON."""
    pairs = type("Pairs", (list,), {})
    try:
        root = json.loads(data, object_pairs_hook=pairs, parse_int=Number, parse_float=Number, parse_constant=Number)
    except ValueError:
        return None
    out = []

    def walk(node):
        if isinstance(node, pairs):
            out.append("{")
            for key, inner in node:
                out.append(("key", key))
                walk(inner)
            out.append("}")
        elif isinstance(node, list):
            out.append("[")
            for inner in node:
                walk(inner)
            out.append("]")
        else:
            out.append(("number" if isinstance(node, Number) else "value", node))

    walk(root)
    return out


def flat(data):
    out = []
    for event in events(data, LIMITS):
        if event.kind in (EventKind.OBJECT, EventKind.OBJECT_END, EventKind.ARRAY, EventKind.ARRAY_END):
            out.append(str(event.kind))
        else:
            name = {EventKind.KEY: "key", EventKind.NUMBER: "number"}.get(event.kind, "value")
            out.append((name, event.value))
    return out


@pytest.mark.parametrize("seed", range(4))
def test_events_are_those_of_json(seed):
    chance = random.Random(seed)
    accepted = 0
    for _ in range(2500):
        data = mutant(chance)
        wanted = flat_json(data)
        try:
            got = flat(data)
        except Malformed as error:
            got, offset = None, error.offset
            assert offset is not None and 0 <= offset <= len(data)  # noqa: PT018
        assert got == wanted, data
        if wanted is not None:
            accepted += 1
            found = {string.text() for string in strings(data, LIMITS)}
            texts = {each[1] for each in wanted if isinstance(each, tuple) and each[0] != "number"}
            assert {text for text in texts if isinstance(text, str)} <= found, data
    assert 500 < accepted < 2000


def test_equal_keys_are_all_given():
    assert flat(b'{"a": 1, "a": [null, "x"]}') == [
        "{",
        ("key", "a"),
        ("number", "1"),
        ("key", "a"),
        "[",
        ("value", None),
        ("value", "x"),
        "]",
        "}",
    ]


@pytest.mark.parametrize(
    ("data", "offset"),
    [
        (b"", 0),
        (b"  ", 0),
        (b'{"a"', 4),
        (b'{"a" 1}', 4),
        (b'{"a":1,}', 7),
        (b"[1,]", 3),
        (b"[1 2]", 2),
        (b"[1}", 2),
        (b"]", 0),
        (b"{} {}", 2),
        (b'"abc', 0),
        (b'"a\\', 0),
        (b'["\\x"]', 1),
        (b'["a\nb"]', 1),
        (b"[1, @]", 3),
        (b'["\xff"]', 2),
        ('["é", x]'.encode("utf-16-be"), 10),
        (b"[tru]", 1),
        (b"// no\n[]", 0),
    ],
)
def test_the_place_of_the_break(data, offset):
    with pytest.raises((json.JSONDecodeError, UnicodeDecodeError)):
        json.loads(data)
    with pytest.raises(Malformed) as error:
        list(events(data, LIMITS))
    assert error.value.offset == offset


def test_deep_nesting_is_a_limit():
    for opening in (b"[", b'{"a":'):
        with pytest.raises(LimitExceeded) as error:
            list(events(opening * 100_000, LIMITS))
        assert error.value.limit == "depth"
    assert len(list(events(b"[" * 500 + b"]" * 500, LIMITS))) == 1000
    assert list(strings(b'["a",' * 100_000, LIMITS))[-1].raw == b"a"


def test_a_huge_number_is_only_letters():
    assert flat(b"[" + b"9" * 1_000_000 + b"]")[1] == ("number", "9" * 1_000_000)


def test_too_large_is_a_limit():
    small = LIMITS._replace(json_bytes=4)
    for read in (events, strings):
        assert list(read(b'"ab"', small))
        with pytest.raises(LimitExceeded) as error:
            list(read(b'"abc"', small))
        assert error.value.limit == "json_bytes"


def test_strings_know_their_key():
    text = b' {"\\u0061": "x", "b" :\n["y", {"c": 1}, "z"], "d": "e\\"f"'
    assert [(s.text(), s.key, s.direct, s.is_key, s.offset) for s in strings(text, LIMITS)] == [
        ("a", b"", False, True, 2),
        ("x", b"\\u0061", True, False, 12),
        ("b", b"\\u0061", False, True, 17),
        ("y", b"b", False, False, 24),
        ("c", b"b", False, True, 30),
        ("z", b"c", False, False, 39),
        ("d", b"c", False, True, 45),
        ('e"f', b"d", True, False, 50),
    ]


@pytest.mark.parametrize(
    ("encoding", "offset"), [("utf-8", 5), ("utf-8-sig", 8), ("utf-16", 10), ("utf-16-be", 8), ("utf-32-le", 16)]
)
def test_offsets_count_in_the_encoding_of_the_text(encoding, offset):
    assert [s.offset for s in strings('  é "a"'.encode(encoding), LIMITS)] == [offset]


@pytest.mark.parametrize("data", [b'{"a": "\xff"}', b"\xff\xfe\x00", b"\x00\x00\x00\xff\xff\xff\xff\xff", b'"\xc3'])
def test_what_is_no_text_is_malformed(data):
    for read in (events, strings):
        with pytest.raises(Malformed):
            list(read(data, LIMITS))


def test_a_character_across_two_pieces_is_text():
    for lead in range(4):
        data = b'"' + b"a" * ((1 << 20) - 3 + lead) + "\U0001f600€é".encode() + b'"'
        assert len(list(events(data, LIMITS))) == 1


def test_escapes_that_json_does_not_know_are_kept():
    assert unescaped(b"a\\x\\u0062\\n\\u12") == "axb\nu12"
    assert unescaped(b"\\ud83d\\ude00\\ud83d") == "\U0001f600\ud83d"
    assert unescaped(b"a\tb\\") == "a\tb"


def test_memory_is_bounded_by_the_text():
    text = b'["' + b"\\n" * 500_000 + b'",' + b",".join([b"{}"] * 300_000) + b"]"
    tracemalloc.start()
    try:
        assert len(list(strings(text, LIMITS))) == 1
        assert sum(1 for _ in strings(b'"' + b'\\"' * 500_000, LIMITS)) == 1
        count = sum(1 for _ in events(text[:200_000] + b'"]', LIMITS))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 3
    assert peak < 4 * len(text)
