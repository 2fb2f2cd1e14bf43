"""What of untrusted text is shown as it is, and what becomes an escape."""

from __future__ import annotations

import shlex
import subprocess
import sys

import pytest

from safeload.reports import escape


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("posix.system('id')", "posix.system('id')"),
        ("a\nb\r\t\x00", "a\\nb\\r\\t\\x00"),
        ("\x1b[31m\x7f\x9b", "\\x1b[31m\\x7f\\u009b"),
        ("\u202e\u2066\u200b\ufeff", "\\u202e\\u2066\\u200b\\ufeff"),
        ("p\u043esix caf\u00e9", "p\\u043esix caf\\u00e9"),
        ("\udcff\U000e0041", "\\udcff\\U000e0041"),
        ("##[error]x ##VSO[a.b]x ###[x", "#\\x23[error]x #\\x23VSO[a.b]x ##\\x23[x"),
        ("# [x] #[x] ## [x] ##vs", "# [x] #[x] ## [x] ##vs"),
    ],
)
def test_exact_shows_printable_ascii_alone(text: str, shown: str) -> None:
    assert escape.exact(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("archive/data.pkl", "archive/data.pkl"),
        ("a b", "'a b'"),
        ("a' at 0x0", "'a\\' at 0x0'"),
        ("", "''"),
        ("\x1b", "'\\x1b'"),
    ],
)
def test_a_name_cannot_pass_for_the_text_around_it(text: str, shown: str) -> None:
    assert escape.name(text) == shown


@pytest.mark.parametrize("text", ["model.pt", "модель.pt", "café-ñ.pt", "模型v2.pt", "データ.ckpt", "모델", "λόγος.pt"])
def test_letters_of_other_scripts_stay(text: str) -> None:
    assert escape.path(text, windows=False) in {text, f"'{text}'"}


@pytest.mark.parametrize(
    "text",
    [
        "p\u0430ypal.pt",  # Cyrillic a among Latin
        "\u0441\u043e\u0441\u043e.pt",  # Cyrillic that reads as Latin
        "\u03bd\u03bf.pt",  # Greek that reads as Latin
        "\u6a21\u578b\u0430",  # Cyrillic a beside Han
        "model\u4e00v2",  # a Han one in the place of a dash
        "a\u30cemodel",  # a Kana no in the place of a slash
        "cafe\u0301.pt",  # combining
        "\ufb01le.pt",  # ligature
        "\uff4dodel.pt",  # fullwidth
        "l\u0131ne.pt",  # dotless i
        "a\u200bb\u00adc",  # invisible
        "a\u115fb\u3164c",  # invisible letters
        "\u202eabc\u2066",  # bidirectional marks
        "\u05e9\u05dc\u05d5\u05dd.pt",  # right to left
        "a\u2215b\u2024pt",  # a slash and a dot of other planes
        "a\u00a0b\u2003c",  # spaces
        "\U0001d44e.pt",  # mathematical
        "\U0001f600.pt",
        "\x1b[2J",
        "line\nbreak",
        "a##[error]b.pt",
        "##vso[task.x]b.pt",
        "\udcff",
    ],
)
def test_what_can_be_taken_for_something_else_is_escaped(text: str) -> None:
    for windows in (False, True):
        shown = escape.path(text, windows=windows)
        assert shown.startswith("$'")
        assert "\\" in shown
        assert all(c.isascii() or c in "\u6a21\u578b" for c in shown)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
@pytest.mark.parametrize(
    "text",
    ["a b", "it's", "##[add-path]x", "###[x", "$(id)", "`id`", "a;b", "~", "*", "-rf", "a\\b", "\x1b'\\x", "\udcff1\n"],
)
def test_an_argument_is_one_word_of_a_shell(text: str) -> None:
    shown = escape.argument(text, windows=False)
    told = subprocess.run(["bash", "-c", f"printf %s {shown}"], capture_output=True, check=True)
    assert told.stdout == ("./-rf" if text == "-rf" else text).encode("utf-8", "surrogateescape")


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a b'c", "a b'c"), ("a\n\udcff", "a\\n\\xff"), ("модель ##[x", "модель #\\x23[x"), ("", "")],
)
def test_a_bare_name_has_escapes_and_no_quotes(text: str, shown: str) -> None:
    assert escape.bare(text) == shown


def test_quoting() -> None:
    assert shlex.split(escape.path("a b;c", windows=False)) == ["a b;c"]
    assert escape.path("C:\\models\\a.pt", windows=True) == "C:\\models\\a.pt"
    assert escape.path("C:\\my models\\a.pt", windows=True) == '"C:\\my models\\a.pt"'
    assert escape.argument("-") == "-"
