"""Moves storages to a device: map_location, by torch's rules.

Semantics: torch/serialization.py `_get_restore_location` and `default_restore_location`, torch 2.13. Two differences
are documented: without map_location, a storage of a device that this machine lacks goes to the CPU; and a `meta` tag in
a file is ignored (torch drops the data).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from safeload.errors import LoadFailed, SafeloadError, UsageError

MapLocation = str | torch.device | Mapping[str, str] | Callable[[torch.UntypedStorage, str], Any] | None


class CallersError(Exception):
    """Carries an exception of the caller's own map_location through our handlers. It never leaves the library."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error))
        self.error = error


@contextmanager
def own_errors() -> Iterator[None]:
    """For the time of a build: errors of torch and numpy become LoadFailed, those of the caller's code pass through."""
    try:
        yield
    except CallersError as error:
        raise error.error from None
    except SafeloadError:
        raise
    except Exception as error:
        # Only the first line: torch appends pages of its dispatch table.
        reason = (str(error).splitlines() or [""])[0][:400]
        raise LoadFailed(f"what the file describes could not be built: {type(error).__name__}: {reason}") from error


class Placement:
    """Moves each storage to the device that map_location says."""

    def __init__(self, map_location: MapLocation) -> None:
        self._map: Mapping[str, str] | None = None
        self._call: Callable[[torch.UntypedStorage, str], Any] | None = None
        self._fixed: torch.device | None = None
        self._saved = map_location is None
        self._devices: dict[str, torch.device] = {}
        if isinstance(map_location, str | torch.device):
            self._fixed = _device(map_location)
        elif isinstance(map_location, Mapping):
            self._map = map_location
        elif callable(map_location):
            self._call = map_location
        elif map_location is not None:
            raise UsageError(
                "map_location must be None, a str, a torch.device, a dict or a callable, "
                f"not {type(map_location).__name__}"
            )

    @property
    def target(self) -> torch.device | None:
        """The one device of all storages; None when it depends on the storage."""
        return self._fixed

    def stays(self, location: str) -> bool:
        """Whether `place` returns a storage with this tag as it is, so that it need not be called."""
        if self._call is not None or self._map is not None:
            return False
        if self._fixed is not None:
            return self._fixed.type == "cpu"
        return location == "cpu"

    def place(self, storage: torch.UntypedStorage, location: str) -> torch.UntypedStorage:
        """Move `storage`, which is on the CPU and has the tag `location` in the file, to its device."""
        if self._call is not None:
            try:
                result = self._call(storage, location)
            except Exception as error:
                raise CallersError(error) from error
            if result is not None:
                return _untyped(result, storage.nbytes())
        if self._fixed is not None:
            return _moved(storage, self._fixed)
        if self._map is not None:
            try:
                wanted = self._map.get(location)
            except Exception as error:
                raise CallersError(error) from error
            if wanted is not None:
                return _moved(storage, _device(wanted))
        device = self._devices.get(location)
        if device is None:
            device = self._devices[location] = existing_device(location)
        return _moved(storage, device)


def existing_device(location: str) -> torch.device:
    """The device of a tag in a file, if this machine has it; else the CPU."""
    kind, _, number = location.partition(":")
    cpu = torch.device("cpu")
    if kind in ("cpu", "meta"):
        return cpu
    index = int(number or 0)
    if kind == "cuda":
        return torch.device("cuda", index) if torch.cuda.is_available() and index < torch.cuda.device_count() else cpu
    if kind == "mps":
        return torch.device("mps") if torch.backends.mps.is_available() else cpu
    module = getattr(torch, kind, None) if kind in ("xpu", "mtia") else None
    if module is not None and module.is_available() and index < module.device_count():
        return torch.device(kind, index)
    return cpu


def _device(location: str | torch.device) -> torch.device:
    try:
        return torch.device(location)
    except (RuntimeError, TypeError) as error:
        raise UsageError(f"map_location names no device of torch: {location!r}") from error


def _moved(storage: torch.UntypedStorage, device: torch.device) -> torch.UntypedStorage:
    if device.type == "cpu":
        return storage
    if device.type == "meta":
        return torch.UntypedStorage(storage.nbytes(), device="meta")
    moved: torch.UntypedStorage = storage.to(device=device)
    return moved


def _untyped(result: Any, least: int) -> torch.UntypedStorage:
    inner = result._untyped_storage if isinstance(result, torch.storage.TypedStorage) else result
    if not isinstance(inner, torch.UntypedStorage):
        raise UsageError(f"map_location must return a storage or None, not {type(result).__name__}")
    if inner.nbytes() < least:
        # SECURITY: torch would grow a smaller storage for the first tensor, with whatever the memory holds.
        raise UsageError(f"map_location returned a storage of {inner.nbytes()} bytes for one of {least}")
    return inner
