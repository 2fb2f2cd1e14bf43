"""Compares every name in a Keras `config.json`, at any depth, with the closed table in `keras_names.py`.

It takes any object with a `class_name` for one that Keras would build, wherever it stands, and in every Keras: Keras
3.0 to 3.8 import the module that it names, later versions import modules of Keras only, Keras 2 looks names up. Keys
may come in any order, and of equal keys each value counts. Builds nothing and decodes no code.


Semantics: keras/src/saving/serialization_lib.py (`deserialize_keras_object`, `_retrieve_class_or_fn`),
keras/src/utils/python_utils.py (`func_load`: marshal), keras/src/utils/torch_utils.py (`TorchModuleWrapper`).
"""

from __future__ import annotations

import builtins
import itertools
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

from safeload.containers.descriptions.keras_names import (
    ANY_CLASS,
    BUILTIN,
    CLASSES,
    FUNCTIONS,
    MODELLING,
    TENSORFLOW,
    TENSORFLOW_MODULES,
    TYPE_SPECS,
)
from safeload.containers.interface import ImportedName
from safeload.containers.text.json_text import Event, EventKind, events
from safeload.errors import LimitExceeded, Malformed
from safeload.findings import Finding, Severity, Verdict
from safeload.limits import Limits

_MOST_READINGS = 64
"""Combinations of equal keys in one object; a file that Keras writes has one combination."""

_KEYS = frozenset(
    ("class_name", "module", "registered_name", "spec_name", "config", "function", "symbol", "vocabulary")
)
_VALUES = frozenset(("__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__"))
_READS_FILES = frozenset(("IndexLookup", "IntegerLookup", "StringLookup", "TextVectorization"))
_OWN_FOLDERS = (
    r"keras\.src\.(activations|applications|backend\.\w+\.optimizers|layers|losses|metrics|models|ops|optimizers)\."
)
_RUNS_CODE = {
    "Lambda": "a Lambda layer calls a function that the file carries or names, whenever the model is built or run",
    "TFSMLayer": "it loads a SavedModel from a path that the file names, and runs its graph",
    "TensorFlowOpLayer": "it runs any operation of TensorFlow that the file describes, those that write files too",
    "TorchModuleWrapper": "it hands bytes of the file to torch.load(weights_only=False), which unpickles them",
}
# Modules that this Python no longer has, and older ones did.
_FORMER = "asynchat asyncore binhex cgi cgitb crypt distutils imp lib2to3 nis parser pipes smtpd symbol telnetlib uu"
_STANDARD = sys.stdlib_module_names.union(_FORMER.split())


@dataclass(slots=True)
class _KerasObject:
    """An object or array that is open: the values of the keys that matter, its own and those in its `config`."""

    offset: int
    key: str
    values: dict[str, set[str]] = field(default_factory=dict)
    inner: dict[str, set[str]] = field(default_factory=dict)

    def texts(self, key: str) -> list[str]:
        return sorted(self.values.get(key, ()))


def keras_config(data: bytes, member: str, limits: Limits) -> Iterator[Finding | ImportedName]:
    """What Keras would build or import from `data` that is not in the table, each once. See `ContentReader`."""
    seen: set[tuple[object, ...]] = set()
    frames: list[_KerasObject] = []
    key = ""
    for event in events(data, limits):
        match event.kind:
            case EventKind.KEY:
                key = str(event.value)
            case EventKind.OBJECT | EventKind.ARRAY:
                _note(frames, key, event)
                frames.append(_KerasObject(event.offset, key if event.kind is EventKind.OBJECT else ""))
                key = ""
            case EventKind.OBJECT_END | EventKind.ARRAY_END:
                frame = frames.pop()
                for found in _object(frame, member):
                    mark = (type(found), found[0], found.name, found.message if isinstance(found, Finding) else "")
                    if mark in seen:
                        continue
                    if len(seen) >= limits.findings:
                        raise LimitExceeded("the configuration names too much", limit="findings", offset=frame.offset)
                    seen.add(mark)
                    yield found
                _hand_up(frame, frames)
                key = ""
            case _:
                _note(frames, key, event)


