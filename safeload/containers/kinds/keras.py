"""Keras's own archive (.keras): a configuration in JSON that names every class, and weights beside it.

Layout and semantics: keras/src/saving/saving_lib.py of Keras 3. Members are found by their exact names.
"""

from __future__ import annotations

from safeload.containers.kinds.interface import ArchiveKind, AsContent, AsFile, MemberRow
from safeload.containers.kinds.readers import Description
from safeload.containers.zip.flavour import KERAS

KIND = ArchiveKind(
    KERAS,
    floor=("keras-model", "a Keras model: load_model builds the classes that its configuration names"),
    rows=(
        MemberRow(r"config\.json", AsContent(Description.KERAS_CONFIG)),
        MemberRow(r"metadata\.json|model\.weights\.(?:h5|npz)|model(?:_\d{5})?\.weights\.(?:h5|json)", AsFile()),
        MemberRow(r"_layer_checkpoint_dependencies\.(?:h5|npz)|assets/.*|tokenizer/.*", AsFile()),
    ),
)
