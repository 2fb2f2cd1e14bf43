"""What `torch.package` writes: a zip with Python source in it, which runs as soon as the package is used.

Layout: torch/package/package_exporter.py and package_importer.py of torch 2.13. Its reader finds names without regard
to case. Any resource may be unpickled (`load_pickle`), whatever it is called.
"""

from __future__ import annotations

from safeload.containers.interface import Naming
from safeload.containers.kinds.interface import AsCode, AsFile, AsPickle, AsRecord, AsStorage, Kind, Row
from safeload.containers.zip.flavour import PACKAGE

_MODULES = rb"(?s:[\w.\-]*(?:\r?\n[\w.\-]*)*)"

KIND = Kind(
    PACKAGE,
    folder=True,
    caseless=True,
    floor=(
        "package-code",
        "a torch.package: PackageImporter imports the Python modules in it, before and while it unpickles",
    ),
    rows=(
        Row(r"\.data/(\d+)\.storage", AsStorage()),
        # SECURITY: the list of modules that are to come from outside is the file's own, and grants nothing here.
        Row(r"\.data/extern_modules", AsRecord(_MODULES)),
        Row(r"\.data/version|version", AsRecord(rb"\d{1,9}\s?")),
        Row(r"\.data/python_version", AsRecord(rb"\d{1,3}(\.\w{1,8}){0,3}\s?")),
        Row(r"\.data/serialization_id", AsRecord(rb"[\x20-\x7e]*")),
        Row(r"byteorder", AsRecord(rb"little|big")),
        Row(r"\.storage_alignment", AsRecord(rb"[1-9]\d{0,8}")),
        Row(
            r".*\.py", AsCode("zip-python-code", "the member is Python code: torch.package imports it when it is used")
        ),
        Row(r".*\.pkl", AsPickle("resource", Naming.STORAGES)),
        Row(r"(?!\.data/).*", AsFile()),
    ),
)
