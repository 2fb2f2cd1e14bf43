"""Pointers of Git LFS as git-lfs takes them, not only as it writes them: none passes for a text."""

from __future__ import annotations

import pytest

from safeload.containers.sniff import kind_of

REST = b"\noid sha256:" + b"0123456789abcdef" * 4 + b"\nsize 12345\n"


@pytest.mark.parametrize("white", [b"", b"\n", b"  ", b"\r\n\t", b"\xc2\xa0", b"\xe2\x80\x83"])
@pytest.mark.parametrize(
    "address", [b"https://git-lfs.github.com/spec/v1", b"https://hawser.github.com/spec/v1", b"http://git-media.io/v/2"]
)
def test_every_spelling_is_a_pointer(white: bytes, address: bytes) -> None:
    data = white + b"version " + address + REST
    assert kind_of(data, len(data)) == "lfs-pointer"


def test_a_text_about_pointers_is_a_text() -> None:
    data = b"A pointer begins with\nversion https://git-lfs.github.com/spec/v1\n"
    assert kind_of(data, len(data)) == "text"
