"""The checks, in the order in which a report lists their findings."""

from __future__ import annotations

from safeload.checks.call_of_result import CallOfResult
from safeload.checks.control_character import ControlCharacter
from safeload.checks.dotted_name import DottedName
from safeload.checks.extension_code import ExtensionCode
from safeload.checks.foreign_state import ForeignState
from safeload.checks.global_names import GlobalNames
from safeload.checks.interface import Check, StreamView
from safeload.checks.out_of_band import OutOfBand

CHECKS: tuple[Check, ...] = (
    DottedName(),
    ControlCharacter(),
    GlobalNames(),
    CallOfResult(),
    ForeignState(),
    ExtensionCode(),
    OutOfBand(),
)

__all__ = ["CHECKS", "Check", "StreamView"]
