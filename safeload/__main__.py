"""`python -m safeload`."""

from __future__ import annotations

from safeload.cli import main

if __name__ == "__main__":
    main()
