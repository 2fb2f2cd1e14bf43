"""embedded_json: pickles in base64 in JSON are found as stable-baselines3 decodes them, however the text is written."""

from __future__ import annotations

import base64
import json
import pickle
import random

import pytest

from safeload.containers.text.embedded_json import EmbeddedPickle, may_hold_pickles, pickles_in_json
from safeload.errors import LimitExceeded, Malformed
from safeload.findings import Verdict
from safeload.limits import Limits

LIMITS = Limits()


class Payload:
    def __reduce__(self):
        return (print, ("marker",))


PICKLE = pickle.dumps(Payload())
LETTERS = base64.b64encode(PICKLE).decode()
TEXT = pickle.dumps(Payload(), 0)
TEXT_LETTERS = base64.b64encode(TEXT).decode()


def saved(letters=LETTERS):
    return {"policy_class": {":type:": "x", ":serialized:": letters}}


def found(text):
    data = text if isinstance(text, bytes) else text.encode()
    parts = list(pickles_in_json(data, "data", LIMITS))
    assert may_hold_pickles(data) or not parts
    return parts


def loaded_by_stable_baselines3(data):
    """What its json_to_data hands to the unpickler."""
    items = json.loads(data.decode()).values()
    return [
        base64.b64decode(item[":serialized:"].encode())
        for item in items
        if isinstance(item, dict) and ":serialized:" in item
    ]


FOREIGN = LETTERS[:8] + "é" + LETTERS[8:]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(saved()),
        " " * 5000 + json.dumps(saved()),
        "{" + " " * 5000 + json.dumps(saved())[1:],
        json.dumps(saved())[:-1] + ', "n": ' + "1" * 4000 + "}",
        json.dumps(saved(FOREIGN)),
        json.dumps(saved(FOREIGN), ensure_ascii=False),
        json.dumps(saved(LETTERS[:8] + " .!\n\0" + LETTERS[8:])),
        json.dumps(saved(LETTERS.replace("g", "\\u0067", 1))).replace("\\\\", "\\"),
        json.dumps(saved()).replace(":serialized:", "\\u003aserialized\\u003A"),
        json.dumps(saved()).replace('":serialized:": ', '":serialized:"\n\t :\r\n'),
        f'{{"a": {{":serialized:": "AAAA", ":serialized:": "{LETTERS}"}}}}',
    ],
)
def test_what_stable_baselines3_loads_is_found(text):
    assert loaded_by_stable_baselines3(text.encode()) == [PICKLE]
    parts = [part.data for part in found(text) if isinstance(part, EmbeddedPickle)]
    assert PICKLE in parts


def test_where_it_is():
    assert found(json.dumps(saved())) == [EmbeddedPickle("policy_class", PICKLE, 49)]
    assert found(json.dumps(saved()).encode("utf-16")) == [EmbeddedPickle("policy_class", PICKLE, 100)]
    assert found(json.dumps(saved()).encode("utf-32-be")) == [EmbeddedPickle("policy_class", PICKLE, 196)]
    assert found("\ufeff" + json.dumps(saved())) == [EmbeddedPickle("policy_class", PICKLE, 52)]


def test_more_digits_than_python_converts_hide_nothing():
    assert found(json.dumps(saved())[:-1] + ', "n": ' + "1" * 50_000 + "}")[0].data == PICKLE


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"a": LETTERS}),
        json.dumps(LETTERS),
        json.dumps({LETTERS: 1}),
        json.dumps({"a": base64.encodebytes(PICKLE).decode()}),
        json.dumps({"a": base64.urlsafe_b64encode(PICKLE).decode().rstrip("=")}),
        json.dumps({"a": "data:application/octet-stream;base64," + base64.b64encode(PICKLE + b"xy").decode()})[:-6],
        json.dumps(json.dumps(saved())),
        json.dumps({"a": json.dumps({"b": LETTERS})}),
        json.dumps({"a": json.dumps({"b": LETTERS})}).replace('\\"', "\\u0022"),
        "// it don't\" matter\n" + json.dumps({"a": LETTERS}),
        "{a: '" + LETTERS + "'}",
        '{"a": "' + LETTERS,
        json.dumps({"a": LETTERS}) * 2,
    ],
)
def test_other_strings_that_are_pickles(text):
    parts = found(text)
    assert [part.data.startswith(PICKLE[:20]) for part in parts] == [True]


def test_a_pickle_of_protocol_0_is_told_to_be_text():
    assert found(json.dumps({"a": TEXT_LETTERS})) == [EmbeddedPickle("a", TEXT, 6, text=True)]
    assert found(json.dumps({"a": json.dumps({"b": TEXT_LETTERS})})) == [EmbeddedPickle("b", TEXT, 6, text=True)]
    inst = base64.b64encode(b"(S'echo'\nios\nsystem\n.").decode()
    assert found(json.dumps([inst]))[0].text
    late = base64.b64encode(b"N0I1\n0cos\nsystem\n(S'echo'\ntR.").decode()
    assert found(json.dumps([late]))[0].text
    binary = base64.b64encode(b"(cos\nsystem\nX\4\0\0\0echo\x85R.").decode()
    assert not found(json.dumps([binary]))[0].text


