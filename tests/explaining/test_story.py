"""What is told of a file: in order, with the standing that the scan gives, nothing dangerous left out."""

from __future__ import annotations

import pickle
from collections import OrderedDict

import pytest

from safeload.explaining import story as telling
from safeload.explaining.story import ALL, Bounds, Story, Told, lines, pickled, tell
from safeload.explaining.text import Telling, write
from safeload.findings import Verdict
from safeload.inputs import MemorySource
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.scanning.scanner import scan
from samples.build import SAMPLES

POLICY = Policy.default()
PAYLOAD = b"cos\nsystem\n(S'echo harmless'\ntR."


def told(data: bytes, bounds: Bounds | None = None, limits: Limits | None = None, only: int | None = None) -> Story:
    return tell(MemorySource(data), policy=POLICY, limits=limits or Limits(), bounds=bounds, only=only)


def steps(told: Told) -> list[tuple[str, str, int]]:
    return [(step.words, step.standing, step.times) for step in told.steps.shown]


def written(story: Story, **how: object) -> str:
    return "\n".join(write(story, Telling(Limits(), Bounds(), **how)))  # type: ignore[arg-type]


def test_in_order_with_place_and_standing() -> None:
    (stream,) = told(PAYLOAD).streams
    first, second = stream.steps.shown
    assert (first.words, first.standing, first.offset) == ("imports os.system", "dangerous", 0)
    assert (second.words, second.standing, second.offset) == ("calls it with 'echo harmless'", "dangerous", 30)
    assert (second.rule, second.why) == (
        "runs-programs",
        "calls os.system: starts a program, or a copy of this process",
    )
    assert stream.leaves == "os.system('echo harmless')"


def test_standings_of_names() -> None:
    data = b"(ccollections\nOrderedDict\n)Rctorch.nn.modules.linear\nLinear\n)\x81cmine\nNet\n)\x81}bcos\ngetpid\n)Rt."
    (stream,) = told(data).streams
    assert steps(stream) == [
        ("imports collections.OrderedDict", "vetted", 1),
        ("calls it without arguments", "vetted", 1),
        ("imports torch.nn.modules.linear.Linear", "known", 1),
        ("makes an instance of it without arguments (__new__ alone, no __init__)", "known", 1),
        ("imports mine.Net", "unknown", 1),
        ("makes an instance of it without arguments (__new__ alone, no __init__)", "unknown", 1),
        ("gives its state to a mine.Net: {}", "unknown", 1),
        ("imports os.getpid", "dangerous", 1),
        ("calls it without arguments", "dangerous", 1),
    ]


def test_what_repeats_is_told_once_and_danger_each_time() -> None:
    fine = b"ccollections\nOrderedDict\n)R0"
    (stream,) = told(fine * 3 + b"cos\ngetpid\n)R0" * 2 + fine * 2 + b"N.").streams
    assert steps(stream) == [
        ("imports collections.OrderedDict", "vetted", 3),
        ("builds 3 objects with collections.OrderedDict", "vetted", 3),
        ("imports os.getpid", "dangerous", 1),
        ("calls it without arguments", "dangerous", 1),
        ("imports os.getpid", "dangerous", 1),
        ("calls it without arguments", "dangerous", 1),
        ("imports collections.OrderedDict", "vetted", 2),
        ("builds 2 objects with collections.OrderedDict", "vetted", 2),
    ]
    (every,) = told(fine * 3 + b"N.", ALL).streams
    assert [step.times for step in every.steps.shown] == [1] * 6


def test_a_vetted_name_in_a_hostile_shape_is_not_told_as_vetted() -> None:
    (stream,) = told(b"ccollections\nOrderedDict\nK\x05\x85R.").streams
    assert [step.standing for step in stream.steps.shown] == ["vetted", "dangerous"]
    assert stream.steps.shown[1].why == scan(b"ccollections\nOrderedDict\nK\x05\x85R.").findings[0].message


def test_findings_that_a_scan_only_counts_are_told_all_the_same() -> None:
    data = b"ccollections\nOrderedDict\nq\x00" + b"h\x00K\x05\x85R0" * 1500 + b"."
    assert scan(data).omitted
    (stream,) = told(data, ALL).streams
    assert {step.standing for step in stream.steps.shown[1:]} == {"dangerous"}


