"""Baselines as data: what an entry is about, when it holds, and what a file of them may say."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from safeload.errors import InputError, UsageError
from safeload.findings import Finding, Severity, Verdict
from safeload.project import baselines
from safeload.project.baselines import BaselineEntry, apply, entries_for, parse, read, render
from safeload.report import Report, left, passes

SHA, OTHER, WHOLE = "ab" * 32, "cd" * 32, "ef" * 32
TODAY = date(2030, 1, 15)
NAMES = Finding(
    "unknown-global", Verdict.UNVETTED, Severity.LOW, "m", member="data.pkl", offset=2, name="project.Model"
)
RUNS = Finding("runs-programs", Verdict.DANGEROUS, Severity.HIGH, "m", member="data.pkl", offset=9, name="os.system")
CUT = Finding("truncated", Verdict.UNJUDGED, Severity.MEDIUM, "m")
REMARK = Finding("zip-comment", Verdict.CLEAN, Severity.INFO, "m")
UNVETTED = Report("a.pt", Verdict.UNVETTED, judged_sha256=SHA, findings=(NAMES, REMARK))
DANGEROUS = Report("b.pt", Verdict.DANGEROUS, judged_sha256=OTHER, findings=(RUNS, NAMES))
UNJUDGED = Report("c.pt", Verdict.UNJUDGED, judged_sha256=SHA, findings=(CUT, NAMES))

TEXT = f"""schema = "safeload.baseline/1"

[[entry]]
path = "a.pt"
rule = "unknown-global"
verdict = "unvetted"
global = "project.Model"
member = "data.pkl"
judged_sha256 = "{SHA}"
reason = "ours"
expires = 2030-01-15
"""


def whole(path: str) -> str | None:
    return None if path == "-" else WHOLE


def written(*reports: Report, full_hash: bool = False, unjudged: bool = False) -> tuple[BaselineEntry, ...]:
    return entries_for(reports, "ours", TODAY, whole, full_hash=full_hash, include_unjudged=unjudged)[0]


def test_written_and_read_again(tmp_path: Path) -> None:
    entries = written(UNVETTED)
    assert render(entries) == TEXT
    (tmp_path / "b.toml").write_text(TEXT)
    assert read(str(tmp_path / "b.toml")) == (entries[0]._replace(line=3),)
    with pytest.raises(InputError):
        read(str(tmp_path / "none.toml"))


def test_a_known_finding_passes_and_keeps_its_verdict() -> None:
    found = apply([UNVETTED, DANGEROUS], written(UNVETTED, DANGEROUS), TODAY, whole)
    assert [report.verdict for report in found.reports] == [Verdict.UNVETTED, Verdict.DANGEROUS]
    assert [f.accepted for f in found.reports[0].findings] == ["baseline: ours", ""]
    assert all(passes(report) for report in found.reports)
    assert (found.stale, found.expired) == ((), ())


def test_only_what_is_new_counts() -> None:
    new = NAMES._replace(name="project.New")
    report = DANGEROUS._replace(findings=(*DANGEROUS.findings, new))
    found = apply([report], written(DANGEROUS), TODAY, whole)
    assert left(found.reports[0]) is Verdict.UNVETTED
    assert [bool(f.accepted) for f in found.reports[0].findings] == [True, True, False]


@pytest.mark.parametrize(
    "changed",
    [
        UNVETTED._replace(judged_sha256=OTHER),
        UNVETTED._replace(judged_sha256=None),
        UNVETTED._replace(findings=(NAMES._replace(rule="known-class"),)),
        UNVETTED._replace(findings=(NAMES._replace(name="project.Other"),)),
        UNVETTED._replace(findings=(NAMES._replace(member="other.pkl"),)),
        UNVETTED._replace(verdict=Verdict.DANGEROUS, findings=(NAMES._replace(verdict=Verdict.DANGEROUS),)),
    ],
)
def test_what_changed_is_new(changed: Report) -> None:
    found = apply([changed], written(UNVETTED), TODAY, whole)
    assert not any(f.accepted for f in found.reports[0].findings)
    assert left(found.reports[0]) is changed.verdict
    assert [entry.rule for entry in found.stale] == ["unknown-global"]


def test_what_moved_is_not_new() -> None:
    moved = UNVETTED._replace(path="elsewhere/x.pt", findings=(NAMES._replace(offset=77),))
    assert passes(apply([moved], written(UNVETTED), TODAY, whole).reports[0])


def test_an_entry_holds_to_its_last_day() -> None:
    entries = written(UNVETTED)
    assert passes(apply([UNVETTED], entries, date(2030, 1, 15), whole).reports[0])
    late = apply([UNVETTED], entries, date(2030, 1, 16), whole)
    assert not passes(late.reports[0])
    assert (late.expired, late.stale) == (entries, ())


def test_the_whole_hash_binds_every_byte() -> None:
    entries = written(UNVETTED, full_hash=True)
    assert [entry.sha256 for entry in entries] == [WHOLE]
    assert passes(apply([UNVETTED], entries, TODAY, whole).reports[0])
    for other in (lambda path: OTHER, lambda path: None):
        assert not passes(apply([UNVETTED], entries, TODAY, other).reports[0])


def test_nothing_is_hashed_where_no_entry_asks() -> None:
    def never(path: str) -> str | None:
        raise AssertionError(path)

    assert passes(apply([UNVETTED], written(UNVETTED), TODAY, never).reports[0])


def test_unjudged_only_on_demand_and_bound_to_every_byte() -> None:
    entries, left_out = entries_for([UNJUDGED], "r", TODAY, whole, full_hash=False, include_unjudged=False)
    assert [entry.rule for entry in entries] == ["unknown-global"]
    assert left_out == (("c.pt", "it could not be judged: --include-unjudged takes it all the same"),)
    entries = written(UNJUDGED, unjudged=True)
    assert {entry.rule: entry.sha256 for entry in entries} == {"truncated": WHOLE, "unknown-global": ""}
    found = apply([UNJUDGED], entries, TODAY, whole)
    assert found.reports[0].verdict is Verdict.UNJUDGED
    assert passes(found.reports[0])
    assert left(apply([UNJUDGED], entries, TODAY, lambda path: OTHER).reports[0]) is Verdict.UNJUDGED


@pytest.mark.parametrize(
    ("report", "why"),
    [
        (UNVETTED._replace(omitted=1), "more findings than are kept: raise --limit findings=NUMBER"),
        (UNVETTED._replace(judged_sha256=None), "nothing of it could be read"),
        (UNVETTED._replace(path="-"), "its whole content cannot be read again"),
        (UNVETTED._replace(container="safetensors-index"), "the hash of an index binds none of its shards"),
    ],
)
def test_what_no_entry_can_be_about_is_said(report: Report, why: str) -> None:
    entries, left_out = entries_for([report], "r", TODAY, whole, full_hash=True, include_unjudged=True)
    assert entries == ()
    assert [path for path, _ in left_out] == [report.path]
    assert left_out[0][1].startswith(why)


def test_a_clean_file_has_no_entry() -> None:
    assert written(Report("x", Verdict.CLEAN, judged_sha256=SHA, findings=(REMARK,))) == ()


HOSTILE = 'a"]\n[[entry]]\\\x00\x1b[2J\u202e\udcff\U0001f600\'\'\'"""'


