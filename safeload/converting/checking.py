"""Verifying a converted file later, from it and its source alone: judged and planned again, then compared."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from typing import Any

from safeload.converting.interface import CONVERT_KEY, Options, Progress, Verification
from safeload.converting.job import opened
from safeload.converting.write.staging import judged_output
from safeload.document.document import Document
from safeload.errors import InputError, MissingExtra, NotEqual, UsageError
from safeload.inputs import FileSource
from safeload.install import install_line
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.tree.interface import DIGEST_KEY, KEY

_RECORDED = frozenset({"allow", "disarm", "records", "dtype", "strip_prefix", "keys", "rename", "metadata"})


def compare(
    src: Any,
    dst: str | os.PathLike[str],
    *,
    policy: Policy | None = None,
    limits: Limits | None = None,
    progress: Progress | None = None,
    digests: bool = False,
) -> Verification:
    """See `safeload.converting.verify.verify`."""
    try:
        from safeload.converting.verify.verify import compare as compare_bytes
    except ImportError as error:
        raise MissingExtra(f"verification needs numpy and safetensors: {install_line('convert')}") from error
    limits = limits or Limits()
    output = FileSource(dst)
    try:
        written = judged_output(output, policy, limits)
        recorded = recorded_options(written.metadata)
        options = Options(policy=policy, limits=limits, progress=progress, **(recorded or {}))
        with opened(src, options) as job:
            layout = job.layout()
            same_order(job.plan.stored, written, recorded=recorded is not None)
            if recorded is not None:
                same_metadata(layout.metadata, written.metadata)
            else:
                same_meaning(layout.metadata, job.plan.ties, written.metadata)
            result = compare_bytes(
                job.plan.stored, output, output.path, tempfile.gettempdir(),
                limits=limits, told=job.told("verify", layout.size), digests=digests,
                alone=job.alone,
            )  # fmt: skip
            job.unchanged()
            if output.changed() or not output.still_judged():
                raise InputError(errno.EIO, "changed while it was being verified", output.name)
            return result._replace(recorded=recorded)
    finally:
        output.close()


def recorded_options(entries: Mapping[str, str]) -> dict[str, Any] | None:
    """The options that a converted file records, None when it records no conversion. Raises NotEqual for nonsense."""
    text = entries.get(CONVERT_KEY)
    if text is None:
        return None
    try:
        record = json.loads(text)
        if record["version"] != 1:
            raise NotEqual("the output was converted by a later safeload: verify it with that")
        found = dict(record["options"])
        # SECURITY: the output says how to read the source again, never where to write or by which rules to judge.
        if not found.keys() <= _RECORDED:
            raise NotEqual("the output's record of its conversion names options that no conversion records")
        if not all(type(found.get(name, True)) is bool for name in ("disarm", "records")):
            raise NotEqual("the output's record of its conversion cannot be read")
        Options(**found)
    except (ValueError, TypeError, KeyError, RecursionError, UsageError) as error:
        raise NotEqual("the output's record of its conversion cannot be read") from error
    return found


def same_metadata(expected: Mapping[str, str], found: Mapping[str, str]) -> None:
    """Raise NotEqual unless both say the same; which safeload and which rules made it may differ."""
    for key in sorted(expected.keys() | found.keys()):
        mine, theirs = expected.get(key), found.get(key)
        if key == CONVERT_KEY and mine is not None and theirs is not None:
            mine, theirs = _lasting(mine), _lasting(theirs)
        if mine != theirs:
            raise NotEqual(f"the metadata entry {key[:200]!a} of the output is not what the source gives")


def same_order(names: Iterable[str], written: Document, *, recorded: bool) -> None:
    """Raise NotEqual when the header has another order, and a load goes by it: ours has that of the source."""
    ours = recorded or KEY in written.metadata or DIGEST_KEY in written.metadata
    if ours and list(written.storages) != list(names):
        raise NotEqual("the header of the output names the tensors in another order than the source gives")


def same_meaning(expected: Mapping[str, str], ties: Mapping[str, str], found: Mapping[str, str]) -> None:
    """Raise NotEqual unless a file without a record, of another converter, says nothing else than the source.

    SECURITY: its tensors may be equal by name, and its tree, by which it is loaded, show each under another one.
    """
    for key in (KEY, DIGEST_KEY):
        if key in found and found[key] != expected.get(key):
            raise NotEqual(f"the output has a tree, {key!a}, that is not what the source gives")
    for name, kept in ties.items():
        if found.get(name) != kept:
            raise NotEqual(
                f"{name[:200]!a} is not in the output, and its metadata does not say that it is tied to {kept[:200]!a}"
            )


def _lasting(text: str) -> str:
    """What has to be the same whichever safeload, by whichever rules, converts the source again."""
    record = json.loads(text)
    lasting = ("version", "container", "verdict", "judged_sha256", "options")
    return json.dumps({key: record.get(key) for key in lasting}, sort_keys=True)
