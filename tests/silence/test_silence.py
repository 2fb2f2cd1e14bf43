"""Nothing hostile passes in silence: every case is judged in three forms, and real loaders prove a sample of them.

`python -m tests.silence.campaign` proves all of them, which takes minutes.
"""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

from tests.silence import payloads, polyglots
from tests.silence.campaign import misjudged, run_loaders
from tests.silence.generate import Case, cases
from tests.silence.judging import FORMS, judged
from tests.silence.loaders import LOADERS, NEEDS, missing

SLOW = {"aotinductor", "auto-config"}
"""Loaders of many seconds a file; the campaign runs them."""


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> tuple[Case, ...]:
    return cases(tmp_path_factory.mktemp("silence"))


def test_the_suite_is_large(every: tuple[Case, ...]) -> None:
    hostile = [case for case in every if case.hostile]
    assert len(hostile) >= 600
    assert sum(bool(case.twin) for case in hostile) >= 570
    assert len({case.name for case in every}) == len(every)
    assert {case.loader for case in hostile} - {""} <= LOADERS.keys()
    assert len({case.kind for case in hostile}) >= 50


@pytest.mark.parametrize("form", FORMS)
def test_nothing_hostile_is_silent(every: tuple[Case, ...], form: str) -> None:
    wrong = [line for case in every if case.hostile for line in misjudged(case, (form,))]
    assert wrong == []


@pytest.mark.parametrize("form", FORMS)
def test_nothing_benign_is_dangerous(every: tuple[Case, ...], form: str) -> None:
    wrong = [line for case in every if not case.hostile for line in misjudged(case, (form,))]
    assert wrong == []


def sample(every: tuple[Case, ...]) -> list[Case]:
    """For each loader a hostile file of two kinds and one twin."""
    chosen: dict[tuple[str, str], Case] = {}
    for case in every:
        if case.loader in SLOW or not case.loader:
            continue
        key = case.loader, case.kind if case.hostile else "benign"
        if sum(loader == case.loader and kind != "benign" for loader, kind in chosen) < 2 or not case.hostile:
            chosen.setdefault(key, case)
    return list(chosen.values())


def test_real_loaders_run_the_hostile_ones_alone(every: tuple[Case, ...]) -> None:
    chosen = sample(every)
    assert {case.loader for case in chosen} == LOADERS.keys() - SLOW
    ran = run_loaders(chosen)
    assert ran.keys() == {case.name for case in chosen if not missing(case.loader)}
    assert [(name, said) for name, (fired, said) in ran.items() if fired != name.endswith(":hostile")] == []


def test_what_a_loader_lacks_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert missing("pickle") == ""
    monkeypatch.setitem(NEEDS, "pickle", "no_such_package")
    assert missing("pickle") == "no_such_package is not installed"


def test_a_silent_product_would_be_noticed(every: tuple[Case, ...], tmp_path: Path) -> None:
    case = next(case for case in every if case.hostile)
    good = tmp_path / "good" / "model.pkl"
    good.parent.mkdir()
    good.write_bytes(payloads.PLAIN.benign)
    honest = case._replace(path=good, folder=good.parent)
    assert [judged(honest, form).verdict for form in FORMS] == ["clean", "clean", "clean"]
    assert len(misjudged(honest, FORMS)) == 3
    assert misjudged(honest._replace(hostile=False), FORMS) == []


def test_heads_keep_their_payload_inside_a_whole_picture() -> None:
    data = polyglots.headed("gif").hostile
    assert data[:6] == b"GIF89a"
    assert data.endswith(b"\0;")
    assert payloads.OPEN in data
