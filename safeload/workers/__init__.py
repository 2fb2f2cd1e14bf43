"""Scanning many files: in this process, or each in a worker process that may hang, crash or run out of memory alone.

A worker is `serve.py` in a fresh interpreter. Parent and worker send each other lines of JSON over pipes: one line of
settings and its answer, then one request and one answer for each file. Nothing is pickled: a report crosses as the
fields of the wire format, and an answer that does not read as a report counts as a crash. Judges nothing itself.
"""

from __future__ import annotations

from safeload.workers.attempt import Settings, judge, scan_here, units_among, units_of

__all__ = ["Settings", "judge", "scan_here", "units_among", "units_of"]
