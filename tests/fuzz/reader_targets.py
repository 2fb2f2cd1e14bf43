"""Targets for the readers of what is no pickle: JSON and what it configures, folders, and files that are passed over.

As in `targets`: from bytes to nothing, raising what breaks the contract. Where a program of the world says what is
right (`json`, Python's own grammar, an unpickler), that is held too.
"""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import io
import json
import pickle
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from safeload.containers.descriptions.aoti_package import (
    aoti_constants,
    aoti_flags,
    aoti_metadata,
    aoti_native,
    aoti_source,
)
from safeload.containers.descriptions.keras_config import keras_config
from safeload.containers.descriptions.pt2_expression import check_expression, check_guard
from safeload.containers.descriptions.pt2_payload import payload_config
from safeload.containers.descriptions.pt2_program import extern_kernels, pt2_program
from safeload.containers.descriptions.skops_schema import skops_schema
from safeload.containers.descriptions.torchserve_manifest import torchserve_manifest
from safeload.containers.interface import ImportedName
from safeload.containers.text.embedded_json import pickles_in_json
from safeload.containers.text.json_text import events, strings
from safeload.containers.whole import whole
from safeload.errors import LimitExceeded, Malformed
from safeload.findings import Finding, Verdict
from safeload.inputs import MemorySource
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.scanning.scanner import scan_source
from safeload.scanning.units import KINDS, judge
from safeload.source import Source

LIMITS = Limits(opcodes=200_000, inflated_bytes=1 << 22, validated_bytes=1 << 20, nested_files=200, names=10_000)
_FORBIDDEN = (
    ast.Lambda, ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom, ast.JoinedStr,
    ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Starred, ast.Dict, ast.Set,
)  # fmt: skip
FILES = (
    "config.json", "chat_template.jinja", "MLmodel", "model_index.json", "modules.json", "model_config.yaml",
    "MAR-INF/MANIFEST.json", "saved_model.pb", ".data/extern_modules", "code/inference.py", "tokenizer_config.json",
    "metadata.json", "os.py", "python_model.pkl",
)  # fmt: skip
"""Names that the loaders of folders look for: the first byte of a case says which file comes first."""
BETWEEN = b"\n--next--\n"


def told(found: Iterable[object]) -> None:
    """Exhaust a reader of members: it gives findings and names, or says why it cannot."""
    try:
        for one in found:
            assert isinstance(one, Finding | ImportedName)
    except (Malformed, LimitExceeded):
        pass


def json_texts(data: bytes) -> None:
    """Strings, events and pickles; what the events accept is what `json` accepts."""
    try:
        for string in strings(data, LIMITS):
            assert 0 <= string.offset < max(len(data), 1)
            string.text()
    except (Malformed, LimitExceeded):
        pass
    try:
        for _ in events(data, LIMITS):
            pass
    except LimitExceeded:
        pass
    except Malformed:
        assert not _is_json(data)
    else:
        assert _is_json(data)
    try:
        for found in pickles_in_json(data, "x", LIMITS):
            assert type(found) is Finding or found.data
    except (Malformed, LimitExceeded):
        pass


def _is_json(data: bytes) -> bool:
    """Whether `json.loads` takes it."""
    try:
        json.loads(data, parse_int=str)
    except ValueError:
        return False
    except RecursionError:
        return False  # of a text that is as deep as our limit, or broken behind such a depth
    return True


def keras(data: bytes) -> None:
    """Keras's config.json."""
    told(keras_config(data, "config.json", LIMITS))


def skops(data: bytes) -> None:
    """skops's schema.json."""
    told(skops_schema(data, "schema.json", LIMITS))


def torchserve(data: bytes) -> None:
    """TorchServe's manifest."""
    told(torchserve_manifest(data, "MAR-INF/MANIFEST.json", LIMITS))


def pt2(data: bytes) -> None:
    """The JSON members of torch.export's archive."""
    for reader in (pt2_program, extern_kernels, payload_config):
        told(reader(data, "models/model.json", LIMITS))


def aoti(data: bytes) -> None:
    """The members of AOTInductor's package."""
    for reader in (aoti_flags, aoti_metadata, aoti_constants, aoti_source, aoti_native):
        told(reader(data, "data/aotinductor/model/x.json", LIMITS))


