"""What `torch.package` writes: a zip with Python source in it, which runs as soon as somebody uses the package.

Layout: torch/package/package_exporter.py and package_importer.py of torch 2.13. Its reader ignores the case of names.
It can unpickle any resource (`load_pickle`), whatever its name.
"""

from __future__ import annotations

from safeload.containers.interface import Naming
from safeload.containers.kinds.interface import ArchiveKind, AsCode, AsFile, AsPickle, AsRecord, AsStorage, MemberRow
from safeload.containers.zip.flavour import PACKAGE

_MODULES = rb"(?s:[\w.\-]*(?:\r?\n[\w.\-]*)*)"

KIND = ArchiveKind(
    PACKAGE,
    folder=True,
    caseless=True,
    floor=(
        "package-code",
        "a torch.package: PackageImporter imports the Python modules in it, before and while it unpickles",
    ),
    rows=(
        MemberRow(r"\.data/(\d+)\.storage", AsStorage()),
        # SECURITY: the package lists modules that the importer takes from the loading process. The list comes with the
        # file, so it allows nothing here.
        MemberRow(r"\.data/extern_modules", AsRecord(_MODULES)),
        MemberRow(r"\.data/version|version", AsRecord(rb"\d{1,9}\s?")),
        MemberRow(r"\.data/python_version", AsRecord(rb"\d{1,3}(\.\w{1,8}){0,3}\s?")),
        MemberRow(r"\.data/serialization_id", AsRecord(rb"[\x20-\x7e]*")),
        MemberRow(r"byteorder", AsRecord(rb"little|big")),
        MemberRow(r"\.storage_alignment", AsRecord(rb"[1-9]\d{0,8}")),
        MemberRow(
            r".*\.py", AsCode("zip-python-code", "the member is Python code: torch.package imports it when it is used")
        ),
        MemberRow(r".*\.pkl", AsPickle("resource", Naming.STORAGES)),
        MemberRow(r"(?!\.data/).*", AsFile()),
    ),
)
