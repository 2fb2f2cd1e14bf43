"""What stable-baselines3 saves: torch checkpoints, and a JSON that holds pickles as base64 text.

Layout and semantics: stable_baselines3/common/save_util.py (`save_to_zip_file`, `load_from_zip_file`). Every JSON is
searched for such pickles, wherever it lies (see `text/json_file.py`), so `data` needs no reader of its own.
"""

from __future__ import annotations

from safeload.containers.kinds.interface import ArchiveKind, AsFile, MemberRow
from safeload.containers.zip.flavour import SB3

KIND = ArchiveKind(
    SB3,
    rows=(MemberRow(r"data|_stable_baselines3_version|system_info\.txt|[^/]*\.pth", AsFile()),),
)
