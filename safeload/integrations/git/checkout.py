"""What a checkout writes for a blob. git may change line ends, expand `$Id$`, and write the text in another encoding.

Mirrors convert.c and utf8.c of git (`convert_to_working_tree`): first ident, then line ends, then the encoding, then a
filter. `forms` gives every content that a clone on some system gets. A filter is a program and is never run: the result
says that its output is not known. Reads no repository; judges nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from safeload.integrations.git.encodings import Unknown, encoded
from safeload.source import Source

ATTRIBUTES = ("text", "crlf", "eol", "ident", "filter", "working-tree-encoding")

_CHUNK = 1 << 20
# Bytes of a text that git rewrites: it is held in memory. Nobody keeps a larger text in git.
_LARGEST = 256 << 20
# What git does not count as printable: control characters except BS, HT, LF, FF, CR and ESC; and DEL.
_ODD = bytes(set(range(32)) - set(b"\b\t\n\f\r\x1b")) + b"\x7f"
_END_OF_ID = re.compile(rb"[\n$]")
_FOREIGN = re.compile(rb"\$Id: .*?[ \t\n\r](?!\$)", re.DOTALL)


class Attributes(NamedTuple):
    """git's answer for one path: for each of ATTRIBUTES "set", "unset", "unspecified" or a value.

    `certain` is False when an attribute file may hold one of these three words as a value: then both meanings count.
    """

    text: str = "unspecified"
    crlf: str = "unspecified"
    eol: str = "unspecified"
    ident: str = "unspecified"
    filter: str = "unspecified"
    encoding: str = "unspecified"
    certain: bool = True


class CheckoutForm(NamedTuple):
    """One content that a checkout may write. `how` says in words how it comes about; "" for the blob as it is."""

    how: str
    data: bytes | None = None


class CheckoutForms(NamedTuple):
    """The contents that a checkout may write, besides the blob. `unknown` says why there may be further ones."""

    others: tuple[CheckoutForm, ...] = ()
    unknown: tuple[str, ...] = ()


def forms(source: Source, oid: str, attributes: Attributes, copied: frozenset[str] = frozenset()) -> CheckoutForms:
    """What a checkout may write for the blob `oid` with the content `source`.

    `copied` are the filters that are known to write the content unchanged.
    """
    unknown: list[str] = []
    name = attributes.filter
    if name not in {"set", "unset", "unspecified", "lfs"} and name not in copied:
        unknown.append(f"the filter {name[:60]!r} writes the file, and a filter is a program, which is not run")
    ends = _ends(attributes)
    wanted = ends == "always" or (ends == "auto" and _would_convert(source))
    ident = attributes.ident == "set" or (not attributes.certain and attributes.ident != "unspecified")
    encoding = "" if attributes.encoding in {"set", "unset", "unspecified"} else attributes.encoding
    if not (wanted or ident or encoding):
        return CheckoutForms((), tuple(unknown))
    if source.size > _LARGEST:
        unknown.append(f"git rewrites it, and it has more than {_LARGEST} bytes")
        return CheckoutForms((), tuple(unknown))
    blob = source.peek(0, source.size)
    found: dict[bytes, str] = {blob: ""}
    for how, data in _rewritten(blob, oid, ident=ident, ends=wanted):
        found.setdefault(data, how)
        try:
            for spelling, text in encoded(data, encoding):
                found.setdefault(text, f"{spelling}, {how}" if how else spelling)
        except Unknown as error:
            unknown.append(str(error))
    return CheckoutForms(
        tuple(CheckoutForm(how, data) for data, how in found.items() if how), tuple(dict.fromkeys(unknown))
    )


def _rewritten(blob: bytes, oid: str, *, ident: bool, ends: bool) -> Iterator[tuple[str, bytes]]:
    """The text before it is encoded: with and without each change, because some clones make it and some do not."""
    yield "", blob
    texts = [("", blob)]
    if ident:
        found = (("$Id$ expanded", expanded(blob, oid)), ("$Id$ expanded as it streams", streamed(blob, oid)))
        texts.extend(found)
        yield from found
    if ends:
        for how, text in texts:
            yield (f"CRLF line ends, {how}" if how else "CRLF line ends"), with_crlf(text)


def _ends(attributes: Attributes) -> str:
    """Whether LF may become CRLF on some system: "never", "auto" (by the content) or "always"."""
    action = _action(attributes.text, attributes.certain) or _action(attributes.crlf, attributes.certain) or "auto"
    # The attribute eol counts for every file that is not binary.
    if action == "binary":
        return "never"
    if attributes.eol == "crlf" and action in {"text", "auto"}:
        stated = attributes.text == "auto" or (attributes.text == "unspecified" and attributes.crlf == "auto")
        return "auto" if stated else "always"
    if attributes.eol == "lf" and attributes.certain:
        return "never"
    if action == "input":
        return "always" if attributes.eol == "crlf" else "never"
    return "always" if action == "text" else "auto"


def _action(value: str, certain: bool) -> str:
    """What the attribute text (or the older crlf) asks for; "" for nothing."""
    if value == "unset":
        return "binary" if certain else "auto"
    return {"set": "text", "auto": "auto", "input": "input"}.get(value, "")


def _would_convert(source: Source) -> bool:
    """Whether git takes the content, under `auto`, for a text with LF only. (gather_stats, convert_is_binary)"""
    lines = odd = printable = 0
    for at in range(0, source.size, _CHUNK):
        chunk = source.peek(at, _CHUNK)
        if b"\r" in chunk or b"\0" in chunk:
            return False
        ends = chunk.count(b"\n")
        strange = len(chunk) - len(chunk.translate(None, _ODD))
        lines, odd, printable = lines + ends, odd + strange, printable + len(chunk) - ends - strange
    if source.size and source.peek(source.size - 1, 1) == b"\x1a":
        odd -= 1
    return lines > 0 and printable >> 7 >= odd


def with_crlf(text: bytes) -> bytes:
    """`text` with CRLF for every LF that follows no CR. (crlf_to_worktree)"""
    return text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def expanded(text: bytes, oid: str) -> bytes:
    """`text` with the id of the blob in every `$Id$` and `$Id: ...$`. (ident_to_worktree)"""
    out: list[bytes] = []
    at = 0
    while (dollar := text.find(b"$", at)) >= 0:
        out.append(text[at : dollar + 1])
        at = dollar + 1
        if text[at : at + 2] != b"Id" or len(text) - at < 3:
            continue
        if text[at + 2 : at + 3] == b"$":
            at += 3
        elif text[at + 2 : at + 3] == b":":
            end = text.find(b"$", at + 3)
            if end < 0:
                break
            inside = text[at + 3 : end]
            # git leaves an id of another system, which has more words.
            if b"\n" in inside or b" " in inside[1:-1]:
                continue
            at = end + 1
        else:
            continue
        out.append(b"Id: " + oid.encode("ascii") + b" $")
    out.append(text[at:])
    return b"".join(out)


def streamed(text: bytes, oid: str) -> bytes:
    """The same for a large file, which git streams. There "$$Id$" stays as it is. (ident_filter_fn)"""
    out: list[bytes] = []
    at = 0
    while (start := text.find(b"$", at)) >= 0:
        out.append(text[at:start])
        at = start
        if text[start + 1 : start + 2] != b"I" or text[start + 2 : start + 3] != b"d":
            # git does not look again at letters that matched the beginning of the word.
            at = start + (3 if text[start + 1 : start + 2] == b"I" else 2)
            out.append(text[start:at])
            continue
        sign = text[start + 3 : start + 4]
        at = start + 4
        if sign == b":":
            found = _END_OF_ID.search(text, at)
            at = len(text) if found is None else found.end()
            if found is None or found[0] == b"\n" or _FOREIGN.match(text[start:at].partition(b"\0")[0]):
                out.append(text[start:at])
                continue
        elif sign != b"$":
            out.append(text[start:at])
            continue
        out.append(b"$Id: " + oid.encode("ascii") + b" $")
    out.append(text[at:])
    return b"".join(out)
