"""What every test may ask for."""

from __future__ import annotations

import functools
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent

_LEFT_OUT = (".git", ".venv", ".venv-bench", ".venv-scoreboard", "build", "dist", "__pycache__")


SLOW = (
    # Real loaders, on files made to deceive them.
    "silence", "differential", "hostile", "integrations", "containers/test_keras_config.py",
    "containers/test_skops_schema.py", "containers/test_zip_torch_agrees.py", "containers/test_tar_names.py",
    "containers/test_pt2_program.py", "machine/test_agreement.py", "modules/test_walk.py",
    "modules/test_walk_hostile.py", "scanning/units/test_chat_template.py", "vetted/test_torch_kinds.py",
    "loading/test_equal.py", "loading/test_rebuild.py", "loading/test_resume.py", "loading/test_state_dict_loaded.py",
    "test_restricted.py", "converting/test_converted_back.py", "converting/test_shards.py", "converting/test_wild.py",
    "tree/test_round_trip.py", "scanning/test_shard_sets.py", "containers/test_pt2_expression.py",
    # A browser, repositories with hooks, commands run as printed, programs under guard, a process for each case.
    "reports/test_html_browser.py", "reports/test_report_sarif.py", "hooks", "quiet", "docs/test_docs_run.py",
    "release", "workers", "cli/test_run.py", "cli/test_completion.py", "cli/test_cli_output.py", "cli/test_doctor.py",
    "checks/test_evidence_of_sets.py", "loading/test_malformed.py", "loading/test_trust.py",
    "converting/test_faults.py", "converting/test_bounded.py", "converting/test_cli_convert.py", "cli/test_explain.py",
    "converting/test_folder_names.py", "converting/test_folder_manifest.py", "converting/test_recursive.py",
    "loading/test_threads.py", "test_scoreboard.py",
    # Many seeded cases, or large ones.
    "fuzz", "loading/test_load_fuzz.py", "loading/test_zero_copy.py", "machine/test_limits.py",
    "machine/test_fuzz.py", "containers/whole", "containers/test_json_text.py", "converting/test_blocks.py",
    "converting/test_casts.py", "converting/test_portions.py", "test_release.py",
    "scanning/test_scanner_costs.py", "scanning/units/test_units_fuzz.py",
    # Every sample, once more: what is said of a file, and no part of a verdict.
    "explaining", "inspecting", "loading/test_open.py",
    # Every source file, read and parsed.
    "test_style.py", "test_portable.py",
)  # fmt: skip
"""Folders and files that `make test-fast` leaves out; single tests beside them are marked `slow` where they stand."""


_SLOW_PLACES = frozenset(ROOT / "tests" / name for name in SLOW)


@functools.cache
def is_slow(path: Path) -> bool:
    """Whether the file, or a folder that it is in, is named in SLOW."""
    return path in _SLOW_PLACES or not _SLOW_PLACES.isdisjoint(path.parents)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """What nobody asked for is not even imported: some of it imports transformers, or makes a thousand files."""
    return True if config.option.markexpr.startswith("not slow") and is_slow(collection_path) else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what lies in SLOW, before `-m` chooses."""
    if missing := sorted(str(place) for place in _SLOW_PLACES if not place.exists()):
        raise pytest.UsageError(f"SLOW in tests/conftest.py names what is not there: {', '.join(missing)}")
    for item in items:
        if is_slow(item.path):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return ROOT


@pytest.fixture(scope="session")
def project_files(root: Path) -> tuple[Path, ...]:
    """Every file of the project: what git tracks or would track; without git, what is there."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=root,
            check=True,
            capture_output=True,
        ).stdout.split(b"\0")
        paths = [root / name.decode() for name in listed if name]
    except (OSError, subprocess.CalledProcessError):
        paths = [p for p in root.rglob("*") if not any(part in _LEFT_OUT for part in p.relative_to(root).parts)]
    return tuple(sorted(p for p in paths if p.is_file()))


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt here and ends what is started here, also where the suite was started ignoring it.

    A shell starts a job in the background that way (`nohup make test &`), and Python then leaves the signal ignored.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def between(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Runs a function after the verdict and before anything is built."""
    from safeload.loading import judged

    def install(act: Callable[[], None]) -> None:
        admit = judged.admit

        def hooked(*args: Any, **options: Any) -> None:
            admit(*args, **options)
            act()

        monkeypatch.setattr(judged, "admit", hooked)

    return install
