"""What stable-baselines3 saves: torch checkpoints, and a JSON that holds pickles as base64 text.

Layout and semantics: stable_baselines3/common/save_util.py (`save_to_zip_file`, `load_from_zip_file`). Every JSON is
searched for such pickles, wherever it lies (see `json_file.py`), so `data` needs no row of its own kind.
"""

from __future__ import annotations

from safeload.containers.kinds.interface import AsFile, Kind, Row
from safeload.containers.zip.flavour import SB3

KIND = Kind(
    SB3,
    rows=(Row(r"data|_stable_baselines3_version|system_info\.txt|[^/]*\.pth", AsFile()),),
)
