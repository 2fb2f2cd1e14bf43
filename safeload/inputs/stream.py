"""A binary file object of the caller as a Source. Exceptions of the object itself pass through unchanged."""

from __future__ import annotations

import errno
from typing import Any

from safeload.errors import InputError, UsageError
from safeload.inputs.cached import CachedSource

SPOOL_BYTES = 64 << 30
"""Default cap on what is taken from an object that cannot seek: an endless stream must end somewhere."""

_IN_MEMORY = 64 << 20
_CHUNK = 1 << 20


class StreamSource(CachedSource):
    """A seekable binary file object from its current position to its end.

    Offset 0 is the position that the object had. Its position afterwards is unspecified. The caller must neither move
    the object nor write to it while the source is in use. `close` leaves it open, because it belongs to the caller.
    """

    def __init__(self, stream: Any, name: str = "<file object>") -> None:
        self._stream = stream
        self._start = _position(stream.tell())
        end = _position(stream.seek(0, 2))
        if not isinstance(stream.read(0), bytes | bytearray):
            raise UsageError("the file object gives text: open it in binary mode")
        super().__init__(name, max(0, end - self._start))

    def fetch(self, offset: int, length: int) -> bytes:
        """See `CachedSource.fetch`."""
        self._stream.seek(self._start + offset)
        parts: list[bytes] = []
        got = 0
        while got < length:
            data = _chunk(self._stream.read(length - got))
            if not data:
                raise InputError(
                    errno.EIO, f"got shorter while being read (offset {offset + got} of {self.size} bytes)", self.name
                )
            if len(data) > length - got:
                raise UsageError("the file object gave more bytes than were asked for")
            parts.append(data)
            got += len(data)
        return parts[0] if len(parts) == 1 else b"".join(parts)


class SpooledSource(StreamSource):
    """A file object that cannot seek. It is read to its end, into memory or, above 64 MiB, into a temporary file."""

    def __init__(self, stream: Any, name: str = "<file object>", limit: int = SPOOL_BYTES) -> None:
        import tempfile

        spool = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - lives as long as the source
        try:
            total = 0
            while data := _chunk(stream.read(_CHUNK)):
                total += len(data)
                if total > limit:
                    raise InputError(errno.EFBIG, f"is longer than the {limit} bytes taken from a stream", name)
                spool.write(data)
            spool.seek(0)
            super().__init__(spool, name)
        except BaseException:
            spool.close()
            raise

    def close(self) -> None:
        """See `Source.close`."""
        self._stream.close()


def can_seek(stream: Any) -> bool:
    """Whether `stream` has random access: it says so, or it has seek and tell at all."""
    answer = getattr(stream, "seekable", None)
    if answer is not None:
        return bool(answer())
    return hasattr(stream, "seek") and hasattr(stream, "tell")


def _position(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise UsageError(f"the file object's tell() and seek() must return a position, not {value!r}")
    return value


def _chunk(data: Any) -> bytes:
    if data is None:
        raise InputError(errno.EAGAIN, "has no bytes ready (a non-blocking stream)", "<file object>")
    if not isinstance(data, bytes | bytearray | memoryview):
        raise UsageError("the file object gives text: open it in binary mode")
    return bytes(data)
