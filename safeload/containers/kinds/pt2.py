"""torch.export's archive (.pt2), with AOTInductor's package in it: graphs as JSON, weights, and compiled code.

Layout: torch/export/pt2_archive/constants.py and _package.py of torch 2.13; the old one is that of torch 2.5 to 2.8,
which torch still falls back to. Expressions in the JSON are evaluated when the archive is loaded; compile flags reach a
shell; libraries are loaded into the process. Single records are found without regard to case.
"""

from __future__ import annotations

from safeload.containers.kinds import readers
from safeload.containers.kinds.interface import AsContent, AsFile, AsRaw, AsRecord, Kind, Row
from safeload.containers.zip.flavour import PT2, PT2_OLD

_FLOOR = (
    "pt2-program",
    "a torch.export archive: the program in it runs when it is called, and its expressions when it is loaded",
)
_AOTI = r"data/aotinductor/.*"

KIND = Kind(
    PT2,
    folder=True,
    caseless=True,
    floor=_FLOOR,
    rows=(
        Row(r"archive_format", AsRecord(rb"pt2")),
        Row(r"archive_version|\.data/version|version", AsRecord(rb"\d{1,9}\s?")),
        Row(r"byteorder", AsRecord(rb"little|big")),
        Row(r"\.data/serialization_id", AsRecord(rb"[\x20-\x7e]*")),
        Row(r"models/.*", AsContent(readers.pt2_program)),
        Row(
            r"data/weights/[^/]*_weights_config\.json|data/constants/[^/]*_constants_config\.json",
            AsContent(readers.pt2_payload),
        ),
        # SECURITY: raw numbers, or a checkpoint, as the configuration says: judged as whatever any program could read.
        Row(r"data/weights/weight_\d+|data/constants/tensor_\d+", AsRaw()),
        Row(r"data/constants/(?:custom|opaque)_obj_\d+", AsFile()),
        Row(r"data/(?:sample_inputs|weights|constants)/[^/]+\.pt", AsFile()),
        Row(_AOTI + r"_(?:compile|linker)_flags\.json", AsContent(readers.aoti_flags)),
        Row(_AOTI + r"_metadata\.json", AsContent(readers.aoti_metadata)),
        Row(_AOTI + r"/(?:weights_config|custom_objs_config)\.json", AsContent(readers.aoti_constants)),
        Row(_AOTI + r"\.json", AsContent(readers.aoti_kernels)),
        Row(_AOTI + r"(?:\.(?:cpp|cc|cu|h|hpp|ld)|/cmakelists\.txt)", AsContent(readers.aoti_source)),
        Row(_AOTI + r"\.(?:so|dll|dylib|o|obj|cubin|fatbin|ptx|hsaco|spv|metal)", AsContent(readers.aoti_native)),
        Row(_AOTI + r"(?:\.blob|_serialized_weights\.bin)", AsRaw()),
        Row(r"extra/.*", AsFile()),
    ),
)

OLD = Kind(
    PT2_OLD,
    floor=_FLOOR,
    rows=(
        Row(r"version", AsRecord(rb"\d{1,9}(?:\.\d{1,9})?\s?")),
        Row(r"serialized_exported_program\.json", AsContent(readers.pt2_program)),
        Row(r"serialized_(?:state_dict|constants|example_inputs)\.(?:pt|json)", AsFile()),
        Row(r"extra_files/.*", AsFile()),
    ),
)
