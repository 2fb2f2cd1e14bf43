"""`--format html`: one page for a reviewer, with nothing outside of itself.

What is bad comes first; every file has its findings with call, place, opcodes and remedy, and a picture of where its
bytes are. All of it can be read without the script, which filters and searches. The page asks for nothing: its policy
admits one style and one script, by their hashes, and no address at all.

SECURITY: everything that comes from a file passes `html_markup.py`. The page is ASCII.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping

from safeload.findings import Severity, Verdict
from safeload.report import VERSION, Report
from safeload.reports import phrases
from safeload.reports.html.file import IN_JSON, all_findings, badge, file_section
from safeload.reports.html.markup import Markup, counted, join, path, raw, sized, tag
from safeload.reports.html.script import SCRIPT
from safeload.reports.html.style import STYLE
from safeload.reports.interface import Outcome, Style

FILES = 500
FINDINGS = 50
ALL_FINDINGS = 2_000
"""What one page shows, for a browser to lay out: files, findings of one file, findings of all. The rest is in JSON."""

_MEANING = {
    Verdict.DANGEROUS: "would do what a rule calls dangerous",
    Verdict.UNJUDGED: "not fully understood",
    Verdict.UNVETTED: "names code outside the table",
    Verdict.CLEAN: "every effect is in the table",
    Verdict.SKIPPED: "no model",
}


class Html:
    """The report as one self-contained page."""

    name = "html"

    def render(self, outcome: Outcome, style: Style) -> str:
        """The page; the style changes nothing."""
        reports = sorted(outcome.reports, key=lambda report: phrases.WORST_FIRST.index(report.verdict))
        body = tag(
            "body",
            tag("a", "Skip to the findings", href="#files", class_="skip"),
            _header(outcome),
            _main(reports, outcome),
            _footer(outcome),
            raw("script", SCRIPT),
        )
        return f"<!doctype html>\n{tag('html', _head(outcome), body, lang='en')}\n"


def policy() -> str:
    """The page's content security policy. SECURITY: `default-src 'none'` is what keeps a slip from being an attack."""
    return (
        f"default-src 'none'; style-src '{_digest(STYLE)}'; script-src '{_digest(SCRIPT)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(constant: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(constant.encode('ascii')).digest()).decode('ascii')}"


def _head(outcome: Outcome) -> Markup:
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        # The policy's quotes need no escape between double ones, and are easier to read as they are.
        tag("meta", http_equiv="Content-Security-Policy", content=Markup(policy())),
        tag("meta", name="referrer", content="no-referrer"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"safeload: {outcome.verdict.value}, {counted(len(outcome.reports), 'file')}"),
        raw("style", STYLE),
    )


def _header(outcome: Outcome) -> Markup:
    fields = outcome.summary
    cards = [_card(verdict, int(str(fields[verdict.value]))) for verdict in phrases.WORST_FIRST]
    said = (
        f"{counted(len(outcome.reports), 'file')} in {outcome.seconds:.2f} s{phrases.left_out(outcome)}. "
        f"{phrases.next_step(outcome)}"
    )
    return tag(
        "header",
        tag("h1", "safeload report"),
        tag("p", f"{outcome.verdict.value.capitalize()}", class_=f"whole {outcome.verdict.value}"),
        tag("p", said, class_="said"),
        tag("ul", *cards, class_="cards", aria_label="Files by verdict"),
    )


def _card(verdict: Verdict, count: int) -> Markup:
    return tag(
        "li",
        tag(
            "button", tag("b", f"{count:,}"), tag("span", verdict.value), tag("small", _MEANING[verdict]),
            type="button", class_=f"card {verdict.value}{'' if count else ' zero'}", data_verdict=verdict.value,
        ),
    )  # fmt: skip


def _main(reports: list[Report], outcome: Outcome) -> Markup:
    shown = reports[:FILES]
    named = {finding.rule for report in shown for finding in all_findings(report)}
    rules = sorted(named & outcome.rules.keys())
    links = {rule: f"#rule-{number}" for number, rule in enumerate(rules, start=1)}
    left = ALL_FINDINGS
    sections = []
    for number, report in enumerate(shown):
        most = min(FINDINGS, left)
        left -= min(most, len(all_findings(report)))
        sections.append(file_section(report, outcome.details.get(report.path), f"f{number + 1}", most, links))
    more = len(reports) - len(shown)
    content = [_tools(shown), _overview(shown)]
    if more:
        content.append(
            tag("p", f"{counted(more, 'file')} more, none worse than the last here: {IN_JSON}.", class_="note")
        )
    content += [tag("div", *sections, id="files"), tag("p", "Nothing fits the filter.", id="none", hidden=True)]
    if rules:
        content.append(_glossary({rule: outcome.rules[rule] for rule in rules}))
    return tag("main", *content)


