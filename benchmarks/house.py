"""How large the house is: files, lines and the share of comments, in all and by folder.

    python benchmarks/house.py [FOLDER]     FOLDER is a checkout; this one when it is left out

Lines of tables that a script writes (their docstring begins with GENERATED) are counted apart: nobody reads them. The
share of comments is that of lines that hold a comment, whole or behind code; docstrings are no comments.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent


class Size(NamedTuple):
    """What a number of files add up to."""

    files: int = 0
    lines: int = 0
    comments: int = 0

    def plus(self, other: Size) -> Size:
        """Both together."""
        return Size(*(a + b for a, b in zip(self, other, strict=True)))


def size_of(text: str) -> Size:
    """One file."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return Size(1, text.count("\n"), len({token.start[0] for token in tokens if token.type == tokenize.COMMENT}))


def generated(text: str) -> bool:
    """Whether a script writes this file."""
    return (ast.get_docstring(ast.parse(text)) or "").startswith("GENERATED")


def rows(package: Path) -> Iterator[tuple[str, Size]]:
    """Each folder right below the package, the files at its root, all of it, and what is generated."""
    parts: dict[str, Size] = {}
    whole, tables = Size(), Size()
    for path in sorted(package.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        size = size_of(text)
        if generated(text):
            tables = tables.plus(size)
            continue
        inner = path.relative_to(package).parts
        name = f"{inner[0]}/" if len(inner) > 1 else "(root)"
        parts[name] = parts.get(name, Size()).plus(size)
        whole = whole.plus(size)
    yield from sorted(parts.items())
    yield "all", whole
    yield "generated", tables


def main() -> int:
    """Prints one line a folder."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT
    print(f"{'':16} {'files':>5} {'lines':>7} {'comments':>9}")
    for name, size in rows(root / "safeload"):
        print(f"{name:16} {size.files:5} {size.lines:7,} {size.comments / max(size.lines, 1):9.1%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
