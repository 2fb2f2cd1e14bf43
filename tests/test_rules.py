"""rules/: the schema, the generated table, the README's headings, and what no entry may say."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from safeload.containers.zip import rules as zip_rules
from safeload.policy import Policy, packs, table
from safeload.policy.rules import WHOLE, Rules, digest_of, places
from safeload.vetted import CONSTRUCTORS

ROOT = Path(__file__).resolve().parent.parent

PLAIN_OPERATORS = "abs add and_ eq floordiv ge gt le lt mod mul ne neg not_ or_ pos pow sub truediv xor"

INSIDE_DANGEROUS = {
    "operator": PLAIN_OPERATORS,
    "_operator": PLAIN_OPERATORS,
    "dill._dill": "_load_type",
    "torch._dynamo.decorators": "_DimRange",
}
"""Vetted or known names in a module that is dangerous as a whole, or that are dangerous in any module. Reviewed."""


@pytest.fixture(scope="module")
def rules() -> Rules:
    return packs.read_folder(ROOT / "rules")


@pytest.fixture(scope="module")
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("rules_build", ROOT / "rules" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_is_what_the_rules_say(rules: Rules, build: ModuleType) -> None:
    assert (ROOT / "safeload/policy/table.py").read_text(encoding="utf-8") == build.render(rules), (
        "run python rules/build.py"
    )
    assert Policy.default().rules == rules
    assert Policy.default().digest == table.DIGEST == digest_of(rules)


def test_build_checks_and_writes(build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "TABLE", tmp_path / "table.py")
    monkeypatch.setattr(build, "EXPLAINED", tmp_path / "explained.py")
    assert build.main(["--check"]) == 1
    assert build.main([]) == 0
    assert build.main(["--check"]) == 0
    for name in ("table.py", "explained.py"):
        assert (tmp_path / name).read_bytes() == (ROOT / "safeload/policy" / name).read_bytes()


def test_build_names_what_is_wrong(
    build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "known").mkdir()
    (tmp_path / "known" / "x.toml").write_text("[[known]]\n")
    monkeypatch.setattr(build, "FOLDER", tmp_path)
    assert build.main([]) == 2
    assert capsys.readouterr().err == (
        f"{tmp_path.name}/known/x.toml:1: [[known]] needs either 'module' or 'modules'\n"
    )


def test_a_section_belongs_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "vetted").mkdir()
    (tmp_path / "vetted" / "x.toml").write_text('[[known]]\nmodule = "m"\nname = "n"\nlibrary = "l"\nwhat = "w"\n')
    with pytest.raises(packs.UsageError, match=r"vetted/x.toml:1: only \[\[vetted\]\] entries belong"):
        packs.read_folder(tmp_path)


def test_a_folder_that_contradicts_itself(tmp_path: Path) -> None:
    (tmp_path / "known").mkdir()
    text = '[[known]]\nmodule = "m"\nname = "n"\nlibrary = "l"\nwhat = "w"\n'
    for name in "ab":
        (tmp_path / "known" / f"{name}.toml").write_text(text)
    with pytest.raises(packs.UsageError, match=r"m\.n is known twice"):
        packs.read_folder(tmp_path)


def test_every_shape_exists(rules: Rules) -> None:
    assert {rule.shape for rule in rules.vetted} - CONSTRUCTORS.keys() == set()


def test_every_shape_is_used(rules: Rules) -> None:
    assert CONSTRUCTORS.keys() - {rule.shape for rule in rules.vetted} == set()


def test_only_capped_names_are_vetted_and_dangerous(rules: Rules) -> None:
    dangerous = {place for rule in rules.dangerous for place in places(rule)}
    both = {".".join(p): rule.verdict for rule in rules.vetted for p in places(rule) if p in dangerous}
    assert both == {"builtins.getattr": "unvetted"}


def test_exceptions_inside_dangerous_modules_were_reviewed(rules: Rules) -> None:
    whole = {m for rule in rules.dangerous for m in rule.modules if rule.names == (WHOLE,)}
    anywhere = {n for rule in rules.dangerous if rule.modules == (WHOLE,) for n in rule.names}
    found: dict[str, set[str]] = {}
    for rule in (*rules.vetted, *rules.known):
        for module in rule.modules:
            parts = module.split(".")
            inside = any(".".join(parts[:count]) in whole for count in range(1, len(parts) + 1))
            names = {name for name in rule.names if name != WHOLE and (inside or name in anywhere)}
            if names:
                found.setdefault(module, set()).update(names)
    assert {module: " ".join(sorted(names)) for module, names in found.items()} == INSIDE_DANGEROUS


def test_coverage(rules: Rules) -> None:
    exact = {place for rule in rules.dangerous for place in places(rule) if WHOLE not in place}
    whole = {m for rule in rules.dangerous for m in rule.modules if rule.names == (WHOLE,)}
    assert len(exact) >= 1500
    assert len(whole) >= 300


def test_references_are_addresses(rules: Rules) -> None:
    assert [rule.reference for rule in rules.dangerous if not rule.reference.startswith("https://")] == []


def headings() -> dict[str, dict[str, str]]:
    """Section of rules/README.md -> rule id -> text under its heading."""
    found: dict[str, dict[str, str]] = {}
    text = (ROOT / "rules" / "README.md").read_text(encoding="utf-8")
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        title, _, body = section.partition("\n")
        found[title] = {
            name.strip(): below.strip()
            for name, _, below in (part.partition("\n") for part in re.split(r"^### ", body, flags=re.MULTILINE)[1:])
        }
    return found


def test_every_rule_of_a_name_has_a_heading(rules: Rules) -> None:
    used = {rule.family for rule in rules.dangerous} | {rule.rule for rule in rules.vetted if rule.rule}
    assert set(headings()["Names"]) == used | {"known-class", "unknown-global"}


def test_every_heading_says_something() -> None:
    short = [name for section in headings().values() for name, text in section.items() if len(text) < 80]
    assert short == []


def constants() -> dict[str, set[str]]:
    """Every text constant of the package, except the table, by file."""
    found = {}
    for path in sorted((ROOT / "safeload").rglob("*.py")):
        if path.name != "table.py":
            nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            found[str(path.relative_to(ROOT))] = {
                node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)
            }
    return found


def reported() -> dict[str, str]:
    """Rule ids that the code states as such (rule="...", rule = "...", Finding("...", ...)) -> a file that does."""
    found = {}
    for path in sorted((ROOT / "safeload").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            values: list[ast.expr] = []
            if isinstance(node, ast.Call):
                values = [word.value for word in node.keywords if word.arg == "rule"]
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if name in ("Finding", "finding", "_finding", "remark") and node.args:
                    values.append(node.args[0])
            elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).lower() == "rule":
                values = [node.value]
            for value in values:
                if isinstance(value, ast.Constant) and isinstance(value.value, str) and value.value:
                    found[value.value] = str(path.relative_to(ROOT))
    return found


@pytest.mark.slow
def test_every_reported_rule_has_a_heading() -> None:
    known = {name for section in headings().values() for name in section}
    assert {rule: path for rule, path in reported().items() if rule not in known} == {}


@pytest.mark.slow
def test_every_structural_heading_is_reported_somewhere() -> None:
    texts = set().union(*constants().values())
    assert [name for name in headings()["Structural checks"] if name not in texts] == []


def test_every_zip_rule_has_a_heading() -> None:
    ids = {name for section in headings().values() for name in section}
    assert set(zip_rules.RULES) - ids == set()
