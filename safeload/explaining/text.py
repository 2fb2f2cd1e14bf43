"""A story for people, line by line. Everything that comes from a file goes through `reports/escape.py`.

Lines are made as they are asked for: a disassembly may have millions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from safeload.explaining.steps import Step
from safeload.explaining.story import Bounds, Story, Told, lines, pickled
from safeload.findings import Finding, Verdict
from safeload.limits import Limits
from safeload.reports import escape

HEAD, TAIL, MARKED = 180, 20, 100
"""Lines of a disassembly that are printed unless all are asked for: from its beginning, from its end, and between
them so many that are dangerous and so many that are otherwise more than vetted."""

ARGUMENT, NOTE = 60, 110
"""Characters of an argument and a note of a disassembly, unless all are asked for."""

REMARKS = 10
EVIDENCE = 240

_COLORS = {
    "dangerous": "1;31", "unjudged": "1;35", "unvetted": "1;33", "unknown": "1;33", "known": "33", "vetted": "32",
    "clean": "32", "skipped": "2", "data": "2",
}  # fmt: skip

_SAID = {
    Verdict.DANGEROUS: "Plain pickle would do what is marked dangerous above. Do not load this file.",
    Verdict.UNVETTED: "Plain pickle would import and call code outside the vetted table, which safeload never runs.",
    Verdict.UNJUDGED: "Not all of it was understood: it may do more than is told above. Do not load it as it is.",
    Verdict.CLEAN: "All that it would do is in the vetted table.",
}
_NEXT = {
    Verdict.DANGEROUS: "safeload convert --disarm {file}   takes the tensors out; nothing in it runs",
    Verdict.UNVETTED: "safeload convert --allow unvetted {file}   keeps the tensors, lists the objects it leaves out",
    Verdict.UNJUDGED: "safeload scan --verbose {file}   lists every reason and what to do about it",
    Verdict.CLEAN: "safeload convert {file}   makes safetensors of it, which never need this question",
}

_WITHOUT_TENSORS = {
    Verdict.DANGEROUS: "delete it, or show this to whoever it came from; there are no tensors in it to save",
    Verdict.UNVETTED: "safeload.load(..., unvetted='record') in Python reaches the data without the classes",
    Verdict.UNJUDGED: _NEXT[Verdict.UNJUDGED],
    Verdict.CLEAN: "safeload.load(...) in Python loads it",
}

Python = Callable[[bytes], tuple[str, str, str]]
"""Another parser: bytes of a pickle -> its name, the Python it makes of them, and why there is none."""


class Telling(NamedTuple):
    """How a story is written."""

    limits: Limits
    bounds: Bounds
    color: bool = False
    opcodes: bool = False
    python: Python | None = None


class Window:
    """Which opcodes of a stream are printed when not all are, and how many were passed over."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._tail = told.opcodes - TAIL
        self._dangerous = self._marked = MARKED
        self._skipped = 0

    def __call__(self, number: int, offset: int) -> bool:
        """See `listing.Wanted`."""
        told = self._told
        if number < HEAD or number >= self._tail:
            return True
        mark = told.steps.marks.get(offset - told.stream.base)
        if mark == "dangerous":
            self._dangerous -= 1
            if self._dangerous >= 0:
                return True
        elif mark is not None:
            self._marked -= 1
            if self._marked >= 0:
                return True
        self._skipped += 1
        return False

    def skipped(self) -> int:
        """How many were passed over since the last time that this was asked."""
        skipped, self._skipped = self._skipped, 0
        return skipped


def write(story: Story, telling: Telling) -> Iterator[str]:
    """The lines of a story, without their ends."""
    report = story.report
    words = [escape.path(report.path)]
    if report.container:
        words.append(escape.exact(report.container))
    if report.size is not None:
        words.append(f"{report.size:,} bytes")
    yield "  ".join(words)
    yield from _body(story, telling, "")
    yield ""
    yield from _ending(story, telling)


