"""Keras's own archive (.keras): a configuration in JSON that names every class, and weights beside it.

Layout and semantics: keras/src/saving/saving_lib.py of Keras 3. Members are found by their exact names.
"""

from __future__ import annotations

from safeload.containers.kinds import readers
from safeload.containers.kinds.interface import AsContent, AsFile, Kind, Row
from safeload.containers.zip.flavour import KERAS

KIND = Kind(
    KERAS,
    floor=("keras-model", "a Keras model: load_model builds the classes that its configuration names"),
    rows=(
        Row(r"config\.json", AsContent(readers.keras)),
        Row(r"metadata\.json|model\.weights\.(?:h5|npz)|model(?:_\d{5})?\.weights\.(?:h5|json)", AsFile()),
        Row(r"_layer_checkpoint_dependencies\.(?:h5|npz)|assets/.*|tokenizer/.*", AsFile()),
    ),
)
