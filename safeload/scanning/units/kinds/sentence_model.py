"""A model of sentence-transformers: modules.json lists classes, one for each step, which the library imports.

sentence_transformers/base/modules or util.py (import_from_string): the library imports a class of another package by
its name; with trust_remote_code it looks in the folder first. Other projects have a modules.json, too: an entry counts
only when it has a "type" and a "path".
"""

from __future__ import annotations

from collections.abc import Iterator

from safeload.errors import Malformed
from safeload.findings import Finding
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.scanning.units.interface import Folder, folder_code, spelled, unread
from safeload.scanning.units.leaves import Leaf, json_leaves
from safeload.scanning.units.named import imported, within

_NAME = "modules.json"
_OWN = ("sentence_transformers", "pylate")


class _SentenceModel:
    name = "sentence-transformers"
    marks = (_NAME,)

    def judge(self, folder: Folder, policy: Policy, limits: Limits) -> Iterator[Finding]:
        """Findings for every class in the list that does not belong to the library."""
        names = folder.names()
        for name in spelled(folder, _NAME):
            try:
                leaves = tuple(json_leaves(folder, name, limits))
            except Malformed as error:
                if "config_sentence_transformers.json" in map(str.lower, names):
                    yield unread(name, error.message, offset=error.offset)
                continue
            for dotted in _classes(leaves):
                yield from self._step(dotted, name, names, policy)

    def _step(self, dotted: str, name: str, names: tuple[str, ...], policy: Policy) -> Iterator[Finding]:
        if within(dotted, _OWN):
            return
        file = dotted.rpartition(".")[0].replace(".", "/") + ".py"
        if file in names:
            yield folder_code(file, f"code that {name} names as {dotted[:200]!a}", "trust_remote_code=True runs it")
        yield from imported(policy, dotted, f"{name} has sentence-transformers import", name, own=_OWN)


def _classes(leaves: tuple[Leaf, ...]) -> Iterator[str]:
    """The "type" of every entry of the list that has a "path" as well."""
    pathed = {leaf.keys[0] for leaf in leaves if len(leaf.keys) == 2 and leaf.keys[1] == "path"}
    for leaf in leaves:
        if len(leaf.keys) != 2 or leaf.keys[1] != "type" or leaf.keys[0] not in pathed:
            continue
        if type(leaf.keys[0]) is int and isinstance(leaf.value, str):
            yield leaf.value


SENTENCE_MODEL = _SentenceModel()
