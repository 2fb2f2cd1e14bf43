"""The picture of bytes: areas that say what they should, inside the frame, whatever the sizes are."""

from __future__ import annotations

import random
import re

import pytest

from safeload.reports.details import Part
from safeload.reports.html.picture import HEIGHT, ROWS, WIDTH, Box, bytes_of, picture, table, treemap
from tests.reports.pages import BYTES


@pytest.mark.parametrize("seed", range(8))
def test_areas_are_the_sizes(seed: int) -> None:
    rng = random.Random(seed)
    sizes = sorted(
        (rng.choice([1, 7, 1000, 10**9]) * rng.randint(1, 99) for _ in range(rng.randint(1, 40))), reverse=True
    )
    boxes = treemap(sizes, Box(10, 20, 960, 300))
    assert len(boxes) == len(sizes)
    for size, box in zip(sizes, boxes, strict=True):
        assert box.width * box.height == pytest.approx(size / sum(sizes) * 960 * 300, rel=1e-6, abs=1e-6)
        assert box.x >= 10 - 1e-6
        assert box.y >= 20 - 1e-6
        assert box.x + box.width <= 970 + 1e-6
        assert box.y + box.height <= 320 + 1e-6


def test_boxes_do_not_overlap() -> None:
    boxes = treemap([500, 300, 100, 60, 30, 10], Box(0, 0, 100, 50))
    for number, one in enumerate(boxes):
        for other in boxes[number + 1 :]:
            wide = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
            high = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
            assert wide <= 1e-9 or high <= 1e-9


@pytest.mark.parametrize("sizes", [[], [0], [0, 0], [5, 0]])
@pytest.mark.parametrize("box", [Box(0, 0, 0, 0), Box(0, 0, 10, 5)])
def test_nothing_divides_by_nothing(sizes: list[int], box: Box) -> None:
    boxes = treemap(sizes, box)
    assert len(boxes) == len(sizes)
    assert all(width >= 0 and height >= 0 for _, _, width, height in boxes)


def test_the_picture_lies_in_its_frame() -> None:
    drawn = picture(BYTES)
    found = re.findall(r'<rect class="\w+" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"', drawn)
    assert len(found) == 6
    for x, y, width, height in found:
        assert float(x) + float(width) <= WIDTH
        assert float(y) + float(height) <= HEIGHT
    assert "<title>model.layers.0: 400 bytes (20 %), 8 tensors</title>" in drawn
    assert 'aria-label="Treemap of 2.0 KiB: model.layers 58 %, lm_head 29 %' in drawn


def test_what_is_counted_together_does_not_squeeze_the_others() -> None:
    """The pieces come with the rest last, which may be the largest of all."""
    parts = (*(Part(f"k{n}", f"m.k{n}", 10, 1) for n in range(19)), Part("81 smaller ones", "m", 810, 81))
    drawn = picture(Part("", "", 1000, 100, (Part("m", "m", 1000, 100, parts),)))
    small = re.findall(r'<rect class="in" x="[\d.]+" y="[\d.]+" width="([\d.]+)" height="([\d.]+)"', drawn)
    assert len(small) == 20
    assert all(1 / 4 < float(width) / float(height) < 4 for width, height in small)


def test_the_table_says_the_same_and_ends() -> None:
    said = table(BYTES)
    assert ">model.layers</code></th><td" in said
    assert "1.2 KiB" in said
    assert "shared" in said
    wide = Part("", "", 10_000, 100, tuple(Part(f"p{n}", f"p{n}", 100, 1) for n in range(100)))
    assert table(wide).count("<tr>") == ROWS + 1
    assert f"The largest {ROWS} are named here." in table(wide)


def test_no_picture_of_headers() -> None:
    small = Part("", "", 1000, 1, (Part("pickles", "", 990), Part("w", "w", 10, 1)))
    assert 'class="map"' not in bytes_of(small)
    assert "<table" in bytes_of(small)
    assert 'class="map"' in bytes_of(BYTES)
