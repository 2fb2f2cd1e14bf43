"""What safeload makes of a case, compared with what CPython's readers did. See `Judged.outcome` for the words.

What a verdict promises is compared, so the verdict is that of a real scan of the bytes as a bare pickle.
"""

from __future__ import annotations

from typing import Any

from safeload.containers.bare_pickle import BarePickle
from safeload.containers.torch_legacy import MAGIC
from safeload.errors import LimitExceeded, Malformed
from safeload.findings import Verdict
from safeload.inputs import MemorySource
from safeload.limits import Limits
from safeload.machine import Buffer, Call, Extension, Global, Mutation, Persistent, Program, run
from safeload.policy import Policy
from safeload.scanning.scanner import scan_source
from tests.differential.cpython_child import STREAMS
from tests.differential.oracle_process import Case
from tests.differential.transcripts import Transcript, containers_in
from tests.machine.oracle import our_log

_POLICY = Policy.default()
_LIMITS = Limits()
# What torch's own containers supply, so that it says nothing about the machine: these alone excuse no difference.
_OUTSIDE = {"persistent-id", "text-persistent-id"}

AGREED = ("equal", "refused by both")


class Stream:
    """One pickle as the machine reads it."""

    def __init__(self, data: bytes, start: int, encoding: str) -> None:
        self.error: Malformed | LimitExceeded | None = None
        try:
            program: object = run(data, start, encoding=encoding)
        except (Malformed, LimitExceeded) as error:
            self.error, program = error, error.partial
        assert isinstance(program, Program)
        assert program.whole == (self.error is None)
        self.program = program
        self.written = Transcript(our_log(self.program), self.program.value, self.program.whole)

    def against(
        self, accepted: bool, end: int, effects: list[str], rest: list[str], later: list[int], error: str
    ) -> str:
        """Where the answer of one reader differs, or ""."""
        ours = self.written
        if accepted != (self.error is None):
            return "accepts it, the machine does not" if accepted else f"refuses it ({error}), the machine does not"
        if effects != ours.effects:
            return _first_difference(ours.effects, effects)
        if not accepted:
            return ""
        if rest != ours.rest:
            return _first_difference(ours.rest, rest)
        if end != self.program.end:
            return f"ends at {end}, for the machine at {self.program.end}"
        return self.changed_unseen(later)

    def understood_lines(self) -> int | None:
        """How many lines of effects come before the first that no table can vet, None when there is none such.

        CPython may refuse it where the machine goes on, or do what the machine only records: give an item to a list by
        its index, say. What comes after is then different too.
        """
        lines = 0
        for effect in self.program.effects:
            if _unvettable(effect):
                return lines
            if isinstance(effect, Mutation) and effect.kind != "build":
                items: Any = effect.payload
                lines += len(items) // (2 if effect.kind == "setitem" else 1)
            else:
                lines += 1
        return None

    def changed_unseen(self, later: list[int]) -> str:
        """Of the calls in `later`, whose arguments CPython saw change, one that `touched` does not tell of."""
        touched = self.program.touched
        for number in later:
            effect = self.written.made[number]
            consumed = (effect.args, effect.kwargs) if isinstance(effect, Call) else getattr(effect, "pid", None)
            if not any(touched.get(id(x), -1) > effect.offset for x in containers_in(consumed)):
                return f"the arguments of effect {number} change later, and `touched` does not say so"
        return ""


def _unvettable(effect: object) -> bool:
    """Is it an effect that no table can vet?"""
    if isinstance(effect, Mutation):
        return not isinstance(effect.target, Call | Persistent | Global)
    if not isinstance(effect, Call):
        return isinstance(effect, Extension | Buffer)
    kwargs = effect.kwargs
    return (
        not isinstance(effect.func, Global | Call | Persistent)
        or not isinstance(kwargs, dict | None)
        or not all(isinstance(k, str) for k in kwargs or ())
        or (effect.kind.startswith("newobj") and not isinstance(effect.func, Global))
    )


def streams_of(case: Case) -> list[Stream]:
    """Every pickle of a case, one after the other, as far as they are whole."""
    data, encoding = case
    found: list[Stream] = []
    # Behind torch's magic number come four more pickles and then storages, which are no pickles.
    most = STREAMS
    while len(found) < most and (not found or (found[-1].error is None and found[-1].program.end < len(data))):
        found.append(Stream(data, found[-1].program.end if found else 0, encoding))
        if type(found[0].program.value) is int and found[0].program.value == MAGIC:
            most = 5
    return found


