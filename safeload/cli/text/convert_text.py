"""What a conversion did, in words: a few plain lines, with every name out of a file escaped. Prints nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from safeload.reports import escape

if TYPE_CHECKING:
    from safeload.converting import Conversion, Verification
    from safeload.converting.interface import Dropped
    from safeload.converting.many.folder import FolderConversion, Outcome

_SHOWN = 5


def size(nbytes: int) -> str:
    """Bytes as people say them, in powers of 1000."""
    amount = float(nbytes)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{nbytes} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def count(number: int, word: str) -> str:
    """A number and what it counts: "1 tensor" or "2,000 tensors"."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def listed(done: Conversion) -> bool:
    """Whether there is something to say even to a reader who wants quiet."""
    return bool(done.dropped)


def single_text(done: Conversion) -> str:
    """One conversion."""
    shards = f" in {count(len(done.shards), 'shard')}" if done.shards else ""
    lines = [
        f"{escape.path(done.output)}: {count(done.tensors, 'tensor')}, {size(done.nbytes)}{shards}, verified against "
        f"{escape.path(done.source)}"
    ]
    lines += [f"  shard {escape.path(path)}" for path in done.shards]
    if done.sidecar is not None:
        lines.append(f"  {escape.path(done.sidecar)} belongs to it: keep them together")
    lines += _details(done)
    if done.manifest is not None:
        lines.append(f"  manifest {escape.path(done.manifest)}")
    return "\n".join(lines) + "\n"


def _details(done: Conversion) -> list[str]:
    lines = []
    if done.ties:
        shown = [f"{escape.name(name)} = {escape.name(kept)}" for name, kept in list(done.ties.items())[:_SHOWN]]
        more = ["..."] if len(done.ties) > _SHOWN else []
        lines.append(f"  stored once: {', '.join([*shown, *more])}")
    lines += [f"  note: {escape.exact(note)}" for note in done.notes]
    return lines + _left_out(done.dropped)


def _left_out(dropped: Iterable[Dropped]) -> list[str]:
    """Everything that was left out: tensors that were not asked for as a count, all else one by one."""
    unasked = [d for d in dropped if d.what == "tensor" and d.reason == "not selected"]
    rest = [d for d in dropped if d not in unasked]
    lines = []
    if unasked:
        lines.append(f"  left out: {count(len(unasked), 'tensor')} not selected")
    for item in rest:
        place = escape.name(item.member) if item.member else ""
        if item.offset is not None:
            place += f" at byte {item.offset:#x}"
        what = " ".join(part for part in (item.what, escape.name(item.name) if item.name else "") if part)
        where = f" ({place.strip()})" if place else ""
        lines.append(f"  left out: {what}{where}{': ' + escape.exact(item.reason) if item.reason else ''}")
    return lines


def folder_text(done: FolderConversion) -> str:
    """The files of a folder, then how many of each kind there were."""
    lines: list[str] = []
    for outcome in done.outcomes:
        lines += _outcome(outcome)
    if done.index is not None:
        lines.append(f"{escape.path(done.index)}: index of {count(len(done.outcomes), 'shard')}")
    converted = [o.conversion for o in done.outcomes if o.conversion is not None]
    ready = sum(outcome.done for outcome in done.outcomes)
    failed = sum(outcome.error is not None for outcome in done.outcomes)
    other = len(done.outcomes) - len(converted) - ready - failed
    total = size(sum(conversion.nbytes for conversion in converted))
    parts = [f"{len(converted):,} converted and verified ({total})"] if converted else []
    parts += [f"{ready:,} done before"] if ready else []
    parts += [f"{other:,} no checkpoint to convert"] if other else []
    parts += [f"{failed:,} failed"] if failed else []
    parts = parts or ["nothing to convert"]
    return "\n".join([*lines, ", ".join(parts)]) + "\n"


def _outcome(outcome: Outcome) -> list[str]:
    if outcome.conversion is not None:
        done = outcome.conversion
        line = f"{escape.path(done.output)}: {count(done.tensors, 'tensor')}, {size(done.nbytes)}, verified"
        return [line, *_details(done)]
    if outcome.error is not None:
        first, *rest = _message(outcome.error).split("\n")
        return [f"FAILED {escape.path(outcome.source)}", *(f"  {escape.exact(line)}" for line in (first, *rest))]
    return []


def _message(error: BaseException) -> str:
    """What an error says of itself; the operating system's without the number."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def verified_text(found: Verification, src: str, dst: str) -> str:
    """A comparison that found no difference, and on which terms: the output itself may say by which options."""
    text = (
        f"{escape.path(dst)} holds what {escape.path(src)} holds: {count(found.tensors, 'tensor')}, "
        f"{size(found.nbytes)}, compared byte for byte; reopened by {found.library}\n"
    )
    if found.recorded is None:
        return f"{text}  it has no record of a conversion: what is no tensor was not compared\n"
    if found.recorded:
        text += f"  compared by the options that it records: {escape.exact(json.dumps(dict(found.recorded)))}\n"
    return text
