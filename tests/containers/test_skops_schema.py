"""skops_schema: every name that skops would import goes to the policy, whatever a node is called or holds."""

from __future__ import annotations

import collections
import functools
import io
import json
import operator
import os
import random
import zipfile

import pytest

from safeload.containers.descriptions.skops_schema import skops_schema
from safeload.containers.interface import ImportedName
from safeload.errors import LimitExceeded, Malformed
from safeload.findings import Finding
from safeload.limits import Limits

LIMITS = Limits()


def node(loader, module, name, **more):
    return {"__class__": name, "__module__": module, "__loader__": loader, **more}


def judged(root, **more):
    data = root if isinstance(root, bytes) else json.dumps({**root, "protocol": 2, **more}).encode()
    return [
        (part.rule, str(part.verdict)) if isinstance(part, Finding) else f"{part.module}.{part.name}"
        for part in skops_schema(data, "schema.json", LIMITS)
    ]


UNKNOWN = ("skops-unknown-node", "unjudged")
LIST = node("ListNode", "builtins", "list", content=[])
IMPORTING = "ConstructorFromReduce Dict Function List Loss NdArray Object Set Tuple Type"


@pytest.mark.parametrize("loader", IMPORTING.split())
def test_every_node_that_imports_names_it(loader):
    evil = node(f"{loader}Node", "os", "system")
    wraps = [
        evil,
        node("ListNode", "builtins", "list", content=[LIST, evil]),
        node("DictNode", "builtins", "dict", content={"__class__": evil}, key_types=LIST),
        node("PartialNode", "functools", "partial", content={"func": evil, "args": LIST, "kwds": LIST}),
        node("LossNode", "sklearn._loss", "Loss", content=LIST, __reduce__={"args": evil}),
        {**LIST, "anything": {"at": [[evil]]}},
    ]
    for wrapped in wraps:
        assert "os.system" in judged(wrapped)


def test_what_nodes_reach_beside_their_class():
    assert judged(node("OperatorFuncNode", "operator", "call", attrs=LIST)) == ["operator.call"]
    assert judged(node("OperatorFuncNode", "x", "call", attrs=LIST)) == ["x.call", "operator.call"]
    assert judged(node("TreeNode", "a", "B")) == ["a.B", "sklearn.tree._tree.Tree"]
    old = node("FunctionNode", "numpy", "ufunc", content={"module_path": "os", "function": "system"})
    assert judged(old, protocol=0) == ["numpy.ufunc", "os.system"]
    method = node("MethodNode", "a", "B", content={"func": "run", "obj": node("ObjectNode", "a", "B")})
    assert judged(method) == ["a.B", "a.B.run"]
    method["content"]["func"] = "__globals__"
    assert judged(method) == ["a.B", ("skops-reaches-inside", "dangerous")]
    del method["content"]["func"]
    assert judged(method) == ["a.B", UNKNOWN]


def test_a_bit_generator_is_named():
    def generator(name):
        json_node = node("JsonNode", "builtins", "str", content=json.dumps(name), is_json=True)
        state = node("DictNode", "builtins", "dict", content={"bit_generator": json_node}, key_types=LIST)
        return node(
            "RandomGeneratorNode",
            "numpy.random._generator",
            "Generator",
            content={"bit_generator": state, "seed_seq": LIST},
        )

    assert judged(generator("PCG64")) == []
    assert judged(generator("seed")) == ["numpy.random.seed"]
    assert judged(generator(1)) == [UNKNOWN]
    bare = node("RandomGeneratorNode", "numpy.random._generator", "Generator", content={"bit_generator": {}})
    assert judged(bare) == [UNKNOWN]
    bare["content"]["bit_generator"]["bit_generator"] = "seed"
    assert judged(bare, protocol=0) == ["numpy.random.seed"]


@pytest.mark.parametrize(
    ("root", "more"),
    [
        (node("NewNode", "builtins", "list"), {}),
        ({"__class__": "list", "__module__": "builtins"}, {}),
        ({"__loader__": "ListNode", "__module__": "builtins"}, {}),
        ({"__loader__": "ListNode", "__module__": "builtins", "__class__": None}, {}),
        (LIST, {"protocol": 3}),
        (LIST, {"protocol": True}),
        (LIST, {"protocol": "2"}),
        (LIST, {"protocol": None}),
    ],
)
def test_what_skops_would_not_know_is_unjudged(root, more):
    assert UNKNOWN in judged(root, **more)


