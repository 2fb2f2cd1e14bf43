"""A folder of checkpoints: each converted on its own, what is done is skipped, and a failure stops no other.

What is done is known from the two files alone, without a list beside them: the output says of which judged bytes, by
which options and rules it was made (`CONVERT_KEY`); the source is judged again, which reads none of its tensors, and
must not be younger than the output. The judged bytes of a zip hold a checksum of every tensor.

The manifest of a folder is one: each conversion writes its own aside, and at the end all stand in one file, with what
failed and what was skipped.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace

from safeload.converting.interface import CONVERT_KEY, Options
from safeload.converting.manifest import manifest_output, of_folder, read_manifest
from safeload.converting.many.folder import (
    FolderConversion,
    Outcome,
    convert_shards,
    is_index,
    new_name,
    planned_shards,
    show_manifest,
)
from safeload.converting.many.parallel import run_all
from safeload.converting.many.shards import SUFFIX, file_metadata, read_index
from safeload.converting.single import run
from safeload.errors import Malformed, SafeloadError, UsageError
from safeload.findings import Verdict
from safeload.inputs import FileSource
from safeload.inputs.walk import Target, walk
from safeload.policy import Policy
from safeload.report import Report
from safeload.scanning.scanner import scan_source

_DONE = "it was converted before, by these options"


def convert_each(src: str, dst: str | None, options: Options, jobs: int) -> FolderConversion:
    """Convert every checkpoint below the folder `src` into the same place below `dst` (`src` when None).

    Raises nothing for what happens to a single file: it is in the Outcome. Ctrl-C ends it.
    """
    target = src if dst is None else dst
    targets = list(walk([src]))
    if len(targets) == 1 and targets[0].explicit and targets[0].problem is not None:
        raise UsageError(f"{src!r}: {targets[0].problem.message}")
    indexes = [t.path for t in targets if t.problem is None and not t.skip and is_index(t.path)]
    claimed = {path for index in indexes for path in (index, *_claimed(index))}
    single = [t for t in targets if t.path not in claimed]
    outputs = _outputs([t.path for t in single], src, target)
    with ExitStack() as stack:
        listing, lists = None, ""
        if options.manifest is not None:
            others = [t.path for t in targets] + list(outputs.values())
            listing = stack.enter_context(manifest_output(options, others))
            lists = stack.enter_context(tempfile.TemporaryDirectory(prefix="safeload-"))

        def aside(number: int, given: Options) -> Options:
            return replace(given, manifest=os.path.join(lists, f"{number}.json")) if lists else given

        def one(job: tuple[int, Target], given: Options) -> list[Outcome]:
            return [_one(job[1], outputs[job[1].path], aside(job[0], given))]

        found = run_all(one, enumerate(single), options, jobs)
        for number, index in enumerate(indexes, len(single)):
            place = os.path.join(target, os.path.relpath(os.path.dirname(index), src))
            found.append(list(_many(index, place, aside(number, options), jobs)))
        shown = None
        if listing is not None and any(o.conversion or o.error or o.done for part in found for o in part):
            show_manifest(listing, _listed(found, lists), options)
            shown = listing.shown
    outcomes = [_unlisted(outcome) for part in found for outcome in part]
    return FolderConversion(src, target, tuple(sorted(outcomes, key=lambda outcome: outcome.source)), manifest=shown)


def _listed(found: Sequence[Sequence[Outcome]], lists: str) -> dict[str, object]:
    """The manifest of the folder, out of those that the conversions wrote into the folder `lists`."""
    every = sorted((o for part in found for o in part), key=lambda outcome: outcome.source)
    made = [number for number, part in enumerate(found) if any(outcome.conversion for outcome in part)]
    made.sort(key=lambda number: found[number][0].source)
    return of_folder(
        [read_manifest(lists, number) for number in made],
        [(outcome.source, outcome.error) for outcome in every if outcome.error is not None],
        [(o.source, o.skipped or _DONE) for o in every if o.conversion is None and o.error is None],
    )


def _unlisted(outcome: Outcome) -> Outcome:
    """An outcome whose conversion names no manifest of its own: there is one for all."""
    if outcome.conversion is None:
        return outcome
    return outcome._replace(conversion=replace(outcome.conversion, manifest=None))


def _claimed(index: str) -> Iterator[str]:
    """The files that belong to an index; none when it cannot be read, which its conversion will say."""
    try:
        files = read_index(index).files
    except (SafeloadError, OSError):
        return
    yield from (os.path.join(os.path.dirname(index), name) for name in files)


def _outputs(paths: list[str], src: str, dst: str) -> dict[str, str]:
    """Where each file goes. Two of a folder that would have one name keep their endings: "a.pt.safetensors"."""
    names = {path: os.path.join(os.path.dirname(path), new_name(os.path.basename(path))) for path in paths}
    # One that is safetensors already is no second source of its name: the next run meets what this one wrote.
    shared = Counter(os.path.normcase(name) for path, name in names.items() if not path.endswith(SUFFIX))
    return {
        path: os.path.join(dst, os.path.relpath(path + SUFFIX if shared[os.path.normcase(name)] > 1 else name, src))
        for path, name in names.items()
    }


def _one(target: Target, output: str, options: Options) -> Outcome:
    if target.skip:
        return Outcome(target.path, skipped=target.skip)
    try:
        if target.problem is not None:
            raise Malformed(f"{ascii(target.path)[1:-1]}: {target.problem.message}")
        report = judged(target.path, options)
        reason = _no_checkpoint(report)
        if reason:
            return Outcome(target.path, skipped=reason)
        if is_done(target.path, output, report, options):
            return Outcome(target.path, output, done=True)
        os.makedirs(os.path.dirname(output) or os.curdir, exist_ok=True)
        return Outcome(target.path, output, run(target.path, output, options))
    except (SafeloadError, OSError) as error:
        return Outcome(target.path, output, error=error)


def _many(index: str, target: str, options: Options, jobs: int) -> Iterator[Outcome]:
    try:
        plan = planned_shards(index, options, jobs)
        pairs = [(shard, os.path.join(target, shard.name)) for shard in plan.shards]
        new_index = os.path.join(target, new_name(os.path.basename(index)))
        if os.path.isfile(new_index) and all(
            os.path.isfile(output) and is_done(shard.source, output, judged(shard.source, options), shard.options)
            for shard, output in pairs
        ):
            yield from (Outcome(shard.source, output, done=True) for shard, output in pairs)
            yield from plan.empty
            return
        done = convert_shards(index, target, options, jobs)
        yield from (*done.outcomes, *done.empty)
    except (SafeloadError, OSError) as error:
        yield Outcome(index, target, error=error)


def judged(path: str, options: Options) -> Report:
    """The report of a file that was met, not named: what is no model may be skipped."""
    with closing(FileSource(path)) as source:
        policy = options.policy or Policy.default()
        return scan_source(source, policy=policy, limits=options.limits, explicit=False).report


def _no_checkpoint(report: Report) -> str:
    """Why a file that was met in a folder is not to be converted, "" when it is."""
    if report.verdict is Verdict.SKIPPED:
        return report.reason
    if report.container == "safetensors":
        return "safetensors already"
    if report.container == "unknown" and not any(f.rule == "lfs-pointer" for f in report.findings):
        return "no format of checkpoints that is known"
    return ""


def is_done(source: str, output: str, report: Report, options: Options) -> bool:
    """Whether `output` was made of `source` as it is now, by these options and rules. See the module."""
    try:
        if os.stat(source).st_mtime_ns > os.stat(output).st_mtime_ns:
            return False
    except OSError:
        return False
    try:
        record = json.loads(file_metadata(output).get(CONVERT_KEY, ""))
    except (ValueError, RecursionError, SafeloadError):
        return False
    return isinstance(record, dict) and (
        record.get("judged_sha256") == report.judged_sha256
        and record.get("policy") == report.policy_digest
        and record.get("options") == json.loads(json.dumps(replace(options, force=False).record()))
    )
