"""Asks git what a repository holds: staged files, files of a commit, and their content.

Runs git with a fixed list of arguments, never through a shell. It runs only plumbing commands, which start no program
that the repository names: no hooks, filters, textconv, external diffs or fsmonitor. A stranger may have chosen names
and contents: they never become an option or a pattern. Judges nothing.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from typing import IO, NamedTuple

from safeload.errors import InputError, UsageError
from safeload.inputs import SpooledSource
from safeload.source import Source

FILE_MODES = (0o100644, 0o100755)
LINK_MODE = 0o120000
SUBMODULE_MODE = 0o160000

# Variables that say where the repository and its index are. git sets them for a hook: `git commit FILE` commits from
# another index. Every other variable of git is removed: it could change what these commands print or run.
_PLACES = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CEILING_DIRECTORIES",
    "GIT_DISCOVERY_ACROSS_FILESYSTEM",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
)
_OURS = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_LITERAL_PATHSPECS": "1",
    # SECURITY: refs/replace/ could show other content than the one that is committed.
    "GIT_NO_REPLACE_OBJECTS": "1",
    # An object that a partial clone lacks is an error. git must not fetch it from a server.
    "GIT_NO_LAZY_FETCH": "1",
    "LC_ALL": "C",
}
_CONFIG = ("-c", "core.fsmonitor=false")


class GitEntry(NamedTuple):
    """One file of the index or of a commit. `stage` is 0, unless a merge has left a conflict."""

    mode: int
    oid: str
    stage: int = 0


class Repository:
    """A work tree.

    top      its top folder
    prefix   the path from there to the folder that was asked about, with a slash at its end; "" for the top
    common   the git folder, which all work trees of the repository share
    """

    def __init__(self, folder: str = os.curdir) -> None:
        """Find the work tree that `folder` lies in. Raises UsageError without git, and outside of a work tree."""
        self._git = _program()
        self._cwd = folder
        answer = self._ask("rev-parse", "--show-toplevel", "--show-prefix", "--git-common-dir").split(b"\n")
        if len(answer) != 4:
            raise UsageError("git says more lines than asked for: a folder on the way has a newline in its name")
        top, prefix, common, _ = map(os.fsdecode, answer)
        self.top = top
        self.prefix = prefix
        self.common = os.path.normpath(os.path.join(os.path.abspath(folder), common))
        self._cwd = top

    def name(self, path: str) -> str:
        """The name that git has for `path`: from the top, with slashes. Raises UsageError for a path outside."""
        if os.path.isabs(path):
            path = os.path.relpath(
                os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path)), self.top
            )
            inside = os.path.normpath(path)
        else:
            inside = os.path.normpath(os.path.join(self.prefix, path))
        if inside == os.pardir or inside.startswith(os.pardir + os.sep) or os.path.isabs(inside):
            raise UsageError(f"{path!r} is outside the repository {self.top!r}")
        return inside.replace(os.sep, "/")

    def staged(self) -> dict[str, GitEntry]:
        """Every file of the index, by name. In a merge conflict the last version counts."""
        found = {}
        for record in self._ask("ls-files", "-s", "-z").split(b"\0")[:-1]:
            about, _, name = record.partition(b"\t")
            mode, oid, stage = about.split(b" ")
            found[os.fsdecode(name)] = GitEntry(int(mode, 8), oid.decode("ascii"), int(stage))
        return found

    def changed(self) -> tuple[str, ...]:
        """The names of files that a commit made now would add or change."""
        if self.commit("HEAD") is None:
            return tuple(self.staged())
        listed = self._ask(
            "diff-index", "--cached", "--no-renames", "--name-only", "--diff-filter=d", "-z", "HEAD", "--"
        )
        return tuple(dict.fromkeys(os.fsdecode(name) for name in listed.split(b"\0")[:-1]))

    def commit(self, revision: str) -> str | None:
        """The id of the commit that `revision` names; None when this clone has none."""
        done = self._run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        said = done.stdout.decode("ascii", "replace").strip()
        return said if done.returncode == 0 and said.isalnum() else None

    def at(self, commit: str, name: str) -> GitEntry | None:
        """The file `name` of a commit; None when the commit has no such file, or a folder of this name."""
        for record in self._ask("ls-tree", "-z", "--full-tree", commit, "--", name).split(b"\0")[:-1]:
            about, _, found = record.partition(b"\t")
            mode, kind, oid = about.split(b" ")
            if os.fsdecode(found) == name and kind != b"tree":
                return GitEntry(int(mode, 8), oid.decode("ascii"))
        return None

    def attributes(self, names: Iterable[str], wanted: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
        """For each name the values of the attributes `wanted`, by the attribute files of index and machine."""
        return _attributes(self._run("check-attr", "--cached", "--stdin", "-z", *wanted, given=_lines(names)), wanted)

    def attributes_elsewhere(
        self, names: Iterable[str], wanted: tuple[str, ...], files: Mapping[str, GitEntry], *, fold: bool
    ) -> dict[str, tuple[str, ...]]:
        """The same for somebody else's clone: by the attribute files `files` of the index alone.

        With `fold` for a system that ignores case. Asks git in a new, empty repository, so that neither the
        configuration of this repository nor that of this machine counts.
        """
        objects = os.fsdecode(self._ask("rev-parse", "--git-path", "objects")).rstrip("\n")
        algorithm = os.fsdecode(self._ask("rev-parse", "--show-object-format")).strip()
        records = b"".join(
            b"%o %s\t%s\0" % (entry.mode, entry.oid.encode("ascii"), os.fsencode(name)) for name, entry in files.items()
        )
        with tempfile.TemporaryDirectory(prefix="safeload-") as folder:
            for name in ("objects", "refs"):
                os.mkdir(os.path.join(folder, name))
            with open(os.path.join(folder, "HEAD"), "wb") as head:
                head.write(b"ref: refs/heads/none\n")
            with open(os.path.join(folder, "config"), "w", encoding="ascii") as config:
                version = 0 if algorithm == "sha1" else 1
                config.write(f"[core]\n\trepositoryformatversion = {version}\n\tbare = true\n")
                config.write("" if algorithm == "sha1" else f"[extensions]\n\tobjectformat = {algorithm}\n")
            elsewhere = {
                "GIT_DIR": folder, "GIT_INDEX_FILE": os.path.join(folder, "index"), "GIT_ATTR_NOSYSTEM": "1",
                "GIT_OBJECT_DIRECTORY": os.path.join(os.path.abspath(self._cwd), objects), "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_CONFIG_GLOBAL": os.devnull, "XDG_CONFIG_HOME": folder, "HOME": folder,
            }  # fmt: skip
            case = ("-c", f"core.ignoreCase={'true' if fold else 'false'}", "-c", "core.attributesFile=")
            done = self._run(*case, "update-index", "-z", "--index-info", given=records, elsewhere=elsewhere)
            if not done.returncode:
                done = self._run(
                    *case, "check-attr", "--cached", "--stdin", "-z", *wanted, given=_lines(names), elsewhere=elsewhere
                )
            return _attributes(done, wanted)

    def copying_filters(self) -> frozenset[str]:
        """The filters for which this clone runs `cat` at a checkout: they write the content unchanged."""
        done = self._run("config", "-z", "--get-regexp", r"^filter\..*\.(smudge|process)$")
        programs: dict[str, set[str]] = {}
        for item in os.fsdecode(done.stdout).split("\0")[:-1]:
            key, _, program = item.partition("\n")
            programs.setdefault(key[len("filter.") :].rpartition(".")[0], set()).add(program)
        return frozenset(name for name, found in programs.items() if found == {"cat"})

    def blobs(self) -> Blobs:
        """A reader of contents. The caller closes it."""
        return Blobs([self._git, *_CONFIG, "cat-file", "--batch"], self._cwd)

    def content(self, oid: str, limit: int) -> bytes:
        """The content of one small blob. Raises InputError above `limit` bytes."""
        blobs = self.blobs()
        try:
            source = blobs.open(oid, oid)
            try:
                if source.size > limit:
                    raise InputError(errno.EFBIG, f"has {source.size} bytes, more than {limit}", oid)
                return source.read(0, source.size)
            finally:
                source.close()
        finally:
            blobs.close()

    def _run(
        self, *arguments: str, given: bytes = b"", elsewhere: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        command = [self._git, *_CONFIG, *arguments]
        ours = environment()
        if elsewhere is not None:
            ours = {key: value for key, value in ours.items() if key not in _PLACES} | dict(elsewhere)
        try:
            return subprocess.run(  # noqa: S603 - a list, and a program found on PATH
                command, cwd=self._cwd, env=ours, input=given, capture_output=True, check=False
            )
        except OSError as error:
            raise UsageError(f"git could not be run: {error.strerror}") from error

    def _ask(self, *arguments: str) -> bytes:
        done = self._run(*arguments)
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip() or f"it ended with {done.returncode}"
            raise UsageError(f"git {arguments[0]}: {said}")
        return done.stdout


class Blobs:
    """Reads contents by their ids, from one process of git."""

    def __init__(self, command: list[str], folder: str) -> None:
        self._command = command
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def open(self, oid: str, name: str) -> Source:
        """The content of the blob `oid` as a Source called `name`. Raises InputError."""
        process = self._started()
        whole = False
        try:
            size = _header(process, oid, name)
            source = SpooledSource(_Exactly(_out(process), size, name), name)
            whole = _out(process).read(1) == b"\n"
            if not whole:
                source.close()
                raise InputError(errno.EIO, "git stopped in the middle of it", name)
            return source
        except (OSError, ValueError) as error:
            raise error if isinstance(error, InputError) else InputError(errno.EIO, f"git: {error}", name) from error
        finally:
            if not whole:
                self.close()  # an answer was not read to its end: the next one begins nobody knows where

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            try:
                self._process = subprocess.Popen(  # noqa: S603 - a list, and a program found on PATH
                    self._command, cwd=self._folder, env=environment(), stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                )  # fmt: skip
            except OSError as error:
                raise UsageError(f"git could not be run: {error.strerror}") from error
        return self._process

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    try:
                        pipe.close()
                    except OSError:
                        continue  # it ended before it was asked
            process.kill()
            process.wait()


class _Exactly:
    """A file object over the next `length` bytes of a pipe."""

    def __init__(self, pipe: IO[bytes], length: int, name: str) -> None:
        self._pipe = pipe
        self._left = length
        self._name = name

    def read(self, length: int) -> bytes:
        data = self._pipe.read(min(length, self._left))
        if not data and self._left:
            raise InputError(errno.EIO, "git stopped in the middle of it", self._name)
        self._left -= len(data)
        return data


def _lines(names: Iterable[str]) -> bytes:
    return b"".join(os.fsencode(name) + b"\0" for name in names)


def _attributes(done: subprocess.CompletedProcess[bytes], wanted: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Parse the output of check-attr: path, attribute and value, each with a NUL. Raises UsageError if git failed."""
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip() or f"it ended with {done.returncode}"
        raise UsageError(f"git check-attr: {said}")
    words = done.stdout.split(b"\0")[:-1]
    found: dict[str, dict[str, str]] = {}
    for path, name, value in zip(words[::3], words[1::3], words[2::3], strict=True):
        found.setdefault(os.fsdecode(path), {})[name.decode("ascii")] = value.decode("utf-8", "backslashreplace")
    return {path: tuple(values[name] for name in wanted) for path, values in found.items()}


def environment() -> dict[str, str]:
    """The environment for git: that of this process, without variables of git, except those in `_PLACES`."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_") or key in _PLACES}
    return {**kept, **_OURS}


def _program() -> str:
    found = shutil.which("git")
    if found is None:
        raise UsageError("git is not installed, or not on PATH")
    return os.path.abspath(found)


def _out(process: subprocess.Popen[bytes]) -> IO[bytes]:
    if process.stdout is None:
        raise ValueError("there is no pipe to read from")
    return process.stdout


def _header(process: subprocess.Popen[bytes], oid: str, name: str) -> int:
    """Ask for `oid`, and read the first line of the answer: the size of the content that follows."""
    if process.stdin is None or not oid.isalnum():
        raise ValueError(f"no id of an object: {oid!r}")
    process.stdin.write(oid.encode("ascii") + b"\n")
    process.stdin.flush()
    words = _out(process).readline().split()
    if len(words) != 3 or words[1] != b"blob":
        raise InputError(errno.ENOENT, "this clone does not have its content", name)
    return int(words[2])
