"""Each check on one stream: what it reports, where, and that what it shows of a file is bounded ASCII."""

from __future__ import annotations

import pytest

from safeload.checks import CHECKS, StreamView
from safeload.checks.evidence import call_text, describe, global_name, mutation_text
from safeload.checks.global_names import REMEDY_TEXT
from safeload.findings import Verdict
from safeload.limits import Limits
from safeload.machine import Call, Global, Mutation, Program, run
from safeload.policy import Policy
from safeload.scanning.scanner import scan
from samples.assemble import PROTO2, PROTO4, Code, build, call, inst, name, new, pickle, put, stack_name, value


def program(item: object, proto: bytes = PROTO2) -> Program:
    return run(pickle(item, proto), limits=Limits(), encoding="ASCII")


def found(item: object, proto: bytes = PROTO2) -> set[tuple[str, str, int | None]]:
    """(rule, verdict, offset) of every finding of every check, each effect shown with the policy's word."""
    made = program(item, proto)
    view = StreamView(made, "", 0, 0)
    findings = set()
    for effect in made.effects:
        target = effect.func if isinstance(effect, Call) else effect
        decision = Policy.default().decide(target.module, target.name) if isinstance(target, Global) else None
        for check in CHECKS:
            if type(effect) in check.effects:
                findings |= {(f.rule, f.verdict.value, f.offset) for f in check.check(effect, decision, view)}
    return findings


OWN = name("myproject", "Net")

CASES: dict[str, tuple[Code, bytes, set[tuple[str, str, int | None]]]] = {
    "dotted name": (stack_name("myproject", "a.b"), PROTO4,
                    {("dotted-name", "dangerous", 24), ("unknown-global", "unvetted", 24)}),
    "dotted module": (name("myproject.a", "b"), PROTO2, {("unknown-global", "unvetted", 2)}),
    "NUL": (stack_name("my\0", "b"), PROTO4,
            {("control-character", "dangerous", 16), ("unknown-global", "unvetted", 16)}),
    "zero width": (name("my\u200bproject", "b"), PROTO2,
                   {("control-character", "dangerous", 2), ("unknown-global", "unvetted", 2)}),
    "unknown": (OWN, PROTO2, {("unknown-global", "unvetted", 2)}),
    "dangerous": (name("os", "system"), PROTO2, {("runs-programs", "dangerous", 2)}),
    "dangerous call": (call(name("os", "system"), "x"), PROTO2,
                       {("runs-programs", "dangerous", 2), ("runs-programs", "dangerous", 20)}),
    "call of a call": (call(call(OWN)), PROTO2,
                       {("unknown-global", "unvetted", 2), ("call-of-result", "dangerous", 20)}),
    "call of data": (call(value("x")), PROTO2, {("call-of-result", "dangerous", 9)}),
    "state on a class": (build(OWN, {}), PROTO2,
                         {("unknown-global", "unvetted", 2), ("foreign-state", "dangerous", 18)}),
    "state on data": (build(value(1), {}), PROTO2, {("foreign-state", "dangerous", 5)}),
    "items on data": (Code(b"K\1K\2a"), PROTO2, {("foreign-state", "dangerous", 6)}),
    "state on an object": (build(new(OWN), {}), PROTO2, {("unknown-global", "unvetted", 2)}),
    "instance": (inst("myproject", "Net"), b"", {("unknown-global", "unvetted", 1)}),
    "extension": (Code(b"\x82\1"), PROTO2, {("extension-code", "dangerous", 2)}),
    "buffer": (Code(b"\x97"), b"\x80\5", {("out-of-band-buffer", "unjudged", 2)}),
    "nothing": (value({"a": [1, 2.0, None]}), PROTO2, set()),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_check_reports_what_and_where(case: str) -> None:
    item, proto, expected = CASES[case]
    assert found(item, proto) == expected


def test_every_check_is_met_by_a_case() -> None:
    met = {rule for _, _, expected in CASES.values() for rule, _, _ in expected}
    assert {check.rule for check in CHECKS} <= met


def test_evidence_is_the_call() -> None:
    made = program(call(name("os", "system"), "echo x"))
    (func, node) = made.effects
    assert isinstance(func, Global)
    assert isinstance(node, Call)
    assert global_name(func) == "os.system"
    assert call_text(node) == "os.system('echo x')"


def test_evidence_of_a_state() -> None:
    change = program(build(new(OWN), {"a": 1})).effects[-1]
    assert isinstance(change, Mutation)
    assert mutation_text(change) == "myproject.Net() <- state {'a': 1}"


HOSTILE = {
    "escapes": "\x1b[2J\x07\u202e\n\r\0",
    "surrogates": "\ud800",
    "letters": "п" * 5000,
    "long": "x" * 100_000,
    "wide": ["a" * 100] * 1000,
    "deep": [[[[[[[[1]]]]]]]],
    "number": 1 << 4000,
    "bytes": b"\xff" * 5000,
    "dict": {str(i): "y" * 200 for i in range(50)},
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_evidence_is_short_plain_text(kind: str) -> None:
    text = describe(HOSTILE[kind])
    assert text.isascii()
    assert text.isprintable()
    assert len(text) <= 400


def test_evidence_of_a_cycle_and_of_a_doubling_value_ends() -> None:
    cycle: list[object] = []
    cycle.append(cycle)
    assert len(describe(cycle)) < 100
    twice: list[object] = []
    for _ in range(60):
        twice = [twice, twice]
    assert len(describe(twice)) <= 400


@pytest.mark.slow
def test_evidence_of_a_chain_of_calls_ends() -> None:
    # Each is as long as the file wants, and a finding shows it.
    name = b"cos\nsystem\n"
    for chain in (name + b")R" * 20_000, b"N" + b"Q" * 20_000, name + b"Q)R" * 9999):
        report = scan(chain + b".")
        assert report.verdict is not Verdict.CLEAN
        assert max(len(finding.evidence) for finding in report.findings) <= 400


def test_names_in_findings_are_short_plain_text() -> None:
    report = scan(pickle(call(stack_name("m\x1b[2J\u202e" * 500, "n\n" * 500), "\x1b"), PROTO4))
    for finding in report.findings:
        for text in (finding.message, finding.evidence, finding.name or ""):
            assert text.isascii()
            assert text.isprintable()
        assert len(finding.name or "") <= 240
        assert len(finding.evidence) <= 400
        assert len(finding.message) <= 1000


def test_one_name_is_reported_once() -> None:
    report = scan(pickle([put(OWN, 1), OWN, OWN, new(OWN)]))
    assert [(f.rule, f.offset) for f in report.findings] == [("unknown-global", 4)]


@pytest.mark.parametrize("text", [b"certifi==2024.1\nclick==8.1\n", b"checkpoint: x.pt\nlr: 0.1\n"])
def test_a_text_that_reads_as_an_import_is_said_to_be_one(text: bytes) -> None:
    """It keeps its verdict, for an importer may find a module of any name; nobody is told to delete it."""
    named = [finding for finding in scan(text).findings if finding.name]
    assert named[0].rule == "dotted-name"
    assert {finding.remedy for finding in named} == {REMEDY_TEXT}


@pytest.mark.parametrize("module", ["my.project", "_x", "os\u200b", "os\x01"])
def test_nothing_else_is_said_to_be_text(module: str) -> None:
    assert REMEDY_TEXT not in {finding.remedy for finding in scan(pickle(stack_name(module, "a.b"), PROTO4)).findings}
