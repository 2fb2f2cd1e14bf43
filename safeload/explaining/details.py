"""What a report for people shows beyond findings: the opcodes around each, and where the bytes of the file are.

A file is read and judged once more for it. SECURITY: what is shown has to be of the bytes that were judged, so a file
whose judged bytes have another digest by now gets no details, and a note. Decides nothing, and raises nothing for what
is in a file or has become of it. Every size is bounded: a page is read by a person.
"""

from __future__ import annotations

from collections.abc import Sequence

from safeload.errors import InputError
from safeload.explaining.byte_map import map_bytes
from safeload.explaining.opcodes import opcodes_around
from safeload.findings import Verdict
from safeload.inputs import open_source
from safeload.limits import Limits
from safeload.machine.pause import pause, resume
from safeload.policy import Policy
from safeload.report import Report
from safeload.reports.details import Detail
from safeload.scanning.scanner import scan_source
from safeload.scanning.streams import JudgedStream

FILES = 200
"""Files that get details: the worst ones. Each is judged a second time."""

_CHANGED = "The file changed after it was judged, so neither its opcodes nor its bytes are shown."
_RANK = (Verdict.DANGEROUS, Verdict.UNJUDGED, Verdict.UNVETTED, Verdict.CLEAN)


def details(reports: Sequence[Report], *, policy: Policy, limits: Limits) -> dict[str, Detail]:
    """Report.path -> what is shown beside it, for the files of `reports` that can be read again, the worst first."""
    worth = [report for report in reports if report.verdict in _RANK and report.judged_sha256 and report.path != "-"]
    worth.sort(key=lambda report: _RANK.index(report.verdict))
    found = {report.path: detail(report, policy=policy, limits=limits) for report in worth[:FILES]}
    for report in reports:
        if report.path == "-":
            found["-"] = Detail(note="Standard input can be read once only: neither opcodes nor bytes are shown.")
    for report in worth[FILES:]:
        found[report.path] = Detail(note=f"Opcodes and bytes are shown for the {FILES} worst files of a report.")
    return found


def detail(report: Report, *, policy: Policy, limits: Limits) -> Detail:
    """What is shown beside one report."""
    streams: dict[int, JudgedStream] = {}

    def remember(stream: JudgedStream) -> None:
        streams.setdefault(stream.stream, stream)

    pause()
    try:
        try:
            source = open_source(report.path)
        except InputError:
            return Detail(note="The file could not be read again, so neither its opcodes nor its bytes are shown.")
        try:
            scan = scan_source(source, policy=policy, limits=limits, witness=remember)
            if scan.report.judged_sha256 != report.judged_sha256:
                return Detail(note=_CHANGED)
            lines, note = opcodes_around(report, streams, limits)
            whole = None if scan.document is None else map_bytes(scan.document, source.size, limits)
            return Detail(lines, whole, note)
        except (InputError, MemoryError):
            return Detail(note=_CHANGED)
        finally:
            source.close()
    finally:
        resume()
