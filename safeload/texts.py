"""Is a file text, and nothing else to an unpickler? Printable UTF-8 whose reading as a pickle is certain to break.

Reads all of it. Any text can begin like a pickle ("class A:" imports a module "lass A:"): what it would import on the
way decides. Runs nothing, and judges nothing.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable

from safeload.containers.interface import Pickle
from safeload.errors import LimitExceeded, Malformed
from safeload.limits import Limits
from safeload.machine import Global, Mutation, Persistent, Program
from safeload.policy import Kind, Policy
from safeload.source import Source
from safeload.streams import interpret

Near = Callable[[str], bool]
"""Whether a file or folder of this name, with any ending, lies beside a text or at the scanned root."""

_PIECE = 1 << 20
# What no text holds. A tab, line ends, a form feed and the escape of terminals are text.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
# Two lines of an import; a longer first line names no module that could be there.
_LONGEST_IMPORT = 4096
_ENDLESS = 1 << 40
# Opcodes of a stream that is one literal, and how many of them may follow each other.
_LITERAL, _LITERALS = 2, 16
_DOTTED = r"[^\W\d]\w*(\.[^\W\d]\w*)*"


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


def runs_as_pickle(source: Source, limits: Limits, policy: Policy, near: Near) -> bool:
    """Whether an unpickler gets anywhere with the text: to a value, a call, a state, or a module that may be there.

    A literal that happens to end before a full stop is no value yet ("N.B.", "CacheControl==1.0."): who goes on reading
    must break on what follows it.

    SECURITY: an unpickler with another limit or encoding than ours goes on where we would stop: a limit counts as an
    effect, and the encoding is the one that no text breaks.
    """
    # A literal that goes on behind the end breaks off there, whatever a limit says of it.
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
    """Whether an unpickler that is given `source` breaks on its first import: nothing behind that is reached."""
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
    """Whether every unpickler breaks on it: numbers and texts take no items, and have no `__setstate__` or `__dict__`.

    Only with items, and with a state that is text: without them some unpicklers go on.
    """
    stated = change.kind != "build" or type(change.payload) in (str, bytes)
    return type(change.target) in (int, float, str, bytes, bool) and stated and bool(change.payload)


def _imports(source: Source, start: int, error: Malformed, policy: Policy, near: Near) -> bool:
    """Whether the opcode that broke the reading is an INST without its mark, whose module may be there.

    SECURITY: the unpickler in Python imports the class before it misses the mark; the one in C does not.
    """
    lines = source.peek(start + (error.offset or 0), _LONGEST_IMPORT).split(b"\n", 2)
    if not lines[0].startswith(b"i"):
        return False
    if len(lines[0]) == _LONGEST_IMPORT:
        return False  # longer than the name of any file
    # A name that goes on is taken for one that could be there.
    name = lines[1].decode("utf-8", "replace") if len(lines) == 3 else "name"
    return not _fails({lines[0][1:].decode("utf-8", "replace")}, name, policy, near)


def _fails(modules: set[str], name: str, policy: Policy, near: Near) -> bool:
    """Whether importing `name` fails wherever the text is read, whatever is installed there.

    `modules` are the spellings of one module: as the text has it, and as Python 3 takes old names.

    SECURITY: the module runs before its name is looked for, so a file of that name beside the text always counts.
    """
    tops = {module.partition(".")[0] for module in modules}
    if any(map(near, tops)):
        return False
    kinds = {policy.decide(module, name).kind for module in modules}
    if Kind.DANGEROUS in kinds:
        return False  # a rule for all names of the module: importing it does something
    if not all(re.fullmatch(_DOTTED, text) for text in (*modules, name)):
        return True
    return kinds == {Kind.UNKNOWN} and not any(map(policy.knows_package, tops))