def test_hostile_names_survive_and_say_nothing_else() -> None:
    report = UNVETTED._replace(path=HOSTILE, findings=(NAMES._replace(name=HOSTILE, member=HOSTILE),))
    entries = entries_for([report], HOSTILE, TODAY, whole, full_hash=False, include_unjudged=False)[0]
    text = render(entries)
    assert text.isascii()
    assert text.count("[[entry]]\n") == 1
    assert text.replace("\n", "").isprintable()
    (again,) = parse(text, "b.toml")
    assert again.key == entries[0].key
    assert passes(apply([report], [again], TODAY, whole).reports[0])
    assert not passes(apply([UNVETTED], [again], TODAY, whole).reports[0])


def test_two_spellings_are_two_names() -> None:
    assert baselines.spelled("\n") != baselines.spelled("\\n")


def entry(**changes: str | None) -> str:
    """The text of a baseline whose one entry has `changes`: TOML values, None for a field that is missing."""
    fields = {
        "rule": '"r"', "verdict": '"unvetted"', "judged_sha256": f'"{SHA}"', "reason": '"why"', "expires": "2030-01-01"
    } | changes  # fmt: skip
    return 'schema = "safeload.baseline/1"\n\n[[entry]]\n' + "".join(
        f"{key} = {value}\n" for key, value in fields.items() if value is not None
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "b.toml:1: a baseline starts with schema = 'safeload.baseline/1', and not None"),
        ('schema = "safeload.baseline/2"\n', "b.toml:1: a baseline starts with schema"),
        ('schema = "safeload.baseline/1"\nmore = 1\n', "b.toml:1: a baseline holds 'schema' and [[entry]] tables"),
        ('schema = "safeload.baseline/1"\nentry = 1\n', "b.toml:1: a baseline holds 'schema' and [[entry]] tables"),
        ("\n\na = \n", "b.toml:3: "),
        (entry(reason=None), "b.toml:3: [[entry]] needs 'reason': say why this is let pass"),
        (entry(reason='" "'), "b.toml:3: [[entry]] 'reason' is empty: say why this is let pass"),
        (entry(expires=None), "b.toml:3: [[entry]] needs 'expires'"),
        (entry(expires='"2030-01-01"'), "b.toml:3: [[entry]] 'expires' must be a date"),
        (entry(expires="2030-01-01T00:00:00"), "b.toml:3: [[entry]] 'expires' must be a date"),
        (entry(rule="1"), "b.toml:3: [[entry]] 'rule' must be a text"),
        (entry(judged_sha256='"AB"'), "b.toml:3: [[entry]] 'judged_sha256' must be 64 hex digits"),
        (entry(sha256='"x"'), "b.toml:3: [[entry]] 'sha256' must be 64 hex digits"),
        (entry(verdict='"clean"'), "b.toml:3: [[entry]] 'verdict' must be one of unvetted, dangerous, unjudged"),
        (entry(verdict='"unjudged"'), "b.toml:3: [[entry]] what could not be judged is known by the 'sha256'"),
        (entry(extra='"x"'), "b.toml:3: [[entry]] unknown key 'extra'"),
        (TEXT + TEXT.split("\n", 2)[2], "b.toml:12: the same finding stands at line 3"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text, "b.toml")
    assert str(caught.value).startswith(message)
