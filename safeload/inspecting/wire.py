"""The JSON of `inspect` and `diff`: their own lists of fields, with a version; docs/inspect.md describes them.

Pure ASCII: names that are not UTF-8 survive as lone surrogates. A reader must accept fields that it does not know.
"""

from __future__ import annotations

import json
import math

from safeload.inspecting.interface import DIFF, INSPECT, Change, Difference, Entry, Inspection, Side
from safeload.report import VERSION, Report

# Of metadata and names in summaries; the entries have every name in full.
_TEXT = 2000


def inspection_json(found: Inspection, matching: tuple[Entry, ...] | None = None) -> str:
    """The document of `inspect`; `matching` replaces the entries (those that --match lets through, sorted)."""
    entries = found.entries if matching is None else matching
    tensors = found.tensors()
    return _dumps(
        {
            "schema": INSPECT,
            "version": VERSION,
            **_file(found.report),
            "format": {key[:_TEXT]: value[:_TEXT] for key, value in found.format.items()},
            "summary": {
                "tensors": len(tensors),
                "elements": sum(total.elements for total in found.totals),
                "bytes": sum(total.nbytes for total in found.totals),
                "values": sum(entry.kind == "value" for entry in found.entries),
                "entries": len(found.entries),
                "shown": len(entries),
                "complete": found.complete,
            },
            "dtypes": [
                {"dtype": t.dtype, "tensors": t.tensors, "elements": t.elements, "bytes": t.nbytes}
                for t in found.totals
            ],
            "ties": [{"names": list(tie.names), "same": tie.same} for tie in found.ties],
            "classes": [{"name": name, "count": count} for name, count in found.classes.items()],
            "others": list(found.others),
            "entries": [_entry(entry) for entry in entries],
        }
    )


def _file(report: Report) -> dict[str, object]:
    return {
        "path": report.path,
        "verdict": report.verdict.value,
        "container": report.container,
        "size": report.size,
        "judged_sha256": report.judged_sha256,
        "findings": len(report.findings) + report.omitted,
        "first_finding": report.findings[0].message if report.findings else None,
    }


def _entry(entry: Entry) -> dict[str, object]:
    fields: dict[str, object] = {"path": entry.path, "depth": entry.depth, "kind": entry.kind}
    if entry.kind == "tensor":
        fields |= {
            "type": entry.type,
            "dtype": entry.dtype,
            "shape": list(entry.shape),
            "bytes": entry.nbytes,
            "layout": entry.layout,
            "contiguous": entry.contiguous,
            "requires_grad": entry.requires_grad,
            "device": entry.device,
            "storage": entry.storage,
            "offset": entry.offset,
        }
    elif entry.kind == "container":
        fields |= {"type": entry.type, "size": entry.size}
    elif entry.kind == "value":
        fields |= {"type": entry.type, "text": entry.text}
    elif entry.kind == "same":
        fields |= {"type": entry.type, "first": entry.text}
    elif entry.kind == "named":
        fields |= {"file": entry.text}
    return fields


def difference_json(found: Difference) -> str:
    """The document of `diff`."""
    return _dumps(
        {
            "schema": DIFF,
            "version": VERSION,
            "equal": found.equal,
            "understood": found.understood,
            "keys_only": found.keys_only,
            "modules_left_out": found.modules,
            "a": _side(found.a),
            "b": _side(found.b),
            "renaming": {
                "before": found.renaming.before,
                "after": found.renaming.after,
                "dropped": list(found.renaming.dropped),
                "said": found.said,
            },
            "same": found.same,
            "compared_bytes": found.compared,
            "missing": list(found.missing),
            "added": list(found.added),
            "changed": [_change(change) for change in found.changed],
            "values": [{"name": v.name, "before": v.before, "after": v.after} for v in found.values],
        }
    )


def _side(side: Side) -> dict[str, object]:
    return {**_file(side.report), "tensors": side.tensors, "values": side.values}


def _change(change: Change) -> dict[str, object]:
    fields: dict[str, object] = {"name": change.name, "other": change.other, "what": change.what}
    if change.what != "values":
        return fields | {"before": change.before, "after": change.after}
    largest = change.largest
    return fields | {
        "different": change.differing,
        "elements": change.elements,
        # JSON knows no infinity.
        "max_abs": largest if largest is None or math.isfinite(largest) else str(largest),
        "nans": change.nans,
    }


def _dumps(document: dict[str, object]) -> str:
    return json.dumps(document, ensure_ascii=True, indent=2) + "\n"
