"""TorchServe's model archive (.mar): a zip. TorchServe unpacks it, and imports its handler to serve the model.

Layout: pytorch/serve, model-archiver/model_archiver/model_packaging_utils.py; ts/model_loader.py imports the handler.
"""

from __future__ import annotations

from safeload.containers.kinds.interface import ArchiveKind, AsCode, AsContent, MemberRow
from safeload.containers.kinds.readers import Description
from safeload.containers.zip.flavour import MAR

KIND = ArchiveKind(
    MAR,
    unpacked=True,
    floor=("mar-code", "a TorchServe archive: serving it imports the handler in it and may install what it asks for"),
    rows=(
        MemberRow(r"(?i:mar-inf/manifest\.json)", AsContent(Description.TORCHSERVE_MANIFEST)),
        MemberRow(
            r"(?i:.*\.py)",
            AsCode("zip-python-code", "the member is Python code: TorchServe can import it when serving"),
        ),
    ),
)
