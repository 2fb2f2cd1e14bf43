"""Judges files as git has them: from the work tree or from the index, and a Git LFS pointer by the file it stands for.

A staged file is judged as the blob that it is and as everything that a checkout may write for it. A report keeps the
name that was asked for; where a pointer was followed it names both. Prints nothing.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from typing import NamedTuple

from safeload.containers import recognise
from safeload.errors import InputError, InputNotFound, UsageError
from safeload.findings import Finding, Severity, Verdict, worst
from safeload.inputs import MemorySource, open_source
from safeload.inputs.lfs import LONGEST, LfsObject, Pointer, pointer_of
from safeload.inputs.near import Beside, spelled
from safeload.inputs.walk import Target
from safeload.integrations.git.attributes import AttributeFiles
from safeload.integrations.git.checkout import Form, Forms, forms
from safeload.integrations.git.repository import FILE_MODES, LINK_MODE, SUBMODULE_MODE, Blobs, Entry, Repository
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.report import Report
from safeload.scanning.scanner import report_on
from safeload.scanning.skips.texts import Near, breaks_at_import
from safeload.source import Source

_CHUNK = 1 << 20


class GitFiles:
    """Opens and judges the files of one run. `staged` says that the index counts, not the work tree."""

    def __init__(self, *, staged: bool = False) -> None:
        """Raises UsageError when the index is asked for where there is none."""
        self._repository: Repository | None = Repository() if staged else None
        self._index: dict[str, Entry] | None = None if self._repository is None else self._repository.staged()
        self._blobs: Blobs | None = None if self._repository is None else self._repository.blobs()
        self._staged: dict[str, Entry] = {}
        self._names: dict[str, str] = {}
        self._attributes: AttributeFiles | None = None
        self._spelled: frozenset[str] | None = None

    def targets(self, paths: Iterable[str]) -> tuple[Target, ...]:
        """The targets for the names that a hook was given; without any, for what a commit made now would bring.

        They may be skipped: a hook is given every file of a commit, and most are no models.
        """
        names = tuple(dict.fromkeys(paths))
        if self._repository is None or self._index is None:
            return tuple(Target(name) for name in names)
        if not names:
            # As git names them, from the top, wherever the command was started.
            self._names = {name: name for name in self._repository.changed()}
        else:
            self._names = {name: self._repository.name(name) for name in names}
        return tuple(self._target(path, self._index.get(name)) for path, name in self._names.items())

    def _target(self, path: str, entry: Entry | None) -> Target:
        if entry is None:
            finding = _unjudged("not-staged", "it is not in git's index", "add it with git add, or leave --staged out")
            return Target(path, problem=finding)
        if entry.stage:
            finding = _unjudged("not-staged", "a merge left it undecided", "settle the merge, then add it with git add")
            return Target(path, problem=finding)
        if entry.mode == LINK_MODE:
            return Target(path, skip="a link: git keeps the name of its target, and no file")
        if entry.mode == SUBMODULE_MODE:
            return Target(path, skip="a submodule: its files are another repository's")
        if entry.mode not in FILE_MODES:
            return Target(
                path, problem=_unjudged("not-staged", f"git's mode {entry.mode:o} is no file's", "look at it")
            )
        self._staged[path] = entry
        return Target(path)

    def look(self, target: Target, policy: Policy, limits: Limits) -> Report:
        """The judgement of one target, a pointer's file in its place. Raises InputError for what cannot be read."""
        judging = _Judging(target, policy, limits, self._near(target))
        source = self._open(target.path)
        try:
            written = self._written(target.path, source)
            pointer = pointer_of(source.peek(0, LONGEST + 1))
            if pointer is None:
                report = judging.report(source)
        finally:
            source.close()
        if pointer is not None:
            report = self._follow(pointer, judging)
        return _with_forms(report, written, judging)

    def _near(self, target: Target) -> Near:
        """Whether a module of a name lies beside the target, or at the top: as the index has it, or the work tree."""
        if self._index is None:
            return Beside(os.path.dirname(target.path), target.root)
        if self._spelled is None:
            self._spelled = spelled(part for name in self._index for part in name.split("/"))
        listed = self._spelled
        return lambda name: name.casefold() in listed

    def name(self, path: str) -> str:
        """A target's path as git spells it, where the index is judged."""
        return self._names.get(path, path)

    def among_units(self) -> tuple[tuple[str, ...], Callable[[str], Source]]:
        """The files of the index, and how to open one: some may make a folder that a loader takes whole.

        Nothing where the work tree is judged: which of its files belong to the commit is not known.
        """
        if self._index is None or self._blobs is None:
            return (), self._open
        index, blobs = self._index, self._blobs
        names = tuple(name for name, entry in index.items() if entry.mode in FILE_MODES and not entry.stage)
        return names, lambda name: blobs.open(index[name].oid, name)

    def _written(self, path: str, source: Source) -> Forms:
        """What else a checkout may write for a staged file, by every answer about its attributes."""
        if self._repository is None or self._index is None or self._blobs is None or path not in self._staged:
            return Forms()
        if self._attributes is None:
            self._attributes = AttributeFiles(self._repository, self._index, self._blobs, self._names.values())
        found: dict[bytes | None, Form] = {}
        unknown: list[str] = []
        for answer in self._attributes.answers(self._names[path]):
            written = forms(source, self._staged[path].oid, answer, self._attributes.copying)
            found.update((form.data, form) for form in written.others if form.data not in found)
            unknown.extend(written.unknown)
        return Forms(tuple(found.values()), tuple(dict.fromkeys(unknown)))

    def _open(self, path: str) -> Source:
        return open_source(path) if self._blobs is None else self._blobs.open(self._staged[path].oid, path)

    def _follow(self, pointer: Pointer, judging: _Judging) -> Report:
        """The judgement of the file that a pointer stands for, when this clone has it."""
        try:
            if self._repository is None:
                self._repository = Repository()
            stored = LfsObject(self._repository.common, pointer)
        except UsageError as error:
            return _not_fetched(pointer, judging, str(error))
        except InputNotFound:
            return _not_fetched(pointer, judging, "its file is not in this clone")
        except InputError as error:
            return _not_fetched(pointer, judging, f"the file in its place {error.strerror}")
        try:
            report = judging.report(stored)
        finally:
            stored.close()
        remark = Finding(
            "lfs-object", Verdict.CLEAN, Severity.INFO,
            f"a Git LFS pointer; judged is the file it stands for, {pointer.size} bytes of this sha256",
            evidence="/".join((".git", *pointer.place())),
        )  # fmt: skip
        return report._replace(path=judging.target.path, findings=(*report.findings, remark))

    def sha256(self, path: str) -> str | None:
        """The sha256 of a whole file that was judged here, a pointer's file in its place; None when it is gone."""
        try:
            source = self._open(path)
        except (InputError, KeyError):
            return None
        try:
            pointer = pointer_of(source.peek(0, LONGEST + 1))
            if pointer is not None:
                return pointer.oid
            total = hashlib.sha256()
            for at in range(0, source.size, _CHUNK):
                total.update(source.peek(at, _CHUNK))
            return total.hexdigest()
        except InputError:
            return None
        finally:
            source.close()

    def close(self) -> None:
        """Ends git."""
        if self._blobs is not None:
            self._blobs.close()


