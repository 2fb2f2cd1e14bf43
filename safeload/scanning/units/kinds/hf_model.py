"""A model folder of Hugging Face: what from_pretrained("folder") of transformers, diffusers and peft takes.

Which keys name code is read from transformers 5.23 (dynamic_module_utils.py, models/auto/*, pipelines/__init__.py,
integrations/hub_kernels.py, generation/utils.py), diffusers (pipelines/pipeline_loading_utils.py) and peft (auto.py).
Such a key counts at any depth of any of the settings, in every version of the file ("config.4.51.json"), and every pair
of equal keys counts. Nothing in the settings is taken for permission: trust_remote_code is the caller's word.

The weights, and Python files that nothing names, are judged as files and not here.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from safeload.errors import InputError, LimitExceeded, Malformed
from safeload.findings import Finding, Severity, Verdict
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.scanning.units.interface import Folder, folder_code, hub_code, unread
from safeload.scanning.units.kinds.diffusers_index import judge_index
from safeload.scanning.units.leaves import Leaf, json_leaves, text_of
from safeload.scanning.units.named import imported
from safeload.scanning.units.templates.chat_template import judge_template

_TRUSTED = "trust_remote_code=True runs it"

_SETTINGS_WORDS = """
config.json tokenizer_config.json preprocessor_config.json processor_config.json video_preprocessor_config.json
audio_tokenizer_config.json generation_config.json adapter_config.json scheduler_config.json modelcard.json
quantize_config.json quant_config.json feature_extractor_config.json image_processor_config.json
special_tokens_map.json model_index.json modular_model_index.json chat_template.json sentence_bert_config.json
config_sentence_transformers.json
"""
_SETTINGS = frozenset(_SETTINGS_WORDS.split())
_VERSIONED = re.compile(r"config\.[^/]*\.json")

_OWN_NAMES = _SETTINGS - {"config.json", "modelcard.json"} | {"custom_generate/generate.py", "chat_template.jinja"}
"""Names that no other project gives its files. A config.json alone makes no folder a model's."""

_WEIGHTS = re.compile(r"(pytorch_model|model|diffusion_pytorch_model|tf_model|flax_model|adapter_model)\b.*")

_TEMPLATES = ("chat_template", "chat_templates", "default_chat_template")
_KERNELS = ("attn_implementation", "experts_implementation")
_PIPELINES = ("custom_pipelines", "custom_pipeline")
_MARKS = (b"auto_map", b"custom_pipeline", b"_implementation", b"model_type", b"_class_name", b"chat_template")
"""What settings of a model hold: one that cannot be read and has none of them belongs to another project."""


class _HfModel:
    name = "hf-model"
    marks = ("config.json", *sorted(_OWN_NAMES))

    def judge(self, folder: Folder, policy: Policy, limits: Limits) -> Iterator[Finding]:
        """Code that the settings name, and templates that reach too far."""
        names = folder.names()
        code: dict[str, str] = {}
        for name in names:
            plain = name.lower()
            # SECURITY: what cannot be read in one file may not hide what another one says.
            try:
                if plain in _SETTINGS or _VERSIONED.fullmatch(plain):
                    yield from self._settings(folder, name, names, policy, limits, code)
                elif plain.endswith(".jinja") and posixpath.dirname(plain) in ("", "additional_chat_templates"):
                    text = text_of(folder, name, 4 * limits.template_bytes, "template_bytes")
                    yield from _template(text, name, "the file", limits)
            except (Malformed, LimitExceeded) as error:
                rule = "template-unread" if plain.endswith(".jinja") else "folder-unread"
                yield unread(name, error.message, rule=rule, offset=error.offset)
            except InputError as error:
                yield unread(name, f"cannot be read: {error.strerror or error}")
            if plain == "custom_generate/generate.py":
                yield folder_code(name, "code that replaces the generation of text", _TRUSTED)
        for name, why in code.items():
            yield folder_code(name, why, _TRUSTED)
        yield from _beside(code, names)

    def _settings(
        self, folder: Folder, name: str, names: tuple[str, ...], policy: Policy, limits: Limits, code: dict[str, str]
    ) -> Iterator[Finding]:
        try:
            leaves = tuple(json_leaves(folder, name, limits))
        except Malformed as error:
            if _is_model(names) or _looks_like_settings(folder, name, limits):
                yield unread(name, error.message, offset=error.offset)
            return
        except LimitExceeded as error:
            if _is_model(names) or error.limit != "json_bytes":
                yield unread(name, error.message, offset=error.offset)
            return
        if name.lower() in ("model_index.json", "modular_model_index.json"):
            yield from judge_index(leaves, name, names, policy, code)
        for leaf in leaves:
            if isinstance(leaf.value, str):
                yield from _named(leaf, leaf.value, name, names, code)
                if leaf.below(*_TEMPLATES) or (name.lower() == "chat_template.json" and leaf.last == "chat_template"):
                    yield from _template(leaf.value, name, _place(leaf), limits)
            elif leaf.value is True and leaf.last == "trust_remote_code":
                message = f"{_place(leaf)} asks for the code of the model to be run; only the caller can allow that"
                yield folder_code(name, message, "a loader that takes this key for the caller's runs it")
        yield from _parent_library(leaves, name, policy)


