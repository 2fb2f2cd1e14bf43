"""Text is text only where no unpickler gets anywhere with it, and ordinary text always is."""

from __future__ import annotations

import io
import pickle
import random
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from safeload.errors import LimitExceeded
from safeload.inputs import MemorySource
from safeload.inputs.near import among
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.scanning.skips.texts import in_another_encoding, is_text

POLICY = Policy.default()


def text(data: bytes, *beside: str) -> bool:
    return is_text(MemorySource(data), Limits(), POLICY, lambda name: among(beside, name))


ORDINARY = {
    "CMakeLists.txt": b"cmake_minimum_required(VERSION 3.18)\nproject(demo LANGUAGES CXX)\nadd_executable(a a.cpp)\n",
    "conf.py": b"copyright = '2024, the authors'\n\nproject = 'demo'\nextensions = []\n",
    "conf-import.py": b"import os\nimport sys\nsys.path.insert(0, os.path.abspath('.'))\n",
    "environment.yml": b"channels:\n  - conda-forge\ndependencies:\n  - python=3.11\n",
    "RECORD": b"click/__init__.py,sha256=abc,4473\nclick/_compat.py,sha256=def,1\n",
    "requirements.txt": b"certifi\nidna\nclick>=8\n",
    "class.py": b"class Net:\n    pass\n",
    "README.md": b"# demo\n\nPlease read this.\n",
    "stop words": b"i\nme\nmy\nin\n",
    "an empty name": b"c\nx\nmore\n",
    "words.txt": b"cat\ndog\nbird\n",
    "unicode.txt": "Grüße aus Köln\n中文\n".encode(),
    "a licence": b"The MIT License (MIT)\n\nPermission is hereby granted.\n",
    "Fortran": b"MODULE string_test\n\n  character(len=8) :: string\n  character string77 * 8\n\n  character(len=12)\n",
    "a note": b"N.B. this is a note\n",
    "a literal that ends before a full stop": b"C\x20" + b"a" * 32 + b". And more text.\n",
    "top_level.txt": b"isympy\nsympy\n",
    "one long line": b"if(a){" + b"b();" * 2000 + b"}",
    "blank": b"\n\n\n",
    "csv": b"col_a,col_b\n1,2\n",
    "escape": b"\x1b[31mred\x1b[0m\n",
    "form feed": b"a\x0cb\n",
}

JUDGED = {
    "a payload": b"cos\nsystem\n(S'echo hello'\ntR.",
    "a name of the standard library": b"cshutil\nrmtree\nmore text here\n",
    "an old name of it": b"c__builtin__\neval\nmore text here\n",
    "a name that a rule knows": b"ctorch.hub\nload\nmore text here\n",
    "a package that a rule knows": b"ctransformers\nanything\nmore text here\n",
    "a module behind a full stop": b"c.shutil\nrmtree\nmore text here\n",
    "a module behind a full stop that acts": b"c.antigravity\n- no name\n",
    "a removed module": b"casynchat\nfind_prefix_at_end\nmore text here\n",
    "a module that acts when it is imported": b"cantigravity\n- no name\n",
    "an INST without its mark": b"ios\nsystem\nmore text here\n",
    "a state of what was imported": b"cos\nsystem\nX\x20\x20\x20\x20b.",
    "a payload behind a literal": b"N.cos\nsystem\n(S'echo hello'\ntR.",
    "a memo that a second load sees": b"Vos\np0\n.Vx\ng0\n0.",
    "a plain value": b"I1\n.",
    "a plain value behind a mark": b"(I1\nI2\nt.",
    "STOP behind an import that fails": b"cno such module\nname\n.",
    "too many digits": b"I" + b"9" * 4400 + b"\ncos\nsystem\n",
    "a number with many underscores": b"I" + b"1_" * 2200 + b"1\ncos\nsystem\n",
    "a number behind many blanks": b"L" + b" " * 4400 + b"1L\ncos\nsystem\n",
    "a place in the memo behind many blanks": b"Np" + b" " * 4400 + b"1\ncos\nsystem\n",
    "many hexadecimal digits": b"I0x" + b"abcde" * 900 + b"\ncos\nsystem\n",
}

NO_TEXT = {
    "a control character": b"hello\x00world",
    "a bell": b"hello\x07",
    "no UTF-8": b"caf\xe9\n",
    "half a character": "é".encode()[:1],
    "UTF-16": "hello".encode("utf-16"),
}


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_text_is_text(name: str) -> None:
    assert text(ORDINARY[name])


@pytest.mark.parametrize("name", JUDGED)
def test_what_an_unpickler_could_get_through_is_judged(name: str) -> None:
    assert not text(JUDGED[name])


@pytest.mark.parametrize("name", NO_TEXT)
def test_what_is_not_printable_is_no_text(name: str) -> None:
    assert not text(NO_TEXT[name])


@pytest.mark.parametrize("entry", ["ertifi.py", "ertifi", "ERTIFI.pyc", "ertifi.cpython-311-x86_64-linux-gnu.so"])
def test_a_module_beside_the_text_may_be_imported_by_it(entry: str) -> None:
    assert text(ORDINARY["requirements.txt"], "other.py")
    assert not text(ORDINARY["requirements.txt"], entry)


