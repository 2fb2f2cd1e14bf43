"""Which entry wins, what a Decision says, and what a pack can and cannot change."""

from __future__ import annotations

from pathlib import Path

import pytest

from safeload.errors import InputIsDirectory, InputNotFound, UsageError
from safeload.findings import Severity, Verdict
from safeload.policy import Decision, Policy, Standing, packs
from safeload.policy.decide import _REMEMBERED
from safeload.policy.rules import digest_of

RULES = """
[[vetted]]
module = "lib.inner"
names = ["good", "also"]
shape = "pair"
reason = "two numbers"
reference = "https://example.org/good"
weights_only = true
denotes = "lib.new.*"

[[vetted]]
module = "lib"
name = "capped"
shape = "enum-lookup"
reason = "in one form"
reference = "https://example.org/capped"
verdict = "unvetted"
rule = "enum-lookup"

[[dangerous]]
module = "lib"
name = "capped"
family = "reaches-attributes"
severity = "critical"
reason = "in any other form"
reference = "https://example.org/other"

[[dangerous]]
module = "lib"
name = "bad"
family = "runs-code"
severity = "critical"
reason = "runs text"
reference = "https://example.org/bad"

[[dangerous]]
module = "lib.inner"
name = "*"
family = "network"
severity = "high"
reason = "all of it"
reference = "https://example.org/inner"

[[dangerous]]
module = "lib.inner.deep"
name = "*"
family = "writes-files"
severity = "high"
reason = "all of it, deeper"
reference = "https://example.org/deep"

[[dangerous]]
module = "*"
name = "os"
family = "module-attribute"
severity = "critical"
reason = "another module"
reference = "https://example.org/os"

[[known]]
module = "lib.inner"
name = "spared"
library = "lib"
what = "an odd one"

[[known]]
module = "lib"
name = "*"
library = "lib"
what = "a thing of lib"

[[known]]
module = "lib.sub"
name = "*"
library = "lib"
what = "a thing of lib.sub"
severity = "info"
"""


@pytest.fixture
def policy() -> Policy:
    return Policy.from_rules(packs.parse(RULES, "rules.toml"))


@pytest.mark.parametrize(
    ("module", "name", "kind", "rule"),
    [
        ("lib.inner", "good", Standing.VETTED, ""),
        ("lib", "capped", Standing.VETTED, "enum-lookup"),
        ("lib", "bad", Standing.DANGEROUS, "runs-code"),
        ("lib.inner", "spared", Standing.KNOWN, "known-class"),
        ("lib.inner", "other", Standing.DANGEROUS, "network"),
        ("lib.inner.x.y", "good", Standing.DANGEROUS, "network"),
        ("lib.inner.deep", "good", Standing.DANGEROUS, "writes-files"),
        ("lib.inner.deep.er", "good", Standing.DANGEROUS, "writes-files"),
        ("lib.innermost", "good", Standing.KNOWN, "known-class"),
        ("lib", "os", Standing.DANGEROUS, "module-attribute"),
        ("lib.inner", "os", Standing.DANGEROUS, "module-attribute"),
        ("elsewhere", "os", Standing.DANGEROUS, "module-attribute"),
        ("lib", "anything", Standing.KNOWN, "known-class"),
        ("lib.sub.x", "anything", Standing.KNOWN, "known-class"),
        ("library", "anything", Standing.UNKNOWN, "unknown-global"),
        ("Lib", "bad", Standing.UNKNOWN, "unknown-global"),
        ("lib ", "bad", Standing.UNKNOWN, "unknown-global"),
        ("lib.", "bad", Standing.KNOWN, "known-class"),
        ("lib", "bad.x", Standing.KNOWN, "known-class"),
        ("", "", Standing.UNKNOWN, "unknown-global"),
        (".", "", Standing.UNKNOWN, "unknown-global"),
    ],
)
def test_the_more_exact_entry_wins(policy: Policy, module: str, name: str, kind: Standing, rule: str) -> None:
    decision = policy.decide(module, name)
    assert (decision.kind, decision.rule) == (kind, rule)


def test_a_vetted_decision(policy: Policy) -> None:
    assert policy.decide("lib.inner", "also") == Decision(
        Standing.VETTED,
        "",
        Severity.INFO,
        Verdict.CLEAN,
        "two numbers",
        "https://example.org/good",
        shape="pair",
        denotes="lib.new.also",
        weights_only=True,
    )


def test_a_capped_decision_says_what_the_name_is_otherwise(policy: Policy) -> None:
    otherwise = Decision(
        Standing.DANGEROUS,
        "reaches-attributes",
        Severity.CRITICAL,
        Verdict.DANGEROUS,
        "in any other form",
        "https://example.org/other",
        denotes="lib.capped",
    )
    assert policy.decide("lib", "capped") == Decision(
        Standing.VETTED,
        "enum-lookup",
        Severity.LOW,
        Verdict.UNVETTED,
        "in one form",
        "https://example.org/capped",
        shape="enum-lookup",
        denotes="lib.capped",
        otherwise=otherwise,
    )


