"""Model folders of Hugging Face: what in them names code, against transformers itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from safeload.report import Report

Judged = Callable[..., Report]


def rules(report: Report) -> list[tuple[str, str]]:
    return [(finding.rule, finding.member) for finding in report.findings]


def config(**settings: Any) -> str:
    return json.dumps(settings)


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"auto_map": {"AutoConfig": "configuration_x.X"}}, "folder-code"),
        ({"auto_map": {"AutoTokenizer": ["tokenization_x.Slow", None]}}, "folder-code"),
        ({"text_config": {"deep": [{"auto_map": {"AutoModel": "modeling_x.X"}}]}}, "folder-code"),
        ({"auto_map": {"AutoModel": "someone/else--modeling_x.X"}}, "hub-code"),
        ({"custom_pipelines": {"pair": {"impl": "pair.PairPipeline", "pt": ["AutoModel"]}}}, "folder-code"),
        ({"custom_pipelines": {"pair": {"impl": "a/b--pair.PairPipeline"}}}, "hub-code"),
        ({"custom_pipeline": "my_pipeline"}, "folder-code"),
        ({"_attn_implementation": "someone/kernel"}, "hub-code"),
        ({"attn_implementation": {"text_config": "someone/kernel@main:flash"}}, "hub-code"),
        ({"vision": {"_attn_implementation_internal": "paged|someone/kernel"}}, "hub-code"),
        ({"_experts_implementation": "someone/kernel"}, "hub-code"),
        ({"model_args": {"trust_remote_code": True}}, "folder-code"),
        ({"custom_generate": "someone/decoding"}, "hub-code"),
        ({"auto_mapping": {"parent_library": "os", "base_model_class": "system"}}, "runs-programs"),
        ({"auto_mapping": {"parent_library": "my_project.models", "base_model_class": "Net"}}, "unknown-global"),
        ({"chat_template": "{{ ''.__class__ }}"}, "template-escape"),
        ({"chat_template": [{"name": "default", "template": "{{ ''.__class__ }}"}]}, "template-escape"),
        ({"chat_template": {"rag": "{{ ''.__class__ }}"}}, "template-escape"),
        ({"chat_template": "{{ broken"}, "template-unread"),
    ],
)
@pytest.mark.parametrize("name", ["config.json", "config.4.51.json", "tokenizer_config.json", "Processor_Config.json"])
def test_settings_that_name_code(judged: Judged, settings: dict[str, Any], rule: str, name: str) -> None:
    report = judged({"config.json": "{}", name: config(**settings)}, "hf-model")
    assert rules(report) == [(rule, name)]
    assert report.verdict == {"template-escape": "dangerous", "runs-programs": "dangerous"}.get(
        rule, "unjudged" if rule == "template-unread" else "unvetted"
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"auto_map": {}, "custom_pipelines": {}, "_attn_implementation": "flash_attention_2"},
        {"_name_or_path": "meta-llama/Llama-3", "trust_remote_code": False, "model_type": "llama"},
        {"auto_mapping": {"parent_library": "transformers.models.llama.modeling_llama", "base_model_class": "L"}},
        {
            "attn_implementation": None,
            "quantization_config": {"quant_method": "awq", "modules_to_not_convert": ["a/b"]},
        },
        {"tokenizer_class": "LlamaTokenizer", "added_tokens_decoder": {"0": {"content": "__import__('os')"}}},
        {"chat_template": "{% for m in messages %}{{ m['role'] + ': ' + m['content'] }}{% endfor %}"},
    ],
)
def test_plain_settings_are_silent(judged: Judged, settings: dict[str, Any]) -> None:
    assert (
        judged({"config.json": config(**settings), "tokenizer_config.json": config(**settings)}, "hf-model").findings
        == ()
    )


def test_the_named_files_and_those_beside_them_are_told(judged: Judged) -> None:
    report = judged(
        {
            "config.json": config(auto_map={"AutoConfig": "configuration_x.X", "AutoModel": "sub/modeling_x.X"}),
            "configuration_x.py": "",
            "sub/modeling_x.py": "",
            "sub/layers.py": "",
            "layers.py": "",
        },
        "hf-model",
    )
    assert rules(report) == [
        ("folder-code", "configuration_x.py"),
        ("folder-code", "sub/modeling_x.py"),
        ("folder-code", "sub/layers.py"),
    ]
    assert "2 more Python files" in report.findings[2].message
    assert "sub/layers.py, layers.py" in report.findings[2].message


def test_every_one_of_equal_keys_counts(judged: Judged) -> None:
    text = '{"auto_map": {"AutoConfig": "evil.X"}, "auto_map": {}}'
    assert rules(judged({"config.json": text}, "hf-model")) == [("folder-code", "config.json")]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32-le"])
def test_encodings_that_a_reader_of_json_detects(judged: Judged, encoding: str) -> None:
    data = config(auto_map={"AutoConfig": "evil.X"}).encode(encoding)
    assert rules(judged({"config.json": data}, "hf-model")) == [("folder-code", "config.json")]


def test_escapes_in_keys_and_values_are_read(judged: Judged) -> None:
    text = r'{"\u0061uto_map": {"AutoConfig": "evil.\u0058"}}'
    assert rules(judged({"config.json": text}, "hf-model")) == [("folder-code", "config.json")]


@pytest.mark.parametrize(
    "files",
    [
        {"config.json": "{broken", "model.safetensors": b""},
        {"config.json": "{broken", "pytorch_model-00001-of-00002.bin": b""},
        {"config.json": '{"auto_map": }'},
        {"config.json": '{"auto_map": }'.encode("utf-16")},
        {"tokenizer_config.json": "[1, 2"},
        {"config.json": '{"a": ' + "[" * 1000, "model.safetensors": b""},
        {"config.json": "\xff\xfe\x00".encode("latin-1"), "model.safetensors": b""},
    ],
)
def test_settings_of_a_model_that_cannot_be_read_are_unjudged(judged: Judged, files: dict[str, str | bytes]) -> None:
    report = judged(files, "hf-model")
    assert (report.verdict, [finding.rule for finding in report.findings]) == ("unjudged", ["folder-unread"])


def test_settings_over_the_limit_are_unjudged(judged: Judged) -> None:
    from safeload.limits import Limits

    report = judged({"config.json": " " * 100 + "{}", "model.safetensors": b""}, "hf-model", Limits(json_bytes=100))
    assert (report.verdict, "--limit json_bytes" in report.findings[0].message) == ("unjudged", True)


@pytest.mark.parametrize(
    "name", ["chat_template.jinja", "other.jinja", "additional_chat_templates/tool.jinja", "CHAT_TEMPLATE.JINJA"]
)
def test_templates_in_files(judged: Judged, name: str) -> None:
    report = judged({"tokenizer_config.json": "{}", name: "{{ ''['__class__'] }}"}, "hf-model")
    assert (rules(report), report.verdict) == ([("template-escape", name)], "dangerous")


def test_a_template_that_is_no_text_is_unjudged(judged: Judged) -> None:
    report = judged({"chat_template.jinja": b"\xff{{ x }}"}, "hf-model")
    assert rules(report) == [("template-unread", "chat_template.jinja")]


def test_what_cannot_be_read_hides_nothing(judged: Judged) -> None:
    from safeload.limits import Limits

    files: dict[str, str | bytes] = {
        "a.jinja": "x" * 5000,
        "chat_template.jinja": "{{ ''.__class__ }}",
        "config.json": "{",
        "tokenizer_config.json": config(chat_template="y" * 1100),
    }
    report = judged(files, "hf-model", Limits(template_bytes=1000))
    assert report.verdict == "dangerous"
    assert sorted(rules(report)) == [
        ("folder-unread", "config.json"),
        ("template-escape", "chat_template.jinja"),
        ("template-unread", "a.jinja"),
        ("template-unread", "tokenizer_config.json"),
    ]


def test_code_that_replaces_generation(judged: Judged) -> None:
    files: dict[str, str | bytes] = {"config.json": "{}", "custom_generate/generate.py": "x = 1"}
    assert rules(judged(files, "hf-model")) == [("folder-code", "custom_generate/generate.py")]


def test_an_adapter_names_its_model_in_a_remark(judged: Judged) -> None:
    report = judged({"adapter_config.json": config(base_model_name_or_path="org/model")}, "hf-model")
    assert (report.verdict, rules(report)) == ("clean", [("hub-reference", "adapter_config.json")])


@pytest.mark.parametrize(
    ("index", "files", "expected"),
    [
        ({"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"]}, [], []),
        ({"safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"], "vae": [None, None]}, [], []),
        ({"unet": ["os", "system"]}, [], [("runs-programs", "model_index.json")]),
        ({"unet": ["my_unet", "Net"]}, [], [("unknown-global", "model_index.json")]),
        ({"unet": ["my_unet", "Net"]}, ["unet/my_unet.py"], [("folder-code", "unet/my_unet.py")]),
        ({"_class_name": ["pipe", "Pipe"]}, ["pipe.py"], [("folder-code", "pipe.py")]),
        ({"_class_name": ["pipe", "Pipe"]}, [], [("hub-code", "model_index.json")]),
        ({"_class_name": "X"}, ["pipeline.py"], [("folder-code", "pipeline.py")]),
    ],
)
def test_the_index_of_a_pipeline(
    judged: Judged, index: dict[str, Any], files: list[str], expected: list[tuple[str, str]]
) -> None:
    report = judged({"model_index.json": config(**index), **dict.fromkeys(files, "")}, "hf-model")
    assert rules(report) == expected


def test_modules_of_sentence_transformers(judged: Judged) -> None:
    own = {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}
    custom = {"idx": 1, "name": "1", "path": "1_X", "type": "custom_st.Layer"}
    hostile = {"idx": 2, "name": "2", "path": "2_X", "type": "os.system"}
    assert judged({"modules.json": json.dumps([own])}, "sentence-transformers").findings == ()
    report = judged({"modules.json": json.dumps([own, custom, hostile]), "custom_st.py": ""}, "sentence-transformers")
    assert rules(report) == [
        ("runs-programs", "modules.json"),
        ("folder-code", "custom_st.py"),
        ("unknown-global", "modules.json"),
    ]


LOAD = """
import sys
from transformers import AutoConfig
for folder in sys.argv[1:]:
    print(type(AutoConfig.from_pretrained(folder, trust_remote_code=True)).__name__)
