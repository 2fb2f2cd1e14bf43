"""Folders that a server takes: MLflow, SageMaker, TorchServe, SavedModel, NeMo, Keras."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from safeload.limits import Limits
from safeload.report import Report

Judged = Callable[..., Report]


def rules(report: Report) -> list[tuple[str, str]]:
    return [(finding.rule, finding.member) for finding in report.findings]


def flavor(**pairs: str) -> str:
    lines = "".join(f"    {key}: {value}\n" for key, value in pairs.items())
    return f"flavors:\n  python_function:\n{lines}mlflow_version: 2.9\n"


@pytest.mark.parametrize(
    ("model", "files", "expected", "verdict"),
    [
        (flavor(loader_module="mlflow.sklearn"), [], [], "clean"),
        (flavor(loader_module="os"), [], [("runs-programs", "MLmodel")], "dangerous"),
        (flavor(loader_module='"\\x6fs"'), [], [("runs-programs", "MLmodel")], "dangerous"),
        (flavor(loader_module="my_loader"), [], [("unknown-global", "MLmodel")], "unvetted"),
        (flavor(loader_module="my_loader"), ["code/my_loader.py"], [("folder-code", "code/my_loader.py")], "unvetted"),
        (flavor(loader_module="mlflow.projects"), [], [("folder-code", "MLmodel")], "unvetted"),
        (
            flavor(loader_module="mlflow.sklearn", code="code"),
            ["code/a.py"],
            [("folder-code", "code/a.py")],
            "unvetted",
        ),
        (flavor(loader_module="mlflow.sklearn", code="code"), [], [("folder-code", "MLmodel")], "unvetted"),
        (
            flavor(loader_module="mlflow.sklearn", code="code"),
            ["code/numpy.py"],
            [("package-shadows", "code/numpy.py"), ("folder-code", "code/numpy.py")],
            "dangerous",
        ),
        (flavor(code="."), ["any.py"], [("folder-code", "any.py")], "unvetted"),
        (flavor(code="[a, b]"), ["b/x.py"], [("folder-code", "MLmodel"), ("folder-code", "b/x.py")], "unvetted"),
        (flavor(model_code_path="agent.py"), ["agent.py"], [("folder-code", "agent.py")], "unvetted"),
        (flavor(model_code_path="/home/me/agent.py"), ["agent.py"], [("folder-code", "agent.py")], "unvetted"),
        (flavor(skops_trusted_types="[numpy.dtype]"), [], [("own-trust-list", "MLmodel")], "unvetted"),
        ("loader_module: mlflow.sklearn\nloader_module: os\n", [], [("runs-programs", "MLmodel")], "dangerous"),
        ("a: &x os\nflavors: {f: {loader_module: *x}}\n", [], [("runs-programs", "MLmodel")], "dangerous"),
        ("a: &k loader_module\n*k : os\n", [], [("runs-programs", "MLmodel")], "dangerous"),
        ("---\na: 1\n---\nloader_module: os\n", [], [("runs-programs", "MLmodel")], "dangerous"),
        ("base: &b {loader_module: os}\npython_function:\n  <<: *b\n", [], [("runs-programs", "MLmodel")], "dangerous"),
        ("a: !mine 1\n", [], [("folder-unread", "MLmodel")], "unjudged"),
        (
            "a: !!python/object/apply:os.system [x]\n",
            [],
            [("runs-programs", "MLmodel"), ("folder-unread", "MLmodel")],
            "dangerous",
        ),
        ("a: [\n", [], [("folder-unread", "MLmodel")], "unjudged"),
        ("? [a]\n: 1\n", [], [("folder-unread", "MLmodel")], "unjudged"),
        ("a: " + "[" * 1000, [], [("folder-unread", "MLmodel")], "unjudged"),
        ("a: *never\n", [], [("folder-unread", "MLmodel")], "unjudged"),
        ("a: \x00", [], [("folder-unread", "MLmodel")], "unjudged"),
    ],
)
def test_mlflow(judged: Judged, model: str, files: list[str], expected: list[tuple[str, str]], verdict: str) -> None:
    report = judged({"MLmodel": model, **dict.fromkeys(files, "")}, "mlflow")
    assert (rules(report), report.verdict) == (expected, verdict)


def test_aliases_that_double_are_read_in_no_time(judged: Judged) -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)]
    assert judged({"MLmodel": "\n".join(lines)}, "mlflow").findings == ()


def test_an_mlmodel_over_the_limit_is_unjudged(judged: Judged) -> None:
    report = judged({"MLmodel": "a: 1\n"}, "mlflow", Limits(yaml_bytes=4))
    assert (report.verdict, rules(report)) == ("unjudged", [("folder-unread", "MLmodel")])


def test_sagemaker(judged: Judged) -> None:
    files: dict[str, str | bytes] = {
        "model.pth": b"",
        "code/inference.py": "",
        "code/lib/net.py": "",
        "code/requirements.txt": "x",
        "train.py": "",
    }
    report = judged(files, "sagemaker")
    assert rules(report) == [
        ("folder-code", "code/inference.py"),
        ("folder-code", "code/lib/net.py"),
        ("folder-code", "code/requirements.txt"),
    ]
    assert judged({**files, "code/torch/__init__.py": ""}, "sagemaker").verdict == "dangerous"
    for name in ("code/numpy.so", "code/torch.cpython-311-x86_64-linux-gnu.so", "code/collections.pyc"):
        assert ("package-shadows", name) in rules(judged({**files, name: b""}, "sagemaker"))


def test_torchserve(judged: Judged) -> None:
    manifest = json.dumps({"model": {"modelName": "m", "handler": "h.py", "serializedFile": "m.pt"}})
    report = judged({"MAR-INF/MANIFEST.json": manifest, "h.py": ""}, "torchserve")
    assert rules(report) == [("folder-code", "MAR-INF/MANIFEST.json"), ("folder-code", "h.py")]
    assert rules(judged({"MAR-INF/MANIFEST.json": "{}"}, "torchserve")) == [("folder-code", "MAR-INF/MANIFEST.json")]
    assert judged({"MAR-INF/MANIFEST.json": "{"}, "torchserve").verdict == "unjudged"


def test_a_saved_model_is_a_program(judged: Judged) -> None:
    plain = judged({"saved_model.pb": b"\x08\x01\x12\x06SaveV2", "variables/variables.index": b""}, "saved-model")
    assert (rules(plain), plain.findings[0].evidence) == ([("saved-model", "saved_model.pb")], "")
    assert plain.verdict == "unvetted"


@pytest.mark.parametrize("at", [0, 5, (1 << 20) - 6, (1 << 20) - 1, 3 << 20])
def test_operations_that_leave_the_graph_are_named_wherever_they_stand(judged: Judged, at: int) -> None:
    data = b"\0" * at + b"\x12\x06PyFunc\x12\x09WriteFile" + b"\0" * 100 + b"NoPyFuncs"
    report = judged({"saved_model.pb": data}, "saved-model")
    assert report.findings[0].evidence == "PyFunc, WriteFile"


def test_layers_of_keras_beside_a_graph(judged: Judged) -> None:
    files: dict[str, str | bytes] = {"saved_model.pb": b"", "keras_metadata.pb": b'{"class_name": "Lambda"}'}
    assert rules(judged(files, "saved-model")) == [
        ("folder-code", "keras_metadata.pb"),
        ("saved-model", "saved_model.pb"),
    ] or rules(judged(files, "saved-model")) == [
        ("saved-model", "saved_model.pb"),
        ("folder-code", "keras_metadata.pb"),
    ]


@pytest.mark.parametrize(
    ("text", "expected", "verdict"),
    [
        ("target: nemo.collections.asr.models.EncDecCTCModel\n", [], "clean"),
        ("encoder:\n  _target_: nemo.collections.asr.modules.ConvASREncoder\n", [], "clean"),
        ("a:\n  - b:\n      _target_: os.system\n      command: x\n", ["runs-programs"], "dangerous"),
        ("target: subprocess.run\n", ["runs-programs"], "dangerous"),
        ("opt: {_target_: my.project.Adam}\n", ["unknown-global"], "unvetted"),
        ("sample_rate: 16000\ntarget: none\n", [], "clean"),
    ],
)
def test_nemo(judged: Judged, text: str, expected: list[str], verdict: str) -> None:
    report = judged({"model_config.yaml": text, "model_weights.ckpt": b""}, "nemo-folder")
    assert ([finding.rule for finding in report.findings], report.verdict) == (expected, verdict)


def test_a_configuration_beside_weights_of_nemo_that_cannot_be_read(judged: Judged) -> None:
    assert judged({"model_config.yaml": "a: [", "model_weights.ckpt": b""}, "nemo-folder").verdict == "unjudged"
    assert judged({"model_config.yaml": "a: ["}, "nemo-folder").findings == ()


def test_a_folder_of_keras_has_the_floor_of_its_format(judged: Judged) -> None:
    layer = {"module": "keras.layers", "class_name": "Dense", "config": {"units": 1}, "registered_name": None}
    model = {"module": "keras", "class_name": "Sequential", "config": {"layers": [layer]}, "registered_name": None}
    plain = judged({"config.json": json.dumps(model), "metadata.json": "{}"}, "keras-folder")
    assert (rules(plain), plain.verdict) == ([("keras-model", "config.json")], "unvetted")
    layer["class_name"] = "Lambda"
    assert judged({"config.json": json.dumps(model)}, "keras-folder").verdict == "dangerous"
