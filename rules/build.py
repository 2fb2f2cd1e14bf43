"""Build safeload/policy/table.py from the TOML files beside this script: `python rules/build.py [--check]`.

Run it after every change of a rule. With --check it writes nothing and exits 1 when the table is out of date.
"""

from __future__ import annotations

import sys
from pathlib import Path

from safeload.errors import UsageError
from safeload.policy.packs import read_folder
from safeload.policy.rules import Rules, digest_of

FOLDER = Path(__file__).resolve().parent
TABLE = FOLDER.parent / "safeload" / "policy" / "table.py"

HEAD = '''"""GENERATED from rules/*.toml by rules/build.py: edit the rules, run it, and never edit this file.

Plain literals only, so that importing it costs a load of constants: see `rules.py` for the fields of each row.
"""
# ruff: noqa: E501
# fmt: off

from __future__ import annotations

DIGEST = "{digest}"

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


def main(arguments: list[str]) -> int:
    """Write the table, or compare it with --check."""
    try:
        rules = read_folder(FOLDER)
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    text = render(rules)
    if arguments == ["--check"]:
        same = TABLE.is_file() and TABLE.read_text(encoding="utf-8") == text
        print("the table is up to date" if same else f"{TABLE} is out of date: run python rules/build.py")
        return 0 if same else 1
    TABLE.write_text(text, encoding="utf-8", newline="\n")
    counts = (sum(len(r.modules) * len(r.names) for r in getattr(rules, field)) for _, field, _ in SECTIONS)
    print("{} vetted, {} dangerous, {} known entries".format(*counts))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
