"""TorchServe's model archive (.mar): a zip that is unpacked, and whose handler is imported when the model is served.

Layout: pytorch/serve, model-archiver/model_archiver/model_packaging_utils.py; ts/model_loader.py imports the handler.
"""

from __future__ import annotations

from safeload.containers.kinds import readers
from safeload.containers.kinds.interface import AsCode, AsContent, Kind, Row
from safeload.containers.zip.flavour import MAR

KIND = Kind(
    MAR,
    unpacked=True,
    floor=("mar-code", "a TorchServe archive: serving it imports the handler in it and may install what it asks for"),
    rows=(
        Row(r"(?i:mar-inf/manifest\.json)", AsContent(readers.torchserve)),
        Row(
            r"(?i:.*\.py)",
            AsCode("zip-python-code", "the member is Python code: TorchServe can import it when serving"),
        ),
    ),
)