def _template(text: str, name: str, where: str, limits: Limits) -> Iterator[Finding]:
    try:
        yield from judge_template(text, name, where, limits)
    except LimitExceeded as error:
        yield unread(name, error.message, rule="template-unread")


def _named(leaf: Leaf, value: str, name: str, names: tuple[str, ...], code: dict[str, str]) -> Iterator[Finding]:
    """What the text `value`, which stands at `leaf`, has a loader run."""
    if leaf.below("auto_map") or (leaf.below(*_PIPELINES) and leaf.last in ("impl", *_PIPELINES)):
        repository, there, reference = value.rpartition("--")
        if there:
            message = (
                f"{_place(leaf)} names code of another place, {repository[:200]!a} (trust_remote_code=True runs it)"
            )
            yield hub_code(name, message, evidence=value)
        else:
            _add_code(reference, leaf, name, names, code)
    elif leaf.last == "custom_generate":
        message = f"{_place(leaf)} names code of another place, which generates the text ({_TRUSTED})"
        yield hub_code(name, message, evidence=value)
    elif any(kind in str(key) for key in leaf.keys for kind in _KERNELS) and "/" in value:
        message = f"{_place(leaf)} names a kernel that transformers fetches from another repository and runs"
        yield hub_code(name, f"{message} where the package kernels is installed", evidence=value)
    elif leaf.keys == ("base_model_name_or_path",) and name.lower() == "adapter_config.json":
        yield Finding(
            "hub-reference", Verdict.CLEAN, Severity.INFO,
            f"the adapter is loaded on top of {value[:200]!a}, which is not part of this folder",
            "scan that model too", member=name, evidence=value[:400],
        )  # fmt: skip


def _add_code(reference: str, leaf: Leaf, name: str, names: tuple[str, ...], code: dict[str, str]) -> None:
    """Remember the file of `module.Class`: transformers takes what stands before the dot, and adds ".py"."""
    module = reference.rpartition(".")[0] or reference
    place = posixpath.normpath(module + ".py")
    why = f"code that {name} names as {reference[:200]!a} under {_place(leaf)}"
    if place in names:
        code.setdefault(place, why)
    else:
        code.setdefault(
            name, f"names the code {reference[:200]!a} under {_place(leaf)}; no {place[:200]!a} is in the folder"
        )


def _beside(code: dict[str, str], names: tuple[str, ...]) -> Iterator[Finding]:
    """The Python files that code of the folder can import: those in the folders of the files that are named."""
    homes = {posixpath.dirname(name) for name in code if name.endswith(".py")}
    others = [
        name
        for name in names
        if name.endswith(".py") and name not in code and any(not home or name.startswith(home + "/") for home in homes)
    ]
    if others:
        listed = ", ".join(others[:10]) + (f" and {len(others) - 10} more" if len(others) > 10 else "")
        message = (
            f"{len(others)} more Python files lie beside code that the settings name, which may import them: {listed}"
        )
        yield folder_code(others[0], message, _TRUSTED)


def _parent_library(leaves: tuple[Leaf, ...], name: str, policy: Policy) -> Iterator[Finding]:
    """AutoPeftModel of peft imports what auto_mapping names, without asking (peft/auto.py)."""
    classes = [leaf.value for leaf in leaves if leaf.last == "base_model_class" and isinstance(leaf.value, str)]
    for leaf in leaves:
        if leaf.last == "parent_library" and isinstance(leaf.value, str):
            for found in classes or ["*"]:
                why = f"{_place(leaf)} has peft import and call"
                yield from imported(
                    policy, f"{leaf.value}.{found}", why, name, own=("transformers", "peft", "diffusers")
                )


def _is_model(names: tuple[str, ...]) -> bool:
    """Whether something beside a config.json shows that the folder is a model's."""
    return any(name.lower() in _OWN_NAMES or _WEIGHTS.fullmatch(name.lower()) for name in names)


def _looks_like_settings(folder: Folder, name: str, limits: Limits) -> bool:
    """Whether a file that is no JSON was meant to be settings of a model. Encodings of two bytes are seen through."""
    source = folder.open(name)
    try:
        data = source.read(0, min(source.size, limits.json_bytes)).replace(b"\0", b"")
    finally:
        source.close()
    return any(mark in data for mark in _MARKS)


def _place(leaf: Leaf) -> str:
    """The keys that lead to a value, as people write them; they are the file's own text."""
    text = ".".join(map(str, leaf.keys))
    return text if len(text) <= 200 and text.isascii() and text.isprintable() else f"{text[:200]!a}"


HF_MODEL = _HfModel()
