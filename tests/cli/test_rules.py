"""`safeload rules`: packs checked, rules listed, names explained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from safeload.policy.explained import RULES
from tests.cli.configured_project import PACK, golden, run


@pytest.mark.parametrize(
    "name", ["enum-lookup", "posix.system", "fractions.Fraction", "builtins.getattr", "project.Model"]
)
def test_show(name: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pack.toml").write_text(PACK)
    result = run("rules", "show", name, "--policy", "pack.toml")
    assert result.exit_code == 0
    golden(root, f"rules-show-{name}.txt", result.stdout)


def test_every_rule_can_be_shown() -> None:
    for rule, section, _ in RULES:
        result = run("rules", "show", rule)
        assert result.exit_code == 0
        assert result.stdout.startswith(f"{rule} ({section})\n\n")


def test_show_as_json() -> None:
    found = json.loads(run("rules", "show", "collections.OrderedDict", "--json").stdout)
    assert (found["stands"], found["verdict"], found["weights_only"]) == ("vetted", "clean", True)
    assert found["shape"]
    assert json.loads(run("rules", "show", "truncated", "--json").stdout)["section"] == "Other containers"


def test_a_mistyped_rule() -> None:
    result = run("rules", "show", "enum-lokup")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "Error: there is no rule 'enum-lokup'; did you mean 'enum-lookup'?\n"


def test_list(root: Path) -> None:
    lines = run("rules", "list").stdout.splitlines()
    assert [line.split()[0] for line in lines if line.startswith("  ")] == [rule for rule, _, _ in RULES]
    assert all(len(line) <= 100 for line in lines)
    assert [row["rule"] for row in json.loads(run("rules", "list", "--json").stdout)] == [rule for rule, _, _ in RULES]


def test_list_of_a_family(tmp_path: Path) -> None:
    rows = json.loads(run("rules", "list", "--family", "runs-programs", "--json").stdout)
    (found,) = [row for row in rows if row["name"] == "posix.system"]
    assert found == {
        "name": "posix.system", "family": "runs-programs", "about": "starts a program, or a copy of this process"
    }  # fmt: skip
    (tmp_path / "pack.toml").write_text(PACK)
    safe = run("rules", "list", "--family", "record-safe", "--policy", tmp_path / "pack.toml")
    assert safe.stdout == "project.Model  ours, read as a record\n"
    result = run("rules", "list", "--family", "nothing")
    assert result.exit_code == 2
    assert "no name is in 'nothing'; the families are " in result.stderr


def test_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("good.toml").write_text(PACK)
    Path("lowers.toml").write_text('\n[[record_safe]]\nmodule = "os"\nname = "system"\nreason = "r"\n')
    Path("vets.toml").write_text('[[vetted]]\nmodule = "os"\nname = "system"\n')
    assert run("rules", "check", "good.toml").stdout == "good.toml: good (1 [[record_safe]])\n"
    result = run("rules", "check", "lowers.toml", "good.toml", "vets.toml", "none.toml")
    assert result.exit_code == 2
    assert result.stdout == "good.toml: good (1 [[record_safe]])\n"
    assert result.stderr.splitlines() == [
        "Error: lowers.toml:2: [[record_safe]] os.system is dangerous (runs-programs); it cannot be record-safe",
        "Error: vets.toml:1: no section 'vetted' here, only dangerous, known, narrow, record_safe; a pack cannot vet "
        "names, only narrow the table",
        "Error: none.toml: No such file or directory",
    ]
