"""Reports what TorchServe runs because of an archive's MANIFEST.json, and when. The files are judged as members.

Semantics: ts/model_loader.py (`_load_handler_file`: the module before a colon, without .py and folders, is imported),
ts/torch_handler/base_handler.py (`modelFile`, `serializedFile`), the frontend's Manifest and ModelManager
(`requirementsFile`: pip install when its configuration allows it).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from safeload.containers.interface import ImportedName
from safeload.containers.text.json_text import EventKind, events
from safeload.errors import LimitExceeded, Malformed
from safeload.findings import Finding, Severity, Verdict
from safeload.limits import Limits

_RUNS = {
    "handler": "imports the handler {} and calls it, when the model is loaded and for each request",
    "modelFile": "imports {} to build the model, when it is loaded",
    "serializedFile": "hands {} to torch.jit.load or torch.load, when the model is loaded",
    "requirementsFile": "lets pip install what {} lists, before the model is loaded, if its configuration allows it",
    "configFile": "reads the settings of its workers from {}",
    "extraFiles": "gives the handler {}",
    "service": "imports the service {} and calls it, when the model is loaded",
}
_DEFAULT_HANDLERS = frozenset(("image_classifier", "image_segmenter", "object_detector", "text_classifier"))
_DOTTED = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")
_MOST_VALUES = 64
"""Values of one key, which may stand several times; an archiver writes one."""


def torchserve_manifest(data: bytes, member: str, limits: Limits) -> Iterator[Finding | ImportedName]:
    """The findings and imports of a manifest. See `ContentReader`."""
    named: dict[str, dict[str, int]] = {}
    depth, key = 0, ""
    for event in events(data, limits):
        match event.kind:
            case EventKind.OBJECT | EventKind.ARRAY:
                if depth == 0 and event.kind is EventKind.ARRAY:
                    raise Malformed("the manifest is no JSON object", offset=event.offset)
                depth += 1
            case EventKind.OBJECT_END | EventKind.ARRAY_END:
                depth -= 1
            case EventKind.KEY:
                key = str(event.value)
            case _ if depth == 0:
                raise Malformed("the manifest is no JSON object", offset=event.offset)
            case EventKind.STRING if key in _RUNS and event.value:
                values = named.setdefault(key, {})
                values.setdefault(str(event.value), event.offset)
                if len(values) > _MOST_VALUES:
                    raise LimitExceeded(f"the manifest has many values of {key}", limit="findings", offset=event.offset)
    yield _summary(named, member)
    for what, values in named.items():
        for value, offset in values.items():
            if _leads_out(value):
                yield _outside(what, value, member, offset)
            elif what in ("handler", "service"):
                yield from _imported(value, member, offset)


def _summary(named: dict[str, dict[str, int]], member: str) -> Finding:
    said = [
        _RUNS[what].format(" and ".join(repr(_shown(value)) for value in list(values)[:4]))
        for what, values in named.items()
    ]
    text = "; it ".join(said) or "runs the handler that its configuration names"
    return Finding(
        "mar-handler",
        Verdict.UNVETTED,
        Severity.MEDIUM,
        f"the archive is a program for TorchServe, which {text}",
        "Read the handler and what it imports before you serve the archive.",
        member=member,
    )


def _imported(value: str, member: str, offset: int) -> Iterator[ImportedName]:
    """A handler that is no file of the archive, but a module that TorchServe imports: the policy knows some."""
    module, _, function = value.partition(":")
    name = module.removesuffix(".py").split("/")[-1]
    if name in _DEFAULT_HANDLERS or len(value) > 1000 or not _DOTTED.fullmatch(name):
        return
    if function or not module.endswith(".py"):
        yield ImportedName(name, function or "handle", "TorchServe imports and calls it", member, offset, _shown(value))


def _leads_out(value: str) -> bool:
    """Whether a path leads out of the folder that the archive is unpacked to, on any system."""
    path = value.replace("\\", "/")
    return (
        path.startswith(("/", "~")) or re.match(r"[A-Za-z]:/", path) is not None or ".." in re.split(r"[/:,\s]", path)
    )


def _outside(what: str, value: str, member: str, offset: int) -> Finding:
    shown = _shown(value)
    return Finding(
        "mar-outside",
        Verdict.DANGEROUS,
        Severity.CRITICAL,
        f"the {what} of the manifest is {shown!r}, which leads out of the folder of the archive",
        "Do not serve the archive: it takes a file that did not come with it.",
        member=member,
        offset=offset,
        evidence=shown,
    )


def _shown(text: str) -> str:
    """The beginning of a text of the file, for a report, without halves of surrogate pairs."""
    return text[:200].encode("utf-8", "backslashreplace").decode()
