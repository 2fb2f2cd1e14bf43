"""Judges files as git has them, in the work tree or in the index, and a Git LFS pointer by the file that it stands for.

A staged file is judged as the blob that it is, and as every content that a checkout may write for it. The report has
the name that the caller asked for; if a pointer was followed, it names both files. Prints nothing.
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
from safeload.integrations.git.checkout import CheckoutForm, CheckoutForms, forms
from safeload.integrations.git.repository import FILE_MODES, LINK_MODE, SUBMODULE_MODE, Blobs, GitEntry, Repository
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.report import Report
from safeload.scanning.scanner import scan_source
from safeload.scanning.skips.texts import Near, breaks_at_import
from safeload.source import Source

_CHUNK = 1 << 20


class GitFiles:
    """Opens and judges the files of one run: those of the index when `staged`, else those of the work tree."""

    def __init__(self, *, staged: bool = False) -> None:
        """Raises UsageError when `staged`, and there is no repository."""
        self._repository: Repository | None = Repository() if staged else None
        self._index: dict[str, GitEntry] | None = None if self._repository is None else self._repository.staged()
        self._blobs: Blobs | None = None if self._repository is None else self._repository.blobs()
        self._staged: dict[str, GitEntry] = {}
        self._names: dict[str, str] = {}
        self._attributes: AttributeFiles | None = None
        self._spelled: frozenset[str] | None = None

    def targets(self, paths: Iterable[str]) -> tuple[Target, ...]:
        """The targets for the names that a hook gets; without names, for the files that a commit would add or change.

        A target may be skipped, because a hook gets every file of a commit, and most are no models.
        """
        names = tuple(dict.fromkeys(paths))
        if self._repository is None or self._index is None:
            return tuple(Target(name) for name in names)
        if not names:
            # The names are git's, from the top folder, wherever the command was started.
            self._names = {name: name for name in self._repository.changed()}
        else:
            self._names = {name: self._repository.name(name) for name in names}
        return tuple(self._target(path, self._index.get(name)) for path, name in self._names.items())

    def _target(self, path: str, entry: GitEntry | None) -> Target:
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
        """Judge one target, or the file that it points to. Raises InputError when it cannot be read."""
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
        """A function that says whether a module lies beside the target, or at the top, in the index or work tree."""
        if self._index is None:
            return Beside(os.path.dirname(target.path), target.root)
        if self._spelled is None:
            self._spelled = spelled(part for name in self._index for part in name.split("/"))
        listed = self._spelled
        return lambda name: name.casefold() in listed

    def name(self, path: str) -> str:
        """The name that git has for the path of a target, when the index is judged; else the path."""
        return self._names.get(path, path)

    def among_units(self) -> tuple[tuple[str, ...], Callable[[str], Source]]:
        """The files of the index, and a function that opens one, to look for folders that a loader takes whole.

        No files when the work tree is judged: nobody knows which of them belong to the commit.
        """
        if self._index is None or self._blobs is None:
            return (), self._open
        index, blobs = self._index, self._blobs
        names = tuple(name for name, entry in index.items() if entry.mode in FILE_MODES and not entry.stage)
        return names, lambda name: blobs.open(index[name].oid, name)

    def _written(self, path: str, source: Source) -> CheckoutForms:
        """What else a checkout may write for a staged file, for each answer about its attributes."""
        if self._repository is None or self._index is None or self._blobs is None or path not in self._staged:
            return CheckoutForms()
        if self._attributes is None:
            self._attributes = AttributeFiles(self._repository, self._index, self._blobs, self._names.values())
        found: dict[bytes | None, CheckoutForm] = {}
        unknown: list[str] = []
        for answer in self._attributes.answers(self._names[path]):
            written = forms(source, self._staged[path].oid, answer, self._attributes.copying)
            found.update((form.data, form) for form in written.others if form.data not in found)
            unknown.extend(written.unknown)
        return CheckoutForms(tuple(found.values()), tuple(dict.fromkeys(unknown)))

    def _open(self, path: str) -> Source:
        return open_source(path) if self._blobs is None else self._blobs.open(self._staged[path].oid, path)

    def _follow(self, pointer: Pointer, judging: _Judging) -> Report:
        """Judge the file that a pointer stands for. If this clone lacks it, the report says that it was not fetched."""
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
        """The sha256 of a whole file that was judged here, or of the file it points to; None when it is gone."""
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
        """End the process of git."""
        if self._blobs is not None:
            self._blobs.close()


class _Judging(NamedTuple):
    """The target, policy and limits, with which each content of one target is judged."""

    target: Target
    policy: Policy
    limits: Limits
    near: Near

    def is_spoiled(self, data: bytes) -> bool:
        """Whether a content is only a pickle, and one that fails at its first import."""
        source = MemorySource(data, self.target.path)
        return all(container.name == "pickle" for container in recognise(source)) and breaks_at_import(
            source, self.limits, self.policy, self.near
        )

    def report(self, source: Source) -> Report:
        explicit, near = self.target.explicit, self.near
        return scan_source(
            source, policy=self.policy, limits=self.limits, explicit=explicit, near=near, document=False
        ).report


def _with_forms(report: Report, written: CheckoutForms, judging: _Judging) -> Report:
    """Join the report of a blob with those of the contents that a checkout may write: the worst verdict counts."""
    reports = [report]
    target, policy = judging.target, judging.policy
    for form in written.others:
        data = form.data or b""
        if pointer_of(data[: LONGEST + 1]) is not None:
            continue  # git-lfs replaces it by the file of the pointer, which was judged
        if judging.is_spoiled(data):
            continue  # a text pickle whose module names now end in "\r": it fails before it does anything
        seen = judging.report(MemorySource(data, target.path))
        reports.append(seen._replace(findings=tuple(_as_written(found, form) for found in seen.findings)))
    for why in written.unknown:
        message = f"what a checkout writes for it is not known: {why}"
        finding = _unjudged("git-checkout-unknown", message, "judge the file in a clone: safeload scan FILE")
        # The blob may be proven to be no model; what a checkout writes is then still unjudged.
        reports.append(Report(target.path, Verdict.UNJUDGED, findings=(finding,), policy_digest=policy.digest))
    verdict = worst([one.verdict for one in reports], empty=report.verdict)
    telling = [one for one in reports[1:] if one.verdict not in {Verdict.SKIPPED, Verdict.CLEAN} or one.streams]
    if not telling:
        return report
    first = report if report.verdict is not Verdict.SKIPPED else telling[0]
    # SECURITY: a baseline accepts findings of one content. The digest covers all contents, so that an entry for the
    # blob alone does not accept the others.
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


def _as_written(found: Finding, form: CheckoutForm) -> Finding:
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