def test_a_module_beside_the_text_runs_before_its_name_is_missed() -> None:
    data = b"chelper\n- not a name\nmore\n"
    assert text(data)
    assert not text(data, "helper.py")
    assert not text(b"chelper.inner\nname\nmore\n", "helper")


def test_a_module_behind_a_full_stop_runs_before_it_is_refused(tmp_path: Path) -> None:
    data = b"c.helper_of_texts\n- not a name\nmore\n"
    (tmp_path / "helper_of_texts.py").write_text("open('MARKER', 'w').close()")
    for reader in ("Unpickler", "_Unpickler"):
        code = f"import io, pickle; pickle.{reader}(io.BytesIO({data!r})).load()"
        assert (
            subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, check=False).returncode == 1
        )
        assert (tmp_path / "MARKER").exists()
        (tmp_path / "MARKER").unlink()
    assert text(data, ".gitignore")
    assert not text(data, "helper_of_texts.py")
    assert not text(b"c.helper_of_texts.more\nname\nmore\n", "helper_of_texts")
    assert text(ORDINARY["stop words"], ".gitignore", "x.py")


def test_a_name_without_letters_of_python_is_found_where_a_file_has_it() -> None:
    data = b"chello world\nname\nmore\n"
    assert text(data)
    assert not text(data, "hello world.py")


def test_what_comes_late_counts() -> None:
    padding = b"# a comment\n" * 500
    assert text(padding + b"cos\nsystem\n(S'x'\ntR.")  # the first line breaks every unpickler
    assert not text(b"#" * 5000 + b"\x00")
    assert not text(b"(" * 5000 + b"cos\nsystem\n(S'x'\ntR.")


def test_a_character_across_two_pieces_is_one() -> None:
    assert text(b"a" * ((1 << 20) - 1) + "é".encode() + b"\n")


def test_too_large_is_no_answer() -> None:
    with pytest.raises(LimitExceeded):
        is_text(MemorySource(b"a" * 100), Limits(passive_bytes=99), POLICY, lambda name: False)


def test_all_of_a_text_counts_as_judged() -> None:
    one, other = MemorySource(b"hello " * 1000 + b"a"), MemorySource(b"hello " * 1000 + b"b")
    assert is_text(one, Limits(), POLICY, lambda name: False)
    assert is_text(other, Limits(), POLICY, lambda name: False)
    assert one.judged_sha256() != other.judged_sha256()


class Watched(pickle._Unpickler):  # type: ignore[misc]
    """Imports nothing; fails where Python's own modules do not have the module, as the real one would."""

    ran = False

    def find_class(self, module: str, name: str) -> object:
        if module.partition(".")[0] in sys.stdlib_module_names and name.replace(".", "").isidentifier():
            self.ran = True
        raise ModuleNotFoundError(module)


class WatchedC(pickle.Unpickler):
    """The same over the C unpickler."""

    ran = False

    find_class = Watched.find_class


def literals(reader: pickle._Unpickler) -> None:
    """Loads again and again; what comes before the error is no more than literals."""
    for _ in range(100):
        assert isinstance(reader.load(), str | int | float | None), "no more than a literal"


def nowhere(data: bytes) -> None:
    """No unpickler gets beyond literals in `data`, and none looks a name up that could do anything."""
    for kind in (Watched, WatchedC):
        reader = kind(io.BytesIO(data))
        with pytest.raises(Exception):  # noqa: B017, PT011 - whatever it raises: it never gets further
            literals(reader)
        assert not reader.ran, data