def test_a_known_decision(policy: Policy) -> None:
    decision = policy.decide("lib.sub", "Thing")
    assert (decision.what, decision.library) == ("a thing of lib.sub", "lib")
    assert (decision.severity, decision.verdict) == (Severity.INFO, Verdict.UNVETTED)
    assert decision.reason == "a thing of lib.sub: not in the vetted table, kept as an inert record"


def test_an_unknown_decision(policy: Policy) -> None:
    decision = policy.decide("nobody.knows", "this")
    assert (decision.severity, decision.verdict) == (Severity.MEDIUM, Verdict.UNVETTED)
    assert decision.denotes == "nobody.knows.this"


def test_decisions_are_remembered_up_to_a_bound(policy: Policy) -> None:
    first = policy.decide("lib", "bad")
    assert policy.decide("lib", "bad") is first
    for number in range(2 * _REMEMBERED):
        policy.decide("m", f"n{number}")
    assert len(policy._seen) <= _REMEMBERED
    assert policy.decide("lib", "bad") == first


def test_the_digest_depends_on_content_only() -> None:
    text = '[[known]]\nmodule = "m"\nnames = ["a", "b"]\nlibrary = "l"\nwhat = "w"\n'
    other = "".join(text.replace('names = ["a", "b"]', f'name = "{name}"') for name in "ba")
    digest = digest_of(packs.parse(text, "x"))
    assert digest == digest_of(packs.parse(other, "y"))
    assert digest != digest_of(packs.parse(text.replace('"w"', '"v"'), "x"))
    assert digest != digest_of(packs.parse(text.replace('"a"', '"c"'), "x"))


def tightened(policy: Policy, text: str) -> Policy:
    return policy.tightened(packs.parse(text, "pack.toml", pack=True), "pack.toml")


def dangerous(module: str, name: str) -> str:
    return f'[[dangerous]]\nmodule = "{module}"\nname = "{name}"\nfamily = "mine"\nreason = "because"\n'


def known(module: str, name: str) -> str:
    return f'[[known]]\nmodule = "{module}"\nname = "{name}"\nlibrary = "mine"\nwhat = "ours"\n'


def test_a_pack_makes_names_dangerous(policy: Policy) -> None:
    stricter = tightened(policy, dangerous("lib.inner", "good") + dangerous("ours", "*") + dangerous("lib", "thing"))
    assert stricter.decide("lib.inner", "good").rule == "mine"
    assert stricter.decide("lib.inner", "also").kind is Standing.VETTED
    assert stricter.decide("ours.deep", "x").rule == "mine"
    assert stricter.decide("lib", "thing").verdict is Verdict.DANGEROUS
    assert policy.decide("lib.inner", "good").kind is Standing.VETTED
    assert stricter.digest != policy.digest


def test_a_whole_module_called_dangerous_leaves_the_vetted_table(policy: Policy) -> None:
    stricter = tightened(policy, dangerous("lib", "*"))
    assert [stricter.decide("lib.inner", n).verdict for n in ("good", "also")] == [Verdict.DANGEROUS] * 2
    assert stricter.decide("lib", "capped").rule == "reaches-attributes"
    assert stricter.decide("lib.sub", "x").rule == "mine"


def test_a_pack_explains_names(policy: Policy) -> None:
    explained = tightened(policy, known("ours", "Config") + known("lib.sub", "*"))
    assert explained.decide("ours", "Config").what == "ours"
    assert explained.decide("lib.sub", "x").what == "ours"