def _tools(reports: list[Report]) -> Markup:
    """Filter and search: hidden where there is no script to work them."""
    findings = [finding for report in reports for finding in all_findings(report)]
    verdicts = [
        verdict.value for verdict in phrases.WORST_FIRST if any(report.verdict == verdict for report in reports)
    ]
    severities = [severity.value for severity in Severity if any(f.severity == severity for f in findings)]
    search = join(
        tag("label", "Search (press / to come here)", for_="search"),
        tag("input", type="search", id="search", autocomplete="off", spellcheck="false"),
    )
    return tag(
        "div",
        tag("div", search, class_="search"),
        _choice("verdict", "Verdict", verdicts),
        _choice("severity", "Severity", severities),
        _choice("rule", "Rule", sorted({finding.rule for finding in findings})),
        tag("button", "Reset", type="button", id="reset"),
        tag("button", "Open all", type="button", id="unfold"),
        tag("button", "Close all", type="button", id="fold"),
        tag("p", "", id="count", role="status"),
        id="tools", role="search", aria_label="Filter", hidden=True,
    )  # fmt: skip


def _choice(ident: str, label: str, values: Iterable[str]) -> Markup:
    options = (tag("option", value, value=value) for value in values)
    return tag(
        "div",
        tag("label", label, for_=ident),
        tag("select", tag("option", "all", value=""), *options, id=ident, autocomplete="off"),
    )


def _overview(reports: list[Report]) -> Markup:
    """All files on one screen, each a link to its section."""
    names = (
        ("Verdict", None),
        ("File", None),
        ("Rules", "wide"),
        ("Findings", "number"),
        ("Format", "wide"),
        ("Size", "number wide"),
    )
    rows = [
        tag(
            "tr",
            tag("td", badge(report.verdict.value)),
            tag("td", tag("a", tag("code", path(report.path)), href=f"#f{number}"), class_="name"),
            tag("td", _rules(report), class_="rules wide"),
            tag("td", f"{len(all_findings(report)) + report.omitted:,}", class_="number"),
            tag("td", report.container or report.reason, class_="wide"),
            tag("td", "" if report.size is None else sized(report.size), class_="number wide"),
            data_file=f"f{number}",
        )
        for number, report in enumerate(reports, start=1)
    ]
    head = tag("tr", *(tag("th", name, scope="col", class_=kind) for name, kind in names))
    table = tag("table", tag("thead", head), tag("tbody", *rows))
    listed = tag("div", table, class_="scroll", role="region", aria_label="Files", tabindex=0)
    return tag(
        "section", tag("h2", "Files", id="overview"), listed, class_="panel",
        aria_labelledby="overview",
    )  # fmt: skip


def _rules(report: Report) -> str:
    """The rules of the first findings, which are the worst."""
    rules = list(dict.fromkeys(finding.rule for finding in all_findings(report)))
    return ", ".join(rules[:2]) + (", ..." if len(rules) > 2 else "")


def _glossary(rules: Mapping[str, str]) -> Markup:
    """What each rule that is named means."""
    entries = [
        join(
            tag("dt", tag("code", rule), id=f"rule-{number}"),
            *(tag("dd", paragraph) for paragraph in text.splitlines() if paragraph.strip()),
        )
        for number, (rule, text) in enumerate(rules.items(), start=1)
    ]
    title = tag("h2", "What the rules mean", id="rules")
    return tag("section", title, tag("dl", *entries, class_="meaning"), class_="panel", aria_labelledby="rules")


def _footer(outcome: Outcome) -> Markup:
    return tag(
        "footer",
        tag("p", f"safeload {VERSION}. Rules: ", tag("code", outcome.policy_digest), "."),
        tag("p", "Nothing in the files was run. All text from them is shown with escapes for what is not plain."),
    )
