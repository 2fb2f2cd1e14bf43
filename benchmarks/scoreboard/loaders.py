"""One adapter for each loader that holds something off: called in a child process of its own, on one file.

Each takes the file and how an ordinary program would open it (see proof.py), and returns the object or raises.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable
from pathlib import Path

from proof import Opener, by_numpy, opened


def safeload(path: Path, opener: Opener) -> object:
    """`safeload.load`, as it stands."""
    import safeload as library

    return library.load(path)


def safeload_records(path: Path, opener: Opener) -> object:
    """`safeload.load` with classes outside the table as inert records."""
    import safeload as library

    return library.load(path, unvetted="record")


def weights_only(path: Path, opener: Opener) -> object:
    """torch.load with weights_only, and numpy.load without pickles for numpy's files."""
    import torch

    if path.suffix in (".npy", ".npz"):
        import numpy

        held = numpy.load(path, allow_pickle=False)
        return [held[key] for key in held] if hasattr(held, "files") else held
    if path.suffix == ".safetensors" and path.read_bytes()[8:9] == b"{":
        from safetensors.torch import load_file

        return load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)


def ordinary(path: Path, opener: Opener) -> object:
    """What an ordinary program calls, for the guards that stand behind it."""
    if path.suffix == ".safetensors" and path.read_bytes()[8:9] == b"{":
        from safetensors.torch import load_file

        return load_file(path)
    if path.suffix in (".npy", ".npz"):
        return by_numpy(path.read_bytes())
    return opened(path, opener)


def fickling(path: Path, opener: Opener) -> object:
    """Ordinary loads after `fickling.hook.activate_safe_ml_environment()`."""
    from fickling.hook import activate_safe_ml_environment

    activate_safe_ml_environment()
    return ordinary(path, opener)


def hayward(path: Path, opener: Opener) -> object:
    """Ordinary loads after `hayward.guard.install()`."""
    import hayward.guard

    hayward.guard.install()
    return ordinary(path, opener)


LOADERS: dict[str, Callable[[Path, Opener], object]] = {
    "safeload": safeload,
    "weights_only": weights_only,
    "fickling": fickling,
    "hayward": hayward,
}


def warm(names: tuple[str, ...]) -> None:
    """Import what the loaders need, with no guard in place yet: that happens in each child."""
    warnings.simplefilter("ignore")
    os.environ["HAYWARD_GUARD"] = "off"
    import joblib  # noqa: F401
    import numpy  # noqa: F401
    import safetensors.torch  # noqa: F401
    import torch

    torch.set_num_threads(1)
    for zipped in (True, False):  # the first load imports half of torch
        held = io.BytesIO()
        torch.save({"w": torch.ones(2)}, held, _use_new_zipfile_serialization=zipped)
        for only in (True, False):
            held.seek(0)
            torch.load(held, weights_only=only)
        if "safeload" in names:
            import safeload as library

            library.load(io.BytesIO(held.getvalue()))
    if "fickling" in names:
        import fickling.hook  # noqa: F401
    if "hayward" in names:
        import hayward.guard  # noqa: F401
