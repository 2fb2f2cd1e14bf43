"""The HTML report without a browser: its golden pages, what it may consist of, and its bounds."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import unicodedata
from html.parser import HTMLParser

import pytest

from safeload.reports import FORMATS, Outcome, Style
from safeload.reports.html import report as html_report
from safeload.reports.html.markup import Markup, join, path, sized, tag, text
from safeload.reports.html.script import SCRIPT
from safeload.reports.html.style import STYLE
from tests.reports.outcomes import DIGEST, HOSTILE, PLAIN, WICKED, outcome
from tests.reports.pages import BREAKOUTS, GOLDEN, PAGES, attack, many, page, plain

ELEMENTS = {
    "html", "head", "meta", "title", "style", "body", "script", "header", "main", "footer", "section", "article",
    "div", "p", "a", "span", "b", "small", "code", "pre", "ul", "li", "dl", "dt", "dd", "h1", "h2", "h3", "button",
    "label", "input", "select", "option", "table", "caption", "thead", "tbody", "tr", "th", "td", "details",
    "summary", "svg", "g", "rect", "text",
}  # fmt: skip
ATTRIBUTES = {
    "lang", "charset", "http-equiv", "content", "name", "id", "class", "href", "hidden", "type", "autocomplete",
    "spellcheck", "for", "value", "role", "tabindex", "open", "scope", "viewbox", "preserveaspectratio", "x", "y",
    "width", "height", "rx", "aria-label", "aria-labelledby", "aria-hidden", "data-verdict", "data-severity",
    "data-rule", "data-file",
}  # fmt: skip


class Read(HTMLParser):
    """A page as a browser's parser takes it apart."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.constants: dict[str, list[str]] = {"script": [], "style": []}
        self.words: list[str] = []
        self._in = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._in = tag

    def handle_endtag(self, tag: str) -> None:
        self._in = ""

    def handle_data(self, data: str) -> None:
        if self._in in self.constants:
            self.constants[self._in].append(data)
        else:
            self.words.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    @property
    def shown(self) -> str:
        return "\n".join(self.words)


@pytest.mark.skipif(os.name == "nt", reason="names are quoted for another shell there")
@pytest.mark.parametrize("name", PAGES)
def test_golden(name: str) -> None:
    assert page(PAGES[name]) == (GOLDEN / name).read_text(encoding="ascii")


def test_every_golden_page_is_used() -> None:
    assert {path.name for path in GOLDEN.glob("html-*")} == set(PAGES)


def test_it_is_a_format_that_is_given_details() -> None:
    form = next(f for f in FORMATS if f.name == "html")
    assert (form.details, form.explains) == (True, True)
    assert form.render(plain(), Style(quiet=True)) == page(plain())