FRAGMENTS = (
    b"cos\nsystem\n", b"(", b"t", b"R.", b"S'x'\n", b"I1\n", b"N.", b"cfoo\nbar\n", b"hello ", b"# x\n", b"\n", b"p0\n",
    b"g0\n", b"Vtext\n", b"c a\nb c\n", b"(dp1\n", b"l.", b"ios\nsystem\n", b"]", b"}", b".", b"0", b"2", b"F1.5\n",
    b"L5L\n", b"Pid\n", b"import os\n", b"class A:\n",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_no_unpickler_gets_anywhere_with_what_is_called_text(seed: int) -> None:
    chance = random.Random(seed)
    called = 0
    for _ in range(1500):
        data = b"".join(chance.choice(FRAGMENTS) for _ in range(chance.randrange(1, 9)))
        if not text(data):
            continue
        called += 1
        nowhere(data)
    assert called > 100


def decoded(data: bytes, *beside: str) -> bytes | None:
    return in_another_encoding(MemorySource(data), Limits(), POLICY, lambda name: among(beside, name))


PROSE = "Grüße aus Köln, where the café is open: a short note in plain words.\n" * 3
RUSSIAN = "Это текст на русском языке, набранный давно.\n" * 3
CHINESE = "這是一個檔案，裡面只有文字。\n" * 3
JAPANESE = "これは文章です。モデルではありません。\n" * 3

ENCODED = {
    "cp1252": (PROSE + "“quoted” – 5 €\n").encode("cp1252"),
    "latin-1": PROSE.encode("latin-1"),
    "UTF-16, little": b"\xff\xfe" + PROSE.encode("utf-16-le"),
    "UTF-16, big": b"\xfe\xff" + PROSE.encode("utf-16-be"),
    "UTF-16 of another script": b"\xff\xfe" + CHINESE.encode("utf-16-le"),
    "PEP 263": b"# -*- coding: big5 -*-\n# " + CHINESE.encode("big5"),
    "PEP 263, second line": b"#!/usr/bin/python\n# vim: set fileencoding=koi8-r :\n# " + RUSSIAN.encode("koi8-r"),
    "XML": b'<?xml version="1.0" encoding="windows-1251"?>\n<note>' + RUSSIAN.encode("cp1251") + b"</note>\n",
    "HTML": b'<html><head><meta charset="Shift_JIS"></head><body>' + JAPANESE.encode("shift_jis") + b"</body></html>",
    "message catalog": b'"Content-Type: text/plain; charset=EUC-JP\\n"\nmsgstr "' + JAPANESE.encode("euc-jp") + b'"\n',
}

NOT_ENCODED = {
    "a payload": b"cos\nsystem\n(S'echo caf\xe9'\ntR.",
    "a payload behind a literal": b"N.cos\nsystem\n(S'echo caf\xe9'\ntR.",
    "a payload after a mark": b"(S'caf\xe9'\nios\nsystem\n.",
    "a name of the standard library": b"cshutil\nrmtree\ntext with a caf\xe9 in it, and more of it, and more\n",
    "a plain value": b"S'caf\xe9 and more text in ASCII'\n.",
    "a control character": PROSE.encode("latin-1") + b"\x07",
    "a NUL": PROSE.encode("latin-1") + b"\0",
    "what cp1252 has no letter for": PROSE.encode("latin-1") + b"\x81\n",
    "too short to tell": b"a short caf\xe9 note\n",
    "too little ASCII": RUSSIAN.encode("koi8-r"),
    "half a letter": b"# coding: big5\n" + CHINESE.encode("big5")[:-2],
    "letters of another encoding": b"# coding: euc-jp\n" + CHINESE.encode("big5"),
    "an encoding that hides": b"# coding: utf-7\n" + RUSSIAN.encode("koi8-r"),
    "half a UTF-16 letter": b"\xff\xfe" + PROSE.encode("utf-16-le")[:-1],
    "half a UTF-16 pair": b"\xff\xfe" + PROSE.encode("utf-16-le") + b"\x00\xd8",
    "a UTF-16 control character": b"\xff\xfe" + (PROSE + "\x07").encode("utf-16-le"),
    "a UTF-16 letter of no script": b"\xff\xfe" + (PROSE + "\uffff").encode("utf-16-le"),
    "UTF-16 without a mark": PROSE.encode("utf-16-le"),
    "halves behind a mark": b"\xff\xfe" + b"".join(struct.pack("<e", 0.01 + 0.002 * i) for i in range(100)),
}


@pytest.mark.parametrize("name", ENCODED)
def test_text_in_another_encoding_is_text(name: str) -> None:
    assert not text(ENCODED[name])
    found = decoded(ENCODED[name])
    assert found is not None
    assert any(sign in found.decode() for sign in ("Grüße", "русском", "檔案", "文章"))


@pytest.mark.parametrize("name", NOT_ENCODED)
def test_what_is_no_text_in_an_encoding_that_shows_is_none(name: str) -> None:
    assert decoded(NOT_ENCODED[name]) is None


def test_a_module_beside_a_text_in_another_encoding_may_be_imported_by_it() -> None:
    data = b"certifi\nidna\n# a list of packages, by J\xfcrgen\n"
    assert decoded(data, "other.py") is not None
    assert decoded(data, "ertifi.py") is None


@pytest.mark.parametrize("form", ["<f", "<d", "<e", "<i", "<h", ">f", ">d"])
def test_raw_numbers_are_no_text(form: str) -> None:
    chance = random.Random(5)
    passed = 0
    for count in (1, 2, 3, 4, 16, 64):
        for _ in range(200):
            if form[-1] in "ih":
                numbers = [chance.randrange(32767) for _ in range(count)]
            else:
                numbers = [chance.gauss(0, 1) for _ in range(count)]
            data = b"".join(struct.pack(form, number) for number in numbers)
            passed += not text(data) and decoded(data) is not None
    assert passed == 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_no_unpickler_gets_anywhere_with_text_in_another_encoding(seed: int) -> None:
    chance = random.Random(seed)
    called = 0
    for _ in range(1500):
        data = b"".join(chance.choice(FRAGMENTS) for _ in range(chance.randrange(1, 9))) + b"plain words " * 9
        at = chance.randrange(len(data))
        data = data[:at] + b"\xe9" + data[at:]
        if decoded(data) is None:
            continue
        called += 1
        nowhere(data)
    assert called > 100
