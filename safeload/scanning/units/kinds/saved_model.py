"""A SavedModel of TensorFlow: a graph, whose operations run when the model is called, and some when it is loaded.

The graph is a program and is not judged further: the file is searched for operations that leave the graph, so that a
reader knows what to look for. That none is found means nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from safeload.errors import LimitExceeded
from safeload.findings import Finding, Severity, Verdict
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.scanning.units.interface import Folder, folder_code

_GRAPHS = ("saved_model.pb", "saved_model.pbtxt")

_LEAVES_THE_GRAPH = (
    b"PyFunc", b"EagerPyFunc", b"PyFuncStateless", b"WriteFile", b"ReadFile", b"MatchingFiles", b"ImmutableConst",
    b"SaveDataset", b"SaveDatasetV2", b"CreateSummaryFileWriter", b"CreateSummaryDbWriter", b"PrintV2", b"RpcCall",
    b"TryRpc", b"DebugIdentityV2", b"TFRecordDataset", b"FixedLengthRecordReaderV2", b"WholeFileReaderV2",
)  # fmt: skip
"""Operations that read or write files, call Python or open connections (TensorFlow's op registry)."""

_PIECE = 1 << 20
_REMEDY = "run the model only where its author may run code, or ask for the weights in safetensors"


class _SavedModel:
    name = "saved-model"
    marks = _GRAPHS

    def judge(self, folder: Folder, policy: Policy, limits: Limits) -> Iterator[Finding]:
        """The floor of the format, with the operations that a reader should look at; and code of Keras beside it."""
        for name in folder.names():
            if name.lower() in _GRAPHS:
                found = sorted(_occurring(folder, name, _LEAVES_THE_GRAPH, limits))
                named = f"; it holds the names {', '.join(found)}, which reach out of it" if found else ""
                yield Finding(
                    "saved-model", Verdict.UNVETTED, Severity.MEDIUM if found else Severity.LOW,
                    f"a graph of TensorFlow is a program, which runs when the model is loaded or called{named}",
                    _REMEDY, member=name, evidence=", ".join(found),
                )  # fmt: skip
            elif name.lower() == "keras_metadata.pb" and _occurring(folder, name, (b"Lambda",), limits):
                message = "the layers of Keras beside the graph name Lambda, which holds Python code as bytes"
                yield folder_code(name, message, "Keras 2 runs it without a setting, from 2.13 on with safe_mode=False")


def _occurring(folder: Folder, name: str, words: tuple[bytes, ...], limits: Limits) -> set[str]:
    """Which of `words` stand in the file; a word that is the end of a longer one does not count."""
    source = folder.open(name)
    try:
        if source.size > limits.passive_bytes:
            raise LimitExceeded(f"{name} has {source.size} bytes", limit="passive_bytes")
        found: set[str] = set()
        tail = b""
        for at in range(0, source.size, _PIECE):
            piece = tail + source.pass_over(at, min(_PIECE, source.size - at))
            found.update(word.decode() for word in words if _stands(word, piece))
            tail = piece[-64:]
        return found
    finally:
        source.close()


def _stands(word: bytes, piece: bytes) -> bool:
    at = piece.find(word)
    while at >= 0:
        before, after = piece[at - 1 : at], piece[at + len(word) : at + len(word) + 1]
        if not (before.isalnum() or after.isalnum()):
            return True
        at = piece.find(word, at + 1)
    return False


SAVED_MODEL = _SavedModel()
