"""The last reader takes every file that no other reader takes. It says what the file seems to be, and what to do.

It gives one finding, so the verdict is never clean: nothing of the file was read.
"""

from __future__ import annotations

from safeload.containers.interface import ContainerLayout, Reading
from safeload.containers.sniff import HEAD, kind_of
from safeload.findings import Finding, Severity, Verdict
from safeload.limits import Limits
from safeload.source import Source

_GENERIC = "unrecognised-format"

# kind -> rule id, what it is, what to do.
_DIAGNOSES: dict[str, tuple[str, str, str]] = {
    "html": (
        "html-page", "this is HTML, probably a login or error page in place of the file",
        "download the file again with your credentials, or from its direct address",
    ),
    "torch7": (
        "torch7", "a file of Lua Torch 7, the predecessor of PyTorch: neither a pickle nor a tensor file",
        "convert it with the torchfile package in a sandbox, then save it with torch",
    ),
    "empty": ("empty-file", "the file is empty", "download it again"),
    "encrypted": (
        "encrypted", "the file is encrypted and nothing of it can be read", "decrypt it, then judge what comes out",
    ),
    "hdf5": (
        _GENERIC, "HDF5 (Keras and others): not a pickle format; not judged",
        "open it with h5py, which runs nothing; Keras models may hold code in Lambda layers, so load with safe_mode",
    ),
    "gguf": (_GENERIC, "GGUF (llama.cpp): not a pickle format; not judged", "read it with the gguf package"),
    "onnx": (_GENERIC, "probably ONNX: not a pickle format; not judged", "check it with onnx.checker"),
    "tflite": (_GENERIC, "TensorFlow Lite: not a pickle format; not judged", "read it with a TensorFlow Lite runtime"),
    "parquet": (_GENERIC, "Parquet: a table, not a model; not judged", "read it with pyarrow"),
    "sqlite": (_GENERIC, "an SQLite database; not judged", "read it with sqlite3"),
    "elf": (_GENERIC, "a program or library for Linux", "treat it like any program from its source"),
    "pe": (_GENERIC, "a program or library for Windows", "treat it like any program from its source"),
    "7z": (_GENERIC, "a 7z archive; not opened", "extract it, then judge what comes out"),
    "rar": (_GENERIC, "a RAR archive; not opened", "extract it, then judge what comes out"),
    "zip": ("truncated", "starts like a zip archive and is none that can be read: probably cut off",
            "download the file again and compare its length"),
    "text": (_GENERIC, "a text file", "name the model file instead"),
    "json": (_GENERIC, "a JSON file", "name the model file instead"),
    "python": (_GENERIC, "Python source, which runs when it is imported", "read it before you run it"),
    "image": (_GENERIC, "an image", "name the model file instead"),
    "font": (_GENERIC, "a font", "name the model file instead"),
    "audio": (_GENERIC, "an audio file", "name the model file instead"),
    "video": (_GENERIC, "a video", "name the model file instead"),
    "pdf": (_GENERIC, "a PDF document", "name the model file instead"),
}  # fmt: skip

WITHOUT_PICKLES = tuple(_DIAGNOSES[kind][1] for kind in ("gguf", "onnx", "tflite", "parquet", "sqlite", "elf", "pe"))
"""The messages about formats that hold no pickle and have no reader here."""


class Unrecognised:
    """See the module."""

    name = "unknown"

    def recognise(self, source: Source) -> bool:
        """See `Container.recognise`. True of every file: this reader is asked last."""
        return True

    def read(self, source: Source, limits: Limits) -> Reading:
        """See `Container.read`."""
        head = source.peek(0, HEAD)
        kind = kind_of(head, source.size)
        if kind == "lfs-pointer":
            rule, message = "lfs-pointer", "a Git LFS pointer: a few lines of text in place of the file"
            import shlex

            # SECURITY: quoted, because the name of the file is not ours and people paste this line into a shell.
            remedy = f"fetch the file: git lfs pull --include {shlex.quote(source.name)}"
        elif kind in _DIAGNOSES:
            rule, message, remedy = _DIAGNOSES[kind]
        elif not head.strip(b"\0"):
            rule, message = "truncated", "the file starts with nothing but zeros: a download that was never finished"
            remedy = "download the file again and compare its length"
        else:
            rule, message = _GENERIC, "no format of models that is known here"
            remedy = "convert it to safetensors with the program that wrote it"
        yield Finding(
            rule, Verdict.UNJUDGED, Severity.LOW, message, remedy, offset=0, evidence=head[:16].hex(" ") if head else ""
        )
        return ContainerLayout(metadata={"kind": kind})
