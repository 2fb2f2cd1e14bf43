"""A story as JSON: its own list of fields with a version. Reads like the text, with the same bounds."""

from __future__ import annotations

import json

from safeload.explaining.story import Story, Told, lines, pickled
from safeload.explaining.text import Telling, Window, next_step
from safeload.report import VERSION, finding_fields

SCHEMA = "safeload.explain/1"


def dumps(story: Story, telling: Telling) -> str:
    """The whole document of `safeload explain --json`. Pure ASCII."""
    report = story.report
    document = {
        "schema": SCHEMA,
        "version": VERSION,
        "policy_digest": report.policy_digest,
        "path": report.path,
        "container": report.container,
        "size": report.size,
        "verdict": report.verdict.value,
        "next": next_step(story),
        **_body(story, telling),
    }
    return json.dumps(document, ensure_ascii=True, indent=2) + "\n"


def _body(story: Story, telling: Telling) -> dict[str, object]:
    return {
        "streams": [_stream(told, telling) for told in story.streams],
        "streams_left_out": story.left_out,
        "tensors": story.tensors,
        "findings_omitted": story.report.omitted,
        "remarks": [finding_fields(finding) for finding in story.remarks],
    }


def _stream(told: Told, telling: Telling) -> dict[str, object]:
    fields: dict[str, object] = {
        "stream": told.number - 1,
        "member": told.member,
        "role": told.role,
        "protocol": told.protocol,
        "opcodes": told.opcodes,
        "stopped": told.stopped,
        "stopped_at": told.stopped_at,
        "leaves": told.leaves,
        "steps": [
            {
                "number": step.number,
                "words": step.words,
                "standing": step.standing,
                "times": step.times,
                "offset": step.offset,
                "last": step.last,
                "rule": step.rule,
                "why": step.why,
            }
            for step in told.steps.shown
        ],
        "steps_left_out": told.steps.total - len(told.steps.shown),
        "inside": [
            {"offset": offset, "verdict": story.report.verdict.value, **_body(story, telling)}
            for offset, story in told.inside
        ],
    }
    if telling.opcodes:
        fields |= _listing(told, telling)
    if telling.python is not None:
        parser, python, problem = telling.python(pickled(told, telling.limits))
        fields["other_parser"] = {"name": parser, "python": python, "problem": problem, "is_the_judgement": False}
    return fields


def _listing(told: Told, telling: Telling) -> dict[str, object]:
    window = None if telling.bounds.steps is None else Window(told)
    marks = told.steps.marks
    found = [
        {**line._asdict(), "standing": marks.get(line.offset, "")}
        for line in lines(told, telling.limits, wanted=window)
    ]
    return {"listing": found, "listing_left_out": 0 if window is None else window.skipped()}
