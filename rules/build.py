"""Build what safeload ships of this folder: `python rules/build.py [--check]`.

    *.toml     -> safeload/policy/table.py       the rules
    README.md  -> safeload/policy/explained.py   what each rule id means, for `safeload rules show`

Run it after every change here. With --check it writes nothing and exits 1 when one of them is out of date.
"""

from __future__ import annotations

import sys
from pathlib import Path

from safeload.errors import UsageError
from safeload.policy.packs import read_folder
from safeload.policy.rules import Rules, digest_of

FOLDER = Path(__file__).resolve().parent
TABLE = FOLDER.parent / "safeload" / "policy" / "table.py"
EXPLAINED = TABLE.with_name("explained.py")

HEAD = '''"""GENERATED from rules/*.toml by rules/build.py: edit the rules, run it, and never edit this file.

Plain literals only, so that importing it costs a load of constants: see `rules.py` for the fields of each row.
"""
# ruff: noqa: E501
# fmt: off

from __future__ import annotations

DIGEST = "{digest}"

'''

EXPLAINED_HEAD = '''"""GENERATED from rules/README.md by rules/build.py: edit the headings there, and never this file.

Each rule id with its section and its text, whose paragraphs are lines: for `safeload rules` and reports that explain.
"""
# ruff: noqa: E501
# fmt: off

from __future__ import annotations

RULES: tuple[tuple[str, str, str], ...] = (
'''

SECTIONS = (
    ("VETTED", "vetted", "tuple[tuple[str, ...], tuple[str, ...], str, str, str, bool, str, str, str]"),
    ("DANGEROUS", "dangerous", "tuple[tuple[str, ...], tuple[str, ...], str, str, str, str]"),
    ("KNOWN", "known", "tuple[tuple[str, ...], tuple[str, ...], str, str, str]"),
)


def literal(value: object) -> str:
    """`value` as source text with double quotes, ASCII only, so that the file is the same everywhere."""
    if isinstance(value, tuple):
        inner = ", ".join(map(literal, value))
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if isinstance(value, str):
        escaped = ascii(value)[1:-1]
        return '"' + escaped.replace("\\'", "'").replace('"', '\\"') + '"'
    return repr(value)


def render(rules: Rules) -> str:
    """The text of table.py for `rules`."""
    parts = [HEAD.format(digest=digest_of(rules))]
    for constant, field, kind in SECTIONS:
        rows = "".join(f"    {literal(tuple(rule))},\n" for rule in getattr(rules, field))
        parts.append(f"{constant}: tuple[{kind}, ...] = (\n{rows})\n")
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def explanations(readme: str) -> list[tuple[str, str, str]]:
    """(rule id, section, text) for each third heading of `readme`, in its order. A paragraph becomes one line."""
    found: list[tuple[str, str, list[str]]] = []
    section = ""
    for line in readme.splitlines():
        if line.startswith("## "):
            section = line[3:].strip()
        elif line.startswith("### "):
            found.append((line[4:].strip(), section, [""]))
        elif found and found[-1][1] == section:
            text = found[-1][2]
            if not line.strip():
                text.append("")
            else:
                text[-1] = f"{text[-1]} {line.strip()}".strip()
    return [(rule, part, "\n".join(filter(None, text))) for rule, part, text in found]


def render_explained(readme: str) -> str:
    """The text of explained.py for the text of README.md."""
    return EXPLAINED_HEAD + "".join(f"    {literal(row)},\n" for row in explanations(readme)) + ")\n"


def main(arguments: list[str]) -> int:
    """Write the table, or compare it with --check."""
    try:
        rules = read_folder(FOLDER)
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    readme = FOLDER / "README.md"
    made = {TABLE: render(rules)}
    if readme.is_file():
        made[EXPLAINED] = render_explained(readme.read_text(encoding="utf-8"))
    if arguments == ["--check"]:
        stale = [path for path, text in made.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
        print(
            f"{', '.join(map(str, stale))}: out of date, run python rules/build.py" if stale else "both are up to date"
        )
        return 1 if stale else 0
    for path, text in made.items():
        path.write_text(text, encoding="utf-8", newline="\n")
    counts = (sum(len(r.modules) * len(r.names) for r in getattr(rules, field)) for _, field, _ in SECTIONS)
    print("{} vetted, {} dangerous, {} known entries".format(*counts))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