"""

RUN = (
    {"config.json": config(auto_map={"AutoConfig": "configuration_x.X"})},
    {"config.json": '{"auto_map": {}, "auto_map": {"AutoConfig": "configuration_x.X"}}'},
    {
        "config.json": config(configuration_files=["config.json", "config.4.0.0.json"]),
        "config.4.0.0.json": config(auto_map={"AutoConfig": "configuration_x.X"}),
    },
    {"config.json": r'{"\u0061uto_map": {"AutoConfig": "configuration_x.X"}}'},
)
"""Folders from which transformers runs configuration_x.py."""


@pytest.mark.slow
def test_transformers_runs_what_is_told(tmp_path: Path, judged: Judged) -> None:
    pytest.importorskip("transformers")
    markers = [tmp_path / f"MARKER{number}" for number in range(len(RUN))]
    for number, settings in enumerate(RUN):
        code = (
            f"from transformers import PretrainedConfig\nopen({str(markers[number])!r}, 'w').close()\n"
            "class X(PretrainedConfig):\n    model_type = 'x'\n"
        )
        files: dict[str, str | bytes] = {**settings, "configuration_x.py": code}
        folder = tmp_path / f"model{number}"
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(str(text))
        assert rules(judged(files, "hf-model")) == [("folder-code", "configuration_x.py")]
    environment = os.environ | {
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_VERBOSITY": "error",
    }
    done = subprocess.run(
        [sys.executable, "-c", LOAD, *(str(tmp_path / f"model{number}") for number in range(len(RUN)))],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert (done.stdout.split(), [marker.exists() for marker in markers]) == (["X"] * 4, [True] * 4), done.stderr
