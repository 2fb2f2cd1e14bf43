"""Formats whose use runs what they carry: source in archives, .pt2 expressions and flags, Keras, skops."""

from __future__ import annotations

import base64
import io
import json
import marshal
from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any

from tests.silence import kinds
from tests.silence.payloads import PLAIN, PROTO_2, SOURCE, SYSTEM, Pair
from tests.silence.plan import Plan, built, single
from tests.silence.polyglots import headed
from tests.silence.writers import Members, hidden, tar_of, zip_of


def utf_7(source: bytes) -> bytes:
    """Looks like one comment; Python decodes a line feed in it."""
    return b"# coding: utf-7\n# +AAo-" + source


def escaped(source: bytes) -> bytes:
    return b"# coding: unicode_escape\n# \\x0a" + source


SOURCES: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda source: source,
    "delete-character": lambda source: b"# \x7f\n" + source,
    "control-characters": lambda source: b"# \x01\x02\x08\x1b[2K\n" + source,
    "blank-head": lambda source: b" \n" * 2500 + source,
    "comment-head": lambda source: b"# a comment of people, for people\n" * 150 + source,
    "text-head": lambda source: b'"""' + b"Plain words.\n" * 400 + b'"""\n' + source,
    "byte-order-mark": lambda source: b"\xef\xbb\xbf" + source,
    "carriage-return": lambda source: b"# a comment\r" + source,
    "form-feed": lambda source: b"\x0c" + source,
    "latin-1": lambda source: b"# coding: latin-1\n# \xe9\xff\n" + source,
    "utf-7": utf_7,
    "unicode-escape": escaped,
    "far-right": lambda source: b"x = 1" + b" " * 5000 + b"; " + source,
    "json-head": lambda source: b'{"a": [1, 2]}\n' + source,
}
"""Ways to write the same Python, each of which CPython imports."""


def plans() -> Iterator[Plan]:
    yield from served()
    yield from packaged()
    yield from exported()
    yield from keras()
    yield from skops()


def served() -> Iterator[Plan]:
    for name, way in SOURCES.items():
        yield mar(f"source-{name}", {"handler.py": SOURCE.map(way)})
    yield mar("source-in-package", {"handler/__init__.py": SOURCE}, without=("handler.py",))
    yield mar("source-compiled", {"handler.pyc": SOURCE.map(pyc)}, without=("handler.py",))
    yield mar("source-imported-by-handler", {"part.py": SOURCE, "handler.py": Pair(b"import part\n", b"import part\n")})
    yield mar("weights-pickle", {"w.pt": PLAIN}, loader="torchserve-weights", argument="w.pt")
    for name, way in JSON_WAYS.items():
        manifest = kinds.mar()["MAR-INF/MANIFEST.json"]
        yield mar(
            f"manifest-{name}", {"handler.py": SOURCE, "MAR-INF/MANIFEST.json": Pair(way(manifest), way(manifest))}
        )
    other = json.dumps({"model": {"handler": "notes.py"}}).encode()
    yield mar("handler-called-notes", {"notes.py": SOURCE, "MAR-INF/MANIFEST.json": Pair(other, other)})
    text = b'{"model": {"handler": "handler.py", "handler": "README.py"}}'
    yield mar("handler-twice", {"README.py": SOURCE, "MAR-INF/MANIFEST.json": Pair(text, text)})

    def behind_blocks(hostile: bool) -> bytes:
        return hidden({**kinds.mar(), "handler.py": SOURCE.of(hostile)}, "handler.py")

    yield built("mar", "source-behind-empty-blocks", "torchserve", "model.mar", behind_blocks)


def mar(
    trick: str,
    members: dict[str, Pair],
    *,
    without: tuple[str, ...] = (),
    loader: str = "torchserve",
    argument: str = "",
) -> Plan:
    def make(hostile: bool) -> bytes:
        kept = {name: data for name, data in kinds.mar().items() if name not in without}
        return zip_of({**kept, **{name: pair.of(hostile) for name, pair in members.items()}})

    return built("mar", trick, loader, "model.mar", make, argument)


def code_of(source: bytes) -> CodeType:
    return compile(source, "m.py", "exec")


def pyc(source: bytes) -> bytes:
    import importlib.util

    return importlib.util.MAGIC_NUMBER + b"\0" * 12 + marshal.dumps(code_of(source))