class Judged:
    """One case, read by the machine and judged by a scan."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.streams = streams_of(case)
        data, encoding = case
        source = MemorySource(data, "case")
        self.foreign = ""
        try:
            report = scan_source(
                source, policy=_POLICY, limits=_LIMITS, encoding=encoding, containers=(BarePickle(),) if data else None
            ).report
        except Exception as error:  # the scan may raise nothing here, of its own errors or of others
            self.foreign = f"the scan raises {error!r}"
            self.verdict, self.understood = Verdict.CLEAN, True
            return
        self.verdict = report.verdict
        self.understood = not report.omitted and not any(
            f.verdict is Verdict.UNJUDGED and f.rule not in _OUTSIDE for f in report.findings
        )

    def outcome(self, answer: Any) -> tuple[str, str]:
        """One word for the case, and what differs.

        equal            C and Python did what the machine says, stream by stream, up to the end or a common refusal,
                         with an unpickler for each stream and with one for all
        refused by both  the same, and nothing was accepted
        unvettable       the same up to an effect that no table can vet, which the scan refuses to call clean
        unjudged         a difference, and the scan says that the file is not understood
        gave up          CPython ran out of memory or of time, or its process died
        DISAGREES        a difference, and the scan believes to have understood
        """
        if self.foreign:
            return "DISAGREES", self.foreign
        if any(s.error is not None for s in self.streams) and self.understood:
            return "DISAGREES", "the machine refused and the scan does not say so"
        if answer is None:
            return ("DISAGREES", "CPython crashed") if self.verdict is Verdict.CLEAN else ("gave up", "")
        first, second, disassembled, rows = answer
        detail, excused = self._against("C", first)
        if not detail:
            detail, excused = self._against("Python", first if second is None else second)
        if not detail:
            detail, excused = self._disassembled(disassembled), False
        if not detail and not self._torch():
            detail, excused = self._remembering(rows), False
        if not detail:
            accepted = self.streams[0].error is None
            return ("equal" if accepted else "refused by both"), ""
        if not self.understood:
            return "unjudged", detail
        exhausted = any("MemoryError" in stream[5] for stream in [*first, *(second or [])])
        if exhausted and self.verdict is not Verdict.CLEAN:
            return "gave up", detail
        if excused and self.verdict is not Verdict.CLEAN:
            return "unvettable", detail
        return "DISAGREES", f"{detail}; the verdict is {self.verdict}"

    def _against(self, who: str, answers: list[list[Any]]) -> tuple[str, bool]:
        """Where one reader differs, and whether only from an effect on that no table can vet."""
        for i, stream in enumerate(self.streams):
            if i >= len(answers):
                return f"{who} does not get to pickle {i + 1}", False
            if detail := stream.against(*answers[i]):
                known = stream.understood_lines()
                theirs = answers[i][2]
                excused = known is not None and theirs[:known] == stream.written.effects[: min(known, len(theirs))]
                return f"{who}, pickle {i + 1}: {detail}", excused
        return "", False

    def _torch(self) -> bool:
        """Torch makes an unpickler for each of the pickles behind its magic number, and a scan says so."""
        value = self.streams[0].program.value
        return type(value) is int and value == MAGIC

    def _remembering(self, rows: list[list[Any]]) -> str:
        """Where one unpickler that reads on and on does something else than one for each pickle."""
        for who, first, answers in rows:
            # What follows a pickle that the machine refuses is not read, and the file is not understood.
            if first < len(self.streams) and self.streams[first].error is None:
                last = answers[-1]
                end = f"{len(last[2])} effects, {'accepted' if last[0] else last[5]}"
                return f"one {who} from pickle {first + 1} on differs, up to pickle {first + len(answers)}: {end}"
        return ""

    def _disassembled(self, seen: list[int]) -> str:
        """Where pickletools differs. It wants names and python 2 strings in ASCII and undoes escapes in names."""
        program = self.streams[0].program
        names = "".join(e.raw_module + e.raw_name for e in program.effects if isinstance(e, Global))
        asked = self.streams[0].error is None and self.case[1] == "ASCII" and names.isascii() and "\\" not in names
        if not asked or seen == [program.opcodes, program.end]:
            return ""
        return f"pickletools sees {seen}, the machine {[program.opcodes, program.end]}"


def _first_difference(ours: list[str], theirs: list[str]) -> str:
    for a, b in zip(ours, theirs, strict=False):
        if a != b:
            return f"{b:.200} where the machine has {a:.200}"
    longer = ours[len(theirs) :] or theirs[len(ours) :]
    return f"{len(theirs)} lines where the machine has {len(ours)}; first missing {longer[0]:.200}"
