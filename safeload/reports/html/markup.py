"""HTML as text that cannot be broken out of: what is not Markup already is escaped, in content and in attributes.

SECURITY: paths, members and evidence come from whoever made a file. There is one way from text to Markup, through
`escape.exact` (nothing invisible, nothing that turns a line round) and then through the five characters that mean
something in HTML. Names of elements and attributes are constants of the caller. The result is ASCII: what encoding a
browser takes the file for changes nothing.
"""

from __future__ import annotations

import html

from safeload.reports import escape

# Elements without content, and so without an end.
_VOID = frozenset({"meta", "input", "br", "rect"})
# Elements that end a line of the source, so that two pages can be compared by a person.
_LINES = frozenset(
    {"meta", "section", "article", "header", "main", "footer", "div", "dl", "li", "tr", "table", "details"}
)


class Markup(str):
    """Text that is HTML."""

    __slots__ = ()


def text(untrusted: str) -> Markup:
    """Any text, by the `exact` rule."""
    return Markup(html.escape(escape.exact(untrusted), quote=True))


def path(untrusted: str) -> Markup:
    """A file name, by the `path` rule; letters beyond ASCII as references."""
    return Markup(html.escape(escape.path(untrusted), quote=True).encode("ascii", "xmlcharrefreplace").decode("ascii"))


def tag(name: str, /, *content: str, **attributes: str | int | float | bool | None) -> Markup:
    """One element. An attribute that is False or None is left out, a True one stands alone.

    Underscores in names of attributes become hyphens ("aria_label"), one at their end goes ("class_").
    """
    opened = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        spelled = key.removesuffix("_").replace("_", "-")
        opened.append(spelled if value is True else f'{spelled}="{_plain(str(value))}"')
    end = "\n" if name in _LINES else ""
    if name in _VOID and not content:
        return Markup(f"<{' '.join(opened)}{'/' if name == 'rect' else ''}>{end}")
    return Markup(f"<{' '.join(opened)}>{join(*content)}</{name}>{end}")


def join(*content: str) -> Markup:
    """Pieces one after the other; those that are not Markup are escaped."""
    return Markup("".join(piece if isinstance(piece, Markup) else text(piece) for piece in content))


def raw(name: str, constant: str) -> Markup:
    """A style or script element. SECURITY: `constant` is ours to the byte: the page's policy admits it by its hash."""
    return Markup(f"<{name}>{constant}</{name}>")


def _plain(value: str) -> str:
    return value if isinstance(value, Markup) else text(value)


def sized(count: int) -> str:
    """A number of bytes for people."""
    if count < 1024:
        return f"{count} byte{'' if count == 1 else 's'}"
    scaled = float(count)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        scaled /= 1024
        if scaled < 1024 or unit == "TiB":
            break
    return f"{scaled:.0f} {unit}" if scaled >= 100 else f"{scaled:.1f} {unit}"


def counted(count: int, what: str) -> str:
    """A number and its noun."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"
