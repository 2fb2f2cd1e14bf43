"""Builds what a release would publish, and tries it as a stranger would: `make release-check`.

The source distribution and the wheel are built, their metadata checked, and each is installed in an environment of its
own that holds nothing else. The wheel must be compiled. The source distribution is built there once more without a
compiler, and must say that it is plain Python. In each environment, outside the checkout, every sample is judged and
the answers compared with samples/index.toml. What passed is left in dist/, and the last line says how it ended.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints.txt"
SAMPLES = ROOT / "samples"
FAILED = 1

PLAIN = "safeload: the machine is not compiled, plain Python is used: no C compiler"
COMPILED = re.compile(r"safeload: compiled \d+ modules")


class Failed(Exception):
    """What would be published is not what it should be."""


def step(words: str) -> None:
    print(f"== {words}", flush=True)


def want(holds: object, otherwise: str) -> None:
    """Raise Failed, with the reason, unless `holds`."""
    if not holds:
        raise Failed(otherwise)


def run(command: list[str | Path], *, cwd: Path, status: int = 0, variables: dict[str, str] | None = None) -> str:
    """What a command prints, on both streams. Raises Failed when it ends with another status."""
    # Nothing of the caller's may reach in: neither modules of the checkout nor another build's settings.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "SAFELOAD_"))}
    # pip obeys the constraints also in the environments that it makes for builds.
    own = {"PIP_CONSTRAINT": str(CONSTRAINTS), "PIP_DISABLE_PIP_VERSION_CHECK": "1", "NO_COLOR": "1", "TERM": "dumb"}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**kept, **own, **(variables or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode != status:
        print(done.stdout[-4000:], file=sys.stderr)
        raise Failed(f"{' '.join(map(str, command))[:200]} ended with {done.returncode}")
    return done.stdout


def only(found: list[Path], what: str) -> Path:
    """The one file that was found."""
    want(len(found) == 1, f"the build made {len(found)} files that are a {what}")
    return found[0]


def build(out: Path) -> tuple[Path, Path]:
    """Both distributions, the wheel made from the source distribution: what that lacks, no wheel has."""
    log = run([sys.executable, "-m", "build", "--outdir", out, ROOT], cwd=out.parent)
    sdist, wheel = only(list(out.glob("*.tar.gz")), "source distribution"), only(list(out.glob("*.whl")), "wheel")
    want(COMPILED.search(log), "the wheel is not compiled: this check needs a C compiler with the headers of Python")
    want(not wheel.name.endswith("-none-any.whl"), f"{wheel.name} is compiled, and named as plain Python")
    return sdist, wheel


def metadata(sdist: Path, wheel: Path) -> str:
    """The version that is stated everywhere."""
    print(run([sys.executable, "-m", "twine", "check", "--strict", sdist.name, wheel.name], cwd=sdist.parent).rstrip())
    version = str(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])
    for path in (sdist, wheel):
        want(path.name.startswith(f"safeload-{version}"), f"{path.name} is not of version {version}")
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    want(f"## {version}" in changes, f"CHANGELOG.md does not tell of {version}")
    return version


def environment(folder: Path) -> Path:
    """A new environment that holds pip alone; the folder of its programs."""
    builder = venv.EnvBuilder(with_pip=True)
    builder.create(folder)
    return folder / ("Scripts" if os.name == "nt" else "bin")


def install(programs: Path, path: Path, variables: dict[str, str] | None = None) -> str:
    """Install one distribution with the pinned versions of what it needs; what the build said, if there was one."""
    return run([programs / "python", "-m", "pip", "install", "-v", path], cwd=path.parent, variables=variables)


def demo(programs: Path, version: str, machine: str) -> int:
    """Judge every sample with what is installed; how many there were."""
    safeload = programs / "safeload"
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        shown = run([safeload, "--version"], cwd=here)
        want(shown.startswith(f"safeload {version} "), f"`safeload --version` says {shown!r}")
        doctor = json.loads(run([safeload, "doctor", "--json"], cwd=here))
        parts = {part["name"]: part for part in doctor["parts"]}
        want(parts["machine"]["found"] == machine, f"`safeload doctor` says of the machine: {parts['machine']}")
        want(parts["torch"]["state"] == "missing", "the environment is not empty: torch is there")
        expected = {
            str(SAMPLES / "files" / sample["path"]): sample["verdict"]
            for sample in tomllib.loads((SAMPLES / "index.toml").read_text(encoding="ascii"))["sample"]
        }
        report = here / "report.json"
        run([safeload, "scan", "--quiet", "--format", "json", "-o", report, "--", *expected], cwd=here, status=1)
        files = json.loads(report.read_text(encoding="utf-8"))["files"]
        judged = {file["path"]: file["verdict"] for file in files}
        different = sorted(path for path in expected if judged.get(path) != expected[path])
        want(
            not different,
            f"{len(different)} samples are judged otherwise than samples/index.toml says: {different[:3]}",
        )
        return len(expected)


def check(work: Path) -> str:
    """All of it, in an empty folder. Returns the last line to say."""
    out = work / "dist"
    out.mkdir()
    step("build the source distribution, and the wheel from it")
    sdist, wheel = build(out)
    step("twine check --strict")
    version = metadata(sdist, wheel)

    step(f"install {wheel.name} in an empty environment, and judge the samples")
    programs = environment(work / "of-wheel")
    install(programs, wheel)
    count = demo(programs, version, "compiled")
    print(f"{count} samples are judged as samples/index.toml says, by the compiled machine")

    step(f"install {sdist.name} in an empty environment without a compiler, and judge the samples")
    programs = environment(work / "of-sdist")
    log = install(programs, sdist, {"CC": str(work / "no-such-compiler")})
    want(PLAIN in log, "a build without a compiler does not say that it is plain Python")
    print(PLAIN)
    count = demo(programs, version, "plain Python")
    print(f"{count} samples are judged as samples/index.toml says, by plain Python")

    kept = ROOT / "dist"
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(out, kept)
    return f"release-check: passed: safeload {version}: dist/{sdist.name} and dist/{wheel.name}"


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="safeload-release-") as folder:
        try:
            print(check(Path(folder)))
        except Failed as error:
            print(f"release-check: FAILED: {error}")
            return FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
