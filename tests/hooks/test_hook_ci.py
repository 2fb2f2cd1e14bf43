"""`safeload hook ci`: a checkout is judged by the rules of its base commit, and a change to them is a finding."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import DANGEROUS, PICKLE, UNVETTED, Repo

PACK = b"""[[dangerous]]
module = "collections"
names = ["OrderedDict"]
family = "runs-programs"
severity = "high"
reason = "not here"
"""


def judged(repo: Repo, *arguments: str, **environment: str) -> tuple[int, dict[str, tuple[str, list[str]]]]:
    """Exit code, and path -> (verdict, rules) of what is not clean."""
    out = repo.path.parent / "report.json"
    done = repo.safeload("hook", "ci", "--report", f"json={out}", *arguments, **environment)
    assert done.stderr == ""
    files = json.loads(out.read_text())["files"]
    out.unlink()
    bad = [file for file in files if file["verdict"] not in ("clean", "skipped")]
    return done.returncode, {
        file["path"]: (file["verdict"], [finding["rule"] for finding in file["findings"]]) for file in bad
    }


@pytest.fixture
def base(repo: Repo) -> str:
    repo.put("models/a.pt", PICKLE)
    repo.put("pyproject.toml", b'[project]\nname = "x"\n')
    return repo.commit()


def test_a_clean_checkout_passes(repo: Repo, base: str) -> None:
    assert judged(repo) == (0, {})
    assert judged(repo, "--base", base, "models") == (0, {})


def test_what_a_change_brings_is_judged(repo: Repo, base: str) -> None:
    repo.put("models/notes.txt", DANGEROUS)
    repo.commit()
    code, found = judged(repo, "--base", base)
    assert (code, found["./models/notes.txt"][0]) == (1, "dangerous")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("safeload.toml", b'fail-on = "dangerous"\n'),
        ("pyproject.toml", b'[project]\nname = "x"\n[tool.safeload]\nfail-on = "dangerous"\n'),
        ("pyproject.toml", b'[project]\nname = "x"\n["tool"."safe\\u006coad"]\nfail-on = "dangerous"\n'),
        ("pyproject.toml", b"[project\n"),
    ],
)
def test_the_change_cannot_bring_its_own_configuration(repo: Repo, base: str, name: str, text: bytes) -> None:
    repo.put("models/own.pt", UNVETTED)
    repo.put(name, text)
    repo.commit()
    code, found = judged(repo, "--base", base, "models")
    assert code == 1
    assert found[name] == ("unvetted", ["configuration-changed"])
    assert found["models/own.pt"][0] == "unvetted"


def test_a_change_to_the_rules_alone_fails_whatever_fail_on_says(repo: Repo, base: str) -> None:
    repo.put("safeload.toml", b"allow-empty = true\n")
    repo.commit()
    assert judged(repo, "--base", base, "--fail-on", "dangerous")[0] == 1


def test_once_it_is_in_the_base_it_counts(repo: Repo, base: str) -> None:
    repo.put("models/own.pt", UNVETTED)
    repo.put("safeload.toml", b'fail-on = "dangerous"\n')
    merged = repo.commit()
    assert judged(repo, "--base", merged, "models")[0] == 0
    # And it counts although the checkout took it out again.
    (repo.path / "safeload.toml").unlink()
    repo.commit()
    code, found = judged(repo, "--base", merged, "models")
    assert code == 1
    assert found["safeload.toml"][1] == ["configuration-changed"]


def test_an_unrelated_change_of_pyproject_is_none(repo: Repo, base: str) -> None:
    repo.put("pyproject.toml", b'[project]\nname = "y"\n[tool.other]\nx = 1\n')
    repo.commit()
    assert judged(repo, "--base", base) == (0, {})


def test_what_lies_in_the_work_tree_alone_counts_for_nothing(repo: Repo, base: str) -> None:
    repo.put("models/own.pt", UNVETTED)
    repo.put("safeload.toml", b'fail-on = "dangerous"\n')
    assert judged(repo, "models")[0] == 1


def test_a_configuration_below_or_above_is_seen(repo: Repo, base: str) -> None:
    repo.put("sub/x", b"x")
    base = repo.commit()
    repo.put("sub/safeload.toml", b'fail-on = "dangerous"\n')
    repo.put("safeload.toml", b'fail-on = "dangerous"\n')
    repo.commit()
    done = repo.safeload("hook", "ci", "--base", base, "../models", cwd=repo.path / "sub")
    assert done.returncode == 1
    assert "UNVETTED   safeload.toml" in done.stdout
    assert "UNVETTED   ../safeload.toml" in done.stdout


def baseline(repo: Repo, path: str) -> None:
    """A baseline that lets pass what is known of `path`, made from its report."""
    done = repo.safeload("scan", "--format", "json", path)
    file = json.loads(done.stdout)["files"][0]
    lines = ['schema = "safeload.baseline/1"']
    for finding in file["findings"]:
        if finding["verdict"] == "clean":
            continue
        fields = {"judged_sha256": file["judged_sha256"], "rule": finding["rule"], "verdict": finding["verdict"]}
        fields |= {"global": finding["global"], "member": finding["member"], "reason": "known"}
        lines += ["[[entry]]", *(f"{key} = {json.dumps(value)}" for key, value in fields.items() if value)]
        lines.append("expires = 9999-01-01")
    repo.put("known.toml", "\n".join(lines).encode())


@pytest.mark.parametrize("configured", [False, True])
def test_a_baseline_comes_from_the_base(repo: Repo, base: str, configured: bool) -> None:
    arguments = [] if configured else ["--baseline", "known.toml"]
    repo.put("models/own.pt", UNVETTED)
    baseline(repo, "models/own.pt")
    if configured:
        repo.put("safeload.toml", b'baseline = "known.toml"\n')
    new = repo.commit()
    # Brought along by the change itself: a finding, and not in force. In the base: in force, nothing to say.
    code, found = judged(repo, "--base", base, *arguments, "models")
    assert code == 1
    assert found["safeload.toml" if configured else "known.toml"][1] == ["configuration-changed"]
    assert judged(repo, "--base", new, *arguments, "models")[0] == 0
    # Emptied by the change: that of the base still counts, and the change is said.
    repo.put("known.toml", b'schema = "safeload.baseline/1"\n')
    repo.commit()
    code, found = judged(repo, "--base", new, *arguments, "models")
    assert (code, found["known.toml"][1]) == (1, ["configuration-changed"])


def test_an_expired_entry_fails(repo: Repo, base: str) -> None:
    repo.put("models/own.pt", UNVETTED)
    baseline(repo, "models/own.pt")
    known = repo.path / "known.toml"
    known.write_text(known.read_text().replace("9999", "2020"))
    repo.commit()
    done = repo.safeload("hook", "ci", "--baseline", "known.toml", "--fail-on", "dangerous", "models")
    assert done.returncode == 2
    assert "known.toml:2: expired on 2020-01-01" in done.stderr


def test_a_pack_comes_from_the_base(repo: Repo, base: str) -> None:
    repo.put("pack.toml", PACK)
    repo.put("models/b.pt", "benign/state-dict-1.6.pt")
    tightened = repo.commit()
    assert judged(repo, "--base", tightened, "--policy", "pack.toml", "models")[0] == 1
    repo.put("pack.toml", b"")
    repo.commit()
    code, found = judged(repo, "--base", tightened, "--policy", "pack.toml", "models")
    assert found["pack.toml"][1] == ["configuration-changed"]
    assert {verdict for verdict, _ in found.values()} == {"unvetted", "dangerous"}
    assert judged(repo, "--base", tightened, "--policy", "standard", "models") == (0, {})
    assert code == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--base", "0" * 40], "is not in this clone"),
        (["--base", "--upload-pack=x"], "is not in this clone"),
        (["--policy", "absent.toml"], "in neither the base commit nor the checkout"),
        (["--baseline", "../x.toml"], "outside the repository"),
        (["--baseline", "/etc/passwd"], "outside the repository"),
        (["--report", "nonsense=x"], "FORMAT=FILE"),
        (["--report", "json"], "FORMAT=FILE"),
        (["--report", "json=a", "--report", "json=b"], "each format once"),
        (["--report", "json=models/a.pt", "models"], "one of the files to scan"),
    ],
)
def test_a_wrong_command_line_ends_with_two(repo: Repo, base: str, arguments: list[str], said: str) -> None:
    done = repo.safeload("hook", "ci", *arguments)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_configuration_cannot_reach_out_of_the_repository(repo: Repo, base: str) -> None:
    for value in (b"../../x.toml", b"/etc/passwd"):
        repo.put("safeload.toml", b'baseline = "' + value + b'"\n')
        repo.commit()
        done = repo.safeload("hook", "ci")
        assert done.returncode == 2
        assert "outside the repository" in done.stderr


def test_a_link_in_the_base_is_not_read(repo: Repo, base: str) -> None:
    (repo.path / "known.toml").symlink_to("/etc/passwd")
    repo.commit()
    done = repo.safeload("hook", "ci", "--baseline", "known.toml")
    assert done.returncode == 2
    assert "no regular file in the base commit" in done.stderr


@pytest.mark.parametrize(
    "environment",
    [{"GITHUB_EVENT_NAME": "pull_request"}, {"GITHUB_EVENT_NAME": "merge_group"}, {"CI_MERGE_REQUEST_IID": "3"}],
)
def test_a_proposed_change_without_a_base_is_refused(repo: Repo, base: str, environment: dict[str, str]) -> None:
    for arguments in ([], ["--base", ""]):
        done = repo.safeload("hook", "ci", *arguments, **environment)
        assert done.returncode == 2
        assert "--base must name the commit" in done.stderr
    assert repo.safeload("hook", "ci", "--base", base, **environment).returncode == 0


def test_nothing_to_judge_is_two_unless_allowed(repo: Repo) -> None:
    repo.put("README", b"words\n")
    repo.commit()
    assert repo.safeload("hook", "ci").returncode == 2
    assert repo.safeload("hook", "ci", "--allow-empty").returncode == 0
    assert repo.safeload("hook", "ci", SAFELOAD_ACTION_ALLOW_EMPTY="true").returncode == 0
    assert repo.safeload("hook", "ci", SAFELOAD_ACTION_ALLOW_EMPTY="false").returncode == 2


HOSTILE = "x\n::set-output name=verdict::clean\n##[add-mask]a%0A`<img src=x>`.pt"


def runner(tmp_path: Path) -> dict[str, str]:
    names = ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")
    for name in names:
        (tmp_path / name).write_text("before=1\n" if name == "GITHUB_OUTPUT" else "")
    return {"GITHUB_ACTIONS": "true", **{name: str(tmp_path / name) for name in names}}


def test_a_github_runner_gets_outputs_a_summary_and_annotations(repo: Repo, base: str, tmp_path: Path) -> None:
    repo.put(f"models/{HOSTILE}", DANGEROUS)
    repo.commit()
    sarif = tmp_path / "a\nverdict=clean.sarif"
    done = repo.safeload("hook", "ci", SAFELOAD_ACTION_PATHS="models\n\n", SAFELOAD_ACTION_SARIF=str(sarif),
                         **runner(tmp_path))  # fmt: skip
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    word = lines[0].removeprefix("::stop-commands::")
    assert word.startswith("safeload-")
    assert lines.count(f"::{word}::") == 1
    commands = [line for line in lines[lines.index(f"::{word}::") + 1 :] if line.lstrip().startswith("::")]
    assert [line.split()[0] for line in commands] == ["::error"]
    assert commands[0].startswith("::error file=models/x")
    assert not any("##[" in line for line in lines[lines.index(f"::{word}::") :])
    assert outputs((tmp_path / "GITHUB_OUTPUT").read_text()) == {
        "before": "1", "verdict": "dangerous", "sarif": str(sarif),
    }  # fmt: skip
    summary = (tmp_path / "GITHUB_STEP_SUMMARY").read_text()
    assert summary.startswith("## safeload: dangerous\n")
    assert "\n::" not in summary
    assert json.loads(sarif.read_text())["runs"][0]["results"]


def outputs(text: str) -> dict[str, str]:
    """What a runner makes of its output file."""
    found, lines = {}, iter(text.split("\n"))
    for line in lines:
        name, sign, word = line.partition("<<")
        if sign:
            value = []
            while (inner := next(lines)) != word:
                value.append(inner)
            found[name] = "\n".join(value)
        elif line:
            name, _, found_value = line.partition("=")
            found[name] = found_value
    return found


def test_elsewhere_it_is_text(repo: Repo, base: str) -> None:
    done = repo.safeload("hook", "ci", "models")
    assert done.stdout.startswith("clean: 1 file")
    assert "::" not in done.stdout


def test_two_runs_have_two_delimiters(repo: Repo, base: str, tmp_path: Path) -> None:
    first, second = (repo.safeload("hook", "ci", **runner(tmp_path)).stdout.split("\n")[0] for _ in range(2))
    assert first != second


def test_pointers_are_followed_and_missing_ones_said(repo: Repo, base: str) -> None:
    repo.put("models/l.pt", b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 1\n")
    repo.commit()
    code, found = judged(repo, "--base", base)
    assert (code, found["./models/l.pt"]) == (2, ("unjudged", ["lfs-pointer"]))


def test_several_reports_at_once(repo: Repo, base: str) -> None:
    repo.put("models/bad.pt", DANGEROUS)
    repo.commit()
    folder = repo.path.parent
    names = ("html", "junit", "markdown", "sarif")
    done = repo.safeload(
        "hook", "ci", "models", *(word for name in names for word in ("--report", f"{name}={folder / name}"))
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert all("bad.pt" in (folder / name).read_text() for name in names)


def test_fail_on_of_the_configuration_is_checked(repo: Repo, base: str) -> None:
    repo.put("safeload.toml", b'fail-on = "nothing"\n')
    repo.commit()
    done = repo.safeload("hook", "ci")
    assert (done.returncode, "'fail-on' is unvetted or dangerous" in done.stderr) == (2, True)
