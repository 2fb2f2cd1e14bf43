"""What safeload makes of some files, as JSON, said by a process of its own: `child.py SETUP`.

SETUP is a JSON file: {"root", "site", "files", "out", "folder", "before"}. `before` is Python that is run first, to
make this process a bad place; `out` receives the answers, since standard output may be closed.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from typing import Any


def describe(value: Any) -> Any:
    """A value as JSON, types and all. Sets in an order that does not depend on the seed of hashes."""
    kind = type(value).__module__ + "." + type(value).__qualname__
    if isinstance(value, dict):
        return [kind, [[describe(key), describe(held)] for key, held in dict.items(value)]]
    if isinstance(value, list | tuple):
        return [kind, [describe(item) for item in value]]
    if isinstance(value, set | frozenset):
        return [kind, sorted(json.dumps(describe(item)) for item in value)]
    if hasattr(value, "untyped_storage"):
        return [kind, str(value.dtype), list(value.shape), value.requires_grad, value.detach().tolist()]
    if kind == "numpy.ndarray":
        return [kind, str(value.dtype), value.tolist()]
    return [kind, repr(value) if value is None or isinstance(value, str | bytes | int | float) else str(value)]


def answer(path: str, folder: str) -> dict[str, Any]:
    """Scan, load, load with records, and conversion of one file."""
    import safeload
    from safeload.report import report_fields

    def tried(act: Any) -> Any:
        try:
            return act()
        except safeload.SafeloadError as error:
            return [type(error).__name__, str(error).replace(folder, "")]

    def converted() -> str:
        target = os.path.join(folder, "converted.safetensors")
        safeload.convert(path, target, force=True)
        with open(target, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()

    return {
        "scan": report_fields(safeload.scan(path)),
        "convert": tried(converted),
        "load": tried(lambda: describe(safeload.load(path))),
        "record": tried(lambda: describe(safeload.load(path, unvetted="record"))),
    }


def main(setup: dict[str, Any]) -> None:
    """Answers for every file; and which modules came in on the way, without those of safeload and torch."""
    sys.path.insert(0, setup["root"])
    sys.path += [entry for entry in setup["site"] if entry not in sys.path]
    exec(setup["before"], {"setup": setup})
    answers = {path: answer(path, setup["folder"]) for path in setup["files"]}
    found = {"answers": answers, "modules": sorted(sys.modules)}
    with open(setup["out"], "w", encoding="ascii") as out:
        json.dump(found, out)


if __name__ == "__main__":
    with open(sys.argv[1], encoding="ascii") as given:
        main(json.load(given))
