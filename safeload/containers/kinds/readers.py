"""The readers of members that are no pickles, each imported when its first member is met.

Most scans meet none of them, and their tables take longer to import than a small checkpoint takes to judge.
"""

from __future__ import annotations

from collections.abc import Iterable

from safeload.containers.interface import Named
from safeload.findings import Finding
from safeload.limits import Limits

Told = Iterable[Finding | Named]


def keras(data: bytes, member: str, limits: Limits) -> Told:
    """See `keras_config`."""
    from safeload.containers.descriptions.keras_config import keras_config

    return keras_config(data, member, limits)


def skops(data: bytes, member: str, limits: Limits) -> Told:
    """See `skops_schema`."""
    from safeload.containers.descriptions.skops_schema import skops_schema

    return skops_schema(data, member, limits)


def torchserve(data: bytes, member: str, limits: Limits) -> Told:
    """See `torchserve_manifest`."""
    from safeload.containers.descriptions.torchserve_manifest import torchserve_manifest

    return torchserve_manifest(data, member, limits)


def pt2_program(data: bytes, member: str, limits: Limits) -> Told:
    """See `pt2_program`."""
    from safeload.containers.descriptions.pt2_program import pt2_program

    return pt2_program(data, member, limits)


def pt2_payload(data: bytes, member: str, limits: Limits) -> Told:
    """See `pt2_payload`."""
    from safeload.containers.descriptions.pt2_payload import payload_config

    return payload_config(data, member, limits)


def aoti_kernels(data: bytes, member: str, limits: Limits) -> Told:
    """See `pt2_program`."""
    from safeload.containers.descriptions.pt2_program import extern_kernels

    return extern_kernels(data, member, limits)


def aoti_flags(data: bytes, member: str, limits: Limits) -> Told:
    """See `aoti_package`."""
    from safeload.containers.descriptions.aoti_package import aoti_flags

    return aoti_flags(data, member, limits)


def aoti_metadata(data: bytes, member: str, limits: Limits) -> Told:
    """See `aoti_package`."""
    from safeload.containers.descriptions.aoti_package import aoti_metadata

    return aoti_metadata(data, member, limits)


def aoti_constants(data: bytes, member: str, limits: Limits) -> Told:
    """See `aoti_package`."""
    from safeload.containers.descriptions.aoti_package import aoti_constants

    return aoti_constants(data, member, limits)


def aoti_source(data: bytes, member: str, limits: Limits) -> Told:
    """See `aoti_package`."""
    from safeload.containers.descriptions.aoti_package import aoti_source

    return aoti_source(data, member, limits)


def aoti_native(data: bytes, member: str, limits: Limits) -> Told:
    """See `aoti_package`."""
    from safeload.containers.descriptions.aoti_package import aoti_native

    return aoti_native(data, member, limits)
