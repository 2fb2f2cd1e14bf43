"""The index of a pipeline of diffusers: model_index.json, which says of what library and class each component is.

pipelines/pipeline_loading_utils.py: a component's library is a pipeline of diffusers, or a Python file in the
component's folder (with trust_remote_code), or any module that is installed, which is then imported without asking. A
pipeline whose own class is a list is code: [file, class].
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from safeload.findings import Finding
from safeload.policy import Policy
from safeload.scanning.units.interface import hub_code
from safeload.scanning.units.leaves import Leaf
from safeload.scanning.units.named import imported, within

_OWN = ("diffusers", "transformers", "onnxruntime", "optimum", "peft")

_PIPELINES_WORDS = """
alt_diffusion amused animatediff audioldm audioldm2 blip_diffusion cogvideo cogview3 consistency_models controlnet
controlnet_xs deepfloyd_if deprecated flux hunyuandit hunyuan_video i2vgen_xl kandinsky kandinsky2_2 kandinsky3
kolors latent_consistency_models latent_diffusion ledits_pp ltx lumina marigold mochi musicldm omnigen pag
paint_by_example pia pixart_alpha sana semantic_stable_diffusion shap_e stable_audio stable_cascade stable_diffusion
stable_diffusion_3 stable_diffusion_safe stable_diffusion_xl stable_video_diffusion t2i_adapter
text_to_video_synthesis unclip unidiffuser versatile_diffusion visual_cloze wan wuerstchen
"""
_PIPELINES = frozenset(_PIPELINES_WORDS.split())
"""Modules of diffusers.pipelines of which saved pipelines hold components. Another one is told, never harmless."""

_TRUSTED = "trust_remote_code=True runs it"


def judge_index(
    leaves: Sequence[Leaf], name: str, names: tuple[str, ...], policy: Policy, code: dict[str, str]
) -> Iterator[Finding]:
    """What the index has diffusers import. Files in the folder that it names go into `code`, with the reason."""
    pairs: dict[str, list[list[str]]] = {}
    for leaf in leaves:
        if len(leaf.keys) == 2 and isinstance(leaf.keys[0], str) and isinstance(leaf.value, str):
            if leaf.keys[1] == 0:
                pairs.setdefault(leaf.keys[0], []).append([leaf.value, "*"])
            elif leaf.keys[1] == 1 and leaf.keys[0] in pairs:
                pairs[leaf.keys[0]][-1][1] = leaf.value
    for component, given in pairs.items():
        for library, found in given:
            yield from _component(component, library, found, name, names, policy, code)
    for place in ("pipeline.py",):
        if place in names:
            code.setdefault(place, "the pipeline that custom_pipeline, given the folder, runs")


def _component(
    component: str, library: str, found: str, name: str, names: tuple[str, ...], policy: Policy, code: dict[str, str]
) -> Iterator[Finding]:
    folder = "" if component == "_class_name" else f"{component}/"
    file = f"{folder}{library}.py"
    if file in names:
        code.setdefault(file, f"code that {name} names for {component[:200]!a}")
    elif component == "_class_name":
        if within(library, _OWN):
            return
        message = f"the class of the pipeline is code, {library[:200]!a}, that is not in this folder"
        yield hub_code(name, f"{message} ({_TRUSTED})", evidence=f"{library}, {found}")
    elif library not in _PIPELINES:
        yield from imported(policy, f"{library}.{found}", f"{component[:200]!a} has diffusers import", name, own=_OWN)
