"""What a checkout writes: held against real clones, under every attribute, and what the hooks say of it."""

from __future__ import annotations

import random
import shutil
import subprocess

import pytest

from safeload.inputs import MemorySource
from safeload.integrations.git.attributes import AttributeFiles
from safeload.integrations.git.checkout import Attributes, forms
from safeload.integrations.git.encodings import _CODECS, encoded
from safeload.integrations.git.repository import Repository

from .conftest import PICKLE, Repo, clean_environment

LINES = (
    "", "text", "-text", "!text", "text=auto", "text=input", "text=unset", "text=set", "crlf", "-crlf", "crlf=input",
    "eol=crlf", "eol=lf", "text eol=crlf", "text eol=lf", "-text eol=crlf", "text=auto eol=crlf", "text=auto eol=lf",
    "crlf=auto eol=crlf", "crlf=input eol=crlf", "eol=unset", "ident", "-ident", "ident text", "ident eol=crlf",
    "ident=unset", "binary", "working-tree-encoding=UTF-16", "text working-tree-encoding=IBM037",
    "working-tree-encoding=UTF-16LE-BOM eol=crlf", "working-tree-encoding=ISO-8859-1", "working-tree-encoding=UTF8",
    "ident working-tree-encoding=CP500", "working-tree-encoding=UTF-32 text", "mine", "-mine", "filter=lfs",
    "working-tree-encoding=utf-16be", "working-tree-encoding=UTF-16BE-BOM ident", "filter=absent",
)  # fmt: skip
PIECES = (
    b"a line\n", b"with\r\n", b"lone\r", b"$Id$", b"$Id: x $\n", b"$Id: two words $", b"$Id:\n$", b"$Id: $Id$", b"\0",
    b"\x01" * 3, b"plain words " * 20, b"\x1a", "\u00e9".encode(), b"\xff\xfe", b"$", b"$I", b"$Id",
    "\u20ac\n".encode(),
    b"$$Id$", b"$Id: \t$", b"\x7f", b"\t\x0c\x08\x1b\n", b"$Id:$", b"$Id::$", b"$Id: $\n", b"\n\n", b"$Id:abc$",
)  # fmt: skip


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process runs git as the tests do: without the machine's configuration."""
    for name, value in clean_environment().items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("config", [(), ("core.autocrlf=true",), ("core.eol=crlf",), ("core.autocrlf=input",)])
