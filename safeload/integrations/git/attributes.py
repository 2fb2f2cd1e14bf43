"""git's attributes of files in the index: for this clone, for other clones, and for systems that ignore case.

git itself reads the attribute files; this file only decides which of them count: those of the index. Judges nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping

from safeload.errors import InputError
from safeload.integrations.git.checkout import ATTRIBUTES, Attributes
from safeload.integrations.git.repository import Blobs, GitEntry, Repository

_FILE = ".gitattributes"
# git ignores a larger attribute file.
_LARGEST = 100 << 20
_WORDS = re.compile(rb"=(?:set|unset|unspecified)(?:\s|$)")


class AttributeFiles:
    """The answers of one run: asks git once, for all names."""

    def __init__(
        self, repository: Repository, index: Mapping[str, GitEntry], blobs: Blobs, names: Iterable[str]
    ) -> None:
        """Ask git. Raises UsageError when it does not answer."""
        asked = tuple(dict.fromkeys(names))
        exact = {name: entry for name, entry in index.items() if _is_file(name, _FILE) and not entry.stage}
        folded = {
            os.path.join(os.path.dirname(name), _FILE): entry
            for name, entry in index.items()
            if name.lower() != name and _is_file(name.lower(), _FILE) and not entry.stage
        }
        # SECURITY: git prints `text=unset`, a value, in the same way as `-text`, but only the second keeps it from
        # rewriting a file.
        self._certain = not any(_may_spell(blobs, entry, name) for name, entry in {**folded, **exact}.items())
        self.copying = repository.copying_filters()
        self._answers = [repository.attributes(asked, ATTRIBUTES)]
        for files, fold in ((exact, False), ({**folded, **exact}, True)):
            self._answers.append(repository.attributes_elsewhere(asked, ATTRIBUTES, files, fold=fold))

    def answers(self, name: str) -> tuple[Attributes, ...]:
        """The answers for `name`, each once."""
        found = dict.fromkeys(answer[name] for answer in self._answers if name in answer)
        return tuple(Attributes._make((*values, self._certain)) for values in found) or (Attributes(),)


def _is_file(name: str, wanted: str) -> bool:
    return name.rpartition("/")[2] == wanted


def _may_spell(blobs: Blobs, entry: GitEntry, name: str) -> bool:
    try:
        source = blobs.open(entry.oid, name)
    except InputError:
        return True
    try:
        return source.size > _LARGEST or bool(_WORDS.search(source.peek(0, source.size)))
    finally:
        source.close()