JSON_WAYS: dict[str, Callable[[bytes], bytes]] = {
    "blank-head": lambda text: b" " * 5000 + text,
    "blank-inside": lambda text: text[:1] + b"\n" * 5000 + text[1:],
    "byte-order-mark": lambda text: b"\xef\xbb\xbf" + text,
    "utf-16": lambda text: text.decode().encode("utf-16"),
    "utf-16-bare": lambda text: text.decode().encode("utf-16-le"),
    "utf-32": lambda text: text.decode().encode("utf-32-be"),
    "large-number": lambda text: text[:-1] + b', "large": ' + b"1" * 4000 + b"}",
    "not-a-number": lambda text: text[:-1] + b', "n": NaN, "i": -Infinity}',
    "long-word-first": lambda text: text[:1] + b'"word": "' + b"plain words " * 600 + b'", ' + text[1:],
    "lone-surrogate": lambda text: text[:1] + b'"\\ud800": 1, ' + text[1:],
    "deep": lambda text: text[:1] + b'"deep": ' + b"[" * 400 + b"]" * 400 + b", " + text[1:],
}
"""Ways to write an object of JSON that json.loads of bytes takes."""


def packaged() -> Iterator[Plan]:
    for name, way in SOURCES.items():
        yield package(f"source-{name}", {"archive/part.py": SOURCE.map(way)}, "part")
    own = Pair(b"open('MARKER', 'w').close()\nclass OrderedDict(dict): pass\n", b"class OrderedDict(dict): pass\n")
    taken = b"ccollections\nOrderedDict\n(tR."
    for name, changed in (("own-collections", own), ("own-collections-del", own.map(lambda s: b"# \x7f\n" + s))):
        members = {"archive/collections.py": changed, "archive/.data/extern_modules": Pair(b"io\n", b"io\n")}
        yield package(name, {**members, "archive/model/model.pkl": Pair(taken, taken)}, "model/model.pkl")
    yield package("pickle-resource", {"archive/model/model.pkl": PROTO_2}, "model/model.pkl")
    yield package("pickle-called-readme", {"archive/model/README.md": headed("text-lines")}, "model/README.md")
    yield package(
        "data-pkl-beside", {"archive/part.py": SOURCE, "archive/data.pkl": Pair(b"\x80\x02}.", b"\x80\x02}.")}, "part"
    )
    constants = Pair(b"\x80\x02).", b"\x80\x02).")
    yield package("constants-pkl-beside", {"archive/part.py": SOURCE, "archive/constants.pkl": constants}, "part")
    for name in (".DATA/extern_modules", ".data/EXTERN_MODULES", ".Data/Extern_Modules"):
        yield renamed_package(f"upper-{name}", {"archive/.data/extern_modules": f"archive/{name}"})
    both = {
        "archive/.data/extern_modules": "archive/.DATA/EXTERN_MODULES",
        "archive/.data/python_version": "archive/.DATA/PYTHON_VERSION",
    }
    yield renamed_package("upper-both", both)
    yield renamed_package("no-python-version", {"archive/.data/python_version": ""})
    yield renamed_package("upper-source", {"archive/part.py": "archive/part.PY"}, "part", loader="")


def package(trick: str, members: dict[str, Pair], argument: str) -> Plan:
    def make(hostile: bool) -> bytes:
        return zip_of({**kinds.torch_package(), **{name: pair.of(hostile) for name, pair in members.items()}})

    return built("torch-package", trick, "torch-package", "model.pt", make, argument)


def renamed_package(trick: str, names: dict[str, str], argument: str = "part", loader: str = "torch-package") -> Plan:
    """Members under other names; "" leaves one out."""

    def make(hostile: bool) -> bytes:
        members = {**kinds.torch_package(), "archive/part.py": SOURCE.of(hostile)}
        return zip_of({names.get(name, name): data for name, data in members.items() if names.get(name, name)})

    return built("torch-package", trick, loader, "model.pt", make, argument)


EXPRESSION = Pair(b"[open('MARKER','w').close(), %s][1]", b"%s")


