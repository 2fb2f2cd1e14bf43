"""The configuration inside a NeMo checkpoint: a YAML that names the classes which NeMo imports and builds.

Semantics: nemo/core/classes/common.py (`from_config_dict` imports `target`) and hydra's `instantiate` (`_target_`, at
any depth), over omegaconf, which reads one UTF-8 text with PyYAML. Uses only the events of PyYAML's parser: composes no
node, constructs no tag, imports nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from safeload.containers.interface import ImportedName
from safeload.errors import LimitExceeded, Malformed
from safeload.findings import Finding, Severity, Verdict
from safeload.limits import Limits

if TYPE_CHECKING:
    from yaml.events import Event

# Bytes of a configuration. The largest public ones hold a vocabulary, and have some 300 KB; PyYAML's parser takes
# seconds for a megabyte.
LONGEST = 1 << 20
_DEEPEST = 100
_DOTTED = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)+")
_PYTHON_TAG = re.compile(r"tag:yaml\.org,2002:python/(?:object(?:/apply|/new)?|name|module):(.+)", re.DOTALL)
_ARTIFACT = "nemo:"
_AGAIN = "look at the configuration, or take the weights alone: unpack the archive and judge model_weights.ckpt"


class _YamlLevel(NamedTuple):
    """An open mapping or list. `key` is the last key of a mapping, while its value is still to come."""

    mapping: bool
    key: str | None


def nemo_config(content: bytes, member: str, limits: Limits) -> Iterator[Finding | ImportedName]:
    """The names that NeMo would import for the configuration `content`. See `interface.ContentReader`."""
    return _judge(_pairs(content, limits), member)


def artifacts(content: bytes, limits: Limits) -> frozenset[str]:
    """Names of the members that the configuration refers to as "nemo:NAME". Raises as `nemo_config` does."""
    return frozenset(
        value.removeprefix(_ARTIFACT)
        for _, value, _, _ in _pairs(content, limits)
        if value is not None and value.startswith(_ARTIFACT)
    )


def _judge(
    pairs: Iterator[tuple[str | None, str | None, str | None, int]], member: str
) -> Iterator[Finding | ImportedName]:
    for key, value, tag, offset in pairs:
        if tag is not None and (found := _PYTHON_TAG.fullmatch(tag)):
            module, _, name = found[1].rpartition(".")
            why = "a tag of the YAML says so: a reader that takes such tags imports it"
            yield ImportedName(module or "builtins", name, why, member, offset, tag[:200])
        elif tag is not None and not tag.startswith(("tag:yaml.org,2002:", "!")):
            yield _unclear(f"a value has the tag {tag[:60]!r}", member, offset, tag)
        elif tag is not None and tag.startswith("tag:yaml.org,2002:python/"):
            yield _unclear("a value is of a Python type", member, offset, tag)
        if key not in {"_target_", "target"}:
            continue
        if value is not None and _DOTTED.fullmatch(value):
            module, _, name = value.rpartition(".")
            yield ImportedName(
                module, name, "restoring the model imports it and calls it", member, offset, f"{key}: {value}"
            )
        elif key == "_target_" or (value is not None and "${" in value):
            yield _unclear(f"{key!r} names no module and class", member, offset, value or "")


def _unclear(what: str, member: str, offset: int, evidence: str) -> Finding:
    return Finding(
        "nemo-config", Verdict.UNJUDGED, Severity.MEDIUM,
        f"{what}, so what a restore would import is not known", _AGAIN,
        member=member, offset=offset, evidence=evidence[:200],
    )  # fmt: skip


def _pairs(content: bytes, limits: Limits) -> Iterator[tuple[str | None, str | None, str | None, int]]:
    """(key, value, tag, offset) of every node in a YAML. The value of a mapping or a list is None.

    A key is a node too: a value without a key. An alias has the text of the node that it stands for.
    """
    if len(content) > LONGEST:
        raise Malformed(f"a NeMo configuration of {len(content)} bytes, more than {LONGEST}", offset=0)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed("the NeMo configuration is no UTF-8", offset=error.start) from error
    anchors: dict[str, str | None] = {}
    levels: list[_YamlLevel] = []
    deepest = min(_DEEPEST, limits.depth)
    for event in _events(text):
        name = type(event).__name__
        if name in {"MappingEndEvent", "SequenceEndEvent"}:
            levels.pop()
        elif name not in {"ScalarEvent", "AliasEvent", "MappingStartEvent", "SequenceStartEvent"}:
            continue
        else:
            value, tag = _value(event, anchors)
            at = _place(event)
            key = _placed(levels, value)
            yield key, value, tag, at if text.isascii() else len(text[:at].encode())
            if name in {"MappingStartEvent", "SequenceStartEvent"}:
                levels.append(_YamlLevel(name == "MappingStartEvent", None))
                if len(levels) > deepest:
                    raise LimitExceeded(f"the NeMo configuration nests deeper than {deepest}", limit="depth", offset=at)


def _placed(levels: list[_YamlLevel], value: str | None) -> str | None:
    """The key of `value`; None when it is itself a key, an item of a list, or the whole. Remembers a key."""
    if not levels or not levels[-1].mapping:
        return None
    key = levels[-1].key
    # A key that is a mapping or a list counts as an empty one.
    levels[-1] = _YamlLevel(True, (value or "") if key is None else None)
    return key


def _value(event: Event, anchors: dict[str, str | None]) -> tuple[str | None, str | None]:
    from yaml.events import AliasEvent, ScalarEvent

    if isinstance(event, AliasEvent):
        if event.anchor not in anchors:
            raise Malformed("the NeMo configuration names an anchor that it has not set", offset=_place(event))
        return anchors[event.anchor], None
    value = event.value if isinstance(event, ScalarEvent) else None
    anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
    if anchor is not None:
        anchors[anchor] = value
    return value, tag


def _place(event: Event) -> int:
    return 0 if event.start_mark is None else event.start_mark.index


def _events(text: str) -> Iterator[Event]:
    """PyYAML's own events. Raises Malformed for whatever its parser raises."""
    from yaml import SafeLoader, YAMLError, parse

    events = parse(text, Loader=SafeLoader)
    while True:
        try:
            event = next(events)
        except StopIteration:
            return
        # PyYAML raises ValueError or OverflowError for an escape like \UFFFFFFFF in a quoted text.
        except (YAMLError, ValueError, OverflowError, RecursionError) as error:
            mark = getattr(error, "problem_mark", None)
            raise Malformed("the NeMo configuration is no YAML", offset=None if mark is None else mark.index) from error
        yield event
