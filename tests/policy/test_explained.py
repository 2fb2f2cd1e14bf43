"""What is shipped of rules/README.md is what stands there."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from safeload.policy import Policy
from safeload.policy.explained import RULES


@pytest.fixture(scope="module")
def build(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("rules_build_explained", root / "rules" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_explanations_are_those_of_the_readme(build: ModuleType, root: Path) -> None:
    readme = (root / "rules" / "README.md").read_text(encoding="utf-8")
    shipped = (root / "safeload/policy/explained.py").read_text(encoding="utf-8")
    assert shipped == build.render_explained(readme), "run python rules/build.py"


def test_headings_become_rules(build: ModuleType) -> None:
    readme = "# T\n\n### stray\n\n## One\n\nin\n\n### a-b\n\nfirst\nline.\n\nsecond.\n\n## Two\n\nin\n\n### c\nx\n"
    assert build.explanations(readme) == [
        ("stray", "", ""), ("a-b", "One", "first line.\nsecond."), ("c", "Two", "x"),
    ]  # fmt: skip


def test_every_rule_is_explained_once() -> None:
    rules = [rule for rule, _, _ in RULES]
    assert len(rules) == len(set(rules))
    assert {rule.family for rule in Policy.default().rules.dangerous} <= set(rules)
    assert [rule for rule, section, text in RULES if not section or len(text) < 60] == []