def exported() -> Iterator[Plan]:
    symbol = next(
        word
        for word in (b"Symbol('s77', positive=True, integer=True)",)
        if word in kinds.exported()["archive/models/model.json"]
    )

    def expression(change: Callable[[bytes], bytes]) -> Callable[[bool], bytes]:
        def make(hostile: bool) -> bytes:
            text = kinds.exported()["archive/models/model.json"].replace(symbol, EXPRESSION.of(hostile) % symbol)
            return zip_of({**kinds.exported(), "archive/models/model.json": change(text)})

        return make

    ways = {name: JSON_WAYS[name] for name in ("blank-head", "blank-inside", "large-number", "long-word-first")}
    for name, way in {"plain": lambda text: text, **ways}.items():  # type: ignore[misc]
        yield built("torch-export", f"expression-{name}", "torch-export", "model.pt2", expression(way))
    spelled = EXPRESSION.map(lambda text: text.replace(b"open", b"\\u006fpen"))

    def escaped_expression(hostile: bool) -> bytes:
        text = kinds.exported()["archive/models/model.json"].replace(symbol, spelled.of(hostile) % symbol)
        return zip_of({**kinds.exported(), "archive/models/model.json": text})

    yield built("torch-export", "expression-escaped", "torch-export", "model.pt2", escaped_expression)
    good = "archive/data/sample_inputs/model.pt"
    yield pt2("sample-inputs-pickle", {good: PLAIN})
    yield pt2("sample-inputs-upper", {good.upper().replace("ARCHIVE", "archive"): PLAIN}, without=(good,))
    yield pt2("legacy-weights", {"archive/data/weights/model.pt": PLAIN})
    yield pt2("legacy-constants", {"archive/data/constants/model.pt": PLAIN})
    yield from pt2_payloads()
    yield from inductor()


def pt2(trick: str, members: dict[str, Pair], without: tuple[str, ...] = ()) -> Plan:
    def make(hostile: bool) -> bytes:
        kept = {name: data for name, data in kinds.exported().items() if name not in without}
        return zip_of({**kept, **{name: pair.of(hostile) for name, pair in members.items()}})

    return built("torch-export", trick, "torch-export", "model.pt2", make)


def pt2_payloads() -> Iterator[Plan]:
    """Weights and constants that a config in the archive calls pickles."""
    for trick, place, folder, file in (
        ("weight-as-pickle", "archive/data/weights/model_weights_config.json", "archive/data/weights/", "weight_9"),
        (
            "opaque-constant",
            "archive/data/constants/model_constants_config.json",
            "archive/data/constants/",
            "opaque_obj_0",
        ),
        (
            "tensor-constant",
            "archive/data/constants/model_constants_config.json",
            "archive/data/constants/",
            "tensor_9",
        ),
    ):
        config = json.loads(kinds.exported()[place])
        model = json.loads(kinds.exported()["archive/data/weights/model_weights_config.json"])
        like = next(iter(model["config"].values()))
        config["config"]["extra"] = {**like, "path_name": file, "use_pickle": True, "is_param": False}
        text = json.dumps(config).encode()
        yield pt2(trick, {place: Pair(text, text), folder + file: PLAIN})


def inductor() -> Iterator[Plan]:
    place = "model/data/aotinductor/model/m.wrapper"
    flags = json.loads(kinds.compiled()[f"{place}_compile_flags.json"])
    links = json.loads(kinds.compiled()[f"{place}_linker_flags.json"])
    shell = "O1; touch MARKER; true "
    for trick, file, base, key, value in (
        ("compile-flags", "compile", flags, "cflags", [shell]),
        ("compiler", "compile", flags, "compiler", "touch MARKER; g++"),
        ("passthrough", "compile", flags, "passthrough_args", ["; touch MARKER; true "]),
        ("definitions", "compile", flags, "definitions", ["A; touch MARKER; true "]),
        ("include-dirs", "compile", flags, "include_dirs", ["/x; touch MARKER; true "]),
        ("linker-flags", "linker", links, "ldflags", ["x; touch MARKER; true "]),
    ):
        text = Pair(json.dumps({**base, key: value}).encode(), json.dumps(base).encode())

        def make(hostile: bool, file: str = file, text: Pair = text) -> bytes:
            return zip_of({**kinds.compiled(), f"{place}_{file}_flags.json": text.of(hostile)})

        yield built("aotinductor", trick, "aotinductor", "model.pt2", make)


def marshalled(hostile: bool) -> dict[str, Any]:
    """A lambda as Keras keeps it."""
    words = "lambda x: [open('MARKER', 'w').close(), x][1]" if hostile else "lambda x: x"
    code = eval(words).__code__
    text = base64.b64encode(marshal.dumps(code)).decode() + "\n"
    return {"class_name": "__lambda__", "config": {"code": text, "defaults": None, "closure": None}}


def lambda_layer(hostile: bool) -> dict[str, Any]:
    if not hostile:
        return kinds.dense()
    made = kinds.layer(
        "l", "Lambda", {"function": marshalled(True), "arguments": {}, "dtype": "float32", "trainable": True}
    )
    return {**made, "build_config": {"input_shape": [None, 1]}}


def nested_model(hostile: bool) -> dict[str, Any]:
    inner = kinds.keras_config(lambda_layer(hostile))
    return {**inner, "config": {**inner["config"], "name": "inner"}}


