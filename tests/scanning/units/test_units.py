"""Finding units among the paths of a walk, and what is told of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from safeload.errors import InputError
from safeload.findings import Verdict
from safeload.inputs import open_source
from safeload.inputs.walk import walk
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.scanning.units import KINDS, DiskFolder, find, judge, unit_reports

REMOTE = '{"auto_map": {"AutoConfig": "configuration_x.X"}}'


def test_units_are_found_at_any_depth_and_told_in_order(told: Callable[..., object]) -> None:
    files = {
        "a/b/config.json": REMOTE,
        "a/config.json": REMOTE,
        "z/.data/extern_modules": "",
        "z/m.py": "x = 1",
        "MLmodel": "loader_module: os\n",
    }
    assert told(files) == [
        ("", "mlflow", "dangerous"),
        ("a", "hf-model", "unvetted"),
        ("a/b", "hf-model", "unvetted"),
        ("z", "torch-package", "unvetted"),
    ]


@pytest.mark.parametrize(
    "files",
    [
        {"config.json": '{"debug": true, "port": 80}', "main.py": "import os"},
        {"config.json": "{ // a comment, as some tools allow\n}", "app.ts": ""},
        {"config.json": '{"model_type": "llama", "architectures": ["L"]}', "model.safetensors": b"", "train.py": ""},
        {"model_config.yaml": "name: mine\nlayers: [1, 2]\n"},
        {"model_config.yaml": "{{ cookiecutter.name }}: }"},
        {"modules.json": '{"name": "nf-core", "repos": {"type": "modules"}}'},
        {"modules.json": '[{"type": "library"}]'},
        {"code/inference.py": "print(1)", "README.md": "", "pyproject.toml": ""},
        {"data/x.py": "", "extern_modules": ""},
        {"generation_config.json": '{"eos_token_id": 2, "temperature": NaN}'},
        {"tokenizer_config.json": '{"chat_template": "{{ messages[0].content }}", "auto_map": null}'},
        {"templates/base.jinja": "{% extends 'x' %}", "docs/conf.py": ""},
        {"MLmodel": "flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n", "model.pkl": b""},
    ],
)
def test_ordinary_folders_are_silent(told: Callable[..., object], files: dict[str, str | bytes]) -> None:
    assert told(files) == []


def test_roots_bound_what_is_a_unit(tmp_path: Path) -> None:
    (tmp_path / "m" / "code").mkdir(parents=True)
    (tmp_path / "m" / "code" / "inference.py").write_text("x = 1")
    (tmp_path / "m" / "model.pth").write_bytes(b"")
    files = [target.path for target in walk([str(tmp_path / "m")])]

    def paths(root: Path) -> list[str]:
        found = unit_reports(files, Policy.default(), Limits(), opened=open_source, roots=[str(root)])
        return [report.path for report in found]

    assert paths(tmp_path / "m") == [str(tmp_path / "m")]
    assert paths(tmp_path / "m" / "code") == []


def test_a_loader_goes_through_a_link_to_a_folder(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "m" / "os.py").write_text("")
    (tmp_path / "elsewhere" / "extern_modules").write_text("")
    (tmp_path / "m" / ".data").symlink_to("../elsewhere")
    files = [target.path for target in walk([str(tmp_path)]) if not target.skip]
    links = [(str(tmp_path / "m" / ".data"), str(tmp_path / "elsewhere"))]

    def told(limits: Limits, links: list[tuple[str, str]]) -> list[tuple[str, str]]:
        found = unit_reports(files, Policy.default(), limits, opened=open_source, roots=[str(tmp_path)], links=links)
        return [(report.path, report.verdict.value) for report in found]

    assert told(Limits(), []) == []
    assert told(Limits(), links) == [(str(tmp_path / "m"), "dangerous")]
    assert told(Limits(nested_files=1), links * 2) == [(links[0][0], "unjudged")]


def test_a_mark_counts_in_any_case(told: Callable[..., object]) -> None:
    assert told({"x/CONFIG.JSON": REMOTE}) == [("x", "hf-model", "unvetted")]


def test_a_file_that_cannot_be_opened_makes_the_unit_unjudged(tmp_path: Path) -> None:
    def refuse(path: str) -> object:
        raise InputError(13, "Permission denied", path)

    folder = DiskFolder("m", ["m/MLmodel", "other/MLmodel"], refuse)  # type: ignore[arg-type]
    assert folder.names() == ("MLmodel",)
    (kind,) = find(folder)
    report = judge(folder, kind, Policy.default(), Limits())
    assert report.verdict is Verdict.UNJUDGED
    assert [(f.rule, f.member) for f in report.findings] == [("folder-unread", "MLmodel")]


def test_findings_are_bounded_and_none_of_them_is_lost_for_the_verdict(judged: Callable[..., object]) -> None:
    files: dict[str, str | bytes] = {f"m{n:03}.py": "" for n in range(20)} | {".data/extern_modules": "", "os.py": ""}
    report = judged(files, "torch-package", Limits(findings=5))
    assert (len(report.findings), report.omitted, report.verdict) == (5, 17, Verdict.DANGEROUS)  # type: ignore[attr-defined]


def test_the_digest_binds_every_name_and_what_was_read(judged: Callable[..., object]) -> None:
    base: dict[str, str | bytes] = {"config.json": REMOTE, "configuration_x.py": ""}
    digests = {
        judged(files, "hf-model").judged_sha256  # type: ignore[attr-defined]
        for files in (base, base | {"more.py": ""}, base | {"config.json": REMOTE + " "})
    }
    assert len(digests) == 3


def test_every_kind_has_a_name_of_its_own_and_lower_case_marks() -> None:
    assert len({kind.name for kind in KINDS}) == len(KINDS)
    assert [mark for kind in KINDS for mark in kind.marks if mark != mark.lower() or mark.startswith("/")] == []
