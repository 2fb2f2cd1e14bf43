"""Programs of torch.export: real ones are silent, hostile ones are told; the hostile ones run in torch, too."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from safeload.containers.descriptions.pt2_payload import HowLoaded, WeightEntry, weights_config
from safeload.containers.descriptions.pt2_program import extern_kernels, pt2_program
from safeload.containers.interface import ImportedName
from safeload.errors import LimitExceeded, Malformed
from safeload.findings import Finding, Verdict
from safeload.limits import Limits

torch = pytest.importorskip("torch")
if not hasattr(torch.export, "pt2_archive"):
    pytest.importorskip("torch.export.pt2_archive")

from tests.containers.pt2_models import MODELS, archive, changed, program_of  # noqa: E402

Program = dict[str, Any]

MINIMAL: Program = {
    "graph_module": {
        "graph": {
            "inputs": [{"as_tensor": {"name": "x"}}],
            "outputs": [{"as_tensor": {"name": "y"}}],
            "nodes": [
                {
                    "target": "torch.ops.aten.sin.default",
                    "inputs": [{"name": "self", "arg": {"as_tensor": {"name": "x"}}, "kind": 1}],
                    "outputs": [{"as_tensor": {"name": "y"}}],
                    "metadata": {"stack_trace": "File 'x', line 1\nimport os"},
                }
            ],
            "tensor_values": {
                "x": {
                    "dtype": 7,
                    "sizes": [{"as_expr": {"expr_str": "Symbol('s0', integer=True)", "hint": {"as_int": 3}}}],
                    "requires_grad": False,
                    "device": {"type": "cpu", "index": None},
                    "strides": [{"as_int": 1}],
                    "storage_offset": {"as_int": 0},
                    "layout": 7,
                }
            },
            "sym_int_values": {},
            "sym_bool_values": {},
        },
        "signature": {"input_specs": [], "output_specs": []},
        "module_call_graph": [],
    },
    "opset_version": {"aten": 10},
    "range_constraints": {"s0": {"min_val": 2, "max_val": None}},
    "schema_version": {"major": 8, "minor": 20},
    "verifiers": ["TRAINING"],
    "torch_version": "2.13.0",
    "guards_code": ["L['x'].size()[0] == 3"],
}


def judged(program: Program | bytes) -> list[Finding | ImportedName]:
    data = program if isinstance(program, bytes) else json.dumps(program).encode()
    return list(pt2_program(data, "models/model.json", Limits()))


def edited(*path: str | int, value: Any) -> Program:
    """MINIMAL with another value at `path`."""
    program: Program = json.loads(json.dumps(MINIMAL))
    place: Any = program
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return program


def _told(found: Finding | ImportedName) -> tuple[str, Verdict]:
    assert isinstance(found, Finding)
    return found.rule, found.verdict


def only(found: list[Finding | ImportedName]) -> tuple[str, Verdict]:
    (finding,) = found
    assert isinstance(finding, Finding)
    assert finding.member == "models/model.json"
    assert finding.offset is not None
    return finding.rule, finding.verdict


NODE = ("graph_module", "graph", "nodes", 0)
SIZE = ("graph_module", "graph", "tensor_values", "x", "sizes")


@pytest.mark.parametrize("name", MODELS)
def test_real_programs_are_silent(name: str, tmp_path: Path) -> None:
    path = archive(name, tmp_path / "model.pt2")
    assert judged(program_of(path)) == []


def test_the_minimal_program_is_silent() -> None:
    assert judged(MINIMAL) == []


@pytest.mark.parametrize(
    ("program", "rule"),
    [
        (edited(*SIZE, value=[{"as_expr": {"expr_str": "open('x')"}}]), "pt2-expression"),
        (edited(*SIZE, value=[{"as_int": "open('x')"}]), "pt2-expression"),
        (edited(*SIZE, 0, "as_expr", "hint", value={"as_int": "open('x')"}), "pt2-expression"),
        (edited("guards_code", value=["open('x') is None"]), "pt2-expression"),
        (edited("range_constraints", value={"open('x')": {"min_val": 1, "max_val": 2}}), "pt2-expression"),
        (edited("range_constraints", value={"u99999999": {"min_val": 1, "max_val": 2}}), "pt2-expression"),
        (edited("graph_module", "graph", "inputs", value=[{"as_tensor": {"name": "x=open('x')"}}]), "pt2-name"),
        (edited(*NODE, "outputs", value=[{"as_tensor": {"name": "y; import os"}}]), "pt2-name"),
        (edited(*NODE, "name", value="y\nimport os"), "pt2-name"),
        (edited(*NODE, "inputs", 0, "name", value="a=open('x'), b"), "pt2-name"),
        (
            edited(
                "graph_module", "signature", "input_specs",
                value=[{"parameter": {"arg": {"name": "p"}, "parameter_name": 'l", 0) or open("x'}}],
            ),
            "pt2-name",
        ),
        (edited(*NODE, "target", value="torch.os.system"), "pt2-target"),
        (edited(*NODE, "target", value="torchx.os.system"), "pt2-target"),
        (edited(*NODE, "target", value="_operator.methodcaller"), "pt2-target"),
        (edited(*NODE, "target", value="math.__loader__.load_module"), "pt2-target"),
        (edited(*NODE, "target", value="torch.ops.load_library"), "pt2-target"),
        (edited(*NODE, "target", value="torch.ops.aten.__class__.mro"), "pt2-target"),
        (edited(*NODE, "target", value="torch.ops.aten.save.default"), "pt2-target"),
        (edited(*NODE, "inputs", 0, "arg", value={"as_operator": "torch.os.system"}), "pt2-target"),
    ],
)  # fmt: skip
def test_what_torch_would_run_is_dangerous(program: Program, rule: str) -> None:
    assert only(judged(program)) == (rule, Verdict.DANGEROUS)


@pytest.mark.parametrize(
    ("program", "rule", "verdict"),
    [
        (edited(*NODE, "target", value="torch.ops.mylib.foo.default"), "pt2-custom-op", Verdict.UNVETTED),
        (edited(*NODE, "target", value="#ext:foo"), "pt2-custom-op", Verdict.UNVETTED),
        (edited(*NODE, "target", value="torch.ops.higher_order.call_torchbind"), "pt2-custom-op", Verdict.UNVETTED),
        (
            edited(
                "graph_module", "graph", "inputs", value=[{"as_custom_obj": {"name": "o", "class_fqn": "__torch__.C"}}]
            ),
            "pt2-custom-object",
            Verdict.UNVETTED,
        ),
        (edited("later", value={"codes": [1, {"run": "open('x')"}]}), "pt2-unknown-field", Verdict.UNJUDGED),
        (edited(*NODE, "guard", value="x"), "pt2-unknown-field", Verdict.UNJUDGED),
        (edited(*NODE, "target", value=7), "pt2-program-form", Verdict.UNJUDGED),
        (edited(*NODE, "target", value={"a": "b"}), "pt2-program-form", Verdict.UNJUDGED),
        (edited("guards_code", value={"a": 1}), "pt2-program-form", Verdict.UNJUDGED),
    ],
)
def test_what_is_outside_the_tables_is_told(program: Program, rule: str, verdict: Verdict) -> None:
    found = judged(program)
    assert (found[0].rule, found[0].verdict) == (rule, verdict)  # type: ignore[union-attr]


def test_new_fields_without_text_are_silent() -> None:
    assert judged(edited("later", value={"a": [1, True, None, 2.5], "b": {}})) == []


def test_a_key_that_stands_twice_hides_nothing() -> None:
    data = json.dumps(MINIMAL).encode()
    twice = data.replace(b'"torch.ops.aten.sin.default"', b'"torch.os.system", "target": "torch.ops.aten.sin.default"')
    assert [found.rule for found in judged(twice) if isinstance(found, Finding)] == ["pt2-target"]


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b'"x"', b"7", b"null", b"\xff\xfe", b'{"a" 1}', b"[" * 100_000])
def test_other_bytes_are_not_silent_or_refused(data: bytes) -> None:
    try:
        found = judged(data)
    except (Malformed, LimitExceeded):
        return
    assert found


def specified(spec: Any, key: str = "out_spec") -> Program:
    """MINIMAL with a specification of arguments."""
    signature = {"inputs": [], "outputs": [], "in_spec": "[1, null]", "out_spec": "[1, null]"}
    signature[key] = spec if isinstance(spec, str) else json.dumps([1, spec])
    return edited("graph_module", "module_call_graph", value=[{"fqn": "", "signature": signature}])


def container(kind: str, context: Any, *children: Any) -> dict[str, Any]:
    return {"type": kind, "context": context, "children_spec": list(children)}


def factory(module: str, name: str) -> dict[str, Any]:
    return {"default_factory_module": module, "default_factory_name": name, "dict_context": ["a"]}


def test_what_a_specification_imports_is_named() -> None:
    nested = container("builtins.list", "null", container("collections.defaultdict", factory("os", "system")))
    (named,) = judged(specified(nested))
    assert isinstance(named, ImportedName)
    assert (named.module, named.name) == ("os", "system")
    enum = json.dumps([{"fqn": "evil:Enum", "__enum__": True, "name": "A"}])
    for context in (enum, " \n" + enum):
        (named,) = judged(specified(container("builtins.dict", context)))
        assert isinstance(named, ImportedName)
        assert (named.module, named.name) == ("evil", "Enum")
    assert judged(specified(container("collections.defaultdict", factory("builtins", "list")))) == []


def test_the_class_that_a_node_imports_is_named() -> None:
    caller = "torch.export.custom_ops._call_custom_autograd_function_in_pre_dispatch"
    node = {
        "inputs": [{"name": "", "arg": {"as_string": "os.system"}}, {"name": "", "arg": {"as_string": "x.y"}}],
        "target": caller,
        "outputs": [],
        "metadata": {},
    }
    (named,) = judged(edited(*NODE, value=node))
    assert isinstance(named, ImportedName)
    assert (named.module, named.name) == ("os", "system")
    assert only(judged(edited(*NODE, "inputs", 0, "arg", value={"as_operator": caller}))) == (
        "pt2-target",
        Verdict.DANGEROUS,
    )


def test_operators_that_a_library_calls_back_for_are_judged_alike() -> None:
    def kernels(target: str) -> list[Finding | ImportedName]:
        node = {"target": target, "inputs": [], "outputs": [], "metadata": {}}
        return list(extern_kernels(json.dumps({"nodes": [{"name": "buf0", "node": node}]}).encode(), "x", Limits()))

    assert kernels("torch.ops.aten.sin.default") == []
    assert kernels("aten::sin.out") == []
    assert [_told(found) for found in kernels("torchvision::nms")] == [("pt2-custom-op", Verdict.UNVETTED)]
    assert only(judged(edited(*NODE, "target", value="torchx::y.load"))) == ("pt2-target", Verdict.DANGEROUS)
    assert [_told(found) for found in kernels("torch.ops.mylib.foo.default")] == [("pt2-custom-op", Verdict.UNVETTED)]
    assert [_told(found) for found in kernels("torch.os.system")] == [("pt2-target", Verdict.DANGEROUS)]


def test_names_of_keyword_arguments_are_names() -> None:
    def call(key: str) -> Program:
        arguments = container("builtins.tuple", "null"), container("builtins.dict", json.dumps([key]))
        return specified(container("builtins.tuple", "null", *arguments), "in_spec")

    assert judged(call("scale")) == []
    assert only(judged(call("a=open('x')"))) == ("pt2-name", Verdict.DANGEROUS)


@pytest.mark.parametrize("spec", ["", "x", '"x"', "[1, {]", '[1, {"type": 1, "type": 2}]'])
def test_specifications_that_cannot_be_read_are_unjudged(spec: str) -> None:
    found = judged(specified(spec))
    if spec != '"x"':  # read to its end, and it imports nothing
        assert only(found) == ("pt2-program-form", Verdict.UNJUDGED)


# The same attacks in torch itself, so that the table is a table of what happens.


def hostile_size(program: Program, call: str) -> None:
    for value in program["graph_module"]["graph"]["tensor_values"].values():
        for size in value["sizes"]:
            if "as_expr" in size:
                size["as_expr"]["expr_str"] = f"[{call}, {size['as_expr']['expr_str']}][1]"


def hostile_name(program: Program, call: str) -> None:
    old = program["graph_module"]["graph"]["inputs"][-1]["as_tensor"]["name"]
    text = json.dumps(program).replace(json.dumps(old), json.dumps(f"x=({call}, 1)[1]"))
    program.clear()
    program.update(json.loads(text))


def hostile_guard(program: Program, call: str) -> None:
    program["guards_code"] = [f"{call} is None"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("attack", [hostile_size, hostile_name, hostile_guard])
def test_torch_runs_what_is_called_dangerous(attack: Callable[[Program, str], None], tmp_path: Path) -> None:
    marker = tmp_path / "MARKER"
    path = archive("linear", tmp_path / "plain.pt2")
    program = json.loads(program_of(path))
    attack(program, f"open({str(marker)!r}, 'w').close()")
    hostile = changed(path, tmp_path / "hostile.pt2", program)
    found = judged(program_of(hostile))
    assert found
    assert {item.verdict for item in found if isinstance(item, Finding)} == {Verdict.DANGEROUS}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = torch.export.load(str(hostile))
        if attack is hostile_guard:
            loaded.module()(torch.ones(6, 4))
    assert marker.exists()


# Configurations of weights and constants.


def meta(**change: Any) -> dict[str, Any]:
    return {
        "dtype": 7, "sizes": [{"as_int": 2}, {"as_int": 3}], "requires_grad": True,
        "device": {"type": "cpu", "index": None}, "strides": [{"as_int": 3}, {"as_int": 1}],
        "storage_offset": {"as_int": 0}, "layout": 7, **change,
    }  # fmt: skip


def configured(**entries: Any) -> bytes:
    return json.dumps({"config": entries}).encode()


def entry(path: str = "weight_0", tensor_meta: Any = None, **change: Any) -> dict[str, Any]:
    shape = meta() if tensor_meta is None else tensor_meta
    return {"path_name": path, "is_param": True, "use_pickle": False, "tensor_meta": shape, **change}


def test_entries_tell_where_tensors_lie() -> None:
    found = weights_config(configured(w=entry(), o=entry("opaque_obj_0", "") | {"tensor_meta": None}), "", Limits())
    assert found == (
        WeightEntry("w", "weight_0", True, False, HowLoaded.RAW, "float32", (2, 3), (3, 1), 0, True),
        WeightEntry("o", "opaque_obj_0", True, False, HowLoaded.PICKLE),
    )
    (pickled,) = weights_config(configured(w=entry(use_pickle=True)), "", Limits())
    assert (pickled.reading, pickled.use_pickle) == (HowLoaded.TORCH, True)
    assert weights_config(b'{"config": {}}', "", Limits()) == ()


def test_real_configurations_are_read(tmp_path: Path) -> None:
    import zipfile

    path = archive("linear", tmp_path / "model.pt2")
    with zipfile.ZipFile(path) as source:
        weights = weights_config(source.read("model/data/weights/model_weights_config.json"), "", Limits())
        constants = weights_config(source.read("model/data/constants/model_constants_config.json"), "", Limits())
    assert [(item.name, item.path, item.sizes, item.strides) for item in weights] == [
        ("linear.weight", "weight_0", (4, 4), (4, 1)),
        ("linear.bias", "weight_1", (4,), (1,)),
    ]
    assert constants == ()


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{}", b"[]", b'{"config": []}', b'{"config": {"w": 1}}', b'{"config": {"w": {}}}',
        configured(w=entry("../models/weight_0")), configured(w=entry("/weight_0")), configured(w=entry("a/weight_0")),
        configured(w=entry("weight_0/../x")), configured(w=entry("weight_\u0660")), configured(w=entry("other_0")),
        configured(w=entry(use_pickle="no")), configured(w=entry(is_param=None)),
        configured(w=entry(tensor_meta=meta(sizes=[{"as_int": -1}]))),
        configured(w=entry(tensor_meta=meta(sizes=[{"as_expr": {"expr_str": "s0"}}]))),
        configured(w=entry(tensor_meta=meta(sizes=[{"as_int": 2}]))),
        configured(w=entry(tensor_meta=meta(dtype=99))), configured(w=entry(tensor_meta=meta(layout=1))),
        configured(w=entry(tensor_meta=meta(dtype="7"))), configured(w=entry(tensor_meta=meta(more=1))),
        configured(w=entry(tensor_meta={})), configured(w=entry() | {"tensor_meta": None}),
        configured(w=entry())[:-1] + b', "x": 1}', b'{"config": {"w": 1, "w": 2}}',
    ],
)  # fmt: skip
def test_other_configurations_are_malformed(data: bytes) -> None:
    if data == b"{}":
        with pytest.raises(Malformed):
            weights_config(data, "", Limits())
        return
    with pytest.raises(Malformed):
        weights_config(data, "", Limits())
