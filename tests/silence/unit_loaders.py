"""Loaders of folders and of texts that run code: Hugging Face, torch.hub, YAML, Jinja, MLflow, HDF5 and tar readers.

Used by loaders.py, in its child process. A loader whose package is no dependency here is written out after its source.
"""

from __future__ import annotations

import importlib
import json
import os
import pickle
import struct
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any


def imported(path: Path, where: str) -> None:
    """`folder:module`: the folder goes on sys.path, as SageMaker, MLflow (code paths) and diffusers do it."""
    folder, _, module = where.rpartition(":")
    place = str((path / folder).resolve())
    sys.path.insert(0, place)
    known = set(sys.modules)
    importlib.invalidate_caches()
    sys.modules.pop(module, None)
    try:
        importlib.import_module(module)
    finally:
        sys.path.remove(place)
        for new in set(sys.modules) - known:
            del sys.modules[new]


def auto_config(path: Path, _: str) -> None:
    os.environ.setdefault("HF_MODULES_CACHE", tempfile.mkdtemp())
    import transformers

    for name in [name for name in sys.modules if name.startswith("transformers_modules")]:
        del sys.modules[name]
    transformers.AutoConfig.from_pretrained(str(path), trust_remote_code=True)


def yaml_load(path: Path, name: str) -> None:
    """The loader that `hparams.yaml` and the like were read with for years."""
    import yaml

    yaml.unsafe_load((path / name if name else path).read_bytes())


def tar_yaml(path: Path, name: str) -> None:
    import yaml

    with tarfile.open(path) as archive:
        file = archive.extractfile(name)
        assert file is not None
        yaml.unsafe_load(file.read())


def templates(value: Any) -> list[str]:
    """Every string under a key that ends in chat_template or template, at any depth."""
    if isinstance(value, dict):
        found = [text for key, text in value.items() if key.endswith("template") and isinstance(text, str)]
        return found + [text for inner in value.values() for text in templates(inner)]
    return [text for inner in value for text in templates(inner)] if isinstance(value, list) else []


def jinja(path: Path, name: str) -> None:
    """Rendered by plain Jinja, which several servers do."""
    import jinja2

    data = (path / name).read_bytes()
    texts = templates(json.loads(data)) if name.endswith(".json") else [data.decode()]
    for text in texts:
        jinja2.Environment(extensions=["jinja2.ext.do"]).from_string(text).render(messages=[], bos_token="")


def gguf_template(path: Path, _: str) -> None:
    """tokenizer.chat_template of a GGUF, rendered."""
    import jinja2

    data = path.read_bytes()
    at = data.index(b"tokenizer.chat_template") + len(b"tokenizer.chat_template") + 4
    (size,) = struct.unpack_from("<Q", data, at)
    jinja2.Template(data[at + 8 : at + 8 + size].decode()).render(messages=[])


def mlflow(path: Path, _: str) -> None:
    """After mlflow/pyfunc/__init__.py: load_model puts `code` on sys.path and imports loader_module."""
    import yaml

    flavour = yaml.safe_load((path / "MLmodel").read_bytes())["flavors"]["python_function"]
    if "code" in flavour:
        imported(path, f"{flavour['code']}:{flavour['loader_module']}")
    elif "python_model" in flavour:
        with (path / flavour["python_model"]).open("rb") as file:
            pickle.load(file)


def past_zeros(path: Path, name: str) -> None:
    with tarfile.open(path, ignore_zeros=True) as archive:
        file = archive.extractfile(name)
        assert file is not None
        pickle.load(file)


def slice_of(path: Path, where: str) -> None:
    """`file:offset:length` by torch.load, as a distributed checkpoint reads its items."""
    import io

    import torch

    name, offset, length = where.split(":")
    data = (path / name).read_bytes()[int(offset) : int(offset) + int(length)]
    torch.load(io.BytesIO(data), weights_only=False)


def keras_folder(path: Path, _: str) -> None:
    """A model saved unzipped."""
    os.environ["KERAS_BACKEND"] = "torch"
    from keras.src.saving import saving_lib

    saving_lib.load_model(path, safe_mode=False)


UNIT_LOADERS: dict[str, Callable[[Path, str], None]] = {
    "imported": imported, "auto-config": auto_config, "yaml": yaml_load, "tar-yaml": tar_yaml,
    "jinja": jinja, "gguf": gguf_template, "mlflow": mlflow, "tar-zeros": past_zeros, "slice": slice_of,
    "keras-folder": keras_folder,
}  # fmt: skip
UNIT_NEEDS = {
    "auto-config": "transformers", "yaml": "yaml", "tar-yaml": "yaml", "jinja": "jinja2", "gguf": "jinja2",
    "mlflow": "yaml",    "keras-folder": "keras",
}  # fmt: skip
