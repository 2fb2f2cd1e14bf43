"""The schema of rules and packs: what is accepted, and what every refusal says."""

from __future__ import annotations

import pytest

from safeload.errors import UsageError
from safeload.policy import packs
from safeload.policy.rules import DangerousRule, KnownRule, NarrowRule, Rules, VettedRule

VETTED = """
[[vetted]]
module = "m"
name = "n"
shape = "s"
reason = "r"
reference = "https://example.org"
"""

DANGEROUS = """
[[dangerous]]
module = "m"
name = "n"
family = "runs-code"
severity = "high"
reason = "r"
reference = "https://example.org"
"""

KNOWN = """
[[known]]
module = "m"
name = "n"
library = "l"
what = "w"
"""


def test_each_section_becomes_a_rule() -> None:
    assert packs.parse(VETTED + DANGEROUS + KNOWN, "x.toml") == Rules(
        (VettedRule(("m",), ("n",), "s", "r", "https://example.org", False, "", "clean", ""),),
        (DangerousRule(("m",), ("n",), "runs-code", "high", "r", "https://example.org"),),
        (KnownRule(("m",), ("n",), "l", "w", "low"),),
    )


def test_optional_fields() -> None:
    text = VETTED + 'weights_only = true\ndenotes = "a.b.*"\nverdict = "unvetted"\nrule = "capped"\n'
    (rule,) = packs.parse(text, "x.toml").vetted
    assert (rule.weights_only, rule.denotes, rule.verdict, rule.rule) == (True, "a.b.*", "unvetted", "capped")


def test_lists_of_modules_and_names() -> None:
    text = DANGEROUS.replace('module = "m"', 'modules = ["m", "m.k"]').replace('name = "n"', 'names = ["a", "b"]')
    (rule,) = packs.parse(text, "x.toml").dangerous
    assert (rule.modules, rule.names) == (("m", "m.k"), ("a", "b"))


def test_whole_modules_and_any_module() -> None:
    whole = packs.parse(DANGEROUS.replace('name = "n"', 'name = "*"'), "x.toml").dangerous
    anywhere = packs.parse(DANGEROUS.replace('module = "m"', 'module = "*"'), "x.toml").dangerous
    assert [(rule.modules, rule.names) for rule in whole + anywhere] == [(("m",), ("*",)), (("*",), ("n",))]


