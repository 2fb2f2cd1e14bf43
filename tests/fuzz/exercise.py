"""Everything that safeload does with a file, done with one file, and what of it broke the contract.

The contract: a scan gives a Report; whatever else is raised is safeload's own; only what the verdict admits is loaded,
opened or converted; a second look says the same; what was converted verifies and is itself clean; nothing in a file is
imported, run or written. `Exercise.run` gives Problems instead of failing, so that a campaign goes on.
"""

from __future__ import annotations

import contextlib
import random
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch

import safeload
from safeload.findings import Verdict
from tests.fuzz.mutants import Case
from tests.fuzz.values import changed

_TENSORS = 12
"""How many tensors of an opened file are looked at."""


class Problem(NamedTuple):
    """A breach of the contract. `kind` is the same for the same defect, `detail` says more."""

    kind: str
    detail: str


class Exercise:
    """`folder` is for files; `effects` gets what an audit hook saw (None: nobody looks).

    share      of the unclean files that are loaded and opened too, which must all be refused
    converted  of these and of the clean ones that are converted too
    """

    def __init__(
        self, folder: Path, *, effects: list[str] | None = None, share: float = 0.05, converted: float = 0.3
    ) -> None:
        self.folder = folder
        self.effects = effects
        self.share = share
        self.converted = converted
        self.done: dict[str, int] = {}
        self.problems: list[Problem] = []

    def run(self, case: Case, rng: random.Random) -> list[Problem]:
        """What was wrong. Everything else about it is counted in `done`."""
        self.problems = []
        given: Any = case.data
        if case.beside is not None or rng.random() < self.share:
            given = self.folder / "x.safetensors"
            given.write_bytes(case.data)
            (self.folder / "x.tree.json").write_bytes(case.beside or b"")
        if self.effects:
            self.effects.clear()  # what was seen so far is the doing of whoever made and wrote the file
        try:
            self._all(given, rng)
        finally:
            for path in self.folder.iterdir():
                path.unlink()
        return self.problems

    def _all(self, given: Any, rng: random.Random) -> None:
        report = self._try("scan", lambda: safeload.scan(given))
        if not isinstance(report, safeload.Report):
            self._bad("scan gives no report", repr(report)) if report is not None else None
            return
        self._count(f"scan {report.verdict.value}")
        if report.verdict is Verdict.SKIPPED:
            self._bad("a named file is skipped", "")
        clean = report.verdict is Verdict.CLEAN
        if not clean and rng.random() >= self.share:
            return
        again = self._try("scan", lambda: safeload.scan(given))
        if again != report:
            self._bad("a second scan says otherwise", f"{report}\n{again}")
        loaded = self._load(given, report, rng)
        self._open(given, report, loaded)
        if rng.random() < self.converted:
            self._convert(given, report, rng, loaded)

    def _try(self, what: str, act: Callable[[], Any]) -> Any:
        """What `act` gives; None after an exception, which is a Problem when it is not safeload's."""
        try:
            found = act()
        except safeload.SafeloadError as error:
            self._count(f"{what}: {type(error).__name__}")
            if what == "scan":
                self._bad(f"scan raises {type(error).__name__}", _trace(error))
            found = error
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            self._bad(f"{what} raises {type(error).__name__} at {_place(error)}", _trace(error))
            found = None
        else:
            self._count(f"{what}: done")
        self._seen(what)
        return found

    def _gate(self, what: str, found: Any, admitted: bool, report: safeload.Report) -> bool:
        """Hold what became of a load against the verdict; True when there is something to look at."""
        refused = isinstance(found, safeload.UnsafeCheckpoint)
        if not isinstance(found, safeload.SafeloadError) and found is not None and not admitted:
            self._bad(f"{what} of a file that is {report.verdict.value}", str(report.findings))
        if refused and admitted:
            self._bad(f"{what} refuses a file that is {report.verdict.value}", str(found))
        if isinstance(found, safeload.UsageError | safeload.InputError | safeload.MissingExtra) and what == "load":
            self._bad(f"{what} blames the caller: {type(found).__name__}", str(found))
        return found is not None and not isinstance(found, safeload.SafeloadError)

    def _load(self, given: Any, report: safeload.Report, rng: random.Random) -> list[Any] | None:
        """What is loaded, in a list of its own; None when nothing is."""
        clean = report.verdict is Verdict.CLEAN
        loaded = self._try("load", lambda: [safeload.load(given)])
        made = self._gate("load", loaded, clean, report)
        inert = clean or report.verdict is Verdict.UNVETTED
        recorded = self._try("load records", lambda: [safeload.load(given, unvetted="record", mmap=False)])
        if self._gate("load records", recorded, inert, report):
            self._try("state_dict", lambda: safeload.state_dict(recorded[0]))
        if rng.random() < 0.3:
            narrow = self._try("load weights_only", lambda: [safeload.load(given, weights_only=True)])
            if isinstance(narrow, list) and not clean:
                self._bad("weights_only admits more", str(report.findings))
        return loaded if made else None

    def _open(self, given: Any, report: safeload.Report, loaded: list[Any] | None) -> None:
        opened = self._try("open", lambda: safeload.open(given, unvetted="record"))
        admitted = report.verdict in (Verdict.CLEAN, Verdict.UNVETTED)
        if not self._gate("open", opened, admitted, report):
            return
        with opened:
            for name in opened.keys()[:_TENSORS]:
                tensor = self._try("get_tensor", lambda name=name: opened.get_tensor(name))
                self._same(name, tensor, loaded)
                part = self._try("get_slice", lambda name=name: opened.get_slice(name))
                if part is not None and not isinstance(part, safeload.SafeloadError) and part.get_shape():
                    self._try("slice", lambda part=part: part[:1])

    def _same(self, name: str, tensor: Any, loaded: list[Any] | None) -> None:
        """Hold a tensor that was read alone against the one of the whole load, where its name leads to one."""
        found = loaded[0] if loaded else None
        parts = name.split(".")
        while parts:
            whole = ".".join(parts)
            if isinstance(found, dict) and whole in found:
                found, parts = found[whole], []  # a flat state_dict, whose keys have dots of their own
            elif isinstance(found, dict) and parts[0] in found:
                found = found[parts.pop(0)]
            elif isinstance(found, list | tuple) and parts[0].isdecimal() and int(parts[0]) < len(found):
                found = found[int(parts.pop(0))]
            else:
                return
        if type(found) is not torch.Tensor:
            return
        if not isinstance(tensor, torch.Tensor):
            self._bad("a tensor that loads cannot be read alone", f"{name}: {tensor!r}")
        elif problem := changed(tensor, found):
            self._bad("a tensor read alone is another one", f"{name}: {problem}")

    def _convert(self, given: Any, report: safeload.Report, rng: random.Random, before: list[Any] | None) -> None:
        output = self.folder / "out.safetensors"
        options: dict[str, Any] = {}
        for name, value in (("disarm", True), ("allow", "unvetted"), ("records", True), ("dtype", "bf16")):
            if rng.random() < 0.15:
                options[name] = value
        made = self._try("convert", lambda: safeload.convert(given, output, sync=False, **options))
        admitted = report.verdict is Verdict.CLEAN
        if not options:
            self._gate("convert", made, admitted, report)
        if made is None or isinstance(made, safeload.SafeloadError):
            if output.exists():
                self._bad("a conversion that failed left a file", str(made))
            return
        if report.verdict is Verdict.UNJUDGED and not options:
            self._bad("convert of a file that is unjudged", str(report.findings))
        equal = self._try("verify", lambda: safeload.verify(given, output))
        if isinstance(equal, safeload.SafeloadError):
            self._bad("a conversion does not verify", _trace(equal))
        written = self._try("scan", lambda: safeload.scan(output))
        if isinstance(written, safeload.Report) and written.verdict is not Verdict.CLEAN and not options:
            self._bad("a conversion is not clean", str(written.findings))
        loaded = self._try("load converted", lambda: [safeload.load(output)])
        if options or before is None:
            return
        if isinstance(loaded, safeload.SafeloadError):
            self._bad(f"a conversion does not load: {type(loaded).__name__}", _trace(loaded))
        elif loaded is not None and (problem := changed(loaded[0], before[0])):
            self._bad("a conversion loads as something else", problem)

    def _seen(self, what: str) -> None:
        """What the audit hook saw during `what`: imports and processes always, files where none are written."""
        if not self.effects:
            return
        # A conversion writes its output, and inflates storages into a file without a name; so does what verifies one.
        quiet = ("open:", "os.remove:", "os.rename:") if what in ("convert", "verify") else ()
        found = [effect for effect in self.effects if not effect.startswith(quiet or "\0")]
        self.effects.clear()
        if found:
            self._bad(f"{what} has an effect: {found[0][:60]}", str(found[:5]))

    def _count(self, what: str) -> None:
        self.done[what] = self.done.get(what, 0) + 1

    def _bad(self, kind: str, detail: str) -> None:
        self.problems.append(Problem(kind, detail))


@contextlib.contextmanager
def watched() -> Iterator[list[str]]:
    """The list that an audit hook writes imports, processes and writes to. It cannot be taken off again."""
    import safeload.converting.api
    import safeload.converting.many.folder
    import safeload.loading.lazy  # noqa: F401 - on first use, which is not the doing of a file
    from tests.loading.contained import _watch, import_all

    import_all()
    yield _watch()


def _place(error: BaseException) -> str:
    """The last line of safeload that `error` came through: with its type, what tells one defect from another."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if f"{Path(safeload.__file__).parent}" in frame.filename]
    last = (ours or frames)[-1]
    return f"{Path(last.filename).name}:{last.lineno}"


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))[-4000:]
