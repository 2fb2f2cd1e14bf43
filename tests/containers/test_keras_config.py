"""keras_config: everything that a Keras would import or run is named, and what Keras itself writes is quiet."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import zipfile
from importlib.util import find_spec

import pytest

from safeload.containers.descriptions.keras_config import keras_config
from safeload.containers.descriptions.keras_names import CLASSES, FUNCTIONS
from safeload.containers.interface import ImportedName
from safeload.errors import LimitExceeded, Malformed
from safeload.findings import Finding
from safeload.limits import Limits

LIMITS = Limits()
DENSE = {"module": "keras.layers", "class_name": "Dense", "config": {"units": 2}, "registered_name": None}


def judged(config):
    data = config if isinstance(config, bytes) else json.dumps(config).encode()
    return [
        (part.rule, str(part.verdict), part.name) if isinstance(part, Finding) else ("named", part.module, part.name)
        for part in keras_config(data, "config.json", LIMITS)
    ]


def inside(layer):
    """A model that holds `layer` deep within."""
    wrapped = {"module": "keras.layers", "class_name": "TimeDistributed", "config": {"layer": layer}}
    return {"class_name": "Sequential", "module": "keras", "config": {"layers": [DENSE, wrapped]}}


def function(module, name, registered="function"):
    return {"module": module, "class_name": "function", "config": name, "registered_name": registered}


def layer(module, name, registered=None, /, **config):
    return {"module": module, "class_name": name, "config": config, "registered_name": registered}


DANGEROUS = [
    (layer("keras.layers", "Lambda"), "keras-lambda", "keras.layers.Lambda"),
    (
        layer("keras.src.layers.core.lambda_layer", "Lambda"),
        "keras-lambda",
        "keras.src.layers.core.lambda_layer.Lambda",
    ),
    (layer("tensorflow.keras.layers", "Lambda"), "keras-lambda", "tensorflow.keras.layers.Lambda"),
    ({"class_name": "Lambda", "config": {"function": ["4wEA", None, None]}}, "keras-lambda", "Lambda"),
    ({"class_name": "__lambda__", "config": {"value": ["4wEA", None, None]}}, "keras-lambda", "__lambda__"),
    (layer("keras.layers", "TFSMLayer", filepath="x"), "keras-lambda", "keras.layers.TFSMLayer"),
    (layer("keras.layers", "TorchModuleWrapper", module="gAS"), "keras-lambda", "keras.layers.TorchModuleWrapper"),
    ({"class_name": "TensorFlowOpLayer", "config": {}}, "keras-lambda", "TensorFlowOpLayer"),
    (function("os", "system", "system"), "keras-foreign-code", "os.system"),
    (function("io", "open"), "keras-foreign-code", "io.open"),
    (function("builtins", "exec", "exec"), "keras-foreign-code", "builtins.exec"),
    (function("builtins", "nothing", "eval"), "keras-foreign-code", "builtins.eval"),
    (function("keras.utils", "get_file"), "keras-foreign-code", "keras.utils.get_file"),
    (function("keras.saving", "load_model"), "keras-foreign-code", "keras.saving.load_model"),
    (function("keras.layers", "deserialize"), "keras-foreign-code", "keras.layers.deserialize"),
    (
        function("keras.src.utils.python_utils", "func_load"),
        "keras-foreign-code",
        "keras.src.utils.python_utils.func_load",
    ),
    (layer("keras.src.utils.file_utils", "rmtree"), "keras-foreign-code", "keras.src.utils.file_utils.rmtree"),
    (layer("keras.layers", "Nothing", "deserialize"), "keras-foreign-code", "keras.layers.deserialize"),
    (layer("subprocess", "Popen", "mine>Popen"), "keras-foreign-code", "subprocess.Popen"),
    (layer("project.layers", "Mine"), "keras-foreign-code", "project.layers.Mine"),
    (layer("a b", "Mine", "mine>Mine"), "keras-foreign-code", "a b.Mine"),
    (layer("keras\u200b.layers", "Dense"), "keras-foreign-code", "keras\u200b.layers.Dense"),
    (layer("kerasx.layers", "Dense"), "keras-foreign-code", "kerasx.layers.Dense"),
    (
        {"class_name": "__typespec__", "spec_name": "system", "module": "os", "config": [], "registered_name": None},
        "keras-foreign-code",
        "os.system",
    ),
    (
        {"class_name": "TFOpLambda", "config": {"function": "io.write_file"}},
        "keras-foreign-code",
        "TFOpLambda of io.write_file",
    ),
]


@pytest.mark.parametrize(("config", "rule", "name"), DANGEROUS)
def test_what_runs_code_is_dangerous(config, rule, name):
    for whole in (
        config,
        inside(config),
        {**DENSE, "build_config": config},
        {**DENSE, "compile_config": {"loss": config}},
    ):
        assert (rule, "dangerous", name) in judged(whole)


def test_function_as_a_layer_that_is_called():
    call = {**function("io", "open"), "name": "m", "inbound_nodes": [{"args": ["MARKER", "w"], "kwargs": {}}]}
    inner = {"module": "keras.models", "class_name": "Model", "config": {"layers": [call]}, "registered_name": None}
    assert judged(inside(inner)) == [("keras-foreign-code", "dangerous", "io.open")]


def test_what_needs_code_of_the_user_is_unvetted():
    assert judged(layer("project.layers", "Mine", "project>Mine")) == [
        ("keras-custom-object", "unvetted", "project.layers.Mine"),
        ("named", "project.layers", "Mine"),
    ]
    assert judged(layer(None, "Mine", "Mine")) == [("keras-custom-object", "unvetted", "Mine")]
    assert judged({"class_name": "Custom>Mine", "config": {}}) == [("keras-custom-object", "unvetted", "Custom>Mine")]
    assert judged(layer("keras.layers", "Dense", "mine>Dense")) == [
        ("keras-custom-object", "unvetted", "keras.layers.Dense")
    ]
    assert judged(layer("keras.layers", "OfTomorrow")) == [
        ("keras-custom-object", "unvetted", "keras.layers.OfTomorrow")
    ]
    assert judged(function("builtins", "my_loss", "my_loss")) == [
        ("keras-custom-object", "unvetted", "builtins.my_loss")
    ]
    assert judged(layer("keras.layers", "StringLookup", vocabulary="/etc/passwd")) == [
        ("keras-reads-file", "unvetted", "keras.layers.StringLookup")
    ]


@pytest.mark.parametrize(
    "config",
    [
        DENSE,
        inside(DENSE),
        {
            "class_name": "Sequential",
            "config": [{"class_name": "Dense", "config": {"units": 1}}],
            "keras_version": "2.3",
        },
        layer("tf_keras.layers", "Dense"),
        layer("keras.api._v2.keras.layers", "Dense"),
        layer("keras.src.models.functional", "Functional", "Functional"),
        layer("keras.src.ops.numpy", "Add", "Add"),
        layer("keras.layers", "StringLookup", vocabulary=["a", "b"]),
        function("builtins", "relu", "relu"),
        function("keras.activations", "gelu", "gelu"),
        {"class_name": "__tensor__", "config": {"value": [1], "dtype": "float32"}},
        {"class_name": "TFOpLambda", "config": {"function": "math.add"}},
        {"class_name": "__typespec__", "spec_name": "TensorSpec", "module": "tensorflow.python.framework.tensor"},
        {"a": [1, None, "x", {"b": []}]},
        {"module": "os", "config": "no object of Keras: it has no class_name"},
    ],
)
def test_what_keras_writes_is_quiet(config):
    assert judged(config) == []


def test_equal_keys_and_their_order():
    text = b'{"config": {}, "class_name": "Lambda", "class_name": "Dense", "module": "keras.layers", "module": "os"}'
    assert {name for _, _, name in judged(text)} == {"keras.layers.Lambda", "os.Dense", "os.Lambda"}
    assert judged(b'{"\\u0063lass_name": "Lambd\\u0061"}') == [("keras-lambda", "dangerous", "Lambda")]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_encodings(encoding):
    text = "   " + json.dumps(inside(layer("os", "system")))
    assert judged(text.encode(encoding)) == [("keras-foreign-code", "dangerous", "os.system")]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b'{"class_name": "Dense"',
        b'{"class_name": {"a": 1}}',
        b'{"class_name": 1}',
        b'{"class_name": ["Lambda"]}',
        b'{"a": "\xff"}',
        b"{'class_name': 'Lambda'}",
        json.dumps(DENSE).encode() + b"x",
        b"{" + b",".join(b'"class_name": "a%d", "module": "b%d"' % (n, n) for n in range(9)) + b"}",
    ],
)
def test_what_is_not_understood_is_malformed(data):
    with pytest.raises(Malformed):
        judged(data)


def test_limits():
    with pytest.raises(LimitExceeded):
        judged(b'{"config":' * 100_000)
    with pytest.raises(LimitExceeded) as error:
        judged([{"class_name": f"A{n}", "config": {}} for n in range(1001)])
    assert error.value.limit == "findings"
    assert judged([layer("os", "system")] * 2000) == [("keras-foreign-code", "dangerous", "os.system")]


def test_names_of_any_kind_are_told_in_print():
    [(_, _, name)] = judged({"class_name": "Lambda\ud800" + "x" * 10_000, "module": "os\0"})
    assert name.encode()
    assert len(name) < 300


def test_hostile_bytes():
    text = json.dumps([entry[0] for entry in DANGEROUS] + [inside(DENSE)]).encode()
    chance = random.Random(3)
    for _ in range(400):
        broken = bytearray(text)
        for _ in range(chance.randint(1, 4)):
            broken[chance.randrange(len(broken))] = chance.choice(b'"{}[],:\\x\0\xff')
        try:
            judged(bytes(broken))
        except (Malformed, LimitExceeded):
            continue


def test_the_table_names_nothing_that_runs_or_reads():
    names = frozenset().union(*CLASSES.values(), *FUNCTIONS.values())
    for each in (
        "Lambda",
        "TFSMLayer",
        "TorchModuleWrapper",
        "get_file",
        "load_model",
        "deserialize",
        "get",
        "Function",
    ):
        assert each not in names
    assert "convert_to_tensor" in names


WRITE = """
import keras, sys
L = keras.layers
i = keras.Input((8, 4))
x = L.Bidirectional(L.GRU(2, return_sequences=True))(i)
x = L.MultiHeadAttention(2, 4)(x, x) + keras.ops.mean(x)
x = keras.ops.concatenate([x, x], axis=-1)
x = L.Dense(3, activation=keras.activations.gelu, kernel_initializer=keras.initializers.HeNormal())(x)
model = keras.Model(i, L.TimeDistributed(L.Dense(2, kernel_regularizer="l2", activation="relu"))(x))
model.compile(
    keras.optimizers.AdamW(keras.optimizers.schedules.CosineDecay(0.1, 10)),
    loss=keras.losses.Huber(),
    metrics=[keras.metrics.AUC(), keras.metrics.mean_absolute_error, "accuracy"],
)
model.save(sys.argv[1])
model = keras.Sequential([i, L.Lambda(lambda x: print("marker") or x, output_shape=(8, 4))])
model.save(sys.argv[2])
try:
    keras.models.load_model(sys.argv[2])
except ValueError:
    print("refused")
keras.models.load_model(sys.argv[2], safe_mode=False)(keras.ops.ones((1, 8, 4)))
"""


@pytest.mark.skipif(not find_spec("keras") or not find_spec("torch"), reason="keras and torch are not installed")
def test_against_keras(tmp_path):
    plain, runs = tmp_path / "plain.keras", tmp_path / "runs.keras"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WRITE, str(plain), str(runs)],
        env={**os.environ, "KERAS_BACKEND": "torch"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "refused" in done.stdout
    assert "marker" in done.stdout.partition("refused")[2]
    with zipfile.ZipFile(plain) as archive:
        assert judged(archive.read("config.json")) == []
    with zipfile.ZipFile(runs) as archive:
        assert judged(archive.read("config.json")) == [
            ("keras-lambda", "dangerous", "__lambda__"),
            ("keras-lambda", "dangerous", "keras.layers.Lambda"),
        ]


def test_a_named_object_is_for_the_policy():
    parts = list(keras_config(json.dumps(layer("p.q", "R", "p>R")).encode(), "config.json", LIMITS))
    assert parts[1] == ImportedName("p.q", "R", "Keras before 3.9 imports it", "config.json", 0, "p>R")
