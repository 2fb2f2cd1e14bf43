"""torch.export's archive (.pt2), with AOTInductor's package in it: graphs as JSON, weights, and compiled code.

Layout: torch/export/pt2_archive/constants.py and _package.py of torch 2.13. The old layout is that of torch 2.5 to 2.8,
and torch still falls back to it. When torch loads an archive it evaluates expressions in the JSON, gives compile flags
to a shell, and loads libraries into the process. It ignores the case of the names of single records.
"""

from __future__ import annotations

from safeload.containers.kinds.interface import ArchiveKind, AsContent, AsFile, AsRaw, AsRecord, MemberRow
from safeload.containers.kinds.readers import Description
from safeload.containers.zip.flavour import PT2, PT2_OLD

_FLOOR = (
    "pt2-program",
    "a torch.export archive: the program in it runs when it is called, and its expressions when it is loaded",
)
_AOTI = r"data/aotinductor/.*"

KIND = ArchiveKind(
    PT2,
    folder=True,
    caseless=True,
    floor=_FLOOR,
    rows=(
        MemberRow(r"archive_format", AsRecord(rb"pt2")),
        MemberRow(r"archive_version|\.data/version|version", AsRecord(rb"\d{1,9}\s?")),
        MemberRow(r"byteorder", AsRecord(rb"little|big")),
        MemberRow(r"\.data/serialization_id", AsRecord(rb"[\x20-\x7e]*")),
        MemberRow(r"models/.*", AsContent(Description.PT2_PROGRAM)),
        MemberRow(
            r"data/weights/[^/]*_weights_config\.json|data/constants/[^/]*_constants_config\.json",
            AsContent(Description.PT2_PAYLOAD),
        ),
        # SECURITY: the configuration says whether this is raw numbers or a checkpoint. It comes with the file, so the
        # member is judged as whatever some program could read it as.
        MemberRow(r"data/weights/weight_\d+|data/constants/tensor_\d+", AsRaw()),
        MemberRow(r"data/constants/(?:custom|opaque)_obj_\d+", AsFile()),
        MemberRow(r"data/(?:sample_inputs|weights|constants)/[^/]+\.pt", AsFile()),
        MemberRow(_AOTI + r"_(?:compile|linker)_flags\.json", AsContent(Description.AOTI_FLAGS)),
        MemberRow(_AOTI + r"_metadata\.json", AsContent(Description.AOTI_METADATA)),
        MemberRow(_AOTI + r"/(?:weights_config|custom_objs_config)\.json", AsContent(Description.AOTI_CONSTANTS)),
        MemberRow(_AOTI + r"\.json", AsContent(Description.AOTI_KERNELS)),
        MemberRow(_AOTI + r"(?:\.(?:cpp|cc|cu|h|hpp|ld)|/cmakelists\.txt)", AsContent(Description.AOTI_SOURCE)),
        MemberRow(
            _AOTI + r"\.(?:so|dll|dylib|o|obj|cubin|fatbin|ptx|hsaco|spv|metal)", AsContent(Description.AOTI_NATIVE)
        ),
        MemberRow(_AOTI + r"(?:\.blob|_serialized_weights\.bin)", AsRaw()),
        MemberRow(r"extra/.*", AsFile()),
    ),
)

OLD = ArchiveKind(
    PT2_OLD,
    floor=_FLOOR,
    rows=(
        MemberRow(r"version", AsRecord(rb"\d{1,9}(?:\.\d{1,9})?\s?")),
        MemberRow(r"serialized_exported_program\.json", AsContent(Description.PT2_PROGRAM)),
        MemberRow(r"serialized_(?:state_dict|constants|example_inputs)\.(?:pt|json)", AsFile()),
        MemberRow(r"extra_files/.*", AsFile()),
    ),
)
