"""Proves that a file which was met, and not named, is no model. A proof covers all bytes of the file.

A file is no model when it is empty, when it is a picture, a font, code or the like whose structure holds to the last
byte, or when it is text; and when no program takes it for anything else. Computes no verdict.
"""

from __future__ import annotations

from safeload.containers import Container, recognise
from safeload.containers.sniff import HEAD, kind_of
from safeload.containers.zip.end import leads_to_a_member
from safeload.inputs import MemorySource
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.scanning.recognition import may_do
from safeload.scanning.skips.texts import Near, in_another_encoding, is_text
from safeload.source import Source

_TOLD = frozenset({"lfs-pointer", "torch7", "encrypted"})
"""Kinds that may be text and that have a finding of their own, because they stand for a model, or hide one."""

_WORDS = {"json": "JSON", "python": "Python source", "html": "HTML"}


def no_model(source: Source, containers: tuple[Container, ...], limits: Limits, policy: Policy, near: Near) -> str:
    """The reason to skip the file, "" when it must be judged. Raises LimitExceeded when it is too large to be read."""
    if not source.size:
        return "empty"
    # SECURITY: a file that any reader of ours would take is judged, whatever else it is.
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
    # SECURITY: a program may decode the text and read JSON or YAML: such a text is skipped in no encoding.
    others = recognise(MemorySource(decoded, source.name))
    return "text in another encoding, no model" if {other.name for other in others} <= {"unknown", "pickle"} else ""
