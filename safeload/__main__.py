"""`python -m safeload`."""

from __future__ import annotations

import os
import sys


def current_folder() -> str:
    """The current folder as Python spells it on the module path; "" when it was removed."""
    try:
        return os.getcwd()
    except OSError:
        return ""


if __name__ == "__main__":
    # SECURITY: `-m` puts the current folder, which may be the folder under judgement, before every other: a click.py in
    # it would be run. (What Python itself imports to get here it has taken from there: `python -P -m` is better.)
    if not sys.flags.safe_path and sys.path and sys.path[0] in (current_folder(), ""):
        del sys.path[0]
    from safeload.cli import main

    main()
