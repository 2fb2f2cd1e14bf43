"""The rules for judging a proposed change: from the commit that it builds on, never from the change itself.

The author of a change may be the attacker, and the change could bring a configuration, a policy pack or a baseline that
lets its files pass. So all three are read from the base commit, and a change of one of them is a finding. Reads both
commits with git; judges no file and prints nothing.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, NamedTuple

from safeload.errors import InputError, UsageError
from safeload.findings import Finding, Severity, Verdict
from safeload.inputs.toml_file import toml_of
from safeload.integrations.git.repository import FILE_MODES, Repository
from safeload.project.configuration import FILE, POLICIES, PYPROJECT, Configuration, Setting, in_folder
from safeload.report import Report

_BYTES = 64 << 20
"""Bytes of a pack, a baseline or a configuration. Their readers have lower limits of their own."""


class RulesInForce(NamedTuple):
    """The rules of a base commit.

    settings   of its configuration
    policy     the name of a policy, or the path of a copy of its pack; None for the default
    baseline   the path of a copy of its baseline; None for no baseline
    label      the name of the baseline in the repository
    changes    one report for each of these files that the checkout adds or changes
    """

    settings: Mapping[str, Setting]
    policy: str | None
    baseline: str | None
    changes: tuple[Report, ...]
    label: str | None = None


class BaseRules:
    """Copies the files of a base commit that hold rules, for the time of a `with` block."""

    def __init__(self, repository: Repository, base: str, head: str = "HEAD") -> None:
        """Find both commits. Raises UsageError when the clone lacks one."""
        self._repository = repository
        found = repository.commit(base)
        if found is None:
            raise UsageError(
                f"the base commit {base!r} is not in this clone: fetch it first, or check out with fetch-depth: 0"
            )
        built = repository.commit(head)
        if built is None:
            raise UsageError(f"there is no commit {head!r} in this clone")
        self.base, self._head = found, built
        self._folder = tempfile.TemporaryDirectory(prefix="safeload-base-")
        # Without links, because paths are compared with it as text.
        self._root = os.path.realpath(self._folder.name)
        self._changes: dict[str, Report] = {}

    def __enter__(self) -> BaseRules:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folder.cleanup()

    def rules(self, policy: str | None, baseline: str | None) -> RulesInForce:
        """The rules, when the user asks for this `policy` and `baseline`: paths in the repository, or policy names.

        None means what the configuration says. Raises UsageError for a file that neither commit has.
        """
        configuration = self._configuration()
        settings = configuration.settings
        files: list[str | None] = []
        for key, given in (("policy", policy), ("baseline", baseline)):
            if given in POLICIES and key == "policy":
                files.append(given)
            elif given:
                files.append(self._file(self._repository.name(given), key))
            else:
                files.append(self._configured(settings.get(key), key))
        changes = tuple(self._changes[name] for name in sorted(self._changes))
        label = None if files[1] is None else os.path.relpath(files[1], self._root).replace(os.sep, "/")
        return RulesInForce(settings, files[0], files[1], changes, label)

    def _configuration(self) -> Configuration:
        """The configuration of the base commit that is nearest to the folder in which the command was started."""
        for folder in _upwards(self._repository.prefix):
            for name in (FILE, PYPROJECT):
                place = f"{folder}{name}"
                self._copy(place)
                self._compare_configuration(place)
        for folder in _upwards(self._repository.prefix):
            found = in_folder(os.path.join(self._root, folder))
            if found.path:
                return found
        return Configuration()

    def _configured(self, setting: Setting | None, key: str) -> str | None:
        """The name of a file that the configuration sets, in the repository and not in our copy."""
        if setting is None or setting.value in POLICIES:
            return None if setting is None else str(setting.value)
        inside = os.path.relpath(os.path.normpath(setting.value), self._root).replace(os.sep, "/")
        if inside.startswith("../") or os.path.isabs(inside):
            raise UsageError(f"{key} in the configuration is outside the repository: name a file of the repository")
        return self._file(inside, key)

    def _file(self, name: str, key: str) -> str | None:
        """The copy of a pack or a baseline; None when only the checkout has it, because it does not count yet."""
        base, head = (self._repository.at(commit, name) for commit in (self.base, self._head))
        if base is None and head is None:
            raise UsageError(f"{key} {name!r} is in neither the base commit nor the checkout: commit it first")
        if base != head:
            self._change(name, f"a {key}" if base is None or head is None else f"the {key}", base is None, head is None)
        return self._copy(name)

    def _copy(self, name: str) -> str | None:
        """Copy the file `name` of the base commit into our folder, and return its path; None when there is none."""
        entry = self._repository.at(self.base, name)
        if entry is None:
            return None
        if entry.mode not in FILE_MODES:
            raise UsageError(f"{name!r} is no regular file in the base commit")
        path = os.path.join(self._root, *name.split("/"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(self._repository.content(entry.oid, _BYTES))
        return path

    def _compare_configuration(self, name: str) -> None:
        base, head = (self._repository.at(commit, name) for commit in (self.base, self._head))
        if base == head:
            return
        sections: list[dict[str, Any] | None] = []
        for entry in (base, head):
            try:
                text = b"" if entry is None else self._repository.content(entry.oid, _BYTES)
                sections.append(_section(text, name))
            except (UsageError, InputError, UnicodeDecodeError):
                sections.append(None)  # not readable: it counts as a change, because it might set anything
        if None in sections or sections[0] != sections[1]:
            self._change(name, "the configuration", base is None, head is None)

    def _change(self, name: str, what: str, added: bool, removed: bool) -> None:
        does = "adds" if added else "removes" if removed else "changes"
        remedy = "have it reviewed by somebody who may change what is let pass; it counts once it is in the base"
        finding = Finding(
            "configuration-changed", Verdict.UNVETTED, Severity.HIGH,
            f"the checkout {does} {what} of safeload; judged was by the base commit", remedy,
            evidence=f"base commit {self.base}",
        )  # fmt: skip
        path = os.path.relpath(name, self._repository.prefix or os.curdir)
        self._changes[name] = Report(path, Verdict.UNVETTED, findings=(finding,))


def _upwards(prefix: str) -> Iterator[str]:
    """`prefix` and every folder above it, each with a slash at its end; the top is ""."""
    parts = prefix.strip("/").split("/") if prefix else []
    for count in range(len(parts), -1, -1):
        yield "".join(f"{part}/" for part in parts[:count])


def _section(text: bytes, name: str) -> dict[str, Any]:
    """The settings in the text of a configuration. Raises UsageError or UnicodeDecodeError when it is not valid."""
    content = toml_of(text.decode("utf-8"), name)
    if name.rpartition("/")[2] == FILE:
        return content
    tool = content.get("tool", {})
    section = tool.get("safeload", {}) if isinstance(tool, dict) else {}
    return section if isinstance(section, dict) else {"": section}