def keras() -> Iterator[Plan]:
    def config(
        make: Callable[[bool], dict[str, Any]], way: Callable[[bytes], bytes] = lambda text: text
    ) -> Callable[[bool], bytes]:
        def archive(hostile: bool) -> bytes:
            return zip_of({**kinds.keras(), "config.json": way(json.dumps(kinds.keras_config(make(hostile))).encode())})

        return archive

    yield built("keras", "lambda", "keras-unsafe", "model.keras", config(lambda_layer))
    yield built("keras", "lambda-in-a-model", "keras-unsafe", "model.keras", config(nested_model))
    for name, way in JSON_WAYS.items():
        yield built("keras", f"lambda-{name}", "keras-unsafe", "model.keras", config(lambda_layer, way))

    def hidden_config(hostile: bool) -> bytes:
        text = json.dumps(kinds.keras_config(lambda_layer(hostile))).encode()
        return hidden({**kinds.keras(), "config.json": text}, "config.json")

    yield built("keras", "lambda-behind-empty-blocks", "keras-unsafe", "model.keras", hidden_config)
    for size in (0, 512, 4096):
        for head in (b"", b"\x89PNG\r\n\x1a\n", b"plain words\n"):
            if size or not head:
                name = f"h5-user-block-{size}-{head[:4].hex()}"
                yield Plan("keras-h5", name, "keras-unsafe", "", "model.h5", h5_files(size, head))


def h5_files(size: int, head: bytes) -> Callable[[bool], dict[str, bytes]]:
    return lambda hostile: {"model.h5": h5_model(hostile, size, head)}


def h5_model(hostile: bool, size: int, head: bytes) -> bytes:
    """A legacy Keras file; without h5py a file that only looks like one, for the scan."""
    text = json.dumps(kinds.keras_config(lambda_layer(hostile)))
    try:
        import h5py
        import numpy as np
    except ImportError:
        return head.ljust(size, b"\0") + b"\x89HDF\r\n\x1a\n" + text.encode()
    out = io.BytesIO()
    with h5py.File(out, "w", userblock_size=size) as file:
        file.attrs.update({"model_config": text, "keras_version": "3.8.0", "backend": "torch"})
        weights = file.create_group("model_weights")
        weights.attrs.update({"layer_names": np.array([], dtype="S1"), "backend": "torch", "keras_version": "3.8.0"})
    data = out.getvalue()
    return head + data[len(head) :] if size else data


def skops() -> Iterator[Plan]:
    def word(text: str) -> dict[str, Any]:
        return {
            "__class__": "str",
            "__module__": "builtins",
            "__loader__": "JsonNode",
            "content": json.dumps(text),
            "is_json": True,
        }

    def call(module: str, name: str, *given: str) -> dict[str, Any]:
        content = {
            "__class__": "tuple",
            "__module__": "builtins",
            "__loader__": "TupleNode",
            "content": [word(text) for text in given],
        }
        return {"__class__": name, "__module__": module, "__loader__": "ConstructorFromReduceNode", "content": content}

    trees = {
        "constructor": call("io", "open", "MARKER", "w"),
        "system": call("posix", "system", "touch MARKER"),
        "in-a-list": kinds.skops_list(call("io", "open", "MARKER", "w")),
    }
    benign = kinds.skops_list(word("a"))
    for name, tree in trees.items():
        yield archive_of_schema(name, Pair(kinds.skops_schema(tree), kinds.skops_schema(benign)), lambda text: text)
    for name, way in JSON_WAYS.items():
        pair = Pair(kinds.skops_schema(trees["constructor"]), kinds.skops_schema(benign))
        yield archive_of_schema(f"constructor-{name}", pair, way)
    pair = Pair(kinds.skops_schema(trees["constructor"]), kinds.skops_schema(benign))
    yield built(
        "skops",
        "schema-behind-empty-blocks",
        "skops",
        "model.skops",
        lambda hostile: hidden({**kinds.skops(), "schema.json": pair.of(hostile)}, "schema.json"),
    )
    yield single(
        "nemo",
        "weights-pickle",
        "tar-member",
        "model.nemo",
        SYSTEM.map(lambda data: tar_of({**kinds.nemo(), "./model_weights.ckpt": data})),
        "./model_weights.ckpt",
    )


def archive_of_schema(trick: str, pair: Pair, way: Callable[[bytes], bytes]) -> Plan:
    def make(hostile: bool) -> bytes:
        members: Members = {**kinds.skops(), "schema.json": way(pair.of(hostile))}
        return zip_of(members)

    return built("skops", trick, "skops", "model.skops", make)
