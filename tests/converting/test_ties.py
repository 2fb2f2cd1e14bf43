"""Shared memory: stored once where it is the same, by value where it is not, and given back by a load."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import safetensors
import safetensors.torch
import torch

import safeload
from tests.converting.making import left, saved

pytestmark = pytest.mark.filterwarnings("ignore")


def metadata(path: Path) -> dict[str, str]:
    with safetensors.safe_open(path, "pt") as f:
        found: dict[str, str] = f.metadata()
        return found


def test_tied_tensors_are_stored_once_as_save_model_records_it(tmp_path: Path) -> None:
    class Tied(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = torch.nn.Embedding(5, 3)
            self.head = torch.nn.Linear(3, 5, bias=False)
            self.head.weight = self.embed.weight

    model = Tied()
    out = tmp_path / "x.safetensors"
    done = safeload.convert(saved(tmp_path / "x.pth", model.state_dict()), out)
    assert done.ties == {"head.weight": "embed.weight"}
    assert metadata(out)["head.weight"] == "embed.weight"
    assert set(safetensors.torch.load_file(out)) == {"embed.weight"}
    other = Tied()
    assert safetensors.torch.load_model(other, out) == (set(), [])
    assert torch.equal(other.head.weight, model.head.weight)
    found = safeload.load(out)
    assert found["head.weight"].data_ptr() == found["embed.weight"].data_ptr()


def test_views_are_by_value_for_others_and_views_again_for_us(tmp_path: Path) -> None:
    whole = torch.arange(24.0).reshape(4, 6)
    state = {"row": whole[1], "w": whole, "t": whole.t(), "step": whole[:, ::2]}
    out = tmp_path / "x.safetensors"
    done = safeload.convert(saved(tmp_path / "x.pth", state), out)
    assert done.ties == {}
    assert done.notes == ()
    plain = safetensors.torch.load_file(out)
    assert all(torch.equal(plain[name], state[name]) for name in state)
    found = safeload.load(out)
    found["w"].fill_(7)
    assert all((found[name] == 7).all() for name in ("row", "t", "step"))


def test_slices_of_one_large_storage_take_their_own_bytes(tmp_path: Path) -> None:
    flat = torch.randn(1000)
    state = {"a": flat[:10], "b": flat[10:30], "empty": flat[5:5]}
    done = safeload.convert(saved(tmp_path / "x.pth", state), tmp_path / "x.safetensors")
    assert (done.nbytes, done.notes, done.ties) == (120, (), {})


def test_overlapping_views_are_by_value_and_noted(tmp_path: Path) -> None:
    flat = torch.randn(10)
    state = {"a": flat[:6], "b": flat[4:]}
    done = safeload.convert(saved(tmp_path / "x.pth", state), tmp_path / "x.safetensors")
    assert len(done.notes) == 1
    found = safetensors.torch.load_file(tmp_path / "x.safetensors")
    assert all(torch.equal(found[name], state[name]) for name in state)


def test_the_note_on_overlapping_views_names_the_first_of_the_file(tmp_path: Path) -> None:
    one, two = torch.randn(10), torch.randn(10)
    state = {"a": one[:6], "b": two[:6], "c": two[4:], "d": one[4:]}
    done = safeload.convert(saved(tmp_path / "x.pth", state), tmp_path / "x.safetensors")
    assert done.notes == ("4 tensors share memory and none holds the others: each is stored by value, first 'a'",)


def test_storages_as_values_share_with_tensors(tmp_path: Path) -> None:
    tensor = torch.arange(6.0)
    other = torch.ones(3, dtype=torch.uint8)
    state = {
        "t": tensor, "typed": tensor.view(2, 3).storage(), "p": tensor[2:],
        "o": other, "storage": other.untyped_storage(), "alone": torch.ones(2).storage(),
    }  # fmt: skip
    safeload.convert(saved(tmp_path / "x.pth", state), tmp_path / "x.safetensors")
    found = safeload.load(tmp_path / "x.safetensors")
    assert found["typed"].data_ptr() == found["t"].data_ptr() == found["p"].data_ptr() - 8
    assert found["storage"].data_ptr() == found["o"].data_ptr()
    assert found["alone"].tolist() == [1, 1]


def test_lazy_conjugates_hold_their_values_under_their_names(tmp_path: Path) -> None:
    c = torch.tensor([1 + 2j, 3 - 4j])
    state = {"alone": c.clone().conj(), "imag": c.clone().conj().imag, "wide": c.to(torch.complex128).conj()}
    safeload.convert(saved(tmp_path / "x.pth", state), tmp_path / "x.safetensors")
    plain = safetensors.torch.load_file(tmp_path / "x.safetensors")
    assert torch.equal(plain["alone"], c.conj().resolve_conj())
    assert torch.equal(plain["imag"], torch.tensor([-2.0, 4.0]))
    assert torch.equal(torch.view_as_complex(plain["wide.view_as_real"]), c.to(torch.complex128).conj().resolve_conj())
    found = safeload.load(tmp_path / "x.safetensors")
    assert found["alone"].is_conj()
    assert torch.equal(found["wide"], state["wide"])


def test_what_the_format_lacks_never_stands_under_its_name(tmp_path: Path) -> None:
    q = torch.quantize_per_channel(torch.randn(3, 2), torch.rand(3) + 0.1, torch.zeros(3), 0, torch.qint8)
    state = {
        "c": torch.ones(2, dtype=torch.complex128), "q": q, "s": torch.eye(3).to_sparse(),
        "csr": torch.eye(3).to_sparse_csr(), "n": torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
    }  # fmt: skip
    safeload.convert(saved(tmp_path / "x.pth", state), tmp_path / "x.safetensors")
    assert set(safetensors.torch.load_file(tmp_path / "x.safetensors")) == {
        "c.view_as_real", "q.int_repr", "s.indices", "s.values", "csr.crow_indices",
        "csr.col_indices", "csr.values", "n.buffer", "n.sizes", "n.strides", "n.offsets",
    }  # fmt: skip


def test_devices_are_kept_for_the_tree(tmp_path: Path) -> None:
    from safeload.converting.interface import Options
    from safeload.converting.plan.plan import FilePlan, planned
    from safeload.document.document import Document, Extent, StorageSpec, TensorSpec
    from safeload.inputs import MemorySource
    from safeload.tree.interface import Kept

    spec = TensorSpec(StorageSpec("0", "float32", 8, "cuda:1"), "float32", (2,), (1,))
    document = Document({"w": spec}, MemorySource(bytes(8)), {"0": Extent(0, 8, 8)})
    plan = planned(document, document, Options())
    assert isinstance(plan, FilePlan)
    assert plan.storages == {"w": Kept(None, "cuda:1")}


def test_a_tie_named_like_other_metadata_is_refused(tmp_path: Path) -> None:
    w = torch.ones(2)
    path = saved(tmp_path / "x.pth", {"w": w, "format": w})
    with pytest.raises(safeload.NotConvertible, match="metadata"):
        safeload.convert(path, tmp_path / "x.safetensors")
    assert left(tmp_path) == ["x.pth"]


def test_a_tie_never_has_the_name_of_another_tensor(tmp_path: Path) -> None:
    """The suffix of an encoding makes `y.view_as_real` of a tie, and a tensor of that name is there already."""
    pair, other = torch.tensor([1 + 2j], dtype=torch.complex128), torch.tensor([1.0, 2.0])
    for number, state in enumerate(
        ({"x": pair, "y": pair, "y.view_as_real": other}, {"y.view_as_real": other, "x": pair, "y": pair})
    ):
        source = saved(tmp_path / f"{number}.pth", state)
        with pytest.raises(safeload.NotConvertible, match=r"y\.view_as_real"):
            safeload.convert(source, tmp_path / f"{number}.safetensors")


@pytest.mark.parametrize("key", ["safeload.tree", "safeload.tree.sha256", "safeload.convert", "safeload.disarmed"])
@pytest.mark.parametrize("disarm", [False, True])
def test_a_tie_never_has_a_key_of_ours(key: str, disarm: bool, tmp_path: Path) -> None:
    tied = torch.ones(2)
    source = saved(tmp_path / "x.pth", {"a": tied, key: tied, **({"f": os.getcwd} if disarm else {})})
    with pytest.raises(safeload.NotConvertible, match="metadata"):
        safeload.convert(source, tmp_path / "x.safetensors", disarm=disarm)
    assert left(tmp_path) == ["x.pth"]
