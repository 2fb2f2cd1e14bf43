"""The image, as far as it can be looked at without one: what the Dockerfile says, and what is sent to be built."""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

SAMPLE = ROOT / "samples/files/benign/checkpoint.pt"

Instruction = tuple[str, str]


def stages(text: str) -> list[list[Instruction]]:
    """The instructions of each stage, FROM first: (word, the rest)."""
    lines = re.sub(r"\\\n\s*", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)).splitlines()
    instructions = [
        (word.upper(), rest.strip()) for word, _, rest in (line.partition(" ") for line in lines if line.strip())
    ]
    starts = [at for at, (word, _) in enumerate(instructions) if word == "FROM"] + [len(instructions)]
    return [instructions[start:end] for start, end in itertools.pairwise(starts)]


def of(stage: list[Instruction], word: str) -> list[str]:
    return [rest for found, rest in stage if found == word]


@pytest.fixture(scope="module")
def dockerfile(root: Path) -> list[list[Instruction]]:
    return stages((root / "Dockerfile").read_text(encoding="utf-8"))


def test_the_base_is_pinned_by_its_digest(dockerfile: list[list[Instruction]]) -> None:
    bases = [of(stage, "FROM")[0].partition(" AS ")[0] for stage in dockerfile]
    assert len(bases) == 2
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.\d+-slim@sha256:[0-9a-f]{64}", bases[0])


def test_the_scanner_runs_as_nobody_in_particular(dockerfile: list[list[Instruction]]) -> None:
    (user,) = of(dockerfile[-1], "USER")
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)
    words = [word for word, _ in dockerfile[-1]]
    assert not {"RUN", "COPY", "ADD"} & set(words[words.index("USER") :]), "nothing is made by that user"


def test_it_does_not_start_in_what_it_judges(dockerfile: list[list[Instruction]]) -> None:
    """A configuration is looked for from the folder in which a command starts."""
    assert of(dockerfile[-1], "WORKDIR") == ["/"]


def test_it_is_the_command_and_needs_no_shell(dockerfile: list[list[Instruction]]) -> None:
    assert [json.loads(rest) for rest in of(dockerfile[-1], "ENTRYPOINT")] == [["safeload"]]
    assert [json.loads(rest) for rest in of(dockerfile[-1], "CMD")] == [["--help"]]


def test_the_image_holds_what_was_built_and_nothing_else(dockerfile: list[list[Instruction]]) -> None:
    build, image = dockerfile
    assert of(image, "COPY") == ["--from=build /opt/safeload /opt/safeload"]
    assert of(image, "RUN") + of(image, "ADD") + of(image, "EXPOSE") + of(image, "VOLUME") == []
    *_, install, check = of(build, "RUN")
    assert install.endswith("pip --python /opt/safeload/bin/python install ."), "no extra: torch stays out"
    assert "m.__file__.endswith('.so')" in check, "a machine that is not compiled ends the build"
    assert build[-2] == ("WORKDIR", "/"), "not the source, which would be imported instead"


def test_what_is_copied_exists_and_is_sent(root: Path, dockerfile: list[list[Instruction]]) -> None:
    copied = {name.rstrip("/") for rest in of(dockerfile[0], "COPY") for name in rest.split()[:-1]}
    assert [name for name in copied if not (root / name).exists()] == []
    lines = (root / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied


def test_the_docs_run_it_closed(root: Path) -> None:
    text = re.sub(r"\\\n\s*", " ", (root / "docs/ci.md").read_text(encoding="utf-8"))
    (line,) = (line for line in text.splitlines() if line.lstrip().startswith("docker run"))
    words = shlex.split(line)
    assert {"--rm", "--read-only", "--network", "none", "--cap-drop", "ALL"} <= set(words)
    assert words[words.index("-v") + 1].endswith(":/data:ro")


CLOSED = """
mount --make-rprivate / || exit 77
for place in $(cut -d ' ' -f 2 /proc/self/mounts); do mount -o remount,bind,ro "$place" 2>/dev/null; done
for place in /tmp {root}; do touch "$place/probe" 2>/dev/null && rm "$place/probe" && exit 77; done
as="setpriv --reuid 65532 --regid 65532 --clear-groups --no-new-privs"
$as {python} -c 'import safeload' 2>/dev/null || exit 78
exec $as {python} -m safeload scan --format json -- {sample}
"""
SKIPPED = {77: "this system remounts nothing read-only", 78: "a user without rights cannot read this checkout"}


@pytest.mark.skipif(not sys.platform.startswith("linux") or os.geteuid() != 0, reason="only root makes such a place")
def test_a_scan_needs_nothing_to_write_to_and_no_network(root: Path) -> None:
    """As in `docker run --read-only --network none`, of the same user: made of namespaces, where they can be."""
    names = {"python": sys.executable, "root": str(root), "sample": str(SAMPLE)}
    script = CLOSED.format(**{name: shlex.quote(path) for name, path in names.items()})
    if not (shutil.which("unshare") and shutil.which("setpriv")):
        pytest.skip("unshare and setpriv are not installed (Debian: apt-get install util-linux)")
    if subprocess.run(["unshare", "--mount", "--net", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system makes no namespaces")
    done = subprocess.run(
        ["unshare", "--mount", "--net", "sh", "-c", script],
        cwd="/",
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode in SKIPPED:
        pytest.skip(SKIPPED[done.returncode])
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["summary"]["verdict"] == "clean"
