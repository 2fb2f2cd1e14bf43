"""An unpacked .nemo: a folder with a model_config.yaml, whose targets NeMo and hydra import and call.

The file is read like the one in an archive (`containers/descriptions/nemo_config.py`). Other projects have a
model_config.yaml, too: without a key that names something to call, it gives no finding.
"""

from __future__ import annotations

from collections.abc import Iterator

from safeload.containers.descriptions.nemo_config import nemo_config
from safeload.containers.interface import ImportedName
from safeload.errors import LimitExceeded, Malformed
from safeload.findings import Finding
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.scanning.units.interface import Folder, spelled, unread
from safeload.scanning.units.leaves import content
from safeload.scanning.units.named import imported

_NAME = "model_config.yaml"
_WEIGHTS = (".ckpt", ".nemo", ".distcp")


class _NemoModel:
    name = "nemo-folder"
    marks = (_NAME,)

    def judge(self, folder: Folder, policy: Policy, limits: Limits) -> Iterator[Finding]:
        """Findings for every target outside NeMo."""
        names = folder.names()
        for name in spelled(folder, _NAME):
            try:
                data = content(folder, name, limits.yaml_bytes, "yaml_bytes")
                found = tuple(nemo_config(data, name, limits))
            except (Malformed, LimitExceeded) as error:
                # No loader reads what PyYAML's parser refuses. Whether the file is NeMo's, the weights beside it say.
                if any(other.lower().endswith(_WEIGHTS) for other in names) or isinstance(error, LimitExceeded):
                    yield unread(name, error.message, offset=error.offset)
                continue
            for item in found:
                if isinstance(item, ImportedName):
                    dotted = f"{item.module}.{item.name}"
                    why = f"{item.evidence[:200]!a}: {item.why}"
                    yield from imported(policy, dotted, why, name, own=("nemo",), offset=item.offset)
                else:
                    yield item


NEMO_MODEL = _NemoModel()
