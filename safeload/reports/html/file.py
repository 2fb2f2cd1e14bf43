"""One file of the HTML report: what it is, each finding with its place and opcodes, and where its bytes are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from safeload.findings import Finding
from safeload.report import Report
from safeload.reports import phrases
from safeload.reports.details import Detail, OpcodeLine
from safeload.reports.html.markup import Markup, counted, join, path, sized, tag, text
from safeload.reports.html.picture import bytes_of

EVIDENCE = 4_000
"""Characters of one call or message that are shown; the JSON report has all that was kept."""

IN_JSON = "safeload scan --format json has them all"


def all_findings(report: Report) -> tuple[Finding, ...]:
    """Those of the report; where the one that gave it its verdict was not kept, what stands for it is the first."""
    stands = phrases.main_findings(report)[:1]
    return report.findings if not stands or stands[0] in report.findings else (*stands, *report.findings)


def badge(verdict: str) -> Markup:
    """A verdict as a word in its color."""
    return tag("span", verdict, class_=f"badge {verdict}")


def file_section(report: Report, detail: Detail | None, ident: str, most: int, links: Mapping[str, str]) -> Markup:
    """Everything about one file; `most` of its findings. `links` lead from a rule to what it means."""
    every = all_findings(report)
    found = every[:most]
    content = [_head(report, ident)]
    for number, finding in enumerate(found, start=1):
        content.append(_finding(finding, report, detail, f"{ident}-{number}", links.get(finding.rule)))
    left = len(every) - len(found)
    if left:
        content.append(tag("p", f"{counted(left, 'finding')} more: {IN_JSON}.", class_="more"))
    if report.omitted:
        words = f"{counted(report.omitted, 'finding')} more were counted, not kept; --limit findings=NUMBER keeps more."
        content.append(tag("p", words, class_="more"))
    if detail is not None:
        content += _bytes(detail)
    return tag(
        "section", *content, class_=f"file {report.verdict.value}", id=ident, data_verdict=report.verdict.value,
        aria_labelledby=f"{ident}-name",
    )  # fmt: skip


def _head(report: Report, ident: str) -> Markup:
    facts: list[tuple[str, str]] = []
    if report.reason:
        facts.append(("reason", report.reason))
    if report.container:
        facts.append(("format", report.container))
    if report.size is not None:
        exact = f" ({report.size:,} bytes)" if report.size >= 1024 else ""
        facts.append(("size", f"{sized(report.size)}{exact}"))
    if report.streams:
        facts.append(("interpreted", f"{counted(report.streams, 'pickle')}, {counted(report.opcodes, 'opcode')}"))
    if report.judged_sha256:
        facts.append(("judged sha256", tag("code", report.judged_sha256)))
    if not all_findings(report):
        facts.append(("findings", "none"))
    title = tag("h2", tag("code", path(report.path)), id=f"{ident}-name")
    return tag(
        "div",
        tag("div", badge(report.verdict.value), title, class_="title"),
        tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in facts), class_="facts"),
        class_="head",
    )


def _finding(finding: Finding, report: Report, detail: Detail | None, ident: str, link: str | None) -> Markup:
    fields: list[tuple[str, Markup]] = []
    if finding.evidence:
        fields.append(("Call" if finding.name else "Evidence", tag("pre", cut(finding.evidence))))
    if finding.name and finding.name not in finding.evidence:
        fields.append(("Global", tag("code", cut(finding.name))))
    where = _where(finding, report)
    if where:
        fields.append(("Where", where))
    if remedy := phrases.remedy(finding, report):
        fields.append(("Do", text(cut(remedy))))
    if finding.accepted:
        fields.append(("Accepted", text(cut(finding.accepted))))
    title = tag(
        "div",
        tag("h3", cut(finding.message), id=ident),
        tag("a", tag("code", finding.rule), href=link, class_="rule"),
        tag("span", finding.severity.value, class_=f"severity {finding.severity.value}"),
        class_="title",
    )
    lines: Sequence[OpcodeLine] = ()
    if detail is not None and finding.stream is not None and finding.offset is not None:
        lines = detail.opcodes.get((finding.stream, finding.offset), ())
    return tag(
        "article",
        title,
        tag("dl", *(join(tag("dt", name), tag("dd", value)) for name, value in fields), class_="fields"),
        _opcodes(lines) if lines else Markup(),
        class_=f"finding {finding.verdict.value}", data_severity=finding.severity.value, data_rule=finding.rule,
        aria_labelledby=ident,
    )  # fmt: skip


def _where(finding: Finding, report: Report) -> Markup:
    """Member, byte offset and pickle."""
    found = phrases.where(finding, report)
    return tag("code", cut(found)) if found else Markup()


def _opcodes(lines: Sequence[OpcodeLine]) -> Markup:
    """The opcodes around a finding: the one that it is about is marked, for the eye and for a screen reader."""
    names = (
        ("Offset", "number"),
        ("Opcode", None),
        ("Argument", "wraps"),
        ("What it does", "wraps"),
        ("Stack", "number"),
    )
    head = tag("tr", *(tag("th", name, scope="col", class_=kind) for name, kind in names))
    return tag(
        "details",
        tag("summary", "Opcodes around it"),
        tag(
            "div",
            tag(
                "table",
                tag("caption", "Opcodes: what each would do, and how deep the stack is after it", class_="unseen"),
                tag("thead", head),
                tag("tbody", *(_opcode(line) for line in lines)),
                class_="opcodes",
            ),
            class_="scroll", role="region", aria_label="Opcodes", tabindex=0,
        ),
        open=True,
    )  # fmt: skip


def _opcode(line: OpcodeLine) -> Markup:
    note = join(
        tag("code", line.memo, class_="soft") if line.memo else Markup(),
        Markup(" ") if line.memo and line.note else Markup(),
        line.note,
    )
    offset = join(tag("code", f"{line.offset:#x}"), tag("span", " (the finding)", class_="unseen") if line.here else "")
    return tag(
        "tr",
        tag("td", offset, class_="number"),
        tag("td", tag("code", line.name)),
        tag("td", tag("code", line.argument) if line.argument else "", class_="wraps"),
        tag("td", note, class_="wraps"),
        tag("td", str(line.depth), class_="number soft"),
        class_="here" if line.here else None,
    )


def _bytes(detail: Detail) -> list[Markup]:
    """Where the bytes are, and what is missing."""
    shown = []
    if detail.bytes is not None and detail.bytes.parts and detail.bytes.size:
        inner = tag("details", tag("summary", "Where the bytes are"), bytes_of(detail.bytes), open=True)
        shown.append(tag("div", inner, class_="where"))
    if detail.note:
        shown.append(tag("p", detail.note, class_="note"))
    return shown


def cut(untrusted: str) -> str:
    """What fits on a page."""
    return phrases.cut(untrusted, EVIDENCE)
