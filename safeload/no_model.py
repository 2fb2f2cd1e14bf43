"""Why a file that was met, not named, is no model: proven over all of its bytes, or not said.

A file is no model when it is empty, when its structure as a picture, a font, code and the like holds to its last byte,
or when it is text; and when it is nothing else to any program. Computes no verdict.
"""

from __future__ import annotations

from safeload.containers import Container
from safeload.containers.sniff import HEAD, kind_of
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.recognition import may_do
from safeload.source import Source
from safeload.texts import Near, is_text

_TOLD = frozenset({"lfs-pointer", "torch7", "encrypted"})
"""Kinds that may be text, and have a finding of their own: they stand for a model, or hide one."""

_WORDS = {"json": "JSON", "python": "Python source", "html": "HTML"}


def no_model(source: Source, containers: tuple[Container, ...], limits: Limits, policy: Policy, near: Near) -> str:
    """The reason, "" when it is to be judged. Raises LimitExceeded when it is too large to be read whole."""
    if not source.size:
        return "empty"
    # SECURITY: what any reader of ours would take is judged, whatever else it is.
    if any(container.name not in ("unknown", "pickle") for container in containers):
        return ""
    kind = kind_of(source.peek(0, HEAD), source.size)
    if kind in _TOLD:
        return ""
    from safeload.containers.whole import whole

    found = whole(source, limits)
    if found is not None:
        return "" if may_do(source, limits) else f"{found.what}, no model"
    return f"{_WORDS.get(kind, 'text')}, no model" if is_text(source, limits, policy, near) else ""
