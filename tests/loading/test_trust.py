"""trust=: trusted classes come back as they were, and give the same output bit for bit."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from safeload.document.record import Record
from safeload.errors import UnsafeCheckpoint
from safeload.loading.load import load
from safeload.loading.trust import Trust
from tests.modules import models
from tests.modules.graphs import saved
from tests.modules.models import CASES, Configured, MyNorm, Net, Outer, Settings, Tagger, Tied, made

MINE = [Net, Tied, Outer, models.Inner, MyNorm, Tagger, Configured, Settings]


def outputs(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
    """What a module gives, in evaluation and in training, its random numbers fixed."""
    found: list[torch.Tensor] = []
    for training in (False, True):
        module.train(training)
        torch.manual_seed(5)
        given: Any = module(*inputs)
        todo = [given]
        while todo:
            item = todo.pop()
            if isinstance(item, torch.Tensor):
                found.append(item.detach())
            elif isinstance(item, tuple | list):
                todo.extend(item)
    return found


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("form", [{}, {"zipped": False}, {"protocol": 4}], ids=["zip", "legacy", "protocol4"])
def test_rebuilt_modules_give_the_same_output(name: str, form: dict[str, Any]) -> None:
    module = made(name)
    data = saved(module, **form)
    rebuilt = load(data, trust=MINE)
    assert type(rebuilt) is type(module)
    assert [type(m) for m in rebuilt.modules()] == [type(m) for m in module.modules()]
    assert list(rebuilt.state_dict()) == list(module.state_dict())
    assert rebuilt.state_dict()._metadata == module.state_dict()._metadata
    inputs = CASES[name].example()
    if inputs:
        expected, found = outputs(module, inputs), outputs(rebuilt, inputs)
        assert expected
        assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CASES)
def test_rebuilt_modules_have_the_attributes_that_torch_gives(name: str, tmp_path: Path) -> None:
    module = made(name)
    (tmp_path / "m.pt").write_bytes(saved(module))
    by_torch = torch.load(tmp_path / "m.pt", weights_only=False)
    rebuilt = load(tmp_path / "m.pt", trust=MINE)
    for mine, theirs in zip(rebuilt.modules(), by_torch.modules(), strict=True):
        assert vars(mine).keys() == vars(theirs).keys()
        for part in ("_parameters", "_buffers", "_modules"):
            assert type(vars(mine)[part]) is type(vars(theirs)[part])


def test_training_goes_on() -> None:
    module = made("net")
    rebuilt = load(saved(module), trust=[Net])
    x, losses = torch.randn(2, 3, 5, 5), []
    for net in (module, rebuilt):
        optimizer = torch.optim.Adam(net.parameters())
        for _ in range(3):
            optimizer.zero_grad()
            loss = net(x).square().sum()
            loss.backward()
            optimizer.step()
        losses.append(loss.item())
    assert losses[0] == losses[1]


def test_ties_are_kept() -> None:
    rebuilt = load(saved(made("tied")), trust=[Tied])
    assert rebuilt.out.weight is rebuilt.embed.weight
    assert rebuilt.again is rebuilt.block
    lstm = load(saved(made("lstm")), trust="torch.nn")
    assert lstm._flat_weights[0] is lstm.weight_ih_l0


def test_functions_are_the_real_ones_only_with_trust() -> None:
    data = saved(made("net"))
    assert load(data, trust=[Net]).act is F.relu
    assert load(data, trust=[Net]).gate is F.gelu
    assert type(load(data, unvetted="record").act) is Record


@pytest.mark.parametrize(
    "trust",
    [Net, [Net], (Net,), {Net}, "tests.modules.models.Net", ["tests.modules.models.Net"], [Net, "torch.nn"]],
)
def test_ways_to_name_a_class(trust: Any) -> None:
    assert type(load(saved(made("net")), trust=trust)) is Net


def test_torch_alone() -> None:
    data = saved(nn.Sequential(nn.Linear(2, 2), nn.ReLU()))
    assert type(load(data, trust="torch.nn")) is nn.Sequential
    assert type(load(data, trust=[nn.Linear])) is nn.Sequential
    assert type(load(data, trust=["torch.nn.Linear"])) is nn.Sequential


def test_a_class_that_is_no_module_implies_nothing() -> None:
    data = saved({"settings": Settings(7, "x"), "layer": nn.Linear(1, 1)})
    with pytest.raises(UnsafeCheckpoint):
        load(data, trust=[Settings])
    found = load(data, trust=[Settings], unvetted="record")
    assert found["settings"] == Settings(7, "x")
    assert type(found["layer"]) is Record


def test_what_is_not_trusted_refuses_or_stays_a_record() -> None:
    data = saved({"net": made("net"), "settings": Settings()})
    with pytest.raises(UnsafeCheckpoint, match="Settings"):
        load(data, trust=[Net])
    found = load(data, trust=[Net], unvetted="record")
    assert type(found["net"]) is Net
    assert type(found["settings"]) is Record


def test_a_child_that_is_not_trusted_is_named() -> None:
    with pytest.raises(UnsafeCheckpoint, match=r"a record of tests\.modules\.models\.Inner as 0.*trust"):
        load(saved(made("outer")), trust=[Outer, Net], unvetted="record")


def test_a_class_of_the_same_name_elsewhere_is_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other_models.py").write_text("from torch import nn\nclass Net(nn.Module): pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UnsafeCheckpoint):
        load(saved(made("net")), trust=["other_models.Net"])


def test_classes_of_main() -> None:
    code = (
        "import io, torch\nfrom torch import nn\nfrom safeload.loading.load import load\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n        super().__init__(); self.a = nn.Linear(2, 1)\n"
        "    def forward(self, x): return self.a(x)\n"
        "net = Net(); file = io.BytesIO(); torch.save(net, file); x = torch.randn(3, 2)\n"
        "assert torch.equal(load(file.getvalue(), trust=[Net])(x), net(x))\n"
        "assert torch.equal(load(file.getvalue(), trust='__main__.Net')(x), net(x))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_nothing_of_a_class_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved({"net": made("net"), "settings": Settings()})

    def run(*args: object, **kwargs: object) -> None:
        raise AssertionError("code of a trusted class ran")

    for cls in (Net, Settings):
        for name in ("__init__", "__setattr__", "__getattribute__", "__eq__", "__hash__"):
            monkeypatch.setattr(cls, name, run, raising=False)
    found = load(data, trust=[Net, Settings])
    assert [type(value) for value in found.values()] == [Net, Settings]


def test_a_trust_keeps_nothing_of_a_load() -> None:
    trust = Trust([Settings])
    record = Record("tests.modules.models", "Settings", (), state={"width": 3})
    made_one = trust.shell(record)
    trust.finish(made_one, record)
    trust.settle()
    gone = weakref.ref(made_one)
    del made_one
    gc.collect()
    assert gone() is None