@pytest.mark.parametrize("letters", ["", "A", "AB", "ABC", "ABCDE", "\ud800AAAA", "é", "===="])
def test_what_its_loader_cannot_decode_is_never_silent(letters):
    text = json.dumps(saved(letters))
    [part] = found(text)
    assert (part.rule, part.verdict, part.member, part.offset) == ("embedded-unread", Verdict.UNJUDGED, "data", 49)


@pytest.mark.parametrize(
    "value",
    [
        {"model": "a long description of what this model does", "hash": "d41d8cd98f00b204e9800998ecf8427e"},
        {"image": base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(100)).decode()},
        {"text": base64.b64encode(b"An ordinary text.\nWith lines. And more of it.\n").decode()},
        {"vocab": {"Ġinternationalization": 1, "gAzelleRunsVeryFast": 2}},
        {"items": [{":serialized:": 1}, "an ordinary string"]},
    ],
)
def test_ordinary_json_is_quiet(value):
    assert found(json.dumps(value)) == []


def test_the_pre_check_is_selective_and_never_wrong():
    assert not may_hold_pickles(b'{"a": 1, "b": [true, "short"]}')
    pieces = [LETTERS, TEXT_LETTERS, LETTERS[:20], '"', '\\"', "\\u0022", ":serialized:", "\\u003aserialized:", "gAS"]
    pieces += [
        "{",
        "}",
        ":",
        ",",
        " ",
        "\n",
        "\\n",
        "\\u0067",
        "\\",
        "V" * 20,
        "Y29z",
        "=",
        "é",
        '"a":"',
        '":serialized:":"',
    ]
    chance = random.Random(1)
    yes = no = 0
    for _ in range(6000):
        text = "".join(chance.choice(pieces) for _ in range(chance.randrange(1, 10)))
        text = json.dumps(text) if chance.random() < 0.3 else text
        data = text.encode(chance.choice(["utf-8", "utf-8", "utf-8", "utf-16", "utf-32-be"]))
        some = next(iter(pickles_in_json(data, "", LIMITS)), None) is not None
        assert may_hold_pickles(data) or not some, data
        yes += some
        no += not may_hold_pickles(data)
    assert yes > 1000
    assert no > 300


def test_limits():
    many = json.dumps([base64.b64encode(PICKLE + bytes([n])).decode() for n in range(5)])
    assert len(list(pickles_in_json(many.encode(), "", LIMITS))) == 5
    with pytest.raises(LimitExceeded) as error:
        list(pickles_in_json(many.encode(), "", LIMITS._replace(nested_files=4)))
    assert error.value.limit == "nested_files"
    with pytest.raises(LimitExceeded) as error:
        list(pickles_in_json(many.encode(), "", LIMITS._replace(json_bytes=100)))
    assert error.value.limit == "json_bytes"
    assert len(found(json.dumps([LETTERS, LETTERS, {"a": LETTERS}]))) == 1


def test_hostile_bytes():
    with pytest.raises(Malformed):
        list(pickles_in_json(b'{"a": "\xff"}', "", LIMITS))
    assert len(found("[" * 100_000 + '"' + LETTERS + '"')) == 1
    chance = random.Random(2)
    text = json.dumps([saved(), {"a": TEXT_LETTERS}, json.dumps(saved())]).encode()
    for _ in range(1500):
        broken = bytearray(text)
        for _ in range(chance.randint(1, 4)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        try:
            found(bytes(broken))
        except (Malformed, LimitExceeded):
            continue


@pytest.mark.parametrize(
    "data",
    [b"\x95" + bytes(8) + TEXT, b"K\x010" + TEXT, PICKLE[2:], PICKLE[11:], b"\x8a\x01\x010" + PICKLE[11:]],
    ids=["a frame", "a number thrown away", "no protocol", "no frame", "a long number thrown away"],
)
def test_a_pickle_that_begins_as_none_that_python_writes_is_found(data: bytes) -> None:
    assert pickle.loads(data) is None
    (part,) = found(json.dumps({"a": base64.b64encode(data).decode()}))
    assert (part.data, part.raw) == (data, True)


def test_other_bytes_are_none() -> None:
    # An extension code, a plain value, a call of a number, floats, a picture.
    for data in (
        b"\x82" + bytes(20),
        b"N." + bytes(20),
        b"K\x01K\x02R" + bytes(20),
        bytes(24),
        b"\x89PNG\r\n" + bytes(9),
    ):
        assert found(json.dumps({"a": base64.b64encode(data).decode()})) == []
