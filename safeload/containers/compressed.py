"""A file that one compressor made as a whole, as joblib, `gzip.open` and `.tar.gz` do.

The scanner judges what comes out like any other file. At most `Limits.inflated_bytes` are inflated, and no size that
the file states is believed. zstd, lz4 and joblib's oldest format are reported as unjudged and not read: the standard
library of Python 3.11 has no decompressor for them.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any, Protocol

from safeload.containers.interface import ContainerLayout, Nested, Reading
from safeload.containers.sniff import HEAD, kind_of
from safeload.document.document import Extent
from safeload.errors import LimitExceeded, Malformed
from safeload.limits import Limits
from safeload.source import Source

_READ = 1 << 20
# Outputs below this are always allowed: deflate packs zeros 1032 times, so the ratio of a small output says nothing.
_RATIO_FREE = 1 << 20
# SECURITY: bounds the decompressor's memory: an xz file states how large its dictionary is.
_XZ_MEMORY = 512 << 20

# For .lzma, bytes of: header and first coded byte; input that is decoded for a look; output at a time.
_ALONE_LEAST, _ALONE_HEAD, _ALONE_STEP = 14, 1 << 16, 16
# A dictionary of the size of the look, in place of the one that the file states.
_ALONE_DICTIONARY = (1 << 16).to_bytes(4, "little")

_TOLD = {"zstd": "zstd-compressed", "lz4": "lz4-compressed", "zfile": "in joblib's format of before 2016"}


class Decompressor(Protocol):
    """The interface of the decompressors of `bz2` and `lzma`, which `_Zlib` has too."""

    @property
    def eof(self) -> bool:
        """Whether the stream has ended."""

    @property
    def unused_data(self) -> bytes:
        """The bytes behind the end of the stream, of the input so far; b"" before the end."""

    @property
    def needs_input(self) -> bool:
        """Whether `decompress` needs more input before it can give more output."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Decompress `data` and what is left of earlier input into at most `max_length` bytes.

        Raises what the module raises for bytes that are no such stream: OSError, LZMAError or zlib.error.
        """


class _Zlib:
    """zlib's decompressor with the interface of bz2's."""

    def __init__(self, wbits: int) -> None:
        self._inflater = zlib.decompressobj(wbits)
        self._full = False

    def decompress(self, data: bytes, max_length: int) -> bytes:
        out = self._inflater.decompress(self._inflater.unconsumed_tail + data, max_length)
        # When the output is full, zlib may hold back more although it has taken all of its input.
        self._full = len(out) == max_length
        return out

    @property
    def eof(self) -> bool:
        return self._inflater.eof

    @property
    def unused_data(self) -> bytes:
        return self._inflater.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._full and not self._inflater.unconsumed_tail


class Compressed:
    """See the module."""

    name = "compressed"

    def recognise(self, source: Source) -> bool:
        """See `Container.recognise`."""
        return _kind(source) is not None

    def read(self, source: Source, limits: Limits) -> Reading:
        """See `Container.read`."""
        kind = _kind(source) or ""
        if kind in _TOLD:
            raise Malformed(f"{_TOLD[kind]}: decompress it first, then judge what comes out", offset=0)
        make, errors, many = _decompressor(kind)
        try:
            data = _inflate(source, make, many, limits)
        except (Malformed, LimitExceeded):
            raise
        except errors as error:
            raise Malformed(f"{kind} data does not decompress: {error}", offset=0) from error
        extent = Extent(0, source.size, len(data), stored=False)
        yield Nested("", extent, data, main=True, skippable=True)
        return ContainerLayout(metadata={"compression": kind})


def _kind(source: Source) -> str | None:
    """The compressor that wrote `source`; None when none did."""
    kind = kind_of(source.peek(0, HEAD), source.size)
    if kind in {"gzip", "bz2", "xz", "zlib", *_TOLD}:
        return kind
    return "xz" if _is_lzma_alone(source) else None


def _is_lzma_alone(source: Source) -> bool:
    """Whether a reader of the old .lzma format gets more out of `source` than noise or text.

    SECURITY: this format has no magic number: the header of an icon or a font can be one of its headers. Nearly any
    bytes decode to a little noise. So the decision rests on what comes out, even if the stream breaks off later,
    because a reader hands out what came before. The size of the dictionary is replaced: one that is too large for our
    limit says nothing of what another reader gets.
    """
    head = source.peek(0, HEAD)
    # Properties below 9 * 5 * 5, then a dictionary's size and a length; the coded data begins with a zero.
    if len(head) < _ALONE_LEAST or head[0] >= 225 or head[13]:
        return False
    try:
        import lzma
    except ImportError:
        return False
    out = b""
    try:
        decoder = lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_XZ_MEMORY)
        for step in range(2):
            # Bytes that are no .lzma mostly break off in the head, before more of the file is read.
            fed = source.peek(HEAD, _ALONE_HEAD - HEAD) if step else head[:1] + _ALONE_DICTIONARY + head[5:]
            piece = decoder.decompress(fed, _ALONE_STEP)
            while piece and len(out) < HEAD:
                out += piece
                piece = b"" if decoder.eof else decoder.decompress(b"", _ALONE_STEP)
            if decoder.eof or len(out) >= HEAD:
                break
    except (lzma.LZMAError, ValueError, EOFError, MemoryError):
        pass  # the stream broke off: what came out before decides
    return bool(out) and kind_of(out) not in {"unknown", "text", "python", "json", "html"}


def _decompressor(kind: str) -> tuple[Callable[[], Any], tuple[type[Exception], ...], bool]:
    """A function that makes a decompressor of `kind`, what this raises, and whether one stream may follow another."""
    try:
        if kind == "bz2":
            import bz2

            return bz2.BZ2Decompressor, (OSError, ValueError, EOFError), True
        if kind == "xz":
            import lzma

            return (
                lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY),
                (lzma.LZMAError, ValueError, EOFError, MemoryError),
                True,
            )
    except ImportError as error:
        raise Malformed(f"{kind}-compressed, and this Python was built without {kind}: decompress it first") from error
    return (lambda: _Zlib(31)) if kind == "gzip" else (lambda: _Zlib(15)), (zlib.error,), kind == "gzip"


def _inflate(source: Source, make: Callable[[], Decompressor], many: bool, limits: Limits) -> bytes:
    """The content of `source`: one stream, or `many`, each of which zeros may pad."""
    parts: list[bytes] = []
    total = at = 0
    decompressor: Decompressor | None = make()
    pending = b""
    while True:
        if not pending and (decompressor is None or decompressor.needs_input):
            if at == source.size:
                if decompressor is None:
                    return b"".join(parts)
                raise Malformed("truncated: the compressed data goes on behind the end of the file", offset=at)
            pending = source.read(at, min(_READ, source.size - at))
            at += len(pending)
        if decompressor is None:
            pending = pending.lstrip(b"\0") if many else pending
            if not pending:
                continue
            if not many:
                raise Malformed("bytes follow the compressed data", offset=at - len(pending))
            decompressor = make()
        data = decompressor.decompress(pending, _READ)
        pending = b""
        total += len(data)
        if total > limits.inflated_bytes:
            raise LimitExceeded(f"the file inflates to more than {limits.inflated_bytes} bytes", limit="inflated_bytes")
        if total > _RATIO_FREE and total > at * limits.inflation_ratio:
            raise LimitExceeded(
                f"the file inflates to more than {limits.inflation_ratio} times its length", limit="inflation_ratio"
            )
        parts.append(data)
        if decompressor.eof:
            pending = decompressor.unused_data
            decompressor = None