def test_a_pack_needs_less_and_may_narrow() -> None:
    text = (
        '[[dangerous]]\nmodule = "m"\nname = "n"\nfamily = "mine"\nreason = "r"\n[[narrow]]\nmodule = "k"\nname = "*"\n'
    )
    assert packs.parse(text, "x.toml", pack=True) == Rules(
        dangerous=(DangerousRule(("m",), ("n",), "mine", "high", "r", ""),),
        narrow=(NarrowRule(("k",), ("*",)),),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[vetted]\n", "x.toml:1: "),
        ("\n\na = \n", "x.toml:3: "),
        ('a = "b"\n', "x.toml:1: no section 'a' here, only vetted, dangerous, known"),
        ("vetted = 1\n", "x.toml:1: write 'vetted' as [[vetted]]"),
        ("[vetted]\n", "x.toml:1: write 'vetted' as [[vetted]]"),
        ('[[narrow]]\nmodule = "m"\nname = "n"\n', "x.toml:1: no section 'narrow' here"),
        (KNOWN + "severity_ = 1\n", "x.toml:2: [[known]] unknown key 'severity_'; [[known]] takes library, module"),
        (KNOWN.replace('module = "m"\n', ""), "x.toml:2: [[known]] needs either 'module' or 'modules'"),
        (KNOWN + 'names = ["k"]\n', "x.toml:2: [[known]] needs either 'name' or 'names'"),
        (KNOWN.replace('"m"', '"m..k"'), "x.toml:2: [[known]] 'm..k' is no module name"),
        (KNOWN.replace('"m"', '"*"'), "x.toml:2: [[known]] '*' is no module name"),
        (KNOWN.replace('"n"', '"a.b"'), "x.toml:2: [[known]] 'a.b' has a dot: names are exact"),
        (KNOWN.replace('"n"', '"a b"'), "x.toml:2: [[known]] 'a b' is no name"),
        (KNOWN.replace('name = "n"', "names = []"), "x.toml:2: [[known]] 'names' must be a text or a list of texts"),
        (KNOWN.replace('name = "n"', "name = 3"), "x.toml:2: [[known]] 'name' must be a text or a list of texts"),
        (KNOWN.replace('name = "n"', 'names = ["a", "a"]'), "x.toml:2: [[known]] 'names' holds 'a' twice"),
        (KNOWN.replace('name = "n"', 'names = ["a", "*"]'), "x.toml:2: [[known]] '*' is no name"),
        (KNOWN.replace('"w"', '""'), "x.toml:2: [[known]] 'what' must be text, and not empty"),
        (KNOWN.replace('"w"', r'"a\nb"'), "x.toml:2: [[known]] 'what' holds a line break or a control character"),
        (KNOWN + 'severity = "critical"\n', "x.toml:2: [[known]] 'severity' must be one of info, low, medium"),
        (VETTED.replace('"n"', '"*"'), "x.toml:2: [[vetted]] '*' is no name"),
        (VETTED.replace('"s"', '"Shape X"'), "x.toml:2: [[vetted]] 'shape' is not of the form"),
        (VETTED.replace('shape = "s"\n', ""), "x.toml:2: [[vetted]] needs 'shape'"),
        (VETTED.replace('reason = "r"\n', ""), "x.toml:2: [[vetted]] needs 'reason'"),
        (VETTED + 'weights_only = "yes"\n', "x.toml:2: [[vetted]] 'weights_only' must be true or false"),
        (VETTED + 'denotes = "a..b"\n', "x.toml:2: [[vetted]] 'denotes' is no dotted name: 'a..b'"),
        (VETTED + 'verdict = "dangerous"\n', "x.toml:2: [[vetted]] 'verdict' must be one of clean, unvetted"),
        (VETTED + 'verdict = "unvetted"\n', "x.toml:2: [[vetted]] needs 'rule'"),
        (VETTED + 'rule = "x"\n', "x.toml:2: [[vetted]] 'rule' goes with verdict = \"unvetted\""),
        (DANGEROUS.replace('"runs-code"', '"Runs_Code"'), "x.toml:2: [[dangerous]] 'family' is not of the form"),
        (DANGEROUS.replace('severity = "high"\n', ""), "x.toml:2: [[dangerous]] needs 'severity'"),
        (DANGEROUS.replace('"m"', '"*"').replace('"n"', '"*"'), "x.toml:2: [[dangerous]] '*' is no module name"),
        (KNOWN + VETTED + KNOWN.replace('"w"', "7"), "x.toml:15: [[known]] 'what' must be text"),
    ],
)
def test_refusals_name_file_and_line(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        packs.parse(text, "x.toml")
    assert str(caught.value).startswith(message)


def test_a_pack_cannot_vet() -> None:
    with pytest.raises(UsageError, match=r"^x.toml:2: no section 'vetted' here.*a pack cannot vet names"):
        packs.parse(VETTED, "x.toml", pack=True)


def test_a_pack_cannot_speak_of_any_module() -> None:
    with pytest.raises(UsageError, match=r"^x.toml:2: \[\[dangerous\]\] '\*' is no module name"):
        packs.parse(DANGEROUS.replace('module = "m"', 'module = "*"'), "x.toml", pack=True)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (VETTED + VETTED, ["m.n is vetted twice"]),
        (VETTED + DANGEROUS, ["m.n is vetted without a cap and dangerous"]),
        (VETTED + 'verdict = "unvetted"\nrule = "capped"\n' + DANGEROUS, []),
        (DANGEROUS + KNOWN, ["m.n is dangerous and known"]),
        (VETTED + KNOWN, []),
        (VETTED + DANGEROUS.replace('"n"', '"*"') + KNOWN.replace('"n"', '"k"'), []),
    ],
)
def test_contradictions(text: str, wrong: list[str]) -> None:
    assert packs.contradictions(packs.parse(text, "x.toml")) == wrong
