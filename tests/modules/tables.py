"""Writes the tables of torch.nn from the installed torch: `python tests/modules/tables.py`, then review the difference.

    safeload/modules/versions_table.py     every nn.Module class whose state_dict is the plain walk, with its `_version`
    safeload/loading/torch_nn/table.py     the classes of torch.nn that `trust="torch.nn"` rebuilds

A class that computes its state_dict is left out, unless WALKED names it with the reason why the walk is exact.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from itertools import groupby
from pathlib import Path

import torch
from torch import nn

ROOT = Path(__file__).resolve().parents[2]
VERSIONS = ROOT / "safeload" / "modules" / "versions_table.py"
CLASSES = ROOT / "safeload" / "loading" / "torch_nn" / "table.py"

SEARCHED = (
    "torch.ao.nn.intrinsic",
    "torch.ao.nn.intrinsic.qat",
    "torch.ao.nn.qat",
    "torch.ao.nn.qat.dynamic",
    "torch.ao.nn.quantizable",
    "torch.ao.quantization",
    "torch.nn.parallel",
    "torch.nn.utils.parametrizations",
)
OVERRIDABLE = ("state_dict", "_save_to_state_dict", "get_extra_state")

WALKED = {
    "torch.nn.modules.lazy.LazyModuleMixin": "differs only in not detaching what is not initialized yet",
    "torch.ao.quantization.fake_quantize.FakeQuantize": "sets scale and zero_point again, which are buffers of it",
    "torch.ao.quantization.observer.HistogramObserver": "sets min_val and max_val again, which are buffers of it",
}
"""The class that overrides -> why its state_dict is the walk all the same."""

HEAD = '''"""GENERATED from torch {version} by tests/modules/tables.py: {what}

Plain literals only: (module, {columns}). A test holds it against the installed torch.
"""
# fmt: off

from __future__ import annotations

TORCH = "{version}"

'''


def dotted(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def overriding(cls: type) -> set[str]:
    """The classes that define what `cls` computes its state_dict with, other than nn.Module."""
    found = set()
    for name in OVERRIDABLE:
        owner = next(k for k in cls.__mro__ if name in vars(k))
        if owner is not nn.Module:
            found.add(dotted(owner))
    return found


def module_classes() -> dict[str, type[nn.Module]]:
    """Every nn.Module class that torch.nn and torch.ao define, by dotted name."""
    for name in SEARCHED:
        importlib.import_module(name)
    found = {}
    prefixes = ("torch.nn.", "torch.ao.nn.", "torch.ao.quantization")
    for name in sorted(n for n in sys.modules if n.startswith(prefixes)):
        for value in list(vars(sys.modules[name]).values()):
            if inspect.isclass(value) and issubclass(value, nn.Module) and value.__module__.startswith(prefixes):
                found[dotted(value)] = value
    return dict(sorted(found.items()))


def walked() -> dict[str, type[nn.Module]]:
    """Those whose state_dict is the walk over parameters, buffers and children."""
    return {name: cls for name, cls in module_classes().items() if overriding(cls) <= WALKED.keys()}


def rebuilt() -> dict[str, type[nn.Module]]:
    """Those of torch.nn that hold nothing but attributes: no lazy ones (bound hooks), no DistributedDataParallel."""
    return {
        name: cls
        for name, cls in module_classes().items()
        if (cls.__module__.startswith("torch.nn.modules.") or cls is nn.DataParallel) and not overriding(cls)
    }


def rows(keyed: list[tuple[tuple[str, ...], str]]) -> str:
    text = ""
    for key, group in groupby(sorted(keyed), key=lambda item: item[0]):
        names = [name for _, name in group]
        head = "".join(f"{part}, " for part in key)
        lines, line = [], ""
        for name in names:
            if len(line) + len(name) > 95:
                lines.append(line)
                line = ""
            line += f"{name} "
        lines.append(line)
        body = "".join(f'\n        "{part.rstrip() if part is lines[-1] else part}"' for part in lines)
        short = f"    ({head}{body.strip()}),\n"
        text += short if len(lines) == 1 and len(short) <= 120 else f"    ({head}({body}\n    )),\n"
    return text


def version() -> str:
    return ".".join(torch.__version__.split("+")[0].split(".")[:2])


def versions_text() -> str:
    keyed = [((f'"{cls.__module__}"', str(cls._version)), cls.__qualname__) for cls in walked().values()]
    head = HEAD.format(version=version(), what="`_version` of nn.Module classes.", columns="version, names")
    return f"{head}ROWS: tuple[tuple[str, int, str], ...] = (\n{rows(keyed)})\n"


def classes_text() -> str:
    keyed = [((f'"{cls.__module__}"',), cls.__qualname__) for cls in rebuilt().values()]
    head = HEAD.format(version=version(), what='the classes that trust="torch.nn" names.', columns="names")
    return f"{head}ROWS: tuple[tuple[str, str], ...] = (\n{rows(keyed)})\n"


if __name__ == "__main__":
    VERSIONS.write_text(versions_text(), encoding="utf-8")
    CLASSES.write_text(classes_text(), encoding="utf-8")
