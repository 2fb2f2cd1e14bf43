"""[[record_safe]]: exit codes and loads, never a verdict; and what it can never be about."""

from __future__ import annotations

from pathlib import Path

import pytest

import safeload
from safeload.checks import evidence
from safeload.errors import UnsafeCheckpoint, UsageError
from safeload.findings import Finding, Severity, Verdict
from safeload.policy import Policy, packs
from safeload.policy.accepting import with_record_safe
from safeload.report import Report, left, passes

RECORD_SAFE = '[[record_safe]]\nmodule = "project"\nname = "Model"\nreason = "ours, read as a record"\n'
UNVETTED = b"cproject\nModel\n."
OTHER = b"(cproject\nModel\ncproject\nOther\nt."
DANGEROUS = b"(cproject\nModel\ncos\nsystem\n(S'echo harmless'\ntRt."


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    path = tmp_path / "pack.toml"
    path.write_text(RECORD_SAFE)
    return path


def marked(data: bytes, policy: Policy) -> Report:
    return with_record_safe(safeload.scan(data, policy=policy), policy)


def test_the_verdict_stays_and_the_file_passes(pack: Path) -> None:
    policy = Policy.from_file(pack)
    report = marked(UNVETTED, policy)
    assert report.verdict is Verdict.UNVETTED
    assert [finding.accepted for finding in report.findings] == ["record-safe: ours, read as a record"]
    assert (left(report), passes(report)) == (Verdict.CLEAN, True)
    assert policy.digest == Policy.default().digest  # it judges as before


def test_one_name_more_and_the_file_does_not_pass(pack: Path) -> None:
    report = marked(OTHER, Policy.from_file(pack))
    assert {finding.name: bool(finding.accepted) for finding in report.findings} == {
        "project.Model": True,
        "project.Other": False,
    }
    assert (left(report), passes(report)) == (Verdict.UNVETTED, False)


def test_nothing_of_a_dangerous_file_is_accepted(pack: Path) -> None:
    report = marked(DANGEROUS, Policy.from_file(pack))
    assert report.verdict is Verdict.DANGEROUS
    assert not any(finding.accepted for finding in report.findings)


def test_findings_left_out_are_not_accepted(pack: Path) -> None:
    report = marked(UNVETTED, Policy.from_file(pack))
    assert left(report._replace(omitted=1)) is Verdict.UNVETTED


def test_other_rules_about_the_name_are_not_accepted(pack: Path) -> None:
    policy = Policy.from_file(pack)
    finding = Finding("argument-shape", Verdict.UNVETTED, Severity.LOW, "m", name="project.Model")
    report = with_record_safe(Report("x", Verdict.UNVETTED, findings=(finding,)), policy)
    assert report.findings == (finding,)


def test_whole_modules(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(RECORD_SAFE.replace('"Model"', '"*"'))
    policy = Policy.from_file(tmp_path / "p.toml")
    assert passes(marked(OTHER, policy))
    assert policy.record_safe("project.sub.Thing") is not None
    assert policy.record_safe("projects.Thing") is None
    assert policy.record_safe("project") is None
    assert policy.record_safe("project.sub.runpy") is policy.record_safe("project.runpy")


def test_it_loads_as_records_and_only_what_is_named(pack: Path) -> None:
    found = safeload.load(UNVETTED, policy=pack)
    assert isinstance(found, safeload.Record)
    assert found.qualname == "Model"
    for data in (OTHER, DANGEROUS):
        with pytest.raises(UnsafeCheckpoint):
            safeload.load(data, policy=pack)
    with pytest.raises(UnsafeCheckpoint):
        safeload.load(UNVETTED)


def test_weights_only_of_two_packs_are_two_policies(pack: Path) -> None:
    # They have one digest, and what each of them accepts is its own.
    assert Policy.from_file(pack).weights_only().record_safe("project.Model") is not None
    assert Policy.default().weights_only().record_safe("project.Model") is None


@pytest.mark.parametrize(
    ("module", "name", "family"),
    [
        ("os", "system", "runs-programs"),
        ("os", "*", "runs-programs"),
        ("torch.hub", "*", None),
        ("posix", "open", None),
    ],
)
def test_a_dangerous_name_cannot_be_record_safe(tmp_path: Path, module: str, name: str, family: str | None) -> None:
    path = tmp_path / "p.toml"
    path.write_text(f'\n\n[[record_safe]]\nmodule = "{module}"\nname = "{name}"\nreason = "r"\n')
    with pytest.raises(UsageError, match=r"is dangerous \(.*\); it cannot be record-safe") as caught:
        Policy.from_file(path)
    assert str(caught.value).startswith(f"{path}:3: [[record_safe]] {module}.{name} ")
    assert family is None or f"({family})" in str(caught.value)


def test_nor_one_that_the_same_pack_calls_dangerous(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    danger = '[[dangerous]]\nmodule = "project"\nname = "*"\nfamily = "retired"\nreason = "r"\n'
    path.write_text(danger + RECORD_SAFE)
    with pytest.raises(UsageError, match=r"p\.toml:6: \[\[record_safe\]\] project\.Model is dangerous \(retired\)"):
        Policy.from_file(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (RECORD_SAFE.replace("reason", "why"), "p.toml:1: [[record_safe]] unknown key 'why'"),
        (RECORD_SAFE.replace('reason = "ours, read as a record"\n', ""), "p.toml:1: [[record_safe]] needs 'reason'"),
        (RECORD_SAFE.replace('"Model"', '"Model.sub"'), "p.toml:1: [[record_safe]] 'Model.sub' has a dot"),
        (RECORD_SAFE.replace('"project"', '"*"'), "p.toml:1: [[record_safe]] '*' is no module name"),
        (RECORD_SAFE.replace("Model", "M" * 200), "p.toml:1: [[record_safe]] a name has at most 119 characters here"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        packs.parse(text, "p.toml", pack=True)
    assert str(caught.value).startswith(message)


def test_a_name_that_findings_cut_cannot_be_named() -> None:
    # A cut name would pass for the start of another.
    assert packs.NAME_LENGTH < evidence._TEXT


def test_the_reviewed_rules_have_none() -> None:
    with pytest.raises(UsageError, match="no section 'record_safe' here"):
        packs.parse(RECORD_SAFE, "rules/known/x.toml")
    assert Policy.default().rules.record_safe == ()


def test_a_strict_policy_has_none_though_a_pack_names_some(pack: Path) -> None:
    policy = Policy.named("strict").tightened(*packs.read_pack(pack))
    assert policy.strict
    assert policy.record_safe("project.Model") is None
    assert not passes(marked(UNVETTED, policy))
