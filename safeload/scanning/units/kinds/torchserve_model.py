"""An unpacked .mar: the folder of a MAR-INF/MANIFEST.json, which TorchServe serves.

ts/model_loader.py: the folder goes to the front of the import path; the handler of the manifest is a Python file of the
folder, or one of TorchServe's own by its name; a requirements file is installed where the server allows it.
"""

from __future__ import annotations

from collections.abc import Iterator

from safeload.findings import Finding
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.scanning.units.interface import Folder, folder_code, spelled
from safeload.scanning.units.leaves import json_leaves
from safeload.scanning.units.shadowing import importable, shadows

_MANIFEST = "mar-inf/manifest.json"
_RUN = ("handler", "modelFile", "requirementsFile", "envelope", "workflowHandler")


class _TorchserveModel:
    name = "torchserve"
    marks = (_MANIFEST,)

    def judge(self, folder: Folder, policy: Policy, limits: Limits) -> Iterator[Finding]:
        """What the manifest has the server run, and every Python file that it can import."""
        names = folder.names()
        code = [name for name in names if importable(name) is not None]
        yield from shadows(code, policy, module_of=importable)
        for name in spelled(folder, _MANIFEST):
            told = False
            for leaf in json_leaves(folder, name, limits):
                if leaf.last in _RUN and isinstance(leaf.value, str):
                    told = True
                    message = f"{leaf.last} is {leaf.value[:200]!a}: what serves the model is up to this manifest"
                    yield folder_code(name, message, "no setting: TorchServe runs it", evidence=leaf.value)
            if not told:
                yield folder_code(name, "the manifest of a model server names no handler", "TorchServe runs its own")
        for name in code:
            yield folder_code(name, "code on the import path of the model's server", "TorchServe imports it")


TORCHSERVE_MODEL = _TorchserveModel()
