"""Finds the Python files of a folder that replace a module which everybody trusts. Knows no loader."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache

from safeload.findings import Finding, Severity, Verdict
from safeload.policy import Policy
from safeload.policy.rules import VettedRule
from safeload.policy.standard_modules import STANDARD

_BASIC = frozenset({"torch", "numpy"})
_FOUNDATIONS = _BASIC | STANDARD - {"test"}
# Projects name a folder of their own "test"; no pickle names anything of CPython's.


def module_of(name: str) -> str | None:
    """The dotted module that the file `name` is for an importer whose path begins at the folder; None for no Python."""
    if not name.endswith(".py"):
        return None
    parts = name[: -len(".py")].split("/")
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def importable(name: str) -> str | None:
    """The same for Python's own import, which takes compiled files as well: .pyc, .so and .pyd."""
    if not name.endswith((".pyc", ".so", ".pyd")):
        return module_of(name)
    home, _, last = name.rpartition("/")
    return module_of(f"{home}/{last.partition('.')[0]}.py".lstrip("/"))


def shadows(
    names: Iterable[str],
    policy: Policy,
    *,
    below: str = "",
    module_of: Callable[[str], str | None] = module_of,
    alone: bool = False,
) -> Iterator[Finding]:
    """A finding for every Python file below the prefix `below` that has the name of a trusted module.

    With `alone` the loader looks for every module in the folder first, whatever was imported before (torch.package). A
    loader that puts the folder on Python's path does not. There only the modules that hold vetted names count: a
    code.py is no disguise.

    SECURITY: a pickle that names only collections.OrderedDict is clean, because everybody thinks of the standard
    library. If the folder has a collections.py, its loader runs that file instead.
    """
    vetted = _vetted_modules(policy.rules.vetted)
    for name in names:
        module = module_of(name[len(below) :]) if name.startswith(below) else None
        if module and (module in vetted or module.partition(".")[0] in (_FOUNDATIONS if alone else _BASIC)):
            yield Finding(
                "package-shadows", Verdict.DANGEROUS, Severity.HIGH,
                f"the folder brings its own {module}: whatever names that module gets this code instead of the real "
                "one, and code runs where only vetted names are seen",
                "do not load this folder; ask its author why it replaces this module", member=name, name=module,
            )  # fmt: skip


@cache
def _vetted_modules(rules: tuple[VettedRule, ...]) -> frozenset[str]:
    return frozenset(module for rule in rules for module in rule.modules)
