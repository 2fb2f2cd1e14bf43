"""The scoreboard as text: one table for the terminal, with every name; a document in which only safeload has one.

Knows no tool and no file. `document` writes what docs/scoreboard.md holds and `read` takes it apart again, so that a
test can tell a generated file from an edited one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

OURS = "safeload"
NOTHING = "-"


@dataclass(frozen=True, slots=True)
class Scan:
    """What a scanner did, in files and seconds.

    missed, unread  hostile ones called clean; of those, the ones whose payload it knows and did not see here
    unsure          hostile ones of which it only said that it cannot tell
    dangerous, doubted  benign ones called dangerous; and not called clean
    """

    tool: str
    missed: int
    unread: int
    unsure: int
    dangerous: int
    doubted: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Load:
    """What a loader did. Files: hostile ones not refused; benign ones not loaded. Seconds."""

    tool: str
    ran: int
    refused: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Board:
    """A whole run. `hostile` of the files were shown to run something, `odd` are hostile for another reason."""

    date: str
    versions: str
    hostile: int
    odd: int
    benign: int
    scans: tuple[Scan, ...]
    loads: tuple[Load, ...]


SCAN_HEAD = ("tool", "hostile missed", "of these silently unread", "hostile unsure", "benign called dangerous",
             "benign unsure or dangerous", "seconds")  # fmt: skip
LOAD_HEAD = ("tool", "hostile not refused", "benign not loaded", "seconds")


def cells(row: Scan | Load, tool: str) -> tuple[str, ...]:
    """One row as texts."""
    if isinstance(row, Scan):
        counts = (row.missed, row.unread, row.unsure, row.dangerous, row.doubted)
    else:
        counts = (row.ran, row.refused)
    return tool, *map(str, counts), f"{row.seconds:.1f}"


def terminal(board: Board) -> str:
    """One table with every tool by its name; `-` where it does not scan or does not load."""
    scans = {row.tool: row for row in board.scans}
    loads = {row.tool: row for row in board.loads}
    lines = [(*SCAN_HEAD[:-1], *LOAD_HEAD[1:-1], "seconds to scan", "to load")]
    for tool in dict.fromkeys((*scans, *loads)):
        scanned = cells(scans[tool], tool)[1:] if tool in scans else (NOTHING,) * 6
        loaded = cells(loads[tool], tool)[1:] if tool in loads else (NOTHING,) * 3
        lines.append((tool, *scanned[:-1], *loaded[:-1], scanned[-1], loaded[-1]))
    return columns(lines)


def columns(lines: Sequence[tuple[str, ...]]) -> str:
    """Rows under heads that are broken at each word."""
    heads = [head.split(" ") for head in lines[0]]
    tall = max(map(len, heads))
    rows = [[head[i - tall] if i >= tall - len(head) else "" for head in heads] for i in range(tall)] + list(lines[1:])
    widths = [max(len(row[i]) for row in rows) for i in range(len(heads))]
    text = ["  ".join(f"{c:<{w}}" if i == 0 else f"{c:>{w}}" for i, (c, w) in enumerate(zip(row, widths, strict=True)))
            for row in rows]  # fmt: skip
    return "\n".join([*text[:tall], "  ".join("-" * w for w in widths), *text[tall:]])


def shuffled(rows: Sequence[Scan | Load]) -> list[tuple[str, Scan | Load]]:
    """safeload first; the others by a digest of what they did, under letters: no order in which one knows them."""
    ours = [(row.tool, row) for row in rows if row.tool == OURS]
    others = [row for row in rows if row.tool != OURS]
    others.sort(key=lambda row: hashlib.sha256(repr(cells(row, "")).encode()).digest())
    return ours + [(f"tool {chr(ord('A') + i)}", row) for i, row in enumerate(others)]


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of Markdown."""
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows))


DOCUMENT = """\
# Scoreboard

Written by `make scoreboard`, never by hand. Run on {date} with {versions}.

{hostile} hostile files that were each seen to run something when an ordinary program opens them, {odd} that are broken,
ambiguous or harmful to memory, and {benign} benign files that torch, numpy and pickle wrote. The other tools are the
public scanners and loaders of this field; what they miss is theirs to be told first, so they have letters, in
no order, and other ones in each table. The command prints every name.

## Scanners

{scans}

Missed: a hostile file about which the tool has nothing to say. Silently unread: missed although the tool does not call
the same payload clean in a pickle of its own. Unsure: it says that it could not tell, met an error, or names something
without calling it dangerous; for safeload that is `unvetted` or `unjudged`, which refuse the file.

## Loaders

{loads}

Not refused: the payload ran, or an object came out that harms memory. Not loaded: the loader refused a benign file, or
cannot read its format; for safeload these are pickled classes, most of which `unvetted="record"` or `trust=` load, and
TorchScript.
"""


def document(board: Board) -> str:
    """docs/scoreboard.md."""
    scans = markdown(SCAN_HEAD, [cells(row, tool) for tool, row in anonymous(board.scans)])
    loads = markdown(LOAD_HEAD, [cells(row, tool) for tool, row in anonymous(board.loads)])
    return DOCUMENT.format(
        date=board.date, versions=board.versions, hostile=board.hostile, odd=board.odd, benign=board.benign,
        scans=scans, loads=loads,
    )  # fmt: skip


def anonymous(rows: Sequence[Scan | Load]) -> list[tuple[str, Scan | Load]]:
    """As they are published. Rows that have letters already keep them."""
    return [(row.tool, row) for row in rows] if any(row.tool == "tool A" for row in rows) else shuffled(rows)


def read(text: str) -> Board:
    """What a document says. Raises ValueError for one that `document` did not write."""
    head = re.search(r"Run on (\d{4}-\d\d-\d\d) with (.+)\.\n\n(\d+) hostile .+?, (\d+) that", text, re.S)
    benign = re.search(r"and (\d+) benign files", text)
    if not head or not benign:
        raise ValueError("no document of the scoreboard")
    scans: list[Scan] = []
    loads: list[Load] = []
    for line in text.splitlines():
        tool, *numbers = [cell.strip() for cell in line.strip("|").split("|")]
        if len(numbers) in (3, 6) and re.fullmatch(r"\d+\.\d", numbers[-1]):
            counts = [int(number) for number in numbers[:-1]]
            if len(counts) == 5:
                scans.append(Scan(tool, *counts, float(numbers[-1])))
            else:
                loads.append(Load(tool, *counts, float(numbers[-1])))
    date, versions, hostile, odd = head.groups()
    return Board(date, versions, int(hostile), int(odd), int(benign[1]), tuple(scans), tuple(loads))
