"""Proves that a file is text, and that no unpickler gets anywhere with it.

Text is printable UTF-8, or another encoding that is plain to see. All of the file is read. Any text can begin like a
pickle ("class A:" imports a module "lass A:"): it is text only when its reading as a pickle is certain to break, and
when nothing happens before it breaks. Runs nothing, and judges nothing.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Callable

from safeload.containers.interface import Pickle
from safeload.errors import LimitExceeded, Malformed
from safeload.limits import Limits
from safeload.machine import Global, Mutation, Persistent, Program
from safeload.policy import Policy, Standing
from safeload.scanning.streams import interpret
from safeload.source import Source

Near = Callable[[str], bool]
"""Answers whether a file or a folder of this name, with any ending, lies beside a text or in the scanned folder."""

_PIECE = 1 << 20
# What no text holds. A tab, line ends, a form feed and the escape of terminals are text.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
# Two lines of an import; a longer first line names no module that could be there.
_LONGEST_IMPORT = 4096
_ENDLESS = 1 << 40
# Opcodes of a stream that is one literal, and how many of them may follow each other.
_LITERAL, _LITERALS = 2, 16
_DOTTED = r"[^\W\d]\w*(\.[^\W\d]\w*)*"

# Text in another encoding is held in memory, and nobody writes much of it.
_ENCODED = 8 << 20
# PEP 263, which programs and editors look for in the first two lines, and what XML, HTML and message catalogs say.
_DECLARED = re.compile(rb"(?:coding[:=][ \t]*|encoding=[\"']|charset=[\"']?)([A-Za-z0-9._-]{2,30})")
_DECLARES = 1024
# SECURITY: a closed list. Other codecs (UTF-7, "unicode_escape", HZ) make text of other characters than those that are
# printed: a program in them says something else than what stands there.
_ENCODINGS = {
    name.replace("-", "").replace("_", ""): name
    for name in (
        *("latin-1", "koi8-r", "koi8-u", "big5", "gb2312", "gbk", "gb18030", "shift_jis", "euc-jp", "euc-kr"),
        *("cp932", "cp949"),
        *(f"iso8859-{part}" for part in (1, 2, 3, 4, 5, 7, 9, 13, 15)),
        *(f"{maker}125{part}" for maker in ("cp", "windows-") for part in (0, 1, 2, 3, 4, 7)),
    )
}
# How much of a text in no declared encoding is printable ASCII, in hundredths, and how long it is: a few raw numbers
# look like letters now and then.
_ASCII_PART, _SHORTEST = 85, 32
_ASCII = bytes((9, 10, 12, 13, *range(32, 127)))
# What texts of every script that is written in UTF-16 have in them: blanks, lines, digits, full stops; in hundredths.
_PLAIN_PART = 5
_PLAIN = re.compile(r"[\t\n\r -~\u3000-\u3002\uff0c]")
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f-\x84\x86-\x9f]")
_NO_LETTERS = frozenset({"Cn", "Co", "Cs"})


def is_text(source: Source, limits: Limits, policy: Policy, near: Near) -> bool:
    """Whether `source` is text and no pickle. Raises LimitExceeded when it is too large to be read."""
    if source.size > limits.passive_bytes:
        raise LimitExceeded(f"a text of {source.size} bytes", limit="passive_bytes")
    # SECURITY: the pickle first: what is read below counts as judged, and must be what the machine read.
    if runs_as_pickle(source, limits, policy, near):
        return False
    decoder = codecs.getincrementaldecoder("utf-8")()
    for at in range(0, source.size, _PIECE):
        length = min(_PIECE, source.size - at)
        piece = source.pass_over(at, length)
        try:
            text = decoder.decode(piece, final=at + length == source.size)
        except UnicodeDecodeError:
            return False
        if _UNPRINTABLE.search(text):
            return False
    return True


def in_another_encoding(source: Source, limits: Limits, policy: Policy, near: Near) -> bytes | None:
    """The text of `source` in UTF-8, when it is text in UTF-16 or an encoding older than Unicode, and no pickle.

    Programs that decode the text read what is returned. The caller has to ask what that is to them.
    """
    if source.size > _ENCODED or runs_as_pickle(source, limits, policy, near):
        return None
    data = source.pass_over(0, source.size)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = _decoded(data, "utf-16")
        if text is None or len(_PLAIN.findall(text)) * 100 < len(text) * _PLAIN_PART:
            return None
        letters = (unicodedata.category(letter) not in _NO_LETTERS for letter in set(text))
        return text.encode() if all(letters) else None
    declared = _DECLARED.search(data, 0, _DECLARES)
    name = re.sub(r"[^a-z0-9]", "", declared[1].decode().lower()) if declared else ""
    text = _decoded(data, _ENCODINGS[name]) if name in _ENCODINGS else None
    plain = len(data) - len(data.translate(None, _ASCII))
    if text is None and len(data) >= _SHORTEST and plain * 100 >= len(data) * _ASCII_PART:
        # Which of the old ones it is cannot be told; what is printed in ASCII is the same in all of them.
        text = _decoded(data, "cp1252")
    return None if text is None else text.encode()


def _decoded(data: bytes, encoding: str) -> str | None:
    """The text, None when it does not decode or is not printable. SECURITY: strictly, or anything would be text."""
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        return None
    return None if _CONTROLS.search(text) else text


def runs_as_pickle(source: Source, limits: Limits, policy: Policy, near: Near) -> bool:
    """Whether an unpickler gets anywhere with the text: to a value, a call, a state, or a module that may be there.

    A literal before a full stop is no value yet ("N.B.", "CacheControl==1.0."), as long as a reader that goes on breaks
    on what follows.

    SECURITY: an unpickler with another limit or encoding than ours goes on where we would stop. So a limit counts as an
    effect, and the encoding is the one that no text breaks.
    """
    # A literal that is longer than the file breaks off at its end. No limit may hide that.
    endless = limits._replace(string_bytes=_ENDLESS)
    start = 0
    for _ in range(_LITERALS):
        try:
            program = interpret(source, Pickle("object", start, source.size, encoding="latin1"), endless)
        except LimitExceeded:
            return True
        except Malformed as error:
            part = error.partial
            return part is None or _acts(part, policy, near) or _imports(source, start, error, policy, near)
        # SECURITY: one literal and STOP, so that there is no memo which a second load() could see.
        if program.effects or program.opcodes != _LITERAL or start + program.end >= source.size:
            return True
        start += program.end
    return True


def breaks_at_import(source: Source, limits: Limits, policy: Policy, near: Near) -> bool:
    """Whether an unpickler breaks on the first import of `source`, so that it never reaches what follows."""
    try:
        program = interpret(source, Pickle("object", 0, source.size, encoding="latin1"), limits)
    except (LimitExceeded, Malformed) as error:
        if error.partial is None:
            return False
        program = error.partial
    for effect in program.effects:
        if isinstance(effect, Global):
            return _fails({effect.raw_module, effect.module}, effect.name, policy, near)
        if not isinstance(effect, Persistent):
            return False
    return False


def _acts(program: Program, policy: Policy, near: Near) -> bool:
    for effect in program.effects:
        if isinstance(effect, Mutation) and _is_refused(effect):
            return False  # the reading breaks here: nothing behind it is reached
        failing = isinstance(effect, Global) and _fails({effect.raw_module, effect.module}, effect.name, policy, near)
        if not (failing or isinstance(effect, Persistent)):
            return True
    return False


def _is_refused(change: Mutation) -> bool:
    """Whether every unpickler breaks on a change: numbers and texts take no items, and no state.

    That is certain only when there are items, and when the state is text: otherwise some unpicklers go on.
    """
    stated = change.kind != "build" or type(change.payload) in (str, bytes)
    return type(change.target) in (int, float, str, bytes, bool) and stated and bool(change.payload)


def _imports(source: Source, start: int, error: Malformed, policy: Policy, near: Near) -> bool:
    """Whether the reading broke at an INST without its mark, whose module does something when it is imported.

    SECURITY: the unpickler in Python imports the class before it misses the mark; the one in C does not. Nobody gets
    the class. So a module counts only when it lies beside the text, or when a rule calls it dangerous.
    """
    lines = source.peek(start + (error.offset or 0), _LONGEST_IMPORT).split(b"\n", 2)
    if not lines[0].startswith(b"i"):
        return False
    if len(lines[0]) == _LONGEST_IMPORT:
        return False  # longer than the name of any file
    # A name that goes on is taken for one that could be there.
    name = lines[1].decode("utf-8", "replace") if len(lines) == 3 else "name"
    return _does_something({lines[0][1:].decode("utf-8", "replace")}, name, policy, near)


def _fails(modules: set[str], name: str, policy: Policy, near: Near) -> bool:
    """Whether the import of `name` fails on every machine, whatever is installed there.

    `modules` are the spellings of one module: the text's own, and the one to which Python 3 changes an old name.

    SECURITY: Python runs the module before it looks for the name, so a file of that name beside the text always counts.
    A full stop in front changes nothing: for ".helper" Python runs helper.py before it refuses the rest.
    """
    if _does_something(modules, name, policy, near):
        return False
    named = _importable(modules)
    if not named or not all(re.fullmatch(_DOTTED, text) for text in (*named, name)):
        return True  # no module has an empty name: Python refuses it at once
    unknown = all(policy.decide(module, name).kind is Standing.UNKNOWN for module in named)
    return unknown and not any(policy.knows_package(module.partition(".")[0]) for module in named)


def _importable(modules: set[str]) -> set[str]:
    return {module.lstrip(".") or module for module in modules if module}


def _does_something(modules: set[str], name: str, policy: Policy, near: Near) -> bool:
    """Whether the module may lie beside the text, or is one that acts when it is imported."""
    return any(
        near(module.partition(".")[0]) or policy.decide(module, name).kind is Standing.DANGEROUS
        for module in _importable(modules)
    )
