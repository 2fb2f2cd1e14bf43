r"""Untrusted text made safe to look at: what a reader sees is what is there, and a terminal does nothing but show it.

Two rules:

`exact`  members, evidence, messages: printable ASCII stays, anything else becomes an escape (\n, \x1b, \u202e).
         A backslash stays one: an escape that was spelled out in the text harms no terminal.
`path`   file names: printable ASCII stays, and so do letters of other scripts, as long as they cannot be taken for
         something else. In each word (a run of letters) the letters beyond ASCII stay when all of this holds:
         - each is a letter of Latin with a visible mark (e with acute), Cyrillic, Greek, Han, Kana or Hangul, and is
           its own compatibility form (no fullwidth, ligature or mathematical letters);
         - a word with Cyrillic has only Cyrillic, one with Greek only Greek letters;
         - one of them at least looks like no ASCII character (a Kana no can pass for a slash, a Han one for a dash).
         Everything else becomes an escape: controls, bidirectional marks, what is invisible or combines, right-to-left
         letters (they reorder what stands beside them), symbols and spaces beyond ASCII, bytes that are not UTF-8.

Build servers take commands out of whatever a step prints: GitHub's runner obeys `##[name]text` anywhere in a line,
Azure Pipelines `##vso[name]text`. Both rules break such a mark up, as \x23. (`::name::text` counts at the start of a
line only, where no untrusted text stands.)

Names with anything but plain characters are quoted as a POSIX shell quotes them ($'...' when there are escapes), so a
name cannot pass for the text around it, and can be copied into a command. Prints nothing.
"""

from __future__ import annotations

import os
import re

_SERVER_COMMAND = re.compile(r"(?<=#)#(?=\[|vso\[)", re.IGNORECASE)
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
# A word: letters, and the marks and format characters that would join them.
_WORD = r"[^\W\d_]+"
_FREE_SCRIPTS = ("CJK UNIFIED", "HIRAGANA LETTER", "KATAKANA LETTER", "KATAKANA-HIRAGANA PROLONGED", "HANGUL SYLLABLE")
_MARKLESS_LATIN = frozenset("ßæÆøØœŒđĐłŁþÞðÐ")
# Letters that many fonts draw as ASCII characters: the single letters of Unicode's confusables for these scripts.
_LOOKALIKE = frozenset(
    "аАвВгГеЕѐЀёЁзЗиіІїЇјЈкКмМнНоОпПрРсСтТуУхХьЬѕЅһҺԁԌԛԚԝԜѡѵѴӏӀүҮ"
    "αΑβΒγΓεΕζΖηΗικΙΚμΜνΝοΟπρΡσςτΤυΥχΧωΩϲϹϳϿϺάέίόύώήΆΈΊΌΎΉ"
    "一丨丶丿乙二工卜八口ノーニハロヘへトエ"
)
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_@+=:,./-")


def exact(text: str) -> str:
    """`text` with everything but printable ASCII as escapes."""
    shown = text if text.isascii() and text.isprintable() else "".join(map(_exact_char, text))
    return _SERVER_COMMAND.sub(r"\\x23", shown) if "##" in shown else shown


def in_json(text: str) -> str:
    """A JSON document of ASCII with escapes for the rest of what `exact` escapes: inside its strings, nowhere else."""
    return _SERVER_COMMAND.sub(r"\\u0023", text.replace("\x7f", "\\u007f"))


def bare(text: str) -> str:
    """A file name by the `path` rule without quotes: for reports that mark off what is untrusted in their own way."""
    return "".join(char if keep else _path_char(char) for char, keep in zip(text, _kept(text), strict=True))


def name(text: str) -> str:
    """A member or class name by the `exact` rule, in quotes when it is more than a plain word."""
    shown = exact(text)
    if shown and _PLAIN.issuperset(shown):
        return shown
    quoted = shown.replace("'", "\\'")
    return f"'{quoted}'"


def path(text: str, *, windows: bool = os.name == "nt") -> str:
    """A file name by the `path` rule, quoted where a shell would need it: one word of a command to copy."""
    kept = _kept(text)
    if all(kept):
        if windows:
            return text if (_PLAIN | {"\\", "~"}).issuperset(text) else f'"{text}"'
        import shlex

        return shlex.quote(text)
    shown = "".join(_quoted_char(char) if keep else _path_char(char) for char, keep in zip(text, kept, strict=True))
    return f"$'{shown}'"


def argument(text: str, *, windows: bool = os.name == "nt") -> str:
    """A file name as an argument of a command to copy: `path` that is never taken for an option; "-" stays "-"."""
    return path("./" + text if text.startswith("-") and text != "-" else text, windows=windows)


def _kept(text: str) -> list[bool]:
    """For each character of a file name, whether it is shown as it is."""
    kept = [char.isascii() and char.isprintable() for char in text]
    for mark in _SERVER_COMMAND.finditer(text):
        kept[mark.start()] = False
    if text.isascii():
        return kept
    for word in re.finditer(_WORD, text):
        if not word[0].isascii() and _readable(word[0]):
            kept[word.start() : word.end()] = [True] * len(word[0])
    return kept


def _readable(word: str) -> bool:
    """Whether no letter of `word` can be taken for another."""
    scripts = {_script(char) for char in word}
    if None in scripts or (scripts & {"cyrillic", "greek"} and len(scripts) > 1):
        return False
    return any(not char.isascii() and char not in _LOOKALIKE for char in word)


def _script(char: str) -> str | None:
    """The script of a letter that may be shown, None for any other character."""
    if char.isascii():
        return "latin"
    import unicodedata  # only names beyond ASCII need it, and every start would pay for it

    if unicodedata.normalize("NFKC", char) != char:
        return None
    title = unicodedata.name(char, "")
    if title.startswith("LATIN"):
        bare = unicodedata.normalize("NFD", char)
        return "latin" if char in _MARKLESS_LATIN or (len(bare) > 1 and bare[0].isascii()) else None
    for script in ("CYRILLIC", "GREEK"):
        if title.startswith((f"{script} SMALL LETTER", f"{script} CAPITAL LETTER")):
            return script.lower()
    return "free" if title.startswith(_FREE_SCRIPTS) else None


def _exact_char(char: str) -> str:
    if char.isascii() and char.isprintable():
        return char
    return _NAMED.get(char) or _escape(ord(char))


def _quoted_char(char: str) -> str:
    """A character that stays, inside $'...'."""
    return "\\" + char if char in "\\'" else char


def _path_char(char: str) -> str:
    """A character of a file name as an escape; what Python keeps as a lone surrogate is the byte it stands for."""
    code = ord(char)
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else _NAMED.get(char) or _escape(code)


def _escape(code: int) -> str:
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
