"""TorchScript archives (`torch.jit.save`, and .ptl of the lite interpreter): a torch zip with code in it.

Every pickle is judged, also `constants.pkl`, `attributes.pkl` and the `.debug_pkl` files that torch hides from its own
listing. The code is not judged: TorchScript runs it when the archive is used, so an archive with code is never clean.
`convert` can take its tensors out without the code.

Layout: torch/csrc/jit/serialization/{export,import}.cpp of torch 2.13. The storages that `x.pkl` names lie in `x/`.
"""

from __future__ import annotations

from safeload.containers.interface import ContainerLayout, Naming, Reading, StorageExtents
from safeload.containers.kinds.torch_zip import sort_members
from safeload.containers.zip.directory import read_directory
from safeload.containers.zip.flavour import SCRIPT, flavours
from safeload.containers.zip.members import Members
from safeload.document.document import Extent
from safeload.limits import Limits
from safeload.source import Source

_FOLDERS = frozenset({"data", "constants", "tensors", "traced_inputs", "bytecode"})
# How many members with code the finding names.
_LISTED = 5
_MAIN = ("data.pkl", "model.json")


class TorchScript:
    """See the module."""

    name = SCRIPT

    def recognise(self, source: Source) -> bool:
        """See `Container.recognise`."""
        return SCRIPT in flavours(source)

    def read(self, source: Source, limits: Limits) -> Reading:
        """See `Container.read`. Yields `StorageExtents` again before a pickle whose storages lie in another folder."""
        directory = read_directory(source, limits)
        yield from directory.findings
        members = Members(source, limits)
        archive = sort_members(directory.entries, members, _FOLDERS)
        yield from members.notes.take()
        code = [entry.name for relative, entry in archive.others if _is_code(relative)]
        listed = ", ".join(name[:100] for name in code[:_LISTED]) + (", ..." if len(code) > _LISTED else "")
        members.notes.add(
            "torchscript-code",
            f"the archive holds code ({listed}) that runs when TorchScript loads or calls it"
            if code
            else "a TorchScript archive: what torch.jit.load makes of it is a program, which runs when it is called",
            member=code[0] if code else "",
        )
        yield from members.notes.take()
        nothing: dict[str, Extent] = {}
        last: object = None
        found = False
        for relative, entry in sorted(archive.pickles, key=lambda pair: pair[0].casefold() not in _MAIN):
            is_main = relative.casefold() == "data.pkl"
            folder = relative.rpartition(".")[0].casefold()
            storages = archive.storages.get(folder, nothing)
            if storages is not last:
                yield StorageExtents(storages, archive.big_endian, placeholders=folder == "traced_inputs")
                last = storages
            # TorchScript unpickles a member with such a name, whatever its first bytes are.
            yield from members.pickle(
                entry, "object" if is_main else entry.name[:200], main=is_main and not found, naming=Naming.STORAGES
            )
            found = found or is_main
        for relative, entry in archive.others:
            # Members with code have a finding already; torch reads extra files and the old model.json as texts.
            if not (_is_code(relative) or relative.lower().startswith("extra/") or relative.lower() == "model.json"):
                members.tell_foreign(entry, self.name)
            yield from members.judged(entry)
        for entry in archive.noted:
            yield from members.judged(entry)
        yield from members.notes.rest()
        return ContainerLayout(archive.storages.get("data", {}), archive.big_endian, archive.records)


def _is_code(relative: str) -> bool:
    """Whether TorchScript compiles a member of this name. It ignores case."""
    return relative.lower().startswith("code/")