def test_what_is_left_out_is_never_the_danger(monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = b"".join(b"cmine\nN%d\n0" % i for i in range(100))
    story = told(b"(" + b"".join(b"cmine\nC%d\n)\x81" % i for i in range(100)) + PAYLOAD[:-1] + unknown + b"t.")
    (stream,) = story.streams
    assert len(stream.steps.shown) == 40
    assert [step.standing for step in stream.steps.shown].count("dangerous") == 2
    assert [step.number for step in stream.steps.shown] == sorted(step.number for step in stream.steps.shown)
    left = stream.steps.total - 40
    assert f"{left} more steps are left out (" in written(story)
    assert "--all tells every one" in written(story)
    monkeypatch.setattr(telling, "FINDINGS", 5)
    assert "findings were counted, not kept" in written(told(PAYLOAD[:-1] * 9 + b".", limits=Limits(findings=5)))


def test_danger_is_told_before_what_is_unjudged() -> None:
    (stream,) = told(b"\x97" * 3 + b"(" + b"".join(b"P%d\n" % i for i in range(90)) + PAYLOAD[:-1] + b".").streams
    assert [step.standing for step in stream.steps.shown][-2:] == ["dangerous", "dangerous"]
    shown = told(b"\x97." * 60 + PAYLOAD + b"\x97." * 60).streams
    assert "dangerous" in {step.standing for stream in shown for step in stream.steps.shown}


def test_danger_is_seen_among_opcodes_that_are_left_out() -> None:
    data = b"(" + b"N" * 300 + b"cmine\nC\n" * 500 + b"cos\ngetpid\n" * 200 + b"N" * 300 + b"t."
    text = written(told(data), opcodes=True)
    assert text.count("# dangerous: imports os.getpid") == text.count("# unknown: imports mine.C") == 100


def test_many_streams() -> None:
    data = b"N." * 60 + PAYLOAD
    story = told(data)
    assert (len(story.streams), story.left_out) == (20, 41)
    assert story.streams[-1].steps.total == 2
    assert len(told(data, ALL).streams) == 61
    assert [stream.number for stream in told(data, only=61).streams] == [61]
    assert told(data, only=62).streams == ()
    assert told(data).numbers == tuple(range(1, 62))


def test_a_damaged_stream_is_told_as_far_as_it_goes() -> None:
    for damage in (b"", b"\xff", b"K"):
        (stream,) = told(PAYLOAD[:-1] + damage).streams
        assert len(stream.steps.shown) == 2
        assert stream.stopped
        assert stream.stopped_at == 31
        assert stream.leaves == ""
    (empty,) = told(b"\x80").streams or (None,)
    assert empty is None or empty.stopped


def test_pickles_in_literals_are_told_beneath() -> None:
    inner = pickle.dumps({"x": PAYLOAD}, 4)
    (stream,) = told(pickle.dumps([inner], 4)).streams
    ((offset, story),) = stream.inside
    assert offset == pickle.dumps([inner], 4).index(b"C")
    ((_, deeper),) = story.streams[0].inside
    assert steps(deeper.streams[0])[1] == ("calls it with 'echo harmless'", "dangerous", 1)
    assert "inside the literal at" in written(told(pickle.dumps([inner], 4)))


def test_literals_are_told_up_to_a_bound() -> None:
    data = pickle.dumps([PAYLOAD + bytes([i]) for i in range(50)], 4)
    assert len(told(data).streams[0].inside) == 20
    assert len(told(data, ALL).streams[0].inside) == 50


HOSTILE = (
    b"\x80\x04X\x0f\x00\x00\x00os\x1b]0;evil\x07\n\xe2\x80\xaeX\x0a\x00\x00\x00sys\x1b[31mem\x93"
    b"X\x09\x00\x00\x00\x1b[2J\r\n::x\x85R."
)


@pytest.mark.parametrize("how", [{}, {"opcodes": True}, {"python": lambda _: ("f\x1b", "a\x1b[0m\r\nb", "")}])
def test_a_terminal_does_nothing_but_show(how: dict[str, object]) -> None:
    assert steps(told(HOSTILE).streams[0])[1][0] == r"calls it with '\x1b[2J\r\n::x'"
    for data in (HOSTILE, pickle.dumps([HOSTILE]), HOSTILE[:-1], b"(" + HOSTILE[2:-1] + b"Q\xff"):
        text = written(told(data), **how)
        assert text.replace("\n", "").isascii()
        assert text.replace("\n", "").isprintable()


def test_chains_of_any_length_are_told() -> None:
    chain = b"cos\nsystem\n" + b")R" * 4000 + b"."
    assert max(len(step.words) for step in told(chain, ALL).streams[0].steps.shown) <= 400
    written(told(b"N" + b"Q" * 4000 + b"."))


def test_a_call_through_a_persistent_id_has_the_standing_of_its_name() -> None:
    (stream,) = told(b"(cos\nsystem\nNNtQ)R.").streams
    assert "dangerous" in [step.standing for step in stream.steps.shown]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.path)
def test_every_sample_is_told_as_the_scan_judges_it(sample: object) -> None:
    data: bytes = sample.data  # type: ignore[attr-defined]
    report = scan(data)
    for bounds in (Bounds(), ALL):
        story = told(data, bounds)
        assert (story.report.verdict, story.report.judged_sha256) == (report.verdict, report.judged_sha256)
        seen = {step.standing for stream in story.streams for step in stream.steps.shown}
        worse = {finding.verdict for finding in story.remarks} | {
            Verdict.UNJUDGED for stream in story.streams if stream.stopped
        }
        match report.verdict:
            case Verdict.CLEAN:
                assert seen <= {"vetted", "data"}
                assert worse <= {Verdict.CLEAN}
            case Verdict.DANGEROUS:
                assert "dangerous" in seen or Verdict.DANGEROUS in worse
            case Verdict.UNJUDGED:
                assert "unjudged" in seen or Verdict.UNJUDGED in worse
            case _:
                assert seen & {"known", "unknown", "unvetted"} or Verdict.UNVETTED in worse
        for stream in story.streams:
            found = list(lines(stream, Limits()))
            assert found[-1].name == "STOP" if not stream.stopped else found[-1].note.startswith("stops here")


def test_a_file_inside_bytes_is_told_behind_the_stream_that_holds_it() -> None:
    data = next(sample.data for sample in SAMPLES if sample.path == "benign/storage-in-bytes.pkl")
    story = told(data)
    assert story.numbers == tuple(range(1, len(story.streams) + 1))
    assert (story.streams[0].member, len(story.streams) > 1) == ("", True)


def test_the_bytes_of_a_stream_alone() -> None:
    story = told(b"N." + PAYLOAD)
    assert [pickled(stream, Limits()) for stream in story.streams] == [b"N.", PAYLOAD]
    (cut,) = told(PAYLOAD[:-1] + b"\xff").streams
    assert pickled(cut, Limits()) == PAYLOAD[:-1]


def test_the_same_bytes_whatever_the_window() -> None:
    data = pickle.dumps([OrderedDict({str(i): i for i in range(30_000)})], 2)
    (stream,) = told(data).streams
    assert pickled(stream, Limits()) == data
    assert sum(1 for _ in lines(stream, Limits())) == stream.opcodes