@pytest.mark.parametrize("spelled", [False, True])
def test_a_clone_holds_one_of_the_forms(repo: Repo, config: tuple[str, ...], spelled: bool) -> None:
    chance = random.Random(5)
    contents: dict[str, bytes] = {}
    attributes = ["[attr]mine text eol=crlf ident\n"]
    for number, line in enumerate(LINES):
        if not spelled and line.endswith(("=unset", "=set")):
            continue  # with these git's answers are ambiguous for every file
        attributes.append(f"f{number}_* {line}\n" if line else "")
        for index in range(7):
            name = f"f{number}_{index}"
            contents[name] = b"".join(chance.choices(PIECES, k=chance.randint(0, 6)))
    lines = []
    for name, content in contents.items():
        repo.put(name, content)
    oids = subprocess.run(
        ["git", "hash-object", "-w", "--no-filters", "--stdin-paths"], cwd=repo.path, input="\n".join(contents),
        env=clean_environment(), capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    lines = [f"100644 {oid}\t{name}\n" for oid, name in zip(oids, contents, strict=True)]
    subprocess.run(["git", "update-index", "--add", "--index-info"], cwd=repo.path, input="".join(lines), text=True,
                   check=True, env=clean_environment())  # fmt: skip
    for name in contents:
        (repo.path / name).unlink()
    repo.put(".gitattributes", "".join(attributes).encode())
    repo.git("add", ".gitattributes")
    repo.git("commit", "-q", "--no-verify", "-m", "x")
    clone = repo.path.parent / "clone"
    options = [word for setting in config for word in ("-c", setting)]
    subprocess.run(["git", *options, "clone", "-q", str(repo.path), str(clone)], env=clean_environment(), check=True,
                   capture_output=True)  # fmt: skip
    here = Repository(str(repo.path))
    index = here.staged()
    blobs = here.blobs()
    rewritten = 0
    try:
        asked = AttributeFiles(here, index, blobs, contents)
        for name, content in contents.items():
            judged = {content}
            told = False
            for answer in asked.answers(name):
                found = forms(MemorySource(content), index[name].oid, answer, asked.copying)
                judged |= {form.data for form in found.others if form.data is not None}
                told = told or bool(found.unknown)
            written = (clone / name).read_bytes()
            rewritten += written != content
            assert written in judged or told, (name, LINES[int(name[1:].partition("_")[0])], content, written)
            assert not told or "absent" in LINES[int(name[1:].partition("_")[0])] or b"\xe2" in content or (
                b"\xc3" in content
            )  # fmt: skip
    finally:
        blobs.close()
    assert len(contents) >= 200
    assert rewritten >= 40


HIDDEN = b"cos\nsystem\n(Vtouch MARKER\ntR."


@pytest.mark.parametrize("place", [".gitattributes", "sub/.gitattributes", "sub/.GitAttributes"])
def test_a_pickle_that_only_a_checkout_writes_is_refused(repo: Repo, place: str) -> None:
    repo.put(place, b"[attr]odd text working-tree-encoding=IBM037\n*.pkl odd\n".replace(b"[attr]odd ", b"*.pkl ")
             if "/" in place else b"[attr]odd text working-tree-encoding=IBM037\n*.pkl odd\n")  # fmt: skip
    # The blob is what git has to encode so that the pickle comes out.
    repo.put("sub/model.pkl", b"x")
    repo.git("add", "-A")
    oid = repo.path / "blob"
    oid.write_bytes(HIDDEN.decode("cp037").encode())
    made = repo.git("hash-object", "-w", "--no-filters", "blob").strip()
    repo.git("update-index", "--cacheinfo", f"100644,{made},sub/model.pkl")
    done = repo.safeload("hook", "scan", "--staged", "--", "sub/model.pkl")
    assert done.returncode == 1, done.stdout
    assert "as a checkout writes it: IBM037" in done.stdout
    done = repo.safeload("hook", "no-pickle", "--staged", "--", "sub/model.pkl")
    assert done.returncode == 1


def test_attributes_that_are_not_staged_do_not_count_and_a_local_one_does(repo: Repo) -> None:
    repo.put("words.txt", HIDDEN.decode("cp037").encode())
    repo.git("add", "-A")
    repo.put(".gitattributes", b"*.txt working-tree-encoding=IBM037\n")
    assert "IBM037" not in repo.safeload("hook", "scan", "--staged").stdout
    local = repo.path / ".git" / "info" / "attributes"
    local.parent.mkdir(exist_ok=True)
    local.write_bytes(b"*.txt working-tree-encoding=IBM037\n")
    assert "IBM037" in repo.safeload("hook", "scan", "--staged").stdout
    # ... and it hides nothing that the index says to everybody else.
    repo.git("add", ".gitattributes")
    local.write_bytes(b"*.txt !working-tree-encoding\n")
    assert "IBM037" in repo.safeload("hook", "scan", "--staged", "--", "words.txt").stdout


@pytest.mark.parametrize(
    ("line", "message"),
    [("filter=crypt", "the filter 'crypt'"), ("working-tree-encoding=UTF-7", "the encoding 'UTF-7'"),
     ("working-tree-encoding=IBM037//TRANSLIT", "TRANSLIT")],
)  # fmt: skip
def test_what_cannot_be_reproduced_is_unjudged(repo: Repo, line: str, message: str) -> None:
    repo.put("a.txt", b"some words\n")
    repo.git("add", "-A")
    repo.put(".gitattributes", f"*.txt {line}\n".encode())
    repo.git("add", ".gitattributes")
    for command in ("scan", "no-pickle"):
        done = repo.safeload("hook", command, "--staged")
        assert done.returncode == 2, done.stdout
        assert "git-checkout-unknown" in done.stdout
        assert message in done.stdout


def test_ordinary_files_stay_quiet(repo: Repo) -> None:
    repo.put("a.pt", PICKLE)
    repo.put("x.py", b"import os\n\nprint(os.name)\n")
    repo.put("words.txt", b"$Id$ some words\n")
    repo.put("nb.ipynb", b'{"cells": []}\n')
    repo.put(".gitattributes", b"*.txt ident eol=crlf\n*.pt binary\n*.ipynb filter=strip\n")
    repo.git("config", "filter.strip.smudge", "cat")
    repo.git("config", "filter.strip.clean", "cat")
    repo.git("add", "-A")
    done = repo.safeload("hook", "scan", "--staged")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


@pytest.mark.parametrize("name", sorted(_CODECS.keys() - {"LATIN-1"}))
def test_the_codec_of_a_name_is_that_of_iconv(name: str) -> None:
    iconv = shutil.which("iconv")
    if iconv is None:
        pytest.skip("no iconv here")
    text = "".join(chr(point) for point in range(1, 0x3000) if _takes(_CODECS[name], chr(point)))
    done = subprocess.run([iconv, "-f", "UTF-8", "-t", name], input=text.encode(), capture_output=True, check=False)
    if b"not supported" in done.stderr:
        pytest.skip("this iconv does not know the name")
    assert list(encoded(text.encode(), name)) == [(name, done.stdout)]
    assert done.returncode == 0


def _takes(codec: str, sign: str) -> bool:
    try:
        sign.encode(codec)
    except UnicodeEncodeError:
        return False
    return True


def test_uncertain_words_count_both_ways() -> None:
    source = MemorySource(b"one\n")
    assert forms(source, "0" * 40, Attributes(text="unset")).others == ()
    assert [form.data for form in forms(source, "0" * 40, Attributes(text="unset", certain=False)).others] == [
        b"one\r\n"
    ]