def test_a_schema_without_protocol():
    assert judged(json.dumps(LIST).encode()) == [UNKNOWN]
    assert judged(b"[]") == [UNKNOWN]


def test_equal_keys_and_escapes():
    text = b'{"__module__": "os", "__module__": "a", "__loader__": "TypeNode", "__class__": "b", "protocol": 2}'
    assert judged(text) == ["a.b", "os.b"]
    text = b'{"\\u005f_class__": "syste\\u006d", "__module__": "os", "__loader__": "TypeNode", "protocol": 2}'
    assert judged(text) == ["os.system"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32-be"])
def test_encodings(encoding):
    root = {**node("TypeNode", "os", "system"), "protocol": 2}
    assert judged(("  " + json.dumps(root)).encode(encoding)) == ["os.system"]


def test_where_and_why():
    data = json.dumps({"protocol": 2, "a": node("ObjectNode", "a", "B")}).encode()
    [part] = skops_schema(data, "schema.json", LIMITS)
    assert part == ImportedName(
        "a", "B", "skops imports it and builds an object of it from the file", "schema.json", 21, "ObjectNode"
    )


def test_limits_and_damage():
    with pytest.raises(LimitExceeded):
        judged(b'{"content":' * 100_000)
    with pytest.raises(LimitExceeded) as error:
        judged({**LIST, "content": [node("TypeNode", "a", f"b{n}") for n in range(1001)]})
    assert error.value.limit == "findings"
    with pytest.raises(Malformed):
        judged(b"{" + b",".join(b'"__class__": "a%d", "__loader__": "b%d"' % (n, n) for n in range(9)) + b"}")
    for broken in (b"", b"{", b"{'a': 1}", b'{"a": "\xff"}', json.dumps(LIST).encode() + b"]"):
        with pytest.raises(Malformed):
            judged(broken)
    text = json.dumps({**node("ObjectNode", "a", "B", content=LIST), "protocol": 2}).encode()
    chance = random.Random(4)
    for _ in range(1500):
        damaged = bytearray(text)
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.choice(b'"{}[],:\\x\0\xff')
        try:
            judged(bytes(damaged))
        except (Malformed, LimitExceeded):
            continue


def real_objects():
    import numpy
    from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import SGDClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    values = numpy.random.default_rng(1).random((20, 2))
    labels = (values[:, 0] > 0.5).astype(int)
    yield make_pipeline(StandardScaler(), SGDClassifier()).fit(values, labels)
    yield RandomForestClassifier(2).fit(values, labels)
    yield GradientBoostingClassifier(n_estimators=2).fit(values, labels)
    yield FunctionTransformer(os.system)
    yield functools.partial(numpy.add, 1)
    yield random.Random(1).random
    yield operator.methodcaller("run")
    yield collections.defaultdict(list, a=[1, {2}, (3,), b"4", bytearray(b"5"), slice(6), 7.5])
    yield [int, os.getcwd, dict, numpy.float32, numpy.dtype("f4"), numpy.float64(1)]
    yield [numpy.random.default_rng(1), numpy.random.RandomState(1), numpy.ma.array([1, 2], mask=[0, 1])]
    yield numpy.array([1, "a", None], dtype=object)


def test_a_superset_of_what_skops_asks_to_trust():
    sio = pytest.importorskip("skops.io")
    asked = set()
    for thing in real_objects():
        try:
            data = sio.dumps(thing)
        except Exception:
            continue
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            found = judged(archive.read("schema.json"))
        assert all(isinstance(each, str) for each in found)
        untrusted = set(sio.get_untrusted_types(data=data))
        assert untrusted <= set(found)
        asked |= untrusted
    assert {
        "posix.system",
        "functools.partial",
        "operator.methodcaller",
        "sklearn.tree._tree.Tree",
        "numpy.dtype",
    } <= asked
