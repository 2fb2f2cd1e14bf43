"""What is passed over counts as judged, is not kept, and is the same bytes whenever it is taken up again."""

from __future__ import annotations

from pathlib import Path

import pytest

from safeload.errors import InputError, Malformed
from safeload.inputs import FileSource, MemorySource
from safeload.inputs.cached import FetchedSource
from safeload.inputs.part import PartSource
from safeload.source import Source


def test_every_source_gives_the_bytes_and_the_same_digest(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    file = FileSource(path)
    sources: list[Source] = [
        file,
        MemorySource(b"0123456789"),
        PartSource(MemorySource(b"0123456789"), 0, 10, "part"),
        FetchedSource("fetched", 10, lambda offset, length: b"0123456789"[offset : offset + length]),
    ]
    digests = set()
    for source in sources:
        assert source.read(1, 2) == b"12"
        before = source.judged_sha256()
        assert source.pass_over(2, 5) == b"23456"
        assert source.pass_over(2, 5) == b"23456"
        assert source.pass_over(4, 0) == b""
        assert source.judged_sha256() != before
        digests.add(source.judged_sha256())
        for offset, length in ((-1, 1), (0, -1), (9, 2), (11, 0), (0, 1 << 62)):
            with pytest.raises(Malformed, match="truncated or damaged"):
                source.pass_over(offset, length)
    assert len(digests) == 1
    assert file.bytes_in_memory() == 2
    file.close()


def test_the_order_does_not_count_and_every_byte_does() -> None:
    def digest(data: bytes, *ranges: tuple[int, int]) -> str:
        source = MemorySource(data)
        for start, length in ranges:
            source.pass_over(start, length)
        return source.judged_sha256()

    expected = digest(b"abcdef", (0, 3), (3, 3))
    assert digest(b"abcdef", (3, 3), (0, 3), (0, 3)) == expected
    assert digest(b"abcdeF", (0, 3), (3, 3)) != expected
    assert digest(b"abcdef", (0, 3)) != expected


def test_a_part_counts_in_the_whole() -> None:
    whole, same = MemorySource(b"0123456789"), MemorySource(b"0123456789")
    assert PartSource(whole, 4, 3, "part").pass_over(1, 2) == b"56"
    same.pass_over(5, 2)
    assert whole.judged_sha256() == same.judged_sha256()


def test_a_range_that_changed_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    source = FileSource(path)
    source.pass_over(2, 4)
    assert source.still_judged()
    path.write_bytes(b"0123X56789")
    assert not source.still_judged()
    with pytest.raises(InputError, match="changed while it was read"):
        source.pass_over(2, 4)
    source.close()
