"""A certificate from wherever the caller has it: a path, the bytes themselves, a file object, or a parsed Statement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from safeload.attesting.statement import MOST, parse
from safeload.errors import NotAttested
from safeload.inputs import open_source


def read_statement(given: Any) -> Mapping[str, Any]:
    """The Statement. Raises InputError when it cannot be read and NotAttested when it is no JSON object."""
    if isinstance(given, Mapping):
        return given
    source = open_source(given)
    try:
        if source.size > MOST:
            raise NotAttested(f"{source.name}: a certificate of more than {MOST} bytes")
        return parse(source.read(0, source.size))
    finally:
        source.close()
