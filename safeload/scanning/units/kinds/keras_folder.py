"""An unpacked .keras: a folder whose config.json names the module and class of every layer of Keras.

keras/src/saving/saving_api.py takes a folder that holds a config.json for a model, and builds its layers before it
looks for any weights. Read as the same file in an archive is. A config.json without a class at its root is another
project's.
"""

from __future__ import annotations

from collections.abc import Iterator

from safeload.containers.descriptions.keras_config import keras_config
from safeload.containers.interface import ImportedName
from safeload.errors import LimitExceeded, Malformed
from safeload.findings import Finding, Severity, Verdict
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.scanning.units.interface import Folder, spelled
from safeload.scanning.units.leaves import content, json_leaves
from safeload.scanning.units.named import imported

_NAME = "config.json"


class _KerasFolder:
    name = "keras-folder"
    marks = (_NAME,)

    def judge(self, folder: Folder, policy: Policy, limits: Limits) -> Iterator[Finding]:
        """The floor of the format, and everything that the configuration names outside Keras's own table."""
        for name in spelled(folder, _NAME):
            if not _is_keras(folder, name, limits):
                continue
            yield Finding(
                "keras-model", Verdict.UNVETTED, Severity.LOW,
                "a Keras model: load_model builds the classes that its configuration names",
                "load it where its author may run code, or take the weights alone", member=name,
            )  # fmt: skip
            for found in keras_config(content(folder, name, limits.json_bytes, "json_bytes"), name, limits):
                if isinstance(found, ImportedName):
                    why = f"{found.why}:"
                    yield from imported(policy, f"{found.module}.{found.name}", why, name, offset=found.offset)
                else:
                    yield found


def _is_keras(folder: Folder, name: str, limits: Limits) -> bool:
    """Whether the root of the JSON names a class and its config, without which Keras builds nothing."""
    keys: set[str] = set()
    try:
        for leaf in json_leaves(folder, name, limits):
            if leaf.keys and type(leaf.keys[0]) is str:
                keys.add(leaf.keys[0])
    except (Malformed, LimitExceeded):
        return False  # Keras refuses it as well; where it may be another loader's, that kind of unit says so
    return {"class_name", "config"} <= keys


KERAS_FOLDER = _KerasFolder()
