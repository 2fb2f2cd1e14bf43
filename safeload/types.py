"""The data types of the public interface, in one place for annotations and isinstance checks."""

from __future__ import annotations

from safeload.document.record import Record
from safeload.findings import Finding, Severity, Verdict
from safeload.inspecting.interface import Difference, Inspection
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.report import Report

__all__ = ["Difference", "Finding", "Inspection", "Limits", "Policy", "Record", "Report", "Severity", "Verdict"]