def next_step(story: Story) -> str:
    """What to do now, mostly a command; "" where there is none to give."""
    report = story.report
    if report.verdict not in _NEXT or (report.verdict is Verdict.CLEAN and report.container == "safetensors"):
        return ""
    file = "FILE" if report.path == "-" else escape.argument(report.path)
    return (_NEXT if story.tensors else _WITHOUT_TENSORS)[report.verdict].format(file=file)


def _body(story: Story, telling: Telling, indent: str) -> Iterator[str]:
    if not story.streams:
        yield ""
        yield indent + _without(story)
    for told in story.streams:
        yield ""
        yield indent + _heading(told, story)
        if telling.opcodes:
            yield from _disassembly(told, telling, indent)
        elif telling.python is not None:
            yield from _python(told, telling, telling.python, indent)
        else:
            yield from _steps(told, telling, indent)
        for offset, inside in told.inside:
            yield ""
            yield f"{indent}  inside the literal at {offset:#x}, should anything load it:"
            yield from _body(inside, telling, indent + "    ")
    if story.left_out:
        yield ""
        yield f"{indent}{story.left_out} more pickles are left out; --all tells them, --stream N one of them"
    yield from _remarks(story, telling, indent)


def _without(story: Story) -> str:
    if story.report.verdict is Verdict.CLEAN:
        held = f" It holds {story.tensors:,} tensor{'' if story.tensors == 1 else 's'}." if story.tensors else ""
        return f"There is no pickle in it: loading it imports nothing and calls nothing.{held}"
    return "No pickle was found in it."


def _heading(told: Told, story: Story) -> str:
    of = f"{told.number} of {story.report.streams}"
    member = f"  {escape.name(told.member)}" if told.member else ""
    if told.role == "tree":
        return f"tree {of}{member}  no pickle; safeload would build from it"
    # Of a member that has no other role the name is said once.
    role = "" if told.role == told.member else f"  {escape.exact(told.role)}"
    return f"pickle {of}{member}{role} (protocol {told.protocol}, {_opcodes(told.opcodes)})"


def _opcodes(count: int) -> str:
    return f"{count:,} opcode{'' if count == 1 else 's'}"


def _paint(text: str, code: str, telling: Telling) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if telling.color else text


def _steps(told: Told, telling: Telling, indent: str) -> Iterator[str]:
    steps = told.steps
    width = len(str(steps.shown[-1].number)) if steps.shown else 1
    tags = max((len(step.standing) for step in steps.shown), default=0)
    gap = " " * (len(indent) + 2 + width + 2 + tags + 2)
    for step in steps.shown:
        tag = _paint(step.standing.ljust(tags), _COLORS.get(step.standing, "0"), telling)
        yield f"{indent}  {step.number:>{width}}. {tag}  {escape.exact(step.words)}   ({_where(step, told)})"
        if step.rule and step.standing not in {"vetted", "data"}:
            yield f"{gap}{escape.exact(step.rule)}: {_cut(escape.exact(step.why))}"
    left = steps.total - len(steps.shown)
    if left:
        more = "step is" if left == 1 else "steps are"
        yield f"{indent}  {left:,} more {more} left out ({_counts(told)}); --all tells every one"
    if not steps.total and not told.stopped:
        yield f"{indent}  imports nothing and calls nothing"
    if told.stopped:
        at = "" if told.stopped_at is None else f" at {told.stopped_at:#x}"
        yield f"{indent}  understood up to here: stops{at}, {_cut(escape.exact(told.stopped))}"
    else:
        yield f"{indent}  leaves {_cut(escape.exact(told.leaves))}"


def _counts(told: Told) -> str:
    shown: dict[str, int] = {}
    for step in told.steps.shown:
        shown[step.standing] = shown.get(step.standing, 0) + step.times
    rest = {name: count - shown.get(name, 0) for name, count in told.steps.standings.items()}
    return ", ".join(f"{count:,} {name}" for name, count in rest.items() if count)


def _where(step: Step, told: Told) -> str:
    member = escape.name(told.member) if told.member else ""
    if step.times == 1:
        return f"{member} at {step.offset:#x}".lstrip()
    # The words of other steps say how many.
    times = f"{step.times:,} times, " if step.words.startswith("imports") else ""
    return f"{times}{member} at {step.offset:#x} to {step.last:#x}".replace("  ", " ").lstrip()