@pytest.mark.parametrize("result", [plain(), attack(), outcome(*HOSTILE, WICKED), outcome()], ids=str.__class__)
def test_a_page_consists_of_what_it_should(result: Outcome) -> None:
    """Whatever a file says: no element, attribute, address, script or style but ours, and nothing invisible."""
    source = page(result)
    assert source.isascii()
    read = Read(source)
    assert {name for name, _ in read.elements} - {"title"} <= ELEMENTS
    assert {key for _, attributes in read.elements for key in attributes} <= ATTRIBUTES
    for _, attributes in read.elements:
        assert re.fullmatch(r"#[a-z0-9-]+", attributes.get("href") or "#x")
        assert re.fullmatch(r"[a-z]+(-?\d+)*(-name)?", attributes.get("id") or "x")
        assert re.fullmatch(r"[a-z0-9 ]+", attributes.get("class") or "x")
    assert read.constants == {"script": [SCRIPT], "style": [STYLE]}
    shown = read.shown + "".join(value or "" for _, attributes in read.elements for value in attributes.values())
    bad = {c for c in shown if c != "\n" and unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp", "Mn"}}
    assert bad == set()


def test_the_same_page_has_the_same_elements_whatever_the_texts_say() -> None:
    """A breakout that changes the structure in any way shows here."""
    attacked = Read(page(attack())).elements
    for bad in BREAKOUTS:
        assert any(
            bad.replace("\\", "") in (value or "").replace("\\", "") for _, a in attacked for value in a.values()
        )
    sections = _sections(attacked)
    assert len(sections) == len(BREAKOUTS)
    assert len(set(sections)) == 1


def _sections(elements: list[tuple[str, dict[str, str | None]]]) -> list[tuple[str, ...]]:
    """The names of the elements of each file's section; of the picture, whose labels depend on their room, only svg."""
    found: list[list[str]] = []
    for name, attributes in elements:
        if "file" in (attributes.get("class") or "").split():
            found.append([])
        if attributes.get("id") == "none":
            break
        if found and name not in {"g", "rect", "text", "title"}:
            found[-1].append(name)
    return [tuple(names) for names in found]


def test_the_policy_admits_our_style_and_script_and_nothing_else() -> None:
    read = Read(page(plain()))
    policy = next(a["content"] for _, a in read.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules == {
        "default-src": "'none'",
        "style-src": _hash(read.constants["style"][0]),
        "script-src": _hash(read.constants["script"][0]),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    # It stands before everything that it is about.
    names = [name for name, _ in read.elements]
    at = next(number for number, (_, a) in enumerate(read.elements) if "http-equiv" in a)
    assert at < names.index("style") < names.index("script")


def _hash(constant: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(constant.encode()).digest()).decode()}'"


def test_constants_cannot_end_early() -> None:
    for constant in (SCRIPT, STYLE):
        assert constant.isascii()
        assert "</" not in constant
        assert "<!--" not in constant
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacent",
        "document.write",
        "eval",
        "Function(",
        "fetch",
        "http",
        "src",
    ):
        assert word not in SCRIPT
    assert "url(" not in STYLE
    assert "@import" not in STYLE


def test_everything_a_reviewer_needs_is_there() -> None:
    shown = Read(page(plain())).shown
    for words in (
        "Dangerous", "Do not load the dangerous files, nor those that could not be judged.",
        "models/evil.pt", "calls posix.system: starts a program", "posix.system('echo pwned')",
        "archive/data.pkl at 0x1f (byte 31)", "do not load this file", "runs-programs", "critical",
        "The name starts a program. It is the usual payload.", "Report it: to `whom` it concerns.",
        "REDUCE", "calls posix.system with 'echo pwned'", "memo[0] =", "(the finding)",
        "model.layers", "lm_head", "shared", "29 %", "The file changed after it was judged.",
        "baseline: known since May", "text, no model", DIGEST,
    ):  # fmt: skip
        assert words in shown, words


def test_a_lost_verdict_has_something_to_show() -> None:
    """Where the finding that made a file dangerous was not kept, the page says so, and can be filtered for it."""
    read = Read(page(plain()))
    assert "the file is dangerous, and the findings that say why were not kept" in read.shown
    assert "7 findings more were counted, not kept; --limit findings=NUMBER keeps more." in read.shown


def test_worst_first() -> None:
    order = [a["data-verdict"] for name, a in Read(page(plain())).elements if name == "section" and "data-verdict" in a]
    assert order == ["dangerous"] * 2 + ["unjudged"] + ["unvetted"] * 3 + ["clean"] * 2 + ["skipped"]


def test_a_page_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html_report, "FILES", 4)
    monkeypatch.setattr(html_report, "FINDINGS", 3)
    monkeypatch.setattr(html_report, "ALL_FINDINGS", 8)
    read = Read(page(many(6, 5)))
    assert sum("data-rule" in a for _, a in read.elements) == 8
    assert sum("data-file" in a for _, a in read.elements) == 4
    assert "2 files more, none worse than the last here: safeload scan --format json has them all." in read.shown
    assert "2 findings more: safeload scan --format json has them all." in read.shown
    assert "5 findings more: safeload scan --format json has them all." in read.shown


def test_long_text_is_cut() -> None:
    report = PLAIN[1]
    long = report._replace(findings=(report.findings[0]._replace(evidence="A" * 100_000, message="B" * 100_000),))
    source = page(outcome(long))
    assert len(source) < 40_000
    assert "... (96000 characters more)" in source


def test_markup_is_the_only_way_past_the_escape() -> None:
    assert tag("p", "<b>", Markup("<i></i>"), title="\"'<>&\n\u202e") == (
        '<p title="&quot;&#x27;&lt;&gt;&amp;\\n\\u202e">&lt;b&gt;<i></i></p>'
    )
    assert join("<", Markup("<")) == "&lt;<"
    assert tag("input", type="search", disabled=True, hidden=False, list=None) == '<input type="search" disabled>'
    assert isinstance(text("x") + text("y"), str)
    assert not isinstance(text("x") + "<", Markup)
    assert path("модель<.pt") == "&#x27;&#1084;&#1086;&#1076;&#1077;&#1083;&#1100;&lt;.pt&#x27;"


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 bytes"), (1, "1 byte"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (5 << 30, "5.0 GiB"),
     (999 << 40, "999 TiB"), (9999 << 40, "9999 TiB")],
)  # fmt: skip
def test_sizes_for_people(count: int, said: str) -> None:
    assert sized(count) == said
