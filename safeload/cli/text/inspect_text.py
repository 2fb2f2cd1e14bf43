"""What is in a file, in words: a summary, a table or a tree. Every text of the file is escaped. Prints nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from safeload.cli.text.convert_text import count, size
from safeload.findings import Verdict
from safeload.inspecting.interface import Entry, Inspection
from safeload.inspecting.nested import Branch, branches
from safeload.report import Report
from safeload.reports import escape

_COLORS = {Verdict.DANGEROUS: "1;31", Verdict.UNJUDGED: "1;35", Verdict.UNVETTED: "1;33", Verdict.CLEAN: "32"}
_SAID = {
    Verdict.CLEAN: "all that it would do is in the vetted table",
    Verdict.UNVETTED: "it names classes outside the vetted table, which stand here as records of what the file says",
    Verdict.DANGEROUS: "DO NOT LOAD THIS FILE. Nothing of it was run to show this",
    Verdict.UNJUDGED: "not fully understood, so do not load it as it is. This is what is known of it",
}
# Ties, classes, metadata and further members in a summary, and letters of one text.
_SHOWN = 5
_LETTERS = 60
_BUILT_IN = ("collections.", "torch.Size", "numpy ")
_NOTHING = frozenset({"None", "{}", "[]", "()", "OrderedDict()"})
_ARCHIVES = ("torch-zip", "torchscript")


def verdict_text(report: Report, *, color: bool = False) -> str:
    """The verdict as a word: in capitals when it is not clean."""
    word = report.verdict.value if report.verdict is Verdict.CLEAN else report.verdict.value.upper()
    return f"\x1b[{_COLORS[report.verdict]}m{word}\x1b[0m" if color else word


def summary(found: Inspection, *, color: bool = False, every: bool = False) -> list[str]:
    """What the file is, its verdict, and what its content adds up to."""
    report = found.report
    kind = escape.exact(report.container or "unknown")
    sized = f", {size(report.size)}" if report.size is not None else ""
    lines = [f"{escape.path(report.path)}: {kind}{_version(found)}{sized}"]
    lines.append(f"{verdict_text(report, color=color)}: {_SAID[report.verdict]}")
    if report.findings:
        more = len(report.findings) + report.omitted - 1
        lines.append(f"  {escape.exact(report.findings[0].message)}{f', and {more:,} more' if more else ''}")
        lines.append(f"  every finding: safeload scan -v {escape.argument(report.path)}")
    if not found.entries:
        return [*lines, "nothing in it was understood"]
    tensors, values = found.tensors(), [entry for entry in found.entries if entry.kind == "value"]
    elements, total = sum(t.elements for t in found.totals), sum(t.nbytes for t in found.totals)
    known = f", {count(elements, 'element')}, {size(total)}" if found.totals else ""
    lines.append(f"{count(len(tensors), 'tensor')}{known}; {count(len(values), 'other value')}")
    rows = [(f"  {escape.exact(t.dtype)}", f"{t.tensors:,}", size(t.nbytes)) for t in found.totals]
    lines += _aligned(rows, right=(1, 2)) if len(rows) > 1 else [f"  all {row[0].strip()}" for row in rows]
    lines += _notes(found, every)
    return lines


def _version(found: Inspection) -> str:
    """What the format says of its version."""
    said = []
    if found.report.container.split("+")[0] in _ARCHIVES:
        said += [f"version {found.format['version']}"] if "version" in found.format else []
        said += ["big-endian"] if found.format.get("byteorder") == "big" else []
    return "".join(f", {escape.exact(word)}" for word in said)


def _notes(found: Inspection, every: bool) -> list[str]:
    """Ties, classes, metadata and further members: the first few of each."""
    most = None if every else _SHOWN
    lines = []
    same = [tie for tie in found.ties if tie.same]
    apart = [tie for tie in found.ties if not tie.same]
    for word, ties, sign in (("tied", same, " = "), ("share memory", apart, ", ")):
        for tie in ties[:most]:
            lines.append(f"  {word}: {sign.join(_few(tie.names, most))}")
        lines += _rest(len(ties) - len(ties[:most]), f"{word} groups")
    names = [f"{escape.name(name)} x {number:,}" for name, number in list(found.classes.items())[:most]]
    lines += [f"  outside the table: {', '.join(names)}"] if names else []
    lines += _rest(len(found.classes) - len(names), "classes and functions")
    if found.report.container.split("+")[0] not in _ARCHIVES:
        entries = [f"{escape.name(_cut(k))} = {escape.exact(_cut(v))}" for k, v in list(found.format.items())[:most]]
        lines += [f"  metadata: {entry}" for entry in entries]
        lines += _rest(len(found.format) - len(entries), "metadata entries")
    if found.others:
        lines.append(f"  further objects, which no load gives: {', '.join(_few(found.others, most))}")
    if not found.complete:
        lines.append("  there are more places than the limit: the rest is not listed (--limit names=NUMBER)")
    return lines


def _few(names: Sequence[str], most: int | None) -> list[str]:
    shown = [escape.name(name) if name else "(root)" for name in names[:most]]
    return [*shown, f"... {len(names):,} in all"] if len(shown) < len(names) else shown


def _rest(number: int, what: str) -> list[str]:
    return [f"  and {number:,} more {what} (--all)"] if number > 0 else []


def _cut(text: str) -> str:
    return text if len(text) <= _LETTERS else f"{text[:_LETTERS]}..."


def listed(entries: Iterable[Entry]) -> list[Entry]:
    """The entries that a table shows: everything but the containers that only hold others."""
    return [entry for entry in entries if entry.kind != "container" or _is_object(entry)]


def telling(entries: Iterable[Entry]) -> list[Entry]:
    """The entries without private attributes that hold nothing: a module has a dozen empty dicts of hooks."""
    return [e for e in entries if e.kind != "value" or e.text not in _NOTHING or not e.key.startswith("_")]


def tied_to(found: Inspection) -> dict[str, str]:
    """Name -> the earlier name of the same elements."""
    return {name: tie.names[0] for tie in found.ties if tie.same for name in tie.names[1:]}


def _is_object(entry: Entry) -> bool:
    return "." in entry.type and not entry.type.startswith(_BUILT_IN)


def matching(entries: Iterable[Entry], patterns: Sequence[str]) -> list[Entry]:
    """The entries whose path one of `patterns` matches."""
    return [entry for entry in entries if any(fnmatchcase(entry.path, pattern) for pattern in patterns)]


def ordered(entries: list[Entry], by: str | None) -> list[Entry]:
    """By "size" (the largest first), "name" (2 before 10), "file" (by position in the file), else as they are."""
    if by == "size":
        return sorted(entries, key=lambda entry: (-entry.nbytes, entry.kind != "tensor"))
    if by == "name":
        return sorted(entries, key=lambda entry: _natural(entry.path))
    if by == "file":
        return sorted(entries, key=lambda entry: (entry.offset is None, entry.offset or 0))
    return entries


def _natural(path: str) -> list[tuple[int, str]]:
    """Runs of digits by their length, then as text: no number is ever made of them."""
    parts = re.split(r"([0-9]+)", path)
    return [(len(part.lstrip("0")) if index % 2 else 0, part.lstrip("0") if index % 2 else part)
            for index, part in enumerate(parts)]  # fmt: skip


def table(entries: Sequence[Entry], tied: Mapping[str, str], width: int | None, most: int | None) -> list[str]:
    """Name, type, shape or value, and bytes; `most` rows of `width` letters, None for all."""
    shown = entries if most is None or len(entries) <= most else entries[: max(most - 1, 1)]
    if not shown:
        return []
    rows = [("name", "type", "shape or value", "size"), *(_row(entry, tied) for entry in shown)]
    if width is not None:
        rows = _fitted(rows, width)
    lines = _aligned(rows, right=(3,))
    if len(shown) < len(entries):
        lines.append(f"{len(entries) - len(shown):,} more: --all, or --match GLOB for some of them")
    return lines


def _row(entry: Entry, tied: Mapping[str, str]) -> tuple[str, str, str, str]:
    name = escape.name(entry.path) if entry.path else "(root)"
    if entry.kind == "tensor":
        extra = [escape.exact(entry.layout)] if entry.layout else []
        extra += [entry.type] if entry.type in {"array", "storage"} else []
        extra += [f"= {escape.name(tied[entry.path])}"] if entry.path in tied else []
        extra += ["strided"] if not entry.contiguous else []
        shape = " ".join([str(list(entry.shape)), *extra])
        return name, escape.exact(entry.dtype or "?"), shape, size(entry.nbytes)
    if entry.kind == "same":
        return name, escape.exact(_cut(entry.type)), f"same object as {escape.name(entry.text) or '(root)'}", ""
    if entry.kind == "named":
        return name, "tensor", f"in {escape.name(entry.text)}", ""
    if entry.kind == "unread":
        return name, "?", "not understood", ""
    text = count(entry.size, "entry").replace("entrys", "entries") if entry.kind == "container" else entry.text
    return name, escape.exact(_cut(entry.type)), escape.exact(text), ""


def _fitted(rows: list[tuple[str, str, str, str]], width: int) -> list[tuple[str, str, str, str]]:
    """Rows whose long texts are cut so that a line fits: values at their end, names in the middle."""
    types, sizes = (max(len(row[index]) for row in rows) for index in (1, 3))
    room = max(width - types - sizes - 6, 30)
    texts = min(max(len(row[2]) for row in rows), max(room // 2, room - max(len(row[0]) for row in rows)))
    return [(_middle(row[0], room - texts), row[1], _end(row[2], texts), row[3]) for row in rows]


def _middle(text: str, most: int) -> str:
    half = max((most - 3) // 2, 1)
    return text if len(text) <= most else f"{text[:half]}...{text[-(most - 3 - half) :]}"


def _end(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: max(most - 3, 1)]}..."


def _aligned(rows: Sequence[tuple[str, ...]], right: tuple[int, ...] = ()) -> list[str]:
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))] if rows else []
    return [
        "  ".join(
            text.rjust(width) if index in right else text.ljust(width)
            for index, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def tree(entries: Iterable[Entry], tied: Mapping[str, str], width: int | None, most: int | None) -> list[str]:
    """The indented tree, with what each branch holds."""
    found = branches(entries, tied)
    shown = found if most is None or len(found) <= most else found[: max(most - 1, 1)]
    rows = [_branch(branch, tied) for branch in shown]
    if not rows:
        return []
    names = min(max(len(name) for name, _ in rows), 60 if width is None else max(width // 2, 20))
    lines = [f"{name.ljust(names)}  {text}".rstrip() for name, text in rows]
    if width is not None:
        lines = [_end(line, width) for line in lines]
    if len(shown) < len(found):
        lines.append(f"{len(found) - len(shown):,} more lines: --all")
    return lines


def _branch(branch: Branch, tied: Mapping[str, str]) -> tuple[str, str]:
    entry = branch.entry
    # Deeper than that the indent says nothing any more.
    name = "  " * min(branch.depth, 40) + (escape.exact(branch.name) or ("(root)" if branch.depth == 0 else "''"))
    times = f"{branch.times:,} x " if branch.times > 1 else ""
    held = f"{count(branch.tensors, 'tensor')}, {size(branch.nbytes)}"
    if entry is None:
        return name, f"{times and f'{times}alike, '}{held}"
    if entry.kind == "container":
        return name, f"{times}{escape.exact(_cut(entry.type))}{f': {held}' if branch.tensors else ''}"
    _, kind, text, nbytes = _row(entry, tied)
    return name, f"{times}{kind} {text}{f', {nbytes}' if nbytes else ''}"