def _cut(text: str) -> str:
    return text if len(text) <= EVIDENCE else f"{text[:EVIDENCE]}... ({len(text) - EVIDENCE} characters more)"


def _disassembly(told: Told, telling: Telling, indent: str) -> Iterator[str]:
    if told.role == "tree":
        yield f"{indent}  a tree has no opcodes"
        return
    every = telling.bounds.steps is None
    window = None if every else Window(told)
    argument, note = (10_000, 10_000) if every else (ARGUMENT, NOTE)
    yield f"{indent}  {'offset':>8}  {'opcode':16}  {'stack':11}  argument, memo, what it does"
    for line in lines(told, telling.limits, wanted=window):
        if window is not None and (skipped := window.skipped()):
            yield f"{indent}  {'...':>8}  {_opcodes(skipped)} left out; --all prints every one"
        mark = told.steps.marks.get(line.offset, "")
        tag = f"{_paint(mark, _COLORS[mark], telling)}: " if mark else ""
        parts = [escape.exact(part) for part in (_short(line.argument, argument), line.memo) if part]
        if line.note:
            parts.append(f"# {tag}{escape.exact(_short(line.note, note))}")
        stack = f"{line.before:>4} > {line.after:<4}"
        yield f"{indent}  {line.offset:>#8x}  {line.name:16}  {stack}  {'  '.join(parts)}".rstrip()


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _python(told: Told, telling: Telling, parser: Python, indent: str) -> Iterator[str]:
    if told.role == "tree":
        yield f"{indent}  a tree is no pickle"
        return
    name, python, problem = parser(pickled(told, telling.limits))
    yield f"{indent}  as {escape.exact(name)} reads it: another parser's reading, not the judgement"
    if problem:
        yield f"{indent}  it has no answer: {escape.exact(problem)}"
        return
    code = python.split("\n")
    most = len(code) if telling.bounds.steps is None else HEAD
    for line in code[:most]:
        yield f"{indent}    {_short(escape.exact(line), 10_000 if telling.bounds.steps is None else EVIDENCE)}"
    if len(code) > most:
        yield f"{indent}    {len(code) - most:,} more lines are left out; --all prints every one"


def _remarks(story: Story, telling: Telling, indent: str) -> Iterator[str]:
    """What the scan found beside the steps."""
    most = len(story.remarks) if telling.bounds.steps is None else REMARKS
    if story.remarks:
        yield ""
        yield f"{indent}also found:"
    for finding in story.remarks[:most]:
        tag = _paint(finding.verdict.value, _COLORS.get(finding.verdict.value, "0"), telling)
        place = _place(finding)
        yield f"{indent}  {tag}  {escape.exact(finding.rule)}: {_cut(escape.exact(finding.message))}{place}"
    if len(story.remarks) > most:
        yield f"{indent}  and {len(story.remarks) - most:,} more; --all tells them"
    if story.report.omitted:
        yield f"{indent}  {story.report.omitted:,} findings were counted, not kept: a step may be worse than it is told"


def _place(finding: Finding) -> str:
    parts = [escape.name(finding.member)] if finding.member else []
    if finding.offset is not None:
        parts.append(f"at {finding.offset:#x}")
    return f"   ({' '.join(parts)})" if parts else ""


def _ending(story: Story, telling: Telling) -> Iterator[str]:
    verdict = story.report.verdict
    said = _SAID.get(verdict, "")
    if verdict is Verdict.UNVETTED and any(finding.rule == "torchscript-code" for finding in story.remarks):
        said = "It holds code that runs when TorchScript loads it, which safeload never runs."
    if telling.python is not None:
        said = said.replace("what is marked dangerous above", "something dangerous").replace("is told above", "it says")
    yield f"{_paint(verdict.value, _COLORS[verdict.value], telling)}: {said}"
    step = next_step(story)
    if step:
        yield f"next: {step}"
