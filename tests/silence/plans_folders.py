"""Folders that a loader takes whole, texts that run code or import a neighbour, and checkouts that differ."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator

from tests.silence import kinds
from tests.silence.payloads import PLAIN, PROTO_2, SOURCE, Pair, short
from tests.silence.plan import Files, Plan
from tests.silence.plans_programs import JSON_WAYS, SOURCES, lambda_layer
from tests.silence.polyglots import headed

Members = dict[str, Pair | bytes]


def unit(kind: str, trick: str, loader: str, members: Members, argument: str = "", main: str = "") -> Plan:
    """A folder; with `main` one file of it is what is scanned and loaded."""

    def files(hostile: bool) -> Files:
        return {name: data.of(hostile) if isinstance(data, Pair) else data for name, data in members.items()}

    return Plan(kind, trick, loader, argument, main, files)


def plans() -> Iterator[Plan]:
    yield from unpacked()
    yield from hugging_face()
    yield from other_units()
    yield from templates()
    yield from yaml_files()
    yield from neighbours()
    yield from git()


def unpacked() -> Iterator[Plan]:
    package: Members = dict(kinds.folder_of(kinds.torch_package()))
    for name, way in SOURCES.items():
        yield unit(
            "torch-package-folder", f"source-{name}", "torch-package", {**package, "part.py": SOURCE.map(way)}, "part"
        )
    yield unit(
        "torch-package-folder", "pickle", "torch-package", {**package, "model/model.pkl": PROTO_2}, "model/model.pkl"
    )
    readme = {**package, "model/README.md": headed("text-lines")}
    yield unit("torch-package-folder", "pickle-called-readme", "torch-package", readme, "model/README.md")
    kept = {name: data for name, data in package.items() if name != ".data/python_version"}
    yield unit("torch-package-folder", "without-a-version", "torch-package", {**kept, "part.py": SOURCE}, "part")
    mar: Members = dict(kinds.mar())
    for name in ("plain", "delete-character", "utf-7", "carriage-return"):
        yield unit("mar-folder", f"source-{name}", "torchserve", {**mar, "handler.py": SOURCE.map(SOURCES[name])})
    keras: Members = dict(kinds.keras())
    config = Pair(*(json.dumps(kinds.keras_config(lambda_layer(hostile))).encode() for hostile in (True, False)))
    yield unit("keras-folder", "lambda", "keras-folder", {**keras, "config.json": config})


REMOTE = b"from transformers import PretrainedConfig\nclass XConfig(PretrainedConfig):\n    model_type = 'x'\n"


def hugging_face() -> Iterator[Plan]:
    code = SOURCE.map(lambda source: source + REMOTE)
    names = {"model_type": "x", "auto_map": {"AutoConfig": "configuration_x.XConfig"}}
    config = json.dumps(names).encode()
    model: Members = {"model.pt": kinds.checkpoint(), "configuration_x.py": code}
    yield unit("hub-folder", "auto-map", "auto-config", {**model, "config.json": config})
    for name in ("blank-head", "blank-inside", "long-word-first", "large-number", "not-a-number", "lone-surrogate"):
        yield unit("hub-folder", f"auto-map-{name}", "auto-config", {**model, "config.json": JSON_WAYS[name](config)})
    yield unit(
        "hub-folder",
        "auto-map-escaped",
        "auto-config",
        {**model, "config.json": config.replace(b'"auto', b'"\\u0061uto')},
    )
    twice = b'{"auto_map": {}, ' + config[1:]
    yield unit("hub-folder", "auto-map-twice", "auto-config", {**model, "config.json": twice})
    for name in ("delete-character", "utf-7", "carriage-return", "text-head"):
        members: Members = {**model, "configuration_x.py": SOURCE.map(SOURCES[name]).map(lambda s: s + REMOTE)}
        loader = "" if name == "utf-7" else "auto-config"
        yield unit("hub-folder", f"source-{name}", loader, {**members, "config.json": config})
    pipeline = json.dumps({"_class_name": ["pipeline", "MyPipeline"], "unet": ["my_unet", "Unet"]}).encode()
    yield unit(
        "hub-folder", "custom-pipeline", "imported", {"model_index.json": pipeline, "pipeline.py": SOURCE}, ":pipeline"
    )
    members = {"model_index.json": pipeline, "unet/my_unet.py": SOURCE, "unet/config.json": b'{"_class_name": "Unet"}'}
    yield unit("hub-folder", "custom-part", "imported", members, "unet:my_unet")
    steps = json.dumps([{"idx": 0, "name": "0", "path": "", "type": "my_module.Foo"}]).encode()
    yield unit(
        "hub-folder", "sentence-modules", "imported", {"modules.json": steps, "my_module.py": SOURCE}, ":my_module"
    )
    deep = json.dumps({"text_config": {"auto_map": {"AutoModel": "modeling_x.Model"}}}).encode()
    yield unit(
        "hub-folder",
        "deep-auto-map",
        "imported",
        {**model, "config.json": deep, "modeling_x.py": SOURCE},
        ":modeling_x",
    )
    away = json.dumps({"auto_map": {"AutoModel": "someone/other--modeling_x.Model"}}).encode()
    yield Plan(
        "hub-folder",
        "code-elsewhere",
        "",
        "",
        "",
        lambda hostile: {"config.json": away, "model.pt": kinds.checkpoint()},
        False,
    )
    kernel = json.dumps({"_attn_implementation": "someone/kernel"}).encode()
    yield Plan("hub-folder", "kernel-elsewhere", "", "", "", lambda hostile: {"config.json": kernel}, False)


def other_units() -> Iterator[Plan]:
    yield unit(
        "sagemaker",
        "inference",
        "imported",
        {"code/inference.py": SOURCE, "model.pth": kinds.checkpoint()},
        "code:inference",
    )
    flavour = "flavors:\n  python_function:\n    loader_module: loader\n    code: code\n    python_version: 3.11.0\n"
    mlflow: Members = {"MLmodel": flavour.encode(), "code/loader.py": SOURCE, "data/model.pt": kinds.checkpoint()}
    yield unit("mlflow", "loader-module", "mlflow", mlflow)
    flow = b"flavors: {python_function: {loader_module: loader, code: code}}\n"
    yield unit("mlflow", "flow-style", "mlflow", {**mlflow, "MLmodel": flow})
    yield unit("mlflow", "blank-head", "mlflow", {**mlflow, "MLmodel": b"\n" * 5000 + flavour.encode()})
    yield unit("mlflow", "comment-head", "mlflow", {**mlflow, "MLmodel": b"# words\n" * 700 + flavour.encode()})
    yield unit(
        "mlflow",
        "anchors",
        "mlflow",
        {**mlflow, "MLmodel": b"a: &a {loader_module: loader, code: code}\nflavors:\n  python_function: *a\n"},
    )
    python = b"flavors:\n  python_function:\n    python_model: README.md\n"
    yield unit("mlflow", "pickle-called-readme", "mlflow", {"MLmodel": python, "README.md": headed("text-lines")})
    yield unit("dcp", "metadata", "dcp", {".metadata": PROTO_2, "__0_0.distcp": kinds.checkpoint()})
    shard = Pair(PLAIN.hostile.ljust(64, b"\0"), PLAIN.benign.ljust(64, b"\0"))
    shards = shard.map(lambda data: data + kinds.checkpoint())
    yield unit("dcp", "first-slice", "slice", {"__0_0.distcp": shards}, "__0_0.distcp:0:64")
    shards = shard.map(lambda data: kinds.checkpoint() + data)
    yield unit("dcp", "last-slice", "slice", {"__0_0.distcp": shards}, f"__0_0.distcp:{len(kinds.checkpoint())}:64")


CYCLER = "{{ cycler.__init__.__globals__.os.system('touch MARKER') }}"
TEMPLATES = {
    "attribute": CYCLER,
    "item": "{{ cycler['__init__']['__globals__']['os']['system']('touch MARKER') }}",
    "filter": "{{ (cycler|attr('__init__')|attr('__globals__'))['os'].system('touch MARKER') }}",
    "joined": "{% set a = '__in' ~ 'it__' %}"
    "{{ (cycler|attr(a)|attr('__glo' ~ 'bals__'))['os'].system('touch MARKER') }}",
    "escaped": "{{ (cycler|attr('\\x5f\\x5finit\\x5f\\x5f')"
    "|attr('\\x5f\\x5fglobals\\x5f\\x5f'))['os'].system('touch MARKER') }}",
    "formatted": "{{ (cycler|attr('%c%cinit%c%c'|format(95,95,95,95))"
    "|attr('%c%cglobals%c%c'|format(95,95,95,95)))['os'].system('touch MARKER') }}",
    "mapped": "{{ ([cycler]|map(attribute='__init__.__globals__')|first)['os'].system('touch MARKER') }}",
    "statement": "{% if cycler.__init__.__globals__.os.system('touch MARKER') %}{% endif %}",
    "late": "plain words " * 600 + CYCLER,
    "macro": "{% macro m(x=cycler.__init__) %}{{ x.__globals__.os.system('touch MARKER') }}{% endmacro %}{{ m() }}",
    "line-broken": "{{ cycler\n .__init__\n .__globals__\n .os.system('touch MARKER') }}",
}
CALM = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}{% endfor %}"


def templates() -> Iterator[Plan]:
    for name, text in TEMPLATES.items():
        pair = Pair(*(json.dumps({"chat_template": words}).encode() for words in (text, CALM)))
        yield unit("chat-template", name, "jinja", {"tokenizer_config.json": pair}, "tokenizer_config.json")
        raw = Pair(text.encode(), CALM.encode())
        yield unit(
            "chat-template",
            f"{name}-in-a-file",
            "jinja",
            {"chat_template.jinja": raw, "config.json": b"{}"},
            "chat_template.jinja",
        )
    several = Pair(
        *(json.dumps({"chat_template": [{"name": "a", "template": text}]}).encode() for text in (CYCLER, CALM))
    )
    yield unit("chat-template", "in-a-list", "jinja", {"tokenizer_config.json": several}, "tokenizer_config.json")
    for file in ("chat_template.json", "processor_config.json"):
        pair = Pair(*(json.dumps({"chat_template": text}).encode() for text in (CYCLER, CALM)))
        yield unit("chat-template", f"in-{file}", "jinja", {file: pair, "config.json": b"{}"}, file)
    more = Pair(CYCLER.encode(), CALM.encode())
    yield unit(
        "chat-template",
        "additional",
        "jinja",
        {"additional_chat_templates/a.jinja": more, "config.json": b"{}"},
        "additional_chat_templates/a.jinja",
    )
    yield unit("gguf", "chat-template", "gguf", {"model.gguf": Pair(gguf(CYCLER), gguf(CALM))}, main="model.gguf")


def gguf(template: str) -> bytes:
    """No tensors, one value."""
    key, text = b"tokenizer.chat_template", template.encode()
    return b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, len(key)) + key + struct.pack("<IQ", 8, len(text)) + text


CALL = "!!python/object/apply:builtins.open [MARKER, w]"
YAMLS = {
    "tag": f"a: {CALL}\n",
    "verbatim": "a: !<tag:yaml.org,2002:python/object/apply:builtins.open> [MARKER, w]\n",
    "own-handle": "%TAG !p! tag:yaml.org,2002:python/\n---\na: !p!object/apply:builtins.open [MARKER, w]\n",
    "percent": "a: !!python%2Fobject%2Fapply:builtins.open [MARKER, w]\n",
    "new": "a: !!python/object/new:builtins.open [MARKER, w]\n",
    "comment-head": "# words of people\n" * 400 + f"a: {CALL}\n",
    "blank-head": "\n" * 5000 + f"a: {CALL}\n",
    "late": "k: v\n" * 1 + "".join(f"k{n}: word\n" for n in range(700)) + f"a: {CALL}\n",
    "as-a-key": f"? {CALL}\n: 1\n",
    "json-like": f'{{"a": {CALL}}}\n',
}


def yaml_files() -> Iterator[Plan]:
    for name, text in YAMLS.items():
        pair = Pair(text.encode(), b"a: [MARKER, w]\n")
        for file in ("hparams.yaml", "conda.yml"):
            yield unit("yaml", f"{name}-{file}", "yaml", {file: pair}, main=file)
    for encoding in ("utf-16", "utf-8-sig"):
        pair = Pair(YAMLS["tag"].encode(encoding), "a: 1\n".encode(encoding))
        yield unit("yaml", encoding, "yaml", {"config.yaml": pair}, main="config.yaml")
    pair = Pair(YAMLS["tag"].encode(), b"a: 1\n")
    nemo = Pair(*(tar_with(pair.of(hostile)) for hostile in (True, False)))
    yield unit("nemo", "yaml-tag", "tar-yaml", {"m.nemo": nemo}, "./model_config.yaml", "m.nemo")


def tar_with(config: bytes) -> bytes:
    return kinds.tar({**kinds.nemo(), "./model_config.yaml": config})


def neighbours() -> Iterator[Plan]:
    """Text that is a pickle to its first import, with a module of that name beside it."""
    for name, text, module in (
        ("requirements", b"click\nrich\ntorch>=2\n", "lick.py"),
        ("conda", b"channels:\n- defaults\n", "hannels:.py"),
        ("words", b"cat and dog\nplay\n", "at and dog.py"),
        ("cmake", b"cmake_minimum_required(VERSION 3)\nproject(x)\n", "make_minimum_required(VERSION 3).py"),
        (
            "cmake-dotted",
            b"cmake_minimum_required(VERSION 3.10)\nproject(x)\n",
            "make_minimum_required(VERSION 3/10).py",
        ),
        ("class", b"class Model:\n    pass\n", "lass Model:.py"),
        ("package", b"click\nrich\n", "lick/__init__.py"),
        ("compiled", b"click\nrich\n", "lick.pyc"),
        ("namespace", b"click.part\nrich\n", "lick/part.py"),
        ("inst", b"(import os\nimport sys\n", "mport os.py"),
    ):
        from tests.silence.plans_programs import pyc

        code = SOURCE.map(pyc) if module.endswith(".pyc") else SOURCE
        file = {"cmake": "CMakeLists.txt", "conda": "environment.yml", "class": "model.py"}.get(
            name, "requirements.txt"
        )
        yield unit("text", f"imports-a-neighbour-{name}", "beside", {file: text, module: code}, main=file)


ATTRIBUTES = {
    "encoding": "*.pkl text working-tree-encoding=IBM037\n",
    "encoding-macro": "[attr]odd text working-tree-encoding=IBM037\n*.pkl odd\n",
    "encoding-all": "* text working-tree-encoding=IBM037\n.gitattributes !text !working-tree-encoding\n",
    "encoding-quoted": '"model.pkl" text working-tree-encoding=IBM037\n',
}


def git() -> Iterator[Plan]:
    """What is staged is harmless; what a checkout writes is not."""
    work_tree = Pair(b"cbuiltins\nopen\n(VMARKER\nVw\ntR.", b"}.")
    for name, attributes in ATTRIBUTES.items():
        members: Members = {".gitattributes": attributes.encode(), "model.pkl": work_tree}
        yield unit("git", name, "checkout", members, "model.pkl")
    nested: Members = {"sub/.gitattributes": ATTRIBUTES["encoding"].encode(), "sub/model.pkl": work_tree}
    yield unit("git", "encoding-in-a-folder", "checkout", nested, "sub/model.pkl")
    body = b"\x80\x04" + short("builtins") + short("open") + b"\x93" + short("MARKER") + short("w") + b"\x86R"
    quiet = b"\x80\x04" + short("collections") + short("OrderedDict") + b"\x93)R"
    pair = Pair(grown(body), grown(quiet))
    yield unit("git", "ident", "checkout", {".gitattributes": b"*.pkl ident\n", "model.pkl": pair}, "model.pkl")
    pair = Pair(ended(body), ended(quiet))
    yield unit(
        "git", "line-ends", "checkout", {".gitattributes": b"*.pkl text eol=crlf\n", "model.pkl": pair}, "model.pkl"
    )
    yield unit(
        "git",
        "filter",
        "",
        {".gitattributes": b"*.pkl filter=own\n", "model.pkl": Pair(b"words\n", b"words\n")},
        "model.pkl",
    )
    yield unit("git", "plain", "checkout", {"model.pkl": PLAIN}, "model.pkl")


def grown(body: bytes) -> bytes:
    """A string of 47 bytes that is $Id$ and opcodes; with the id expanded it is the id alone."""
    behind = b"0" + body[2:] + b"."
    inside = (behind + b"N0" * 40)[:43]
    assert len(behind) <= 43, len(behind)
    return body[:2] + b"X" + (47).to_bytes(4, "little") + b"$Id$" + inside + b"0}."


def ended(body: bytes) -> bytes:
    """The same by line feeds that become two bytes each."""
    behind = b"0" + body[2:] + b"."
    size = 2 * len(behind)
    return body[:2] + b"X" + size.to_bytes(4, "little") + b"\n" * len(behind) + behind + b"0}."
