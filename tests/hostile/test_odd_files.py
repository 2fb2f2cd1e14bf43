"""Paths that are no ordinary files: each has one outcome, in a scan, with workers, in a load and a conversion."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import safeload
from tests.hostile.surroundings import ROOT, SAMPLES, command, environment

HONEST = (SAMPLES / "benign" / "state-dict.pt").read_bytes()
GIB4 = 1 << 32
DEVICE = ("not-a-file", "a character device: it was not opened")
ZEROS = "the file starts with nothing but zeros: a download that was never finished"

# Path, as made by `odd` or of the system -> rule and message of its one finding; None for a clean file.
OUTCOMES: dict[str, tuple[str, str] | None] = {
    "fifo": ("not-a-file", "a named pipe: it was not opened"),
    "socket": ("not-a-file", "a socket: it was not opened"),
    "dangling": ("broken-link", "a link to a file that does not exist"),
    "itself": ("broken-link", "a link that leads back to itself"),
    "nowhere.pt": ("not-found", "there is no file or folder of this name"),
    "sparse": ("truncated", ZEROS),
    "sparse-pickle": (
        "trailing-bytes",
        f"{GIB4 - 4} bytes after the last pickle belong to nothing that was read; another program may see another file "
        "in them",
    ),
    "sparse-zip": (
        "malformed",
        "truncated: the end record is missing, so the file was cut off or is still being written; get it again",
    ),
    "zip-behind-4-gib": (
        "zip-prefix",
        f"{GIB4} bytes stand before the first member: the file may be another one as well",
    ),
    "empty": ("empty-file", "the file is empty"),
    "/dev/zero": DEVICE,
    "/dev/null": DEVICE,
    "/dev/full": DEVICE,
    "/proc/self/environ": (
        "unreadable",
        "it cannot be read: says that it is empty, and gives bytes: pipe its bytes in instead",
    ),
    "line\n\x1b[31mred\u202e.pt": None,
    "\udcff\udcfe.pt": None,
    "link-to-file": None,
}


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder, the current one, with a file for each of OUTCOMES that can be made."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo("fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        os.symlink("no-such-file", "dangling")
        os.symlink("itself", "itself")
        for name, data in (("sparse", b""), ("sparse-pickle", b"\x80\x02N."), ("sparse-zip", HONEST)):
            with open(name, "wb") as file:
                file.write(data)
                file.truncate(GIB4)
        with open("zip-behind-4-gib", "wb") as file:
            file.seek(GIB4)
            file.write(HONEST)
        open("empty", "wb").close()
        for plain in ("line\n\x1b[31mred\u202e.pt", "\udcff\udcfe.pt"):
            with open(plain, "wb") as file:
                file.write(b"\x80\x02N.")
        os.symlink("\udcff\udcfe.pt", "link-to-file")
        yield tmp_path


@pytest.mark.parametrize("options", [(), ("--jobs", "2", "--timeout", "60")])
def test_each_has_its_outcome(options: tuple[str, ...], odd: Path) -> None:
    done = command("scan", "--format", "json", *options, *map(os.fsencode, OUTCOMES), cwd=odd)
    assert (done.returncode, done.stderr) == (2, b"")
    files = json.loads(done.stdout)["files"]
    found = {
        file["path"]: (file["findings"][0]["rule"], file["findings"][0]["message"]) if file["findings"] else None
        for file in files
    }
    assert found == OUTCOMES
    assert {file["verdict"] for file in files if file["findings"]} == {"unjudged"}
    assert {file["verdict"] for file in files if not file["findings"]} == {"clean"}
    assert all(len(file["findings"]) <= 1 for file in files)


def test_what_reaches_a_terminal_is_spelled_out(odd: Path) -> None:
    done = command("scan", "--verbose", *map(os.fsencode, OUTCOMES), cwd=odd, env=environment(PYTHONIOENCODING="utf-8"))
    assert done.returncode == 2
    text = done.stdout.decode("utf-8")
    assert r"line\n\x1b[31mred\u202e.pt" in text
    assert r"\xff\xfe.pt" in text
    assert not {"\x1b", "\u202e", "\udcff"} & set(text)


REFUSED = {
    "fifo": "InputError", "socket": "InputError", "/dev/zero": "InputError", "/dev/null": "InputError",
    "/dev/full": "InputError", "dangling": "InputNotFound", "itself": "InputError", "nowhere.pt": "InputNotFound",
    "/proc/self/environ": "InputError",
}  # fmt: skip
"""The others are opened, judged and refused: UnsafeCheckpoint."""


@pytest.mark.parametrize("path", OUTCOMES)
def test_loads_and_conversions_refuse_it(path: str, odd: Path) -> None:
    if OUTCOMES[path] is None:
        assert safeload.load(path) is None
        return
    wanted = REFUSED.get(path, "UnsafeCheckpoint")
    for act in (
        lambda: safeload.load(path),
        lambda: safeload.load(path, unvetted="record"),
        lambda: safeload.convert(path, "out.safetensors"),
        lambda: safeload.open(path),
    ):
        with pytest.raises(safeload.SafeloadError) as caught:
            act()
        assert type(caught.value).__name__ == wanted
    assert not os.path.exists("out.safetensors")


def test_a_circle_of_folders_ends(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    os.symlink("../..", tmp_path / "a" / "b" / "up")
    os.symlink("b", tmp_path / "a" / "side")
    (tmp_path / "a" / "b" / "x.pkl").write_bytes(b"N.")
    for options in ((), ("--jobs", "2")):
        done = command("scan", "--format", "json", *options, tmp_path)
        files = json.loads(done.stdout)["files"]
        judged = [os.path.relpath(file["path"], tmp_path) for file in files if file["verdict"] != "skipped"]
        assert (done.returncode, judged) == (0, ["a/b/x.pkl"])


UNREADABLE = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
import safeload, safeload.converting.api, safeload.loading, safeload.workers, safeload.loading.lazy
from safeload.inputs.walk import Target, walk
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.workers import Settings, scan_here
settings = Settings(Policy.default(), None, Limits())
safeload.scan(b"N.")
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
said = []
for report in scan_here(walk(sys.argv[2:]), settings):
    said.append([os.path.basename(report.path), report.verdict, report.findings[0].rule, report.findings[0].message])
for act in (safeload.load, safeload.convert):
    try:
        act(sys.argv[2])
    except safeload.SafeloadError as error:
        said.append(type(error).__name__)
print(json.dumps(said))
"""


def test_what_may_not_be_read() -> None:
    """Asked by a user without rights: the superuser's tests become one first."""
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)  # the child may be another user
        path, folder = Path(place, "secret.pt"), Path(place, "folder")
        path.write_bytes(HONEST)
        path.chmod(0)
        folder.mkdir(mode=0)
        line = [sys.executable, "-c", UNREADABLE, str(ROOT), str(path), str(folder)]
        done = subprocess.run(line, env=environment(), capture_output=True, text=True, check=False)
        folder.chmod(0o700)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [
        ["secret.pt", "unjudged", "unreadable", "it cannot be read: Permission denied"],
        ["folder", "unjudged", "unreadable", "it cannot be read: Permission denied"],
        "InputDenied",
        "InputDenied",
    ]
