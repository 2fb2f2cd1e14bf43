"""The opcodes around each finding of a report, from the listing of the machine. Parses nothing, decides nothing."""

from __future__ import annotations

from array import array
from bisect import bisect_right

from safeload.containers.interface import Pickle
from safeload.errors import LimitExceeded
from safeload.explaining.listing import Line, listing
from safeload.limits import Limits
from safeload.report import Report
from safeload.reports.details import OpcodeLine, Place
from safeload.scanning.streams import Bytes, JudgedStream, bytes_of

FINDINGS = 50
"""Findings of one file that get their opcodes, in the order of the report."""

OPCODES = 400_000
"""Opcodes that are walked for one file: findings behind them stand without their opcodes."""

BEFORE, BEHIND = 8, 4
"""Opcodes shown before and behind the one that a finding is about."""


def opcodes_around(
    report: Report, streams: dict[int, JudgedStream], limits: Limits
) -> tuple[dict[Place, tuple[OpcodeLine, ...]], str]:
    """The opcodes around each finding that has a place in a pickle, and what to say of those that are missing."""
    wanted: dict[int, set[int]] = {}
    for finding in report.findings[:FINDINGS]:
        if finding.stream is not None and finding.offset is not None:
            wanted.setdefault(finding.stream, set()).add(finding.offset)
    found: dict[Place, tuple[OpcodeLine, ...]] = {}
    left = OPCODES
    for index, offsets in wanted.items():
        stream = streams.get(index)
        if stream is None or stream.part is None or left <= 0:
            continue
        shown, walked = around(stream, stream.part, sorted(offsets), limits._replace(opcodes=min(left, limits.opcodes)))
        left -= walked
        found.update(((index, offset), lines) for offset, lines in shown.items())
    return found, f"Opcodes are shown for findings among the first {OPCODES:,} of a file." if left <= 0 else ""


def around(
    stream: JudgedStream, part: Pickle, offsets: list[int], limits: Limits
) -> tuple[dict[int, tuple[OpcodeLine, ...]], int]:
    """Offset of a finding -> the opcodes around it; and how many were walked. The first walk finds their places."""
    try:
        given = bytes_of(stream.source, part, limits)
    except LimitExceeded:
        return {}, 0
    starts = _starts(given, part, limits, offsets[-1] + stream.base)
    if len(starts) > limits.opcodes:
        # The last one is where this walk had to end, and no place where loading does.
        starts.pop()
    ranges: dict[int, tuple[int, int, int]] = {}
    for offset in offsets:
        # The opcode at the place, or the one in whose argument it lies.
        at = bisect_right(starts, offset + stream.base) - 1
        if at >= 0 and (at + 1 < len(starts) or starts[at] == offset + stream.base):
            ranges[offset] = (max(0, at - BEFORE), at, min(len(starts), at + BEHIND + 1))
    if not ranges:
        return {}, len(starts)
    lines = _lines(given, part, limits, {n for first, _, end in ranges.values() for n in range(first, end)})
    found = {}
    for offset, (first, at, end) in ranges.items():
        window = [(starts[number] == starts[at], lines.get(starts[number])) for number in range(first, end)]
        found[offset] = tuple(
            OpcodeLine(line.offset - stream.base, line.name, line.argument, line.memo, line.note, line.after, here)
            for here, line in window
            if line is not None
        )
    return found, 2 * len(starts)


def _starts(given: Bytes, part: Pickle, limits: Limits, until: int) -> array[int]:
    """Where each opcode stands, down to some behind the offset `until`, to STOP, or to where the machine stops."""
    starts = array("q")
    past = 0

    def enough(number: int, offset: int) -> bool:
        nonlocal past
        starts.append(offset)
        past += offset > until
        return past > BEHIND

    for line in listing(given.data, given.start, limits, more=given.more, encoding=part.encoding, wanted=enough):
        if not starts or line.offset > starts[-1]:
            # Nobody was asked about it: the opcode that was not understood.
            starts.append(line.offset)
        break
    return starts


def _lines(given: Bytes, part: Pickle, limits: Limits, numbers: set[int]) -> dict[int, Line]:
    """The lines of the opcodes with these numbers, by their offsets."""
    last = max(numbers)
    passed = -1

    def wanted(number: int, offset: int) -> bool:
        nonlocal passed
        passed = number
        return number in numbers

    found = {}
    for line in listing(given.data, given.start, limits, more=given.more, encoding=part.encoding, wanted=wanted):
        found[line.offset] = line
        if passed >= last:
            break
    return found
