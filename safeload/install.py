"""How safeload is installed today: the one place that knows it, and where the project lives. Knows no other file.

There is no release yet, and the name `safeload` on a package registry could belong to anybody. So no page and no
message tells a reader to install by that name: each shows what `install_line` gives, which works in a clone. With the
first release PACKAGE becomes "safeload" and WHERE becomes "".
"""

from __future__ import annotations

ADDRESS = "https://github.com/OWNER/safeload"
"""Where the project lives. OWNER is a placeholder: pyproject.toml, CITATION.cff and the docs spell the same address."""

PACKAGE = "."
"""What pip is given: the clone in which the line is typed."""

WHERE = "in a clone of safeload"
"""Where the line has to be typed, "" for anywhere. It follows as a comment, so that the whole line can be typed."""


def install_line(extra: str = "", options: str = "") -> str:
    """The command that installs safeload.

    Args:
        extra: The name of an extra of pyproject.toml, such as "torch". None by default.
        options: Options of `pip install` that go before the package.

    Returns:
        A line for a shell: `pip install '.[torch]'  # in a clone of safeload`.
    """
    package = f"'{PACKAGE}[{extra}]'" if extra else PACKAGE
    words = " ".join(part for part in ("pip install", options, package) if part)
    return f"{words}  # {WHERE}" if WHERE else words
