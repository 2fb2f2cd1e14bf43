"""Where the bytes of a checkpoint are, as a picture (a treemap in SVG) and as a table that says the same in numbers.

Both are made here: no script draws them. Positions are presentation attributes, because the page's policy admits no
style on an element.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from safeload.reports import escape
from safeload.reports.details import Part
from safeload.reports.html.markup import Markup, counted, join, sized, tag

WIDTH, HEIGHT = 960, 300
COLORS = 8
ROWS = 24
"""Rows of the table: what it does not name is in the picture, and in `safeload inspect`."""

_GAP = 3.0
_HEAD = 18.0
# Pixels that one character of a label takes, at most.
_CHAR = 7.2


class Box(NamedTuple):
    """A rectangle of the picture."""

    x: float
    y: float
    width: float
    height: float


def treemap(sizes: Sequence[int], box: Box) -> list[Box]:
    """One rectangle for each of `sizes` (descending), filling `box`, as square as they come (Bruls et al. 2000)."""
    whole = sum(sizes)
    if not whole or box.width <= 0 or box.height <= 0:
        return [Box(box.x, box.y, 0, 0) for _ in sizes]
    areas = [size * box.width * box.height / whole for size in sizes]
    boxes: list[Box] = []
    at = 0
    while at < len(areas):
        side = min(box.width, box.height)
        end = at + 1
        while end < len(areas) and _worst(areas[at : end + 1], side) <= _worst(areas[at:end], side):
            end += 1
        strip = sum(areas[at:end])
        box = _strip(areas[at:end], strip, box, boxes)
        at = end
    return boxes


def _worst(areas: Sequence[float], side: float) -> float:
    """How far from square the worst rectangle of a strip is."""
    strip = sum(areas)
    if strip <= 0 or side <= 0 or areas[-1] <= 0:
        return float("inf")
    return max(side * side * areas[0] / (strip * strip), strip * strip / (side * side * areas[-1]))


def _strip(areas: Sequence[float], strip: float, box: Box, boxes: list[Box]) -> Box:
    """Lay one strip along the shorter side; what is left of the box."""
    along = box.width < box.height
    side = min(box.width, box.height)
    thick = strip / side if side > 0 else 0.0
    at = box.x if along else box.y
    for area in areas:
        length = area / thick if thick > 0 else 0.0
        boxes.append(Box(at, box.y, length, thick) if along else Box(box.x, at, thick, length))
        at += length
    if along:
        return Box(box.x, box.y + thick, box.width, max(0.0, box.height - thick))
    return Box(box.x + thick, box.y, max(0.0, box.width - thick), box.height)


def picture(whole: Part) -> Markup:
    """The treemap: pieces of `whole`, and what they consist of."""
    drawn: list[str] = []
    order = sorted((part for part in whole.parts if part.size), key=lambda part: -part.size)
    for number, (part, box) in enumerate(zip(order, treemap([p.size for p in order], _all()), strict=True)):
        drawn.append(_piece(part, whole, _inset(box), _color(part, number)))
    label = f"Treemap of {sized(whole.size)}: " + ", ".join(f"{p.name} {_share(p, whole)}" for p in order[:6])
    return tag(
        "svg", *drawn, class_="map", viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=label,
        preserveAspectRatio="xMidYMid meet",
    )  # fmt: skip


def _all() -> Box:
    return Box(0, 0, WIDTH, HEIGHT)


def _color(part: Part, number: int) -> str:
    return f"c{number % COLORS}" if part.path else "rest"


def _inset(box: Box) -> Box:
    half = _GAP / 2
    return Box(box.x + half, box.y + half, max(0.5, box.width - _GAP), max(0.5, box.height - _GAP))


def _piece(part: Part, whole: Part, box: Box, color: str) -> Markup:
    """One piece, its label, and in it what it consists of where there is room."""
    head = box.height > 2 * _HEAD and box.width > 4 * _HEAD
    inner = Box(box.x + 4, box.y + _HEAD, box.width - 8, box.height - _HEAD - 4)
    below: list[Markup] = []
    if head and len(part.parts) > 1:
        order = sorted(part.parts, key=lambda part: -part.size)
        for below_part, small in zip(order, treemap([p.size for p in order], inner), strict=True):
            if small.width < 2 or small.height < 2:
                continue
            place = Box(small.x + 0.75, small.y + 0.75, max(0.5, small.width - 1.5), max(0.5, small.height - 1.5))
            content = [_title(below_part, whole), _rect(place, "in")]
            if place.height > 15 and place.width > 5 * _CHAR:
                content.append(_label(below_part.name, place, "small"))
            below.append(tag("g", *content))
    content = [_title(part, whole), _rect(box, "out")]
    if head or (box.height > 15 and box.width > 5 * _CHAR):
        share = f"  {_share(part, whole)}" if box.width > 14 * _CHAR else ""
        content.append(_label(part.name, box, "large", share))
    return tag("g", *content, *below, class_=f"piece {color}")


def _rect(box: Box, kind: str) -> Markup:
    return tag(
        "rect", class_=kind, x=f"{box.x:.1f}", y=f"{box.y:.1f}", width=f"{box.width:.1f}", height=f"{box.height:.1f}",
        rx=3 if kind == "out" else 2,
    )  # fmt: skip


def _label(words: str, box: Box, kind: str, share: str = "") -> Markup:
    room = max(1, int((box.width - 8) / _CHAR) - len(share))
    shown = escape.exact(words)
    # The end of a dotted path says more than its beginning.
    cut = shown if len(shown) <= room else ".." + shown[-max(1, room - 2) :]
    return tag("text", cut + share, class_=kind, x=f"{box.x + 5:.1f}", y=f"{box.y + 13:.1f}")


def _title(part: Part, whole: Part) -> Markup:
    tensors = f", {counted(part.tensors, 'tensor')}" if part.tensors else ""
    return tag("title", f"{part.path or part.name}: {sized(part.size)} ({_share(part, whole)}){tensors}")


def _share(part: Part, whole: Part) -> str:
    share = 100 * part.size / whole.size if whole.size else 0.0
    return f"{share:.0f} %" if share >= 10 else f"{share:.1f} %" if share >= 0.1 else "< 0.1 %"


def table(whole: Part) -> Markup:
    """The same in numbers: the largest pieces, and what stands out in them."""
    rows = list(_rows(whole))
    head = tag(
        "tr", tag("th", "Part", scope="col"), tag("th", "Bytes", scope="col", class_="number"),
        tag("th", "Share", scope="col", class_="number"), tag("th", "Tensors", scope="col", class_="number wide"),
        tag("th", tag("span", "Bar", class_="unseen"), scope="col", class_="wide"),
    )  # fmt: skip
    body = tag("tbody", *rows[:ROWS])
    more = f" The largest {ROWS} are named here." if len(rows) > ROWS else ""
    caption = tag("caption", f"Bytes of the file by module path, {sized(whole.size)} in all.{more}")
    return tag("div", tag("table", caption, tag("thead", head), body, class_="bytes"), class_="scroll")


def _rows(whole: Part) -> Iterator[Markup]:
    for number, part in enumerate(sorted(whole.parts, key=lambda part: -part.size)):
        yield _row(part, whole, _color(part, number), inner=False)
        if part.size * 20 >= whole.size and len(part.parts) > 1:
            for below in part.parts:
                if below.size * 50 >= whole.size:
                    yield _row(below, whole, _color(part, number), inner=True)


def _row(part: Part, whole: Part, color: str, *, inner: bool) -> Markup:
    length = 100 * part.size / whole.size if whole.size else 0
    bar = tag(
        "svg", tag("rect", x=0, y=0, width=f"{max(length, 0.4):.1f}", height=8, rx=1), class_=f"bar {color}",
        viewBox="0 0 100 8", preserveAspectRatio="none", aria_hidden="true",
    )  # fmt: skip
    return tag(
        "tr",
        tag("th", tag("code", part.name) if part.path else part.name, scope="row", class_="inner" if inner else None),
        tag("td", sized(part.size) if part.size or not part.tensors else "shared", class_="number"),
        tag("td", _share(part, whole) if part.size else "", class_="number"),
        tag("td", f"{part.tensors:,}" if part.tensors else "", class_="number wide"),
        tag("td", bar if part.size else "", class_="wide"),
    )


def bytes_of(whole: Part) -> Markup:
    """Picture and table; the table alone where tensors are too small a part to be seen."""
    named = sum(part.size for part in whole.parts if part.path)
    return join(picture(whole), table(whole)) if named * 10 >= whole.size else table(whole)
