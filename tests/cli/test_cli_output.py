"""Where reports go: files that are there as a whole, pipes that close, disks that are full."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from safeload.cli import app, outfile
from safeload.cli.exit_code import need
from safeload.cli.progress import file_progress
from safeload.errors import InputError, MissingExtra, UsageError

CLEAN = b"\x80\x04N."
DANGEROUS = b"cos\nsystem\n(S'echo harmless'\ntR."

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX")


def scan(*args: str | Path) -> Result:
    return CliRunner().invoke(app, ["scan", *map(str, args)])


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.pkl"
    path.write_bytes(DANGEROUS)
    return path


def test_output_to_a_file(model: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    report.write_text("old")
    result = scan(model, "--format", "json", "-o", report)
    assert (result.exit_code, result.output) == (1, "")
    assert json.loads(report.read_text())["summary"]["verdict"] == "dangerous"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.pkl", "report.json"]
    assert scan(model, "-o", "-").stdout.startswith("DANGEROUS")


def test_a_text_report_in_a_file_has_no_colors(model: Path, tmp_path: Path) -> None:
    scan(model, "-o", tmp_path / "report")
    assert "\x1b" not in (tmp_path / "report").read_text()
    scan(model, "--color", "always", "-o", tmp_path / "report")
    assert "\x1b" in (tmp_path / "report").read_text()


def test_a_report_never_replaces_what_was_scanned(model: Path, tmp_path: Path) -> None:
    for sources in ([model], [tmp_path]):
        result = scan(*sources, "-o", model)
        assert result.exit_code == 2
        assert "one of the files to scan" in result.stderr
    assert model.read_bytes() == DANGEROUS


def test_an_older_report_in_the_scanned_folder_may_be_replaced(tmp_path: Path) -> None:
    # A report written where it is itself scanned is refused like any other scanned file.
    (tmp_path / "m").mkdir()
    (tmp_path / "m/a.pkl").write_bytes(CLEAN)
    assert scan(tmp_path / "m", "-o", tmp_path / "report.txt").exit_code == 0
    assert scan(tmp_path / "m", "-o", tmp_path / "report.txt").exit_code == 0


@posix
def test_mode_and_links_are_kept(tmp_path: Path) -> None:
    report = tmp_path / "report"
    report.write_text("old")
    report.chmod(0o640)
    (tmp_path / "link").symlink_to("report")
    outfile.write(str(tmp_path / "link"), "new")
    assert (tmp_path / "link").is_symlink()
    assert report.read_text() == "new"
    assert stat.S_IMODE(report.stat().st_mode) == 0o640
    outfile.write(os.devnull, "gone")


def test_a_failed_write_leaves_the_old_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = tmp_path / "report"
    report.write_text("old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="No space left"):
        outfile.write(str(report), "new")
    assert report.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_places_without_a_report(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        outfile.check(str(tmp_path), ())
    with pytest.raises(UsageError, match="there is no folder"):
        outfile.check(str(tmp_path / "a" / "b"), ())
    outfile.check(str(tmp_path / "new"), (str(tmp_path / "other"),))


def command(*args: str | Path) -> list[str]:
    return [sys.executable, "-m", "safeload", *map(str, args)]


def test_python_m(model: Path, root: Path) -> None:
    done = subprocess.run(command("scan", model), cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout.startswith("DANGEROUS")
    assert done.stderr == ""


@posix
@pytest.mark.parametrize("form", ["text", "json"])
def test_a_reader_that_goes_away_is_no_error(model: Path, root: Path, form: str) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        command("scan", "--format", form, model), cwd=root, stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_output_that_cannot_be_written_is_a_failure(tmp_path: Path, root: Path) -> None:
    (tmp_path / "a").write_bytes(CLEAN)
    with open("/dev/full", "wb") as full:
        for args in (("scan", tmp_path), ("--help",), ("--version",)):
            done = subprocess.run(command(*args), cwd=root, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
            assert done.returncode == 2
            assert done.stderr == "Error: standard output could not be written: No space left on device\n"
    done = subprocess.run(
        command("scan", tmp_path, "-o", "/dev/full"), cwd=root, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (2, "Error: /dev/full: No space left on device\n")


@posix
def test_closed_streams(tmp_path: Path, root: Path) -> None:
    (tmp_path / "a").write_bytes(CLEAN)
    line = f'"{sys.executable}" -m safeload scan "{tmp_path}/a" '
    done = subprocess.run(["bash", "-c", line + ">&-"], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "standard output is closed" in done.stderr
    done = subprocess.run(["bash", "-c", line + "- <&-"], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "standard input is closed" in done.stdout
    done = subprocess.run(["bash", "-c", line + "2>&-"], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0


@posix
@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("options", [[], ["--jobs", "2"]])
def test_ctrl_c(tmp_path: Path, root: Path, options: list[str]) -> None:
    # Standard input that never ends keeps the command busy.
    running = subprocess.Popen(
        command("scan", *options, "-"),
        cwd=root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    # More than a pipe holds: once all of it is written the command is reading, however long it took to start.
    assert running.stdin
    running.stdin.write(bytes(1 << 20))
    running.stdin.flush()
    os.killpg(running.pid, signal.SIGINT)
    out, err = running.communicate(timeout=20)
    assert running.returncode == 130
    assert out == b""
    assert b"Traceback" not in err


@posix
def test_a_terminal_that_knows_no_letters_gets_escapes(tmp_path: Path, root: Path) -> None:
    (tmp_path / "модель.pkl").write_bytes(CLEAN)
    done = subprocess.run(
        command("scan", "-v", tmp_path),
        cwd=root,
        capture_output=True,
        check=False,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
    )
    assert done.returncode == 0
    assert b"\\u043c\\u043e\\u0434" in done.stdout


def test_our_own_bug_ends_with_two(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("\x1b[31m")

    monkeypatch.setattr("safeload.cli.commands.scan.select", broken)
    result = scan(model)
    assert result.exit_code == 2
    assert "please report it" in result.stderr
    assert "\x1b" not in result.stderr


def test_a_missing_extra_says_how_to_install_it() -> None:
    need("torch", "json")
    with pytest.raises(MissingExtra, match=r"pip install '\.\[torch\]'"):
        need("torch", "json", "no_such_module")


def test_progress_shows_only_for_long_work_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    import safeload.cli.progress as module

    with file_progress(3, show=False) as step:
        step()
    before = set(threading.enumerate())
    with file_progress(3, show=True) as step:
        step()
    shown: list[tuple[str, object]] = []

    class Bar:
        def __init__(self, *_: object, **__: object) -> None: ...

        def add_task(self, _: str, **given: object) -> int:
            shown.append(("start", given))
            return 0

        def start(self) -> None: ...

        def update(self, _: int, **given: object) -> None:
            shown.append(("update", given))

        def stop(self) -> None:
            shown.append(("stop", None))

    import rich.progress

    monkeypatch.setattr(rich.progress, "Progress", Bar)
    monkeypatch.setattr(module, "DELAY", 0.01)
    with file_progress(3, show=True) as step:
        step()
        while not shown:
            time.sleep(0.01)
        step()
    assert shown == [
        ("start", {"total": 3, "completed": 1}),
        ("update", {"description": "scanning", "total": 3, "completed": 2}),
        ("stop", None),
    ]
    for thread in set(threading.enumerate()) - before:
        thread.join(5)


def test_starting_imports_little() -> None:
    code = "import sys, safeload.cli; print(*sorted(m for m in sys.modules if m.partition('.')[0] in sys.argv[1:]))"
    heavy = ["rich", "torch", "numpy", "subprocess", "tempfile", "asyncio", "logging"]
    done = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