def test_a_pack_narrows(policy: Policy) -> None:
    one = tightened(policy, '[[narrow]]\nmodule = "lib.inner"\nname = "good"\n')
    assert (one.decide("lib.inner", "good").rule, one.decide("lib.inner", "also").rule) == ("network", "")
    every = tightened(policy, '[[narrow]]\nmodule = "lib"\nname = "*"\n')
    assert [d.kind for d in (every.decide("lib.inner", "also"), every.decide("lib", "capped"))] == [
        Standing.DANGEROUS
    ] * 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (known("lib", "bad"), r"lib\.bad is dangerous \(runs-code\); a pack cannot lower a verdict"),
        (known("lib.inner", "other"), r"lib\.inner\.other is dangerous \(network\)"),
        (known("lib.inner.deep.er", "x"), r"is dangerous \(writes-files\)"),
        (known("anything", "os"), r"anything\.os is dangerous \(module-attribute\)"),
        (dangerous("ours", "*") + known("ours", "x"), r"ours\.x is dangerous \(mine\)"),
        (dangerous("ours", "x") + known("ours", "x"), r"ours\.x is dangerous \(mine\)"),
        ('[[narrow]]\nmodule = "lib"\nname = "bad"\n', r"\[\[narrow\]\] lib\.bad is not in the vetted table"),
        ('[[narrow]]\nmodule = "li"\nname = "*"\n', r"\[\[narrow\]\] li\.\* is not in the vetted table"),
    ],
)
def test_a_pack_that_would_lower_a_verdict_or_does_nothing_is_refused(policy: Policy, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        tightened(policy, text)


def test_a_whole_known_module_lowers_nothing(policy: Policy) -> None:
    explained = tightened(policy, known("lib.inner", "*"))
    assert explained.decide("lib.inner", "other").rule == "network"


def test_tightening_never_lowers(policy: Policy) -> None:
    """For every name that any entry speaks of: never a better verdict with a pack than without."""
    order = [Verdict.CLEAN, Verdict.UNVETTED, Verdict.DANGEROUS]
    places = [(m, n) for m in ("lib", "lib.inner", "lib.inner.deep", "lib.sub", "ours") for n in (
        "good", "also", "capped", "bad", "os", "spared", "other")]  # fmt: skip
    for text in (
        dangerous("lib", "*"),
        dangerous("lib.inner", "spared"),
        known("lib", "*"),
        known("ours", "*"),
        '[[narrow]]\nmodule = "lib"\nname = "*"\n',
        '[[narrow]]\nmodule = "lib"\nname = "capped"\n',
    ):
        stricter = tightened(policy, text)
        for place in places:
            before, after = policy.decide(*place).verdict, stricter.decide(*place).verdict
            assert order.index(after) >= order.index(before), (text, place)


class TestFromFile:
    def test_a_pack_on_top_of_the_default(self, tmp_path: Path) -> None:
        path = tmp_path / "pack.toml"
        path.write_text(dangerous("collections", "OrderedDict") + known("ours", "*"))
        policy = Policy.from_file(path)
        assert policy.decide("collections", "OrderedDict").rule == "mine"
        assert policy.decide("ours.config", "Config").library == "mine"
        assert policy.decide("os", "system").rule == "runs-programs"
        assert Policy.default().decide("collections", "OrderedDict").kind is Standing.VETTED

    def test_errors_name_the_file(self, tmp_path: Path) -> None:
        path = tmp_path / "pack.toml"
        path.write_text("\n[[known]]\n")
        with pytest.raises(UsageError) as caught:
            Policy.from_file(path)
        assert str(caught.value) == f"{path}:2: [[known]] needs either 'module' or 'modules'"

    def test_lowering_names_the_line(self, tmp_path: Path) -> None:
        path = tmp_path / "pack.toml"
        path.write_text(known("ours", "x") + "\n" + known("os", "system"))
        with pytest.raises(UsageError) as caught:
            Policy.from_file(path)
        assert str(caught.value) == (
            f"{path}:7: [[known]] os.system is dangerous (runs-programs); a pack cannot lower a verdict"
        )

    def test_narrowing_nothing_names_the_line(self, tmp_path: Path) -> None:
        path = tmp_path / "pack.toml"
        path.write_text('# ours\n[[narrow]]\nmodule = "os"\nname = "system"\n')
        with pytest.raises(UsageError) as caught:
            Policy.from_file(path)
        assert str(caught.value).startswith(f"{path}:2: [[narrow]] os.system is not in the vetted table")

    def test_not_text(self, tmp_path: Path) -> None:
        path = tmp_path / "pack.toml"
        path.write_bytes(b"a = 1\nb = \xff\n")
        with pytest.raises(UsageError) as caught:
            Policy.from_file(path)
        assert str(caught.value) == f"{path}:2: a pack is UTF-8 text"

    def test_too_large(self, tmp_path: Path) -> None:
        path = tmp_path / "pack.toml"
        path.write_bytes(b"#" * (5 << 20))
        with pytest.raises(UsageError, match="at most 4 MiB"):
            Policy.from_file(path)

    def test_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(InputNotFound):
            Policy.from_file(tmp_path / "absent.toml")
        with pytest.raises(InputIsDirectory):
            Policy.from_file(tmp_path)


def test_a_module_in_more_packages_than_any_rule_names_is_looked_up_by_those_on_top() -> None:
    # Each of them would cost a look at the whole text: half a million of them took minutes.
    deep = ".".join(["a"] * 500_000)
    assert Policy.default().decide(deep, "x").kind is Standing.UNKNOWN
    top = Policy.default().decide("ctypes", "anything")
    assert top.kind is Standing.DANGEROUS
    assert Policy.default().decide(f"ctypes.{deep}", "anything").rule == top.rule
