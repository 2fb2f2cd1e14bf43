"""The readers of descriptions, such as the JSON of a program format. Each is imported when its first member is met.

Most scans meet none of them, and their tables take longer to import than a small checkpoint takes to judge.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import assert_never

from safeload.containers.interface import ContentReader


class Description(Enum):
    """A description that a row of an archive kind can name. Its reader is in `containers/descriptions/`."""

    KERAS_CONFIG = auto()
    SKOPS_SCHEMA = auto()
    TORCHSERVE_MANIFEST = auto()
    PT2_PROGRAM = auto()
    PT2_PAYLOAD = auto()
    AOTI_KERNELS = auto()
    AOTI_FLAGS = auto()
    AOTI_METADATA = auto()
    AOTI_CONSTANTS = auto()
    AOTI_SOURCE = auto()
    AOTI_NATIVE = auto()


def reader_of(description: Description) -> ContentReader:
    """The reader that judges this description."""
    match description:
        case Description.KERAS_CONFIG:
            from safeload.containers.descriptions.keras_config import keras_config as reader
        case Description.SKOPS_SCHEMA:
            from safeload.containers.descriptions.skops_schema import skops_schema as reader
        case Description.TORCHSERVE_MANIFEST:
            from safeload.containers.descriptions.torchserve_manifest import torchserve_manifest as reader
        case Description.PT2_PROGRAM:
            from safeload.containers.descriptions.pt2_program import pt2_program as reader
        case Description.PT2_PAYLOAD:
            from safeload.containers.descriptions.pt2_payload import payload_config as reader
        case Description.AOTI_KERNELS:
            from safeload.containers.descriptions.pt2_program import extern_kernels as reader
        case Description.AOTI_FLAGS:
            from safeload.containers.descriptions.aoti_package import aoti_flags as reader
        case Description.AOTI_METADATA:
            from safeload.containers.descriptions.aoti_package import aoti_metadata as reader
        case Description.AOTI_CONSTANTS:
            from safeload.containers.descriptions.aoti_package import aoti_constants as reader
        case Description.AOTI_SOURCE:
            from safeload.containers.descriptions.aoti_package import aoti_source as reader
        case Description.AOTI_NATIVE:
            from safeload.containers.descriptions.aoti_package import aoti_native as reader
        case _:
            assert_never(description)
    return reader
