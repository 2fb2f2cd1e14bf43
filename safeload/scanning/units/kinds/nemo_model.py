"""An unpacked .nemo: model_config.yaml, whose targets NeMo and hydra import and call.

Read as the same file in an archive is (`containers/nemo_config.py`). Other projects have a model_config.yaml too:
without a key that names something to call, nothing is said of it.
"""

from __future__ import annotations

from collections.abc import Iterator

from safeload.containers.descriptions.nemo_config import nemo_config
from safeload.containers.interface import Named
from safeload.errors import LimitExceeded, Malformed
from safeload.findings import Finding
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.scanning.units.interface import Folder, unread
from safeload.scanning.units.leaves import content
from safeload.scanning.units.named import imported

_NAME = "model_config.yaml"
_WEIGHTS = (".ckpt", ".nemo", ".distcp")


class _NemoModel:
    name = "nemo-folder"
    marks = (_NAME,)

    def judge(self, folder: Folder, policy: Policy, limits: Limits) -> Iterator[Finding]:
        """Every target outside NeMo."""
        names = folder.names()
        for name in names:
            if name.lower() != _NAME:
                continue
            try:
                data = content(folder, name, limits.yaml_bytes, "yaml_bytes")
                found = tuple(nemo_config(data, name, limits))
            except (Malformed, LimitExceeded) as error:
                # What PyYAML's parser refuses no loader of this file reads. Whose file it is, the weights tell.
                if any(other.lower().endswith(_WEIGHTS) for other in names) or isinstance(error, LimitExceeded):
                    yield unread(name, error.message, offset=error.offset)
                continue
            for item in found:
                if isinstance(item, Named):
                    dotted = f"{item.module}.{item.name}"
                    why = f"{item.evidence[:200]!a}: {item.why}"
                    yield from imported(policy, dotted, why, name, own=("nemo",), offset=item.offset)
                else:
                    yield item


NEMO_MODEL = _NemoModel()
