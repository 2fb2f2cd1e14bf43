"""The tables of torch's classes hold what the installed torch has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from safeload.loading.torch_nn import classes as torch_nn
from safeload.loading.torch_nn import table as torch_nn_table
from safeload.modules import versions_table
from safeload.modules.computed import COMPUTED, known_version, why_computed
from tests.modules import tables

SAME = tables.version() == versions_table.TORCH


@pytest.fixture(autouse=True)
def quiet(recwarn: pytest.WarningsRecorder) -> Iterator[None]:
    """Importing old corners of torch warns."""
    yield
    recwarn.clear()


def test_tables_are_up_to_date() -> None:
    if SAME:
        assert tables.VERSIONS.read_text(encoding="utf-8") == tables.versions_text()
        assert tables.CLASSES.read_text(encoding="utf-8") == tables.classes_text()
    else:
        found = tables.walked()
        wrong = {n: c._version for n, c in found.items() if known_version(n) not in (None, c._version)}
        assert wrong == {}


def test_tables_are_of_one_torch() -> None:
    assert versions_table.TORCH == torch_nn_table.TORCH


def test_every_class_that_computes_its_state_dict_is_refused() -> None:
    computing = {n for n, c in tables.module_classes().items() if tables.overriding(c) - tables.WALKED.keys()}
    assert len(computing) > 40
    assert {name for name in computing if why_computed(name) is None} == set()


def test_every_exception_is_in_use() -> None:
    used = {owner for cls in tables.module_classes().values() for owner in tables.overriding(cls)}
    assert tables.WALKED.keys() - used == set()


@pytest.mark.parametrize(
    ("name", "refused"),
    [
        ("torch.nn.quantized.modules.linear.Linear", True),
        ("torch.nn.quantized.dynamic.modules.linear.Linear", True),
        ("torch.ao.nn.quantized.modules.functional_modules.FloatFunctional", False),
        ("torch.nn.quantized.modules.functional_modules.FloatFunctional", False),
        ("torch.nn.intrinsic.qat.modules.conv_fused.ConvBn2d", False),
        ("torch.distributed.fsdp.fully_sharded_data_parallel.FullyShardedDataParallel", True),
        ("torch.nn.parallel.distributed.DistributedDataParallel", False),
        ("torch.jit._script.RecursiveScriptModule", True),
        ("torch.fx.graph_module.GraphModule", True),
        ("torchvision.models.resnet.ResNet", False),
        ("deepspeedy.Net", False),
        ("deepspeed.runtime.pipe.module.PipelineModule", True),
        ("transformer_engine.pytorch.module.linear.Linear", True),
    ],
)
def test_refusal_by_name(name: str, refused: bool) -> None:
    assert (why_computed(name) is not None) is refused


def test_versions_of_renamed_classes() -> None:
    assert known_version("torch.nn.intrinsic.qat.modules.conv_fused.ConvBn2d") == 2
    assert known_version("torch.nn.modules.batchnorm.BatchNorm2d") == 2
    assert known_version("torch.nn.modules.linear._LinearWithBias") == 1
    assert known_version("torchvision.models.resnet.ResNet") is None


def test_no_prefix_is_covered_by_another() -> None:
    assert [p for p in COMPUTED for q in COMPUTED if p != q and f"{p}.".startswith(f"{q}.")] == []


def test_the_reviewed_set_is_found() -> None:
    names = {(module, name) for module, text in torch_nn_table.ROWS for name in text.split()}
    assert names <= torch_nn.classes().keys() or not SAME
    assert len(torch_nn.classes()) > 150


def test_functions_are_found_by_the_names_that_pickle_writes() -> None:
    for (module, name), function in torch_nn.functions().items():
        written = (function.__module__ or "torch._C._nn", function.__qualname__.rpartition(".")[2])
        # Old files name some builtins of today as functions of torch.nn.functional, and the other way round.
        assert torch_nn.functions().get(written, function) is function, (module, name)
    assert torch_nn.functions()["torch.nn.functional", "relu"].__name__ == "relu"