def _note(frames: list[_KerasObject], key: str, event: Event) -> None:
    """Keep the value of a key that matters, in the object that is open."""
    if not frames or key not in _KEYS:
        return
    if event.kind is EventKind.STRING:
        frames[-1].values.setdefault(key, set()).add(str(event.value))
    elif key == "class_name" and not (event.kind is EventKind.WORD and event.value is None):
        raise Malformed("a class_name is no text", offset=event.offset)


def _hand_up(frame: _KerasObject, frames: list[_KerasObject]) -> None:
    """Give what a `config` says of functions and files to the object that it configures."""
    if frames and frame.key == "config":
        for key in ("function", "symbol", "vocabulary"):
            frames[-1].inner.setdefault(key, set()).update(frame.texts(key))


def _object(frame: _KerasObject, member: str) -> Iterator[Finding | ImportedName]:
    """Judge the names of one object. Each combination of equal keys is one reading."""
    names = frame.texts("class_name")
    if not names:
        return
    modules: list[str | None] = [*frame.texts("module")] or [None]
    registered: list[str | None] = [*frame.texts("registered_name")] or [None]
    functions: list[str | None] = [*frame.texts("config")] or [None]
    readings = len(names) * len(modules) * len(registered) * len(functions)
    if readings > _MOST_READINGS:
        raise Malformed(f"an object of the configuration can be read in {readings} ways", offset=frame.offset)
    for name, module, other, function in itertools.product(names, modules, registered, functions):
        place = _Place(member, frame.offset)
        if name in _VALUES:
            continue
        if name == "__lambda__":
            yield place.runs_code("__lambda__", "it is marshalled code of the file's own, which becomes a function")
        elif name == "__typespec__":
            for spec in frame.texts("spec_name") or [""]:
                yield from _type_spec(place, module or "", spec)
        elif name == "function":
            yield from _function(place, module, function, other)
        else:
            yield from _class(place, frame, name, module, other)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an object stands; makes the findings about it."""

    member: str
    offset: int

    def finding(self, rule: str, verdict: Verdict, severity: Severity, name: str, message: str, remedy: str) -> Finding:
        shown = _shown(name)
        return Finding(
            rule,
            verdict,
            severity,
            f"the configuration names {shown}: {message}",
            remedy,
            member=self.member,
            offset=self.offset,
            name=shown,
        )

    def runs_code(self, name: str, why: str) -> Finding:
        remedy = (
            "Do not load the file; have the layer written as a class in code of your own, and the model saved anew."
        )
        return self.finding("keras-lambda", Verdict.DANGEROUS, Severity.CRITICAL, name, why, remedy)

    def foreign(self, name: str, why: str) -> Finding:
        remedy = "Do not load the file; no model needs it. Take the weights alone, which safeload reads without Keras."
        return self.finding("keras-foreign-code", Verdict.DANGEROUS, Severity.CRITICAL, name, why, remedy)

    def custom(self, name: str, why: str) -> Finding:
        remedy = (
            "Look at the class where it is defined, and load the file only with code that you have chosen yourself."
        )
        return self.finding("keras-custom-object", Verdict.UNVETTED, Severity.MEDIUM, name, why, remedy)

    def reads_file(self, name: str, path: str) -> Finding:
        why = f"a vocabulary is given as the path {_shown(path)!r}, which is read, or fetched, when the model is loaded"
        remedy = "Load it only where that path is harmless, or have the model saved with its vocabulary in it."
        return self.finding("keras-reads-file", Verdict.UNVETTED, Severity.HIGH, name, why, remedy)


def _class(
    place: _Place, frame: _KerasObject, name: str, module: str | None, registered: str | None
) -> Iterator[Finding | ImportedName]:
    """Judge a class that Keras would build."""
    own = _own_module(module)
    full = f"{module}.{name}" if module else name
    if own is not None and name in _RUNS_CODE:
        yield place.runs_code(full, _RUNS_CODE[name])
        return
    if own is not None and name == "TFOpLambda":
        for function in sorted(frame.inner.get("function", set()) | frame.inner.get("symbol", set())) or ["?"]:
            if function.split(".")[0] + "." not in TENSORFLOW_MODULES and function not in TENSORFLOW:
                yield place.foreign(f"{full} of {function}", "it calls a function of TensorFlow outside the table")
        return
    if own is not None and name in _READS_FILES:
        for path in sorted(frame.inner.get("vocabulary", ())):
            yield place.reads_file(full, path)
    if own is None:
        yield from _custom(place, str(module), name, registered)
        return
    known = name in CLASSES.get(own, ()) if own else name in ANY_CLASS
    # Keras before 3.9 looks for `registered_name` in the module when it does not find the class.
    asked = [] if known else [name]
    asked += [registered] if registered and registered != name and ">" not in registered else []
    for each in asked if own else ():
        if not _is_modelling(str(own)) or not re.fullmatch(r"[A-Z][A-Za-z0-9]*", each):
            yield place.foreign(f"{module}.{each}", "it is no layer, nor anything else that a model is made of")
            return
    if not known or (registered and registered != name):
        yield place.custom(full, _CUSTOM)


_CUSTOM = "it is none of Keras's classes in the table, and is built by whatever code the user has registered for it"


def _function(
    place: _Place, module: str | None, name: str | None, registered: str | None
) -> Iterator[Finding | ImportedName]:
    """Judge a function that Keras would look up or import."""
    own = _own_module(module)
    # Keras before 3.9 looks for `registered_name` in the module when it does not find the name.
    others = registered if registered != "function" else None
    asked = sorted({each for each in (name, others) if each and ">" not in each}) or [name or registered or "?"]
    for each in asked:
        full = f"{module}.{each}" if module else each
        if module == "builtins":
            if each in BUILTIN:
                continue
            if hasattr(builtins, each):
                yield place.foreign(full, "Keras before 3.9 looks it up in Python's own builtins and calls it")
            else:
                yield place.custom(full, _CUSTOM)
        elif own is None:
            yield from _custom(place, str(module), each, registered)
        elif each in (FUNCTIONS.get(own, frozenset()) | CLASSES.get(own, frozenset()) if own else BUILTIN):
            continue
        elif not own:
            yield place.custom(full, _CUSTOM)
        else:
            yield place.foreign(full, "it is no function of Keras that only computes")


def _custom(place: _Place, module: str, name: str, registered: str | None) -> Iterator[Finding | ImportedName]:
    """Judge a class or function of a module outside Keras."""
    full = f"{module}.{name}"
    package = module.partition(".")[0]
    why = "Keras before 3.9 imports its module, which runs it, and hands the class values of the file"
    is_registered = registered is not None and ">" in registered
    if not is_registered or package in _STANDARD or not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*", module):
        yield place.foreign(full, why)
        return
    yield place.custom(full, f"a class registered as {_shown(str(registered))!r} by code of the user's own; {why}")
    if len(full) <= 1000:
        yield ImportedName(
            module, name, "Keras before 3.9 imports it", place.member, place.offset, _shown(str(registered))
        )


def _is_modelling(own: str) -> bool:
    """Whether a module of Keras has layers, losses and the like, public or in its own folders."""
    return own in MODELLING or re.match(_OWN_FOLDERS, own) is not None


def _type_spec(place: _Place, module: str, spec: str) -> Iterator[Finding | ImportedName]:
    if not module.startswith("tensorflow.python.") or spec not in TYPE_SPECS:
        yield place.foreign(f"{module}.{spec}", "it is given as a type of tensors and is none of TensorFlow's own")


def _own_module(module: str | None) -> str | None:
    """The name that the table has for a module of Keras; "" for no module, None for a module outside Keras."""
    if not module:
        return ""
    own = re.sub(r"^(tensorflow\.(python\.)?|tf_(?=keras))", "", module)
    own = re.sub(r"^keras\.(api\.(_v[12]\.keras\.)?|_tf_keras\.keras\.)", "keras.", own)
    return own if own == "keras" or own.startswith("keras.") else None


def _shown(text: str) -> str:
    """The beginning of a text of the file, for a report, without halves of surrogate pairs."""
    return text[:200].encode("utf-8", "backslashreplace").decode()
