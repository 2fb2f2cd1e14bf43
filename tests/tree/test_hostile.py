"""Trees that nobody should believe: each refused, under the rule that says why."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import pytest

import safeload
from safeload.document.document import StorageSpec, TensorSpec
from safeload.errors import LimitExceeded, Malformed, UnsafeCheckpoint
from safeload.limits import Limits
from safeload.tree.decode import decode
from safeload.tree.interface import DIGEST_KEY, KEY
from tests.tree.shelf import pack

W = ("F32", (2, 3), bytes(24))


def tree(root: Any, **more: Any) -> str:
    return json.dumps({"format": "safeload.tree", "version": 1, **more, "root": root})


def report(text: str, tensors: Any = (), limits: Limits | None = None) -> Any:
    return safeload.scan(pack(dict(tensors), {KEY: text}), limits=limits)


def call(name: str, *args: Any, **more: Any) -> dict[str, Any]:
    return {"call": name, "args": list(args), **more}


USED = {"w": W}
MALFORMED: dict[str, str] = {
    "no json": "{",
    "nothing": "",
    "no object": "[]",
    "another format": '{"format":"x","version":1,"root":null}',
    "no version": '{"format":"safeload.tree","root":null}',
    "a later version": '{"format":"safeload.tree","version":2,"root":null}',
    "a version that only looks right": '{"format":"safeload.tree","version":1.0,"root":null}',
    "a version that is true": '{"format":"safeload.tree","version":true,"root":null}',
    "no root": '{"format":"safeload.tree","version":1}',
    "an unknown field": tree(1, more=1),
    "text behind it": tree(1) + "x",
    "a field twice": '{"format":"safeload.tree","version":1,"root":1,"root":2}',
    "a key twice": tree(0)[:-2] + '{"map":{"a":1,"a":2}}}',
    "a key twice, once escaped": tree(0)[:-2] + '{"map":{"a":1,"\\u0061":2}}}',
    "1e999": tree(0)[:-2] + "1e999}",
    "NaN": tree(0)[:-2] + "NaN}",
    "-0": tree(0)[:-2] + "-0}",
    "a leading zero": tree(0)[:-2] + "01}",
    "2**53": tree(0)[:-2] + "9007199254740992}",
    "a long integer": tree(0)[:-2] + "1" * 5000 + "}",
    "a long fraction": tree(0)[:-2] + "0." + "1" * 5000 + "}",
    "a control character": tree(0)[:-2] + '"\n"}',
    "a bad escape": tree(0)[:-2] + '"\\x"}',
    "a trailing comma": tree(0)[:-2] + "[1,]}",
    "an object without a tag": tree({}),
    "an unknown tag": tree({"pickle": ""}),
    "two tags": tree({"list": [], "tuple": []}),
    "a tag with a foreign field": tree({"list": [], "dtype": 1}),
    "a ref to nothing": tree({"ref": 1}),
    "a ref forward": tree([{"ref": 1}, {"id": 1, "list": []}]),
    "a ref with an id": tree([{"id": 1, "list": []}, {"ref": 1, "id": 2}]),
    "a ref that is true": tree([{"id": 1, "list": []}, {"ref": True}]),
    "an id twice": tree([{"id": 1, "list": []}, {"id": 1, "list": []}]),
    "an id of 0": tree({"id": 0, "list": []}),
    "a tuple that is its own element": tree({"id": 1, "tuple": [{"ref": 1}]}),
    "a tuple in a tuple in itself": tree({"id": 1, "tuple": [[{"tuple": [{"ref": 1}]}]]}),
    "a frozenset that is its own element": tree({"id": 1, "frozenset": [{"ref": 1}]}),
    "a tuple that is its own key": tree({"id": 1, "tuple": [{"dict": [[{"ref": 1}, 1]]}]}),
    "a tuple in a set in itself": tree({"id": 1, "tuple": [{"set": [{"ref": 1}]}]}),
    "a tuple in an argument of its element": tree({"id": 1, "tuple": [call("builtins.set", [{"ref": 1}])]}),
    "a call that is its own argument": tree({"id": 1, "call": "builtins.set", "args": [{"ref": 1}]}),
    "a call in a list in its arguments": tree({"id": 1, "call": "builtins.set", "args": [[{"ref": 1}]]}),
    "a tuple that is its own state": tree(
        {"id": 1, "tuple": [{"call": "argparse.Namespace", "changes": [["build", {"ref": 1}]]}]}
    ),
    "an unhashable key": tree({"dict": [[[], 1]]}),
    "an unhashable element": tree({"set": [{"map": {}}]}),
    "equal keys": tree({"dict": [[1, 1], [1.0, 1]]}),
    "equal elements": tree({"set": [1, True]}),
    "a pair of three": tree({"dict": [[1, 2, 3]]}),
    "a map of a list": tree({"map": []}),
    "a list of a map": tree({"list": {}}),
    "no base64": tree({"bytes": "***="}),
    "base64 with a line break": tree({"bytes": "QUJD\nREVG"}),
    "base64 without padding": tree({"bytes": "QQ"}),
    "bytes of a number": tree({"bytes": 1}),
    "a decimal int": tree({"int": "12"}),
    "an int of another base": tree({"int": "0o7"}),
    "an int with underscores": tree({"int": "0x1_0"}),
    "a float by another name": tree({"float": "infinity"}),
    "a name without a module": tree({"name": "eval"}),
    "a name with a space": tree({"name": "os. system"}),
    "a name that is a number": tree({"name": 1}),
    "an endless name": tree({"name": "a." * 2000 + "b"}),
    "a call of a number": tree({"call": 1}),
    "arguments that are no list": tree({"call": "builtins.set", "args": {}}),
    "keyword arguments": tree({"call": "builtins.set", "kwargs": {}}),
    "another kind of call": tree({"call": "builtins.set", "kind": "obj"}),
    "a change of another kind": tree({"call": "builtins.set", "changes": [["delete", []]]}),
    "a change without a payload": tree({"call": "builtins.set", "changes": [["build"]]}),
    "items that do not pair up": tree({"call": "collections.OrderedDict", "changes": [["setitem", [1]]]}),
    "items in a map": tree({"call": "collections.OrderedDict", "changes": [["setitem", {"map": {}}]]}),
    "items in an object": tree({"call": "collections.OrderedDict", "changes": [["setitem", {"list": []}]]}),
    "a tensor that is not there": tree({"tensor": "v"}),
    "a tensor without a name": tree({"tensor": None}),
    "bytes of a tensor that is not there": tree({"bytes_of": "v"}),
    "a storage that is not there": tree({"storage": "v"}),
    "a dropped number": tree({"dropped": 1}),
    "a table of storages that is a list": tree(0, storages=[]),
    "a storage in the table that is not there": tree(0, storages={"v": {}}),
    "a list set aside": tree(0, aside={}),
    "a tensor set aside that is not there": tree(0, aside=["v"]),
}
OF_W: dict[str, str] = {
    "it says nothing of a tensor": tree(0),
    "it sets aside what it uses": tree({"tensor": "w"}, aside=["w"]),
    "it sets one aside twice": tree(0, aside=["w", "w"]),
    "no element type": tree({"tensor": "w", "dtype": "float33", "shape": [6]}),
    "the type that it has": tree({"tensor": "w", "dtype": "float32"}),
    "another width without a shape": tree({"tensor": "w", "dtype": "float64"}),
    "a stride without a shape": tree({"tensor": "w", "stride": [1, 1]}),
    "a shape that is a number": tree({"tensor": "w", "shape": 6}),
    "a shape of booleans": tree({"tensor": "w", "shape": [True]}),
    "an offset that is a float": tree({"tensor": "w", "shape": [1], "offset": 1.0}),
    "a flag that is false": tree({"tensor": "w", "requires_grad": False}),
    "a flag that is 1": tree({"tensor": "w", "conj": 1}),
    "no element type of a storage": tree({"tensor": "w"}, storages={"w": {"dtype": "x"}}),
    "no device tag": tree({"tensor": "w"}, storages={"w": {"location": "cuda:0;rm"}}),
    "an unknown field of a storage": tree({"tensor": "w"}, storages={"w": {"nbytes": 1}}),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed(name: str) -> None:
    found = report(MALFORMED[name])
    assert [(f.rule, str(f.verdict), f.member) for f in found.findings] == [("malformed-tree", "unjudged", KEY)]
    with pytest.raises(UnsafeCheckpoint):
        safeload.load(pack({}, {KEY: MALFORMED[name]}))


@pytest.mark.parametrize("name", OF_W)
def test_malformed_for_the_tensors_of_the_file(name: str) -> None:
    assert [(f.rule, str(f.verdict)) for f in report(OF_W[name], USED).findings] == [("malformed-tree", "unjudged")]


JUDGED: dict[str, tuple[str, Any, str]] = {
    "a command": ("runs-programs", call("os.system", "id"), "dangerous"),
    "a name of one": ("runs-programs", {"name": "os.system"}, "dangerous"),
    "code": ("runs-code", call("builtins.eval", "1"), "dangerous"),
    "a class of a project": ("unknown-global", call("project.Config"), "unvetted"),
    "OrderedDict of text": ("argument-shape", call("collections.OrderedDict", "x"), "dangerous"),
    "a state with a dunder": (
        "reaches-attributes",
        {"call": "argparse.Namespace", "changes": [["build", {"map": {"__class__": 1}}]]},
        "dangerous",
    ),
    "a day that is none": ("argument-shape", call("datetime.date", {"bytes": "B+QCHw=="}), "unjudged"),
    "a call of a value": ("argument-shape", call("torch.float32"), "dangerous"),
    "a tensor too long": ("tensor-bounds", {"tensor": "w", "shape": [7]}, "dangerous"),
    "a tensor that starts outside": ("tensor-bounds", {"tensor": "w", "shape": [6], "offset": 1}, "dangerous"),
    "a stride that reaches outside": ("tensor-bounds", {"tensor": "w", "shape": [2], "stride": [6]}, "dangerous"),
    "a negative size": ("tensor-bounds", {"tensor": "w", "shape": [-1]}, "dangerous"),
    "an offset before the start": ("tensor-bounds", {"tensor": "w", "shape": [1], "offset": -1}, "dangerous"),
    "an expansion": ("tensor-expansion", {"tensor": "w", "shape": [1 << 40], "stride": [0]}, "unjudged"),
    "a conjugate of reals": ("argument-shape", {"tensor": "w", "conj": True}, "dangerous"),
    "a storage where a tensor belongs": (
        "argument-shape",
        call("torch._utils._rebuild_parameter", {"storage": "w"}, True, None),
        "dangerous",
    ),
    "a list that its call sees half filled": (
        "argument-shape",
        {"id": 1, "list": [call("builtins.set", {"ref": 1})]},
        "unjudged",
    ),
    "a pickle in bytes": ("nested-pickle", {"bytes": "Y29zCnN5c3RlbQooUydpZCcKdFIu"}, "dangerous"),
}


@pytest.mark.parametrize("name", JUDGED)
def test_judged_like_any_pickle(name: str) -> None:
    rule, root, verdict = JUDGED[name]
    uses = '"w"' in json.dumps(root)
    found = report(tree(root) if uses else tree(root, aside=["w"]), USED)
    assert (found.findings[0].rule, str(found.verdict)) == (rule, verdict)
    assert found.findings[0].member == KEY


def test_a_finding_says_where_in_the_tree() -> None:
    text = tree([1, call("os.system", "id")])
    (finding,) = report(text).findings
    assert text[finding.offset :].startswith('{"call": "os.system"')


def test_a_dropped_object_is_nothing_that_a_shape_takes() -> None:
    found = report(tree(call("builtins.set", {"dropped": "a.B"})))
    assert str(found.verdict) == "unvetted"


@pytest.mark.parametrize(
    ("limit", "limits", "text"),
    [
        ("depth", Limits(), tree(0)[:-2] + "[" * 100_000 + "]" * 100_000 + "}"),
        ("depth", Limits(), tree(0)[:-2] + "[" * 600 + "]" * 600 + "}"),
        ("opcodes", Limits(opcodes=100), tree([0] * 200)),
        ("tree_bytes", Limits(tree_bytes=100), tree("x" * 200)),
        ("key_elements", Limits(), tree({"set": [{"tuple": [0] * 100}]})),
        ("integer_bytes", Limits(integer_bytes=4), tree({"int": "0x" + "f" * 20})),
        ("string_bytes", Limits(string_bytes=20), tree({"bytes_of": "w"})),
        ("pickle_bytes", Limits(pickle_bytes=50), tree([{"bytearray_of": "w"}] * 3)),
    ],
)
def test_limits(limit: str, limits: Limits, text: str) -> None:
    tensors = USED if '"w"' in text else {}
    found = report(text, tensors, limits)
    assert [f.rule for f in found.findings] == ["limit-reached"]
    assert f"--limit {limit}=" in found.findings[0].message


def test_a_tree_of_a_tool_that_renamed_a_tensor_is_not_believed() -> None:
    found = safeload.scan(pack({"v": W}, {KEY: tree({"map": {"w": {"tensor": "w"}}})}))
    assert [f.rule for f in found.findings] == ["malformed-tree"]
    assert "remove the tree" in found.findings[0].remedy


def test_a_tree_and_a_binding_together_are_refused() -> None:
    found = safeload.scan(pack({}, {KEY: tree(0), DIGEST_KEY: "0" * 64 + " 1"}))
    assert [f.rule for f in found.findings] == ["malformed-tree"]


def sidecar(folder: Path, text: bytes, bound: str) -> Path:
    path = folder / "model.safetensors"
    path.write_bytes(pack({}, {DIGEST_KEY: bound}))
    (folder / "model.tree.json").write_bytes(text)
    return path


def bind(text: bytes) -> str:
    return f"{hashlib.sha256(text).hexdigest()} {len(text)}"


def test_a_sidecar_that_fits(tmp_path: Path) -> None:
    text = tree({"map": {"a": 1}}).encode()
    assert safeload.load(sidecar(tmp_path, text, bind(text))) == {"a": 1}


@pytest.mark.parametrize("change", ["missing", "shorter", "other", "folder"])
def test_a_sidecar_that_does_not_fit(tmp_path: Path, change: str) -> None:
    text = tree({"map": {"a": 1}}).encode()
    path = sidecar(tmp_path, text, bind(text))
    beside = tmp_path / "model.tree.json"
    if change == "shorter":
        beside.write_bytes(text[:-1])
    elif change == "other":
        beside.write_bytes(text.replace(b"1}}", b"2}}"))
    else:
        beside.unlink()
        if change == "folder":
            beside.mkdir()
    found = safeload.scan(path)
    assert [(f.rule, str(f.verdict)) for f in found.findings] == [("tree-sidecar", "unjudged")]
    with pytest.raises(UnsafeCheckpoint):
        safeload.load(path)


def test_a_sidecar_cannot_be_had_for_bytes(tmp_path: Path) -> None:
    text = tree(1).encode()
    path = sidecar(tmp_path, text, bind(text))
    assert [f.rule for f in safeload.scan(path.read_bytes()).findings] == ["tree-sidecar"]


@pytest.mark.parametrize("bound", ["", "x", "0" * 64, "0" * 64 + " -1", "0" * 63 + "G 1", "../../etc/passwd"])
def test_a_binding_is_a_digest_and_a_length(tmp_path: Path, bound: str) -> None:
    assert [f.rule for f in safeload.scan(sidecar(tmp_path, b"", bound)).findings] == ["malformed-tree"]


def test_a_sidecar_is_measured_before_it_is_read(tmp_path: Path) -> None:
    path = sidecar(tmp_path, b"", "0" * 64 + " 999999999999")
    assert [f.rule for f in safeload.scan(path).findings] == ["limit-reached"]


def test_a_sidecar_has_to_be_utf_8(tmp_path: Path) -> None:
    assert [f.rule for f in safeload.scan(sidecar(tmp_path, b"\xff", bind(b"\xff"))).findings] == ["malformed-tree"]


PIECES = [
    "{", "}", "[", "]", ",", ":", "1", "-2", "0.5", "1e3", "null", "true", '"a"', '"\\ud800"', '"map":', '"list":',
    '"id":1', '"ref":1', '"tuple":[', '"call":"collections.OrderedDict"', '"args":[', '"changes":[["setitem",[',
    '"tensor":"w"', '"storage":"w"', '"shape":[2]', '"dtype":"float64"', '"bytes":"QQ=="', '"bytes_of":"w"', '"set":[',
    '"dropped":"a.B"', '"name":"torch.float32"', '"int":"0xff"', '"float":"nan"', '"frozenset":[', '"aside":["w"]', " ",
    '"dict":[[', "\\",
]  # fmt: skip
WHOLE = tree(
    [
        {"id": 1, "list": [{"id": 2, "tuple": [{"map": {"a": {"ref": 1}, "b": [{"ref": 2}]}}]}]},
        {"id": 3, "call": "collections.OrderedDict", "changes": [["setitem", ["k", {"ref": 3}, "w", {"tensor": "w"}]]]},
        {"dict": [[1, {"set": [1, 2]}], [{"tuple": [1, "x"]}, {"bytes": "QUJD"}]]},
        call("datetime.date", {"bytes": "B+QCAQ=="}),
        [{"int": "-0xff"}, {"float": "nan"}, {"float": "0x7ff8000000000001"}, {"bytes_of": "w"}, {"storage": "w"}],
    ],
    storages={"w": {"location": "cuda:0"}},
)


def declared() -> dict[str, TensorSpec]:
    return {"w": TensorSpec(StorageSpec("w", "float32", 24), "float32", (2, 3), (3, 1))}


def attempt(text: str) -> bool:
    try:
        decode(text, declared(), Limits(depth=50), lambda name: bytes(24))
    except (Malformed, LimitExceeded):
        return False
    return True


@pytest.mark.slow
def test_fuzz_nothing_but_our_errors() -> None:
    assert attempt(WHOLE)
    rng = random.Random(1)
    good = 0
    for _ in range(6000):
        letters = list(WHOLE)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(letters))
            what = rng.random()
            if what < 0.4:
                letters[at] = rng.choice(PIECES)
            elif what < 0.7:
                del letters[at : at + rng.randint(1, 12)]
            else:
                letters.insert(at, rng.choice(PIECES))
        good += attempt("".join(letters))
    assert good
    for _ in range(6000):
        attempt("".join(rng.choice(PIECES) for _ in range(rng.randint(1, 30))))


@pytest.mark.slow
def test_fuzz_the_values_of_a_tree() -> None:
    rng = random.Random(2)
    kinds = [
        None,
        True,
        0,
        -1,
        1,
        2**53 - 1,
        0.5,
        "",
        "w",
        "a.b",
        [],
        {},
        [[]],
        [1, 2],
        {"ref": 1},
        {"id": 1, "list": []},
    ]
    good = 0
    for _ in range(6000):
        top = json.loads(WHOLE)
        spot: Any = top
        while isinstance(spot, dict | list) and spot:
            key = rng.choice(list(spot)) if isinstance(spot, dict) else rng.randrange(len(spot))
            if rng.random() < 0.3 or not isinstance(spot[key], dict | list) or not spot[key]:
                spot[key] = rng.choice(kinds)
                break
            spot = spot[key]
        good += attempt(json.dumps(top))
    assert good > 100


def test_fuzz_whole_scans() -> None:
    rng = random.Random(3)
    verdicts = set()
    for _ in range(400):
        letters = list(WHOLE)
        for _ in range(rng.randint(1, 3)):
            letters[rng.randrange(len(letters))] = rng.choice(PIECES)
        verdicts.add(str(report("".join(letters), USED).verdict))
    assert "unjudged" in verdicts
    assert str(report(WHOLE, USED).verdict) == "clean"
