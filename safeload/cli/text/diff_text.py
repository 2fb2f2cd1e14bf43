"""In what two files differ, in words: every text of the files is escaped. Prints nothing."""

from __future__ import annotations

from collections.abc import Sequence

from safeload.cli.text.convert_text import count, size
from safeload.cli.text.inspect_text import verdict_text
from safeload.findings import Verdict
from safeload.inspecting.interface import Change, Changed, Difference, Side
from safeload.reports import escape


def difference_text(found: Difference, most: int | None, *, color: bool = False) -> str:
    """The two files, the lists of what differs (at most `most` lines of each, None for all), and what it comes to."""
    names = [escape.path(side.report.path) for side in (found.a, found.b)]
    width = max(map(len, names))
    lines = [
        f"{letter}  {name.ljust(width)}  {_side(side, color)}"
        for letter, name, side in zip("AB", names, (found.a, found.b), strict=True)
    ]
    lines += [f"{escape.exact(found.said)}: compared under these names"] if found.said else []
    if found.modules:
        lines.append(f"{found.modules} holds modules, whose classes and attributes the other cannot have: left out")
    lines += _list("only in A", [_name(name) for name in found.missing], most)
    lines += _list("only in B", [_name(name) for name in found.added], most)
    lines += _list("changed", _columns([_change(change) for change in found.changed]), most)
    lines += _list("other values", _columns([_value(value) for value in found.values]), most)
    lines.append(_conclusion(found))
    return "".join(f"{line}\n" for line in lines)


def _side(side: Side, color: bool) -> str:
    report = side.report
    warning = "" if report.verdict is not Verdict.DANGEROUS else "; do not load it"
    container = escape.exact(report.container)
    return f"{verdict_text(report, color=color)}, {container}, {count(side.tensors, 'tensor')}{warning}"


def _name(name: str) -> str:
    return escape.name(name) if name else "(root)"


def _list(title: str, rows: Sequence[str], most: int | None) -> list[str]:
    if not rows:
        return []
    shown = rows if most is None or len(rows) <= most + 1 else rows[:most]
    lines = [f"{title} ({len(rows):,}):", *(f"  {row}" for row in shown)]
    if len(shown) < len(rows):
        lines.append(f"  {len(rows) - len(shown):,} more: --all")
    return lines


def _columns(rows: Sequence[tuple[str, str]]) -> list[str]:
    width = min(max((len(name) for name, _ in rows), default=0), 60)
    return [f"{name.ljust(width)}  {text}" for name, text in rows]


def _change(change: Change) -> tuple[str, str]:
    if change.what == "unreadable":
        return _name(change.name), f"cannot be read: {escape.exact(change.before)}"
    if change.what != "values":
        return _name(change.name), f"{change.what} {escape.exact(change.before)} -> {escape.exact(change.after)}"
    text = f"{change.differing:,} of {count(change.elements, 'element')} differ"
    if change.largest is not None:
        text += f", by at most {change.largest:.6g}"
    return _name(change.name), text + (f", {change.nans:,} with NaN" if change.nans else "")


def _value(value: Changed) -> tuple[str, str]:
    if value.after is None:
        return _name(value.name), f"only in A: {escape.exact(value.before or '')}"
    if value.before is None:
        return _name(value.name), f"only in B: {escape.exact(value.after)}"
    return _name(value.name), f"{escape.exact(value.before)} -> {escape.exact(value.after)}"


def _conclusion(found: Difference) -> str:
    compared = "tensor values were not compared" if found.keys_only else f"{size(found.compared)} compared"
    same = f"{count(found.same, 'tensor')} the same ({compared})"
    if found.equal and found.understood:
        return f"same: {same}"
    if found.equal:
        return f"cannot tell: no difference in what was understood, which is not all; {same}"
    return (
        f"different: {same}, {len(found.changed):,} changed, {len(found.missing):,} only in A, "
        f"{len(found.added):,} only in B, {count(len(found.values), 'other value')}"
    )