class _Judging(NamedTuple):
    """How one target is judged, in whatever form."""

    target: Target
    policy: Policy
    limits: Limits
    near: Near

    def is_spoiled(self, data: bytes) -> bool:
        """Whether a form is a pickle that breaks on its first import, and nothing else."""
        source = MemorySource(data, self.target.path)
        return all(container.name == "pickle" for container in recognise(source)) and breaks_at_import(
            source, self.limits, self.policy, self.near
        )

    def report(self, source: Source) -> Report:
        return report_on(source, policy=self.policy, limits=self.limits, explicit=self.target.explicit, near=self.near)


def _with_forms(report: Report, written: Forms, judging: _Judging) -> Report:
    """The report of a blob with those of the forms that a checkout may write: the worst verdict counts."""
    reports = [report]
    target, policy = judging.target, judging.policy
    for form in written.others:
        data = form.data or b""
        if pointer_of(data[: LONGEST + 1]) is not None:
            continue  # git-lfs takes it for the pointer that was followed
        if judging.is_spoiled(data):
            continue  # a pickle in lines, whose imports end in "\r" now: it breaks before it does anything
        seen = judging.report(MemorySource(data, target.path))
        reports.append(seen._replace(findings=tuple(_as_written(found, form) for found in seen.findings)))
    for why in written.unknown:
        message = f"what a checkout writes for it is not known: {why}"
        finding = _unjudged("git-checkout-unknown", message, "judge the file in a clone: safeload scan FILE")
        # Where the blob is no model, that is not said of what is written.
        reports.append(Report(target.path, Verdict.UNJUDGED, findings=(finding,), policy_digest=policy.digest))
    verdict = worst([one.verdict for one in reports], empty=report.verdict)
    telling = [one for one in reports[1:] if one.verdict not in {Verdict.SKIPPED, Verdict.CLEAN} or one.streams]
    if not telling:
        return report
    first = report if report.verdict is not Verdict.SKIPPED else telling[0]
    # SECURITY: a baseline is about the bytes of one content; what was accepted of the blob is not said of another.
    bound = hashlib.sha256("\n".join(str(one.judged_sha256) for one in reports).encode()).hexdigest()
    return first._replace(
        verdict=verdict,
        judged_sha256=bound,
        streams=max(one.streams for one in reports),
        opcodes=sum(one.opcodes for one in reports),
        findings=tuple(found for one in reports for found in one.findings),
        omitted=sum(one.omitted for one in reports),
        reason="",
    )


def _as_written(found: Finding, form: Form) -> Finding:
    return found._replace(message=f"{found.message} (as a checkout writes it: {form.how})")


def _not_fetched(pointer: Pointer, judging: _Judging, why: str) -> Report:
    from safeload.reports import escape

    target, digest = judging.target, judging.policy.digest
    finding = Finding(
        "lfs-pointer", Verdict.UNJUDGED, Severity.MEDIUM, f"LFS pointer, not fetched: {why}",
        f"fetch the file: git lfs fetch --include {escape.argument(target.path)}",
        evidence=f"sha256:{pointer.oid}, {pointer.size} bytes",
    )  # fmt: skip
    return Report(target.path, Verdict.UNJUDGED, findings=(finding,), policy_digest=digest)


def _unjudged(rule: str, message: str, remedy: str) -> Finding:
    return Finding(rule, Verdict.UNJUDGED, Severity.MEDIUM, message, remedy)