def expression(data: bytes) -> None:
    """What torch evaluates: what is let through names functions and symbols, and reaches into nothing."""
    text = data.decode("utf-8", "replace")
    for check, reaching in ((check_expression, False), (check_guard, True)):
        try:
            check(text)
        except (Malformed, LimitExceeded):
            continue
        assert_plain(text, reaching=reaching)


def assert_plain(text: str, *, reaching: bool) -> None:
    """Python's own grammar says the same: calls of plain names. A guard is `reaching` into sizes of its arguments."""
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (RecursionError, MemoryError, SyntaxError):
        return  # then it is no program, and torch refuses it
    allowed = {id(part) for node in ast.walk(tree) for part in _texts(node, reaching=reaching)}
    for node in ast.walk(tree):
        assert not isinstance(node, _FORBIDDEN), text
        assert reaching or not isinstance(node, ast.Attribute | ast.Subscript), text
        assert not isinstance(node, ast.Attribute) or not node.attr.startswith("__"), text
        assert not isinstance(node, ast.Name) or "__" not in node.id, text
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
            assert id(node) in allowed, text


def _texts(node: ast.AST, *, reaching: bool) -> list[ast.expr]:
    """Where a text may stand: as the name of a symbol, as the digits of a float, and as a key of a guard's."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("Symbol", "Float"):
        return node.args[:1]
    return [node.slice] if reaching and isinstance(node, ast.Subscript) else []


class _Nothing(pickle.Unpickler):
    """Imports nothing; what it is asked for must be no module that is there."""

    def find_class(self, module: str, name: str) -> Any:
        top = module.partition(".")[0]
        there = bool(top) and "\0" not in top and importlib.util.find_spec(top) is not None
        assert not there, f"passed over, and an unpickler imports {module}.{name}"
        raise pickle.UnpicklingError(module)


def folder_file(data: bytes) -> None:
    """A file met in a folder is passed over only when an unpickler gets nowhere with it; a named one never is."""
    with contextlib.suppress(LimitExceeded):
        whole(MemorySource(data), LIMITS)
    policy = Policy.default()
    met = scan_source(MemorySource(data), policy=policy, limits=LIMITS, explicit=False).report
    named = scan_source(MemorySource(data), policy=policy, limits=LIMITS).report
    assert named.verdict is not Verdict.SKIPPED
    if met.verdict is not Verdict.SKIPPED:
        return
    assert met.reason
    file = io.BytesIO(data)
    unpickler = _Nothing(file)
    while file.tell() < len(data):
        try:
            value = unpickler.load()
        except AssertionError:
            raise
        except Exception:
            return
        # "N.B." begins with a literal: a text may, when whoever reads on breaks on what follows.
        assert type(value) in (int, float, str, bytes, bool, type(None)), (
            "passed over, and an unpickler makes an object"
        )
    assert not data, "passed over, and all of it is pickles"


class Files(NamedTuple):
    """A folder of files in memory. See `Folder`."""

    files: dict[str, bytes]
    path: str = "folder"

    def names(self) -> tuple[str, ...]:
        return tuple(self.files)

    def open(self, name: str) -> Source:
        return MemorySource(self.files[name], name)


def folder_of(data: bytes) -> Files:
    """The folder that a case stands for: the first byte chooses the first name, and each part is one file."""
    parts = data[1:].split(BETWEEN)[: len(FILES)]
    first = data[0] if data else 0
    return Files({FILES[(first + index) % len(FILES)]: part for index, part in enumerate(parts)})


def units(data: bytes) -> None:
    """Every kind of folder that a loader takes whole."""
    folder = folder_of(data)
    for kind in KINDS:
        report = judge(folder, kind, Policy.default(), LIMITS)
        assert isinstance(report.verdict, Verdict)
        assert report.verdict is not Verdict.SKIPPED


TARGETS: dict[str, Callable[[bytes], None]] = {
    "json": json_texts,
    "keras": keras,
    "skops": skops,
    "torchserve": torchserve,
    "pt2": pt2,
    "aoti": aoti,
    "expression": expression,
    "folder": folder_file,
    "units": units,
}
"""Name of the target, and of its folder of the corpus -> what it does with bytes."""
