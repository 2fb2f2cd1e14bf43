"""Files of a configuration, a baseline or a pack that make Python's own readers fail in unusual ways."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from safeload.errors import UsageError
from safeload.policy.packs import read_pack
from safeload.project import baselines, configuration

READERS = [baselines.read, configuration.read, read_pack]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("text", ["jobs = " + "9" * 5000, "jobs = 2030-02-31"])
def test_a_value_that_python_refuses_is_a_wrong_file(read: Callable[[str], object], text: str, tmp_path: Path) -> None:
    file = tmp_path / "odd.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=r"odd\.toml:1: "):
        read(str(file))


@pytest.mark.parametrize("read", READERS)
def test_a_name_with_a_nul_is_no_file(read: Callable[[str], object]) -> None:
    with pytest.raises(UsageError, match="is no name"):
        read("a\0b.toml")


@pytest.mark.parametrize("key", ["policy", "baseline"])
def test_a_configuration_names_no_file_with_a_nul(key: str, tmp_path: Path) -> None:
    file = tmp_path / "safeload.toml"
    file.write_text(f'{key} = "a\\u0000b"\n')
    with pytest.raises(UsageError, match=r"safeload\.toml:1: .*NUL"):
        configuration.read(str(file))
