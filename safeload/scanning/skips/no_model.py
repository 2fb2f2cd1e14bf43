"""Why a file that was met, not named, is no model: proven over all of its bytes, or not said.

A file is no model when it is empty, when its structure as a picture, a font, code and the like holds to its last byte,
or when it is text; and when it is nothing else to any program. Computes no verdict.
"""

from __future__ import annotations

from safeload.containers import Container, recognise
from safeload.containers.sniff import HEAD, kind_of
from safeload.containers.zip.traces import leads_to_a_member
from safeload.inputs import MemorySource
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.scanning.recognition import may_do
from safeload.scanning.skips.texts import Near, in_another_encoding, is_text
from safeload.source import Source

_TOLD = frozenset({"lfs-pointer", "torch7", "encrypted"})
"""Kinds that may be text, and have a finding of their own: they stand for a model, or hide one."""

_WORDS = {"json": "JSON", "python": "Python source", "html": "HTML"}


def no_model(source: Source, containers: tuple[Container, ...], limits: Limits, policy: Policy, near: Near) -> str:
    """The reason, "" when it is to be judged. Raises LimitExceeded when it is too large to be read whole."""
    if not source.size:
        return "empty"
    # SECURITY: what any reader of ours would take is judged, whatever else it is.
    readers = {container.name for container in containers} - {"unknown", "pickle"}
    if readers and (readers != {"zip"} or leads_to_a_member(source)):
        return ""
    kind = kind_of(source.peek(0, HEAD), source.size)
    if kind in _TOLD:
        return ""
    from safeload.containers.whole import whole

    found = whole(source, limits)
    if found is not None:
        return "" if may_do(source, limits) else f"{found.what}, no model"
    if readers:
        return ""
    if is_text(source, limits, policy, near):
        return f"{_WORDS.get(kind, 'text')}, no model"
    decoded = in_another_encoding(source, limits, policy, near)
    if decoded is None:
        return ""
    # SECURITY: JSON or YAML that a program reads once it has decoded it is judged in UTF-8, or not at all.
    others = recognise(MemorySource(decoded, source.name))
    return "text in another encoding, no model" if {other.name for other in others} <= {"unknown", "pickle"} else ""
