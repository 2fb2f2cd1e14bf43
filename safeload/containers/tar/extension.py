"""What the extension headers before one member of a tar say: pax records, and long names of GNU tar.

Mirrors CPython's Lib/tarfile.py. Of two headers that give a name the first wins there, because tarfile reads the
following headers first and then applies this one to the result. Other programs let the last one win, so two names are
a doubt. Reads the text of one header at a time, and no member.
"""

from __future__ import annotations

from safeload.errors import Malformed

# Keywords of a pax header that do not change where bytes lie.
_PAX_HARMLESS = frozenset(
    {"path", "linkpath", "mtime", "atime", "ctime", "uid", "gid", "uname", "gname", "comment", "charset", "hdrcharset"}
)
_SHARED_HARMLESS = _PAX_HARMLESS - {"path", "linkpath", "hdrcharset"}
_RESIZING = ("GNU.", "SCHILY.realsize", "SUN.holesdata")
_UTF8 = "ISO-IR 10646 2000 UTF-8"
# A writer puts at most four before a member: a global, a pax and two GNU headers. tarfile recurses for each.
_IN_A_ROW = 16
_SIZE_DIGITS = 20


class Extensions:
    """What the headers so far say of the next member.

    names, targets   in the order of the headers; tarfile takes the first
    size             of the member, when a pax record states it
    slashed          a pax path ended with slashes, which tarfile removes
    count, kinds     the headers so far
    doubts           why another program may read another member
    """

    __slots__ = ("count", "doubts", "kinds", "names", "size", "slashed", "targets")

    def __init__(self) -> None:
        self.count = 0
        self.kinds: list[bytes] = []
        self.names: list[str] = []
        self.targets: list[str] = []
        self.size: int | None = None
        self.slashed = False
        self.doubts: list[str] = []

    def add(self, kind: bytes, text: bytes, offset: int) -> None:
        """Add a header of the type `kind` with the content `text`, which lies at `offset`. Raises Malformed."""
        self.count += 1
        if self.count > _IN_A_ROW:
            raise Malformed(f"more than {_IN_A_ROW} tar extension headers in a row", offset=offset)
        if kind in self.kinds:
            self.doubts.append("two extension headers of one kind stand before it")
        self.kinds.append(kind)
        if kind in {b"L", b"K"}:
            name, _, rest = text.partition(b"\0")
            if any(rest):
                self.doubts.append("text follows the end of its long name")
            (self.names if kind == b"L" else self.targets).append(name.decode("utf-8", "backslashreplace"))
            return
        records = _records(text, offset)
        # SECURITY: a global header could rename or resize every later member, and tar programs disagree about which it
        # affects. So it may hold only keywords that change nothing of the kind.
        if kind == b"g":
            if not records.keys() <= _SHARED_HARMLESS:
                raise Malformed("the tar's global header changes members", offset=offset)
            return
        self._take(records, offset)

    def _take(self, records: dict[str, str], offset: int) -> None:
        # SECURITY: these keywords resize the next member (sparse files), and not every tar program knows them.
        if any(key.startswith(_RESIZING) for key in records):
            raise Malformed("the tar has sparse or resized members, which are not read", offset=offset)
        if (size := records.get("size")) is not None:
            if not (size.isascii() and size.isdigit() and len(size) <= _SIZE_DIGITS) or self.size is not None:
                raise Malformed("the tar has sparse or resized members, which are not read", offset=offset)
            self.size = int(size)
        path, target = records.get("path"), records.get("linkpath")
        charset = records.get("hdrcharset", _UTF8)
        if charset != _UTF8 and not (charset == "BINARY" and f"{path or ''}{target or ''}".isascii()):
            self.doubts.append("its pax header states a character set of its own")
        if path is not None:
            self.names.append(path.rstrip("/"))
            self.slashed = self.slashed or path.endswith("/")
        if target is not None:
            self.targets.append(target)
        if any("\0" in (text or "") for text in (path, target)):
            self.doubts.append("its name in a pax header goes on behind a NUL")


def _records(text: bytes, offset: int) -> dict[str, str]:
    """Keyword -> value of a pax header, which consists of records "length keyword=value newline"."""
    keywords: dict[str, str] = {}
    at = 0
    while at < len(text):
        space = text.find(b" ", at, at + 8)
        digits = text[at:space] if space > 0 else b""
        if not digits.isdigit():
            raise Malformed("the tar's pax header does not parse", offset=offset + at)
        end = at + int(digits)
        key, equals, value = text[space + 1 : end].partition(b"=")
        if end > len(text) or not equals or not key or not value.endswith(b"\n"):
            raise Malformed("the tar's pax header does not parse", offset=offset + at)
        word = key.decode("utf-8", "backslashreplace")
        if word in keywords:
            raise Malformed(f"the tar's pax header says {word[:60]!r} twice", offset=offset + at)
        # SECURITY: older versions of tarfile search the whole header for this word, and find it inside a value too:
        # they decode the names of this header in another encoding.
        if word != "hdrcharset" and b"hdrcharset=" in value:
            raise Malformed("a character set is named inside another record of a pax header", offset=offset + at)
        keywords[word] = value[:-1].decode("utf-8", "backslashreplace")
        at = end
    return keywords
