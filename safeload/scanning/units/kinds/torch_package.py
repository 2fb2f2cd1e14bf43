"""An unpacked torch.package: what PackageImporter("folder") takes (torch/package/_directory_reader.py, 2.13).

The importer needs one file, .data/extern_modules. Every other file that ends in .py is a module, named by its place in
the folder; one is run when a pickle of the package, or another of its modules, names it. The extern list says which
modules may come from outside. It is the package's own list, so nothing here reads it for permission.
"""

from __future__ import annotations

from collections.abc import Iterator

from safeload.findings import Finding
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.scanning.units.interface import Folder, folder_code
from safeload.scanning.units.shadowing import module_of, shadows

_EXTERN = ".data/extern_modules"


class _TorchPackage:
    name = "torch-package"
    marks = (_EXTERN,)

    def judge(self, folder: Folder, policy: Policy, limits: Limits) -> Iterator[Finding]:
        """Every module of the package, and those that stand in for trusted ones."""
        # Directories below .data are no modules for the importer; a file right in it, ".data/x.py", is none either.
        code = [name for name in folder.names() if module_of(name) is not None and not name.startswith(".data/")]
        yield from shadows(code, policy, alone=True)
        for name in code:
            yield folder_code(
                name,
                f"module {module_of(name) or '(the top package)'} of an unpacked torch.package: it runs when a pickle "
                "of the package names it, whatever its list of external modules says",
                "no setting: torch.package.PackageImporter runs it",
            )


TORCH_PACKAGE = _TorchPackage()
