"""safeload.modules.state_dict over what `load(..., unvetted="record")` returns: the values too."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from safeload.document.record import Record
from safeload.loading.load import load
from safeload.modules import state_dict
from tests.modules.graphs import saved
from tests.modules.models import CASES, made
from tests.modules.test_walk import plain


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("form", [{}, {"zipped": False}, {"protocol": 5}], ids=["zip", "legacy", "protocol5"])
def test_equal_to_torch(name: str, form: dict[str, Any]) -> None:
    module = made(name)
    expected = module.state_dict()
    loaded = load(saved(module, **form), unvetted="record")
    assert type(loaded) is Record
    found = state_dict(loaded)
    assert list(found) == list(expected)
    for key, tensor in expected.items():
        mine = found[key]
        assert type(mine) is torch.Tensor
        assert torch.equal(mine, tensor)
        assert (mine.dtype, mine.stride(), mine.requires_grad) == (tensor.dtype, tensor.stride(), False)
    assert plain(found._metadata) == dict(expected._metadata)  # type: ignore[attr-defined]
    fresh = made(name, seed=1)
    assert str(fresh.load_state_dict(found)) == "<All keys matched successfully>"
    assert all(torch.equal(a, b) for a, b in zip(fresh.state_dict().values(), expected.values(), strict=True))


def test_tied_weights_share_their_storage() -> None:
    found: Any = state_dict(load(saved(made("tied")), unvetted="record"))
    assert found["embed.weight"].data_ptr() == found["out.weight"].data_ptr()
    found["embed.weight"].fill_(3)
    assert torch.equal(found["out.weight"], torch.full((7, 4), 3.0))


def test_a_checkpoint_that_holds_modules() -> None:
    checkpoint = load(saved({"epoch": 3, "model": made("net"), "ema": made("net")}), unvetted="record")
    with pytest.raises(ValueError, match=r"at \['model'\], \['ema'\]"):
        state_dict(checkpoint)
    assert list(state_dict(checkpoint["model"])) == list(made("net").state_dict())


def test_partly_rebuilt() -> None:
    module = nn.Sequential(made("net"), nn.Linear(2, 2))
    found = state_dict(load(saved(module.eval()), unvetted="record"))
    expected = module.state_dict()
    assert all(torch.equal(found[key], expected[key]) for key in expected)  # type: ignore[arg-type]


def test_the_result_can_be_saved_and_loaded_by_anybody(tmp_path: Any) -> None:
    found = state_dict(load(saved(made("net")), unvetted="record"))
    torch.save(found, tmp_path / "net.pt")
    again = torch.load(tmp_path / "net.pt", weights_only=True)
    assert again._metadata == found._metadata  # type: ignore[attr-defined]
    assert list(load(tmp_path / "net.pt")) == list(found)
