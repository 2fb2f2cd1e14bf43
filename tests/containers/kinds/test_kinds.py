"""What the readers of the archive kinds make of one archive of each."""

import json

import pytest

from safeload.containers import interface, recognise
from safeload.containers.kinds import ARCHIVES
from safeload.findings import Finding
from safeload.inputs import MemorySource
from tests.containers.driver import drive
from tests.containers.zip_builder import PICKLE, Archive, Member, numbered, torch_like

GOOD = torch_like()


def other(*members):
    return Archive(tuple(Member(n, d, flags=0, align=0) for n, d in members), zip64=False).build()


def read(data):
    """(kind's name, findings as rule -> verdict, pickles, nested, layout) of `data`."""
    source = MemorySource(data)
    (reader,) = (r for r in ARCHIVES if r.recognise(source))
    parts, layout = drive(reader, source)
    findings = {p.rule: str(p.verdict) for p in parts if isinstance(p, Finding)}
    pickles = [p for p in parts if isinstance(p, interface.Pickle)]
    nested = [p for p in parts if isinstance(p, interface.Nested)]
    return reader.name, findings, pickles, nested, layout


def test_stable_baselines_archive():
    settings = b'{"gamma": 0.9}'
    data = other((b"data", settings), (b"policy.pth", GOOD.build()), (b"_stable_baselines3_version", b"2.3.0"))
    name, findings, _, nested, layout = read(data)
    assert (name, findings, layout.metadata["archive"]) == ("stable-baselines3", {}, "stable-baselines3")
    assert [n.member for n in nested] == ["data", "policy.pth", "_stable_baselines3_version"]


def test_model_archive_code():
    manifest = json.dumps({"model": {"modelName": "m", "handler": "handler.py", "serializedFile": "m.pt"}}).encode()
    data = other(
        (b"MAR-INF/MANIFEST.json", manifest), (b"handler.py", b"class H:\n    pass\n"), (b"m.pt", GOOD.build())
    )
    name, findings, _, nested, _ = read(data)
    assert name == "mar"
    assert findings.items() >= {("mar-code", "unvetted"), ("zip-python-code", "unvetted"), ("mar-handler", "unvetted")}
    assert [n.member for n in nested] == ["handler.py", "m.pt"]


def test_torch_package():
    members = (
        Member(b"p/.data/0.storage", b"1234"),
        Member(b"p/model/m.pkl", b"\x80\x03" + numbered(1)[2:]),
        Member(b"p/mod.py", b"import os\n"),
        Member(b"p/.data/extern_modules", b"torch\n"),
        Member(b"p/.data/python_version", b"3.11.7"),
        Member(b"p/.data/version", b"6\n"),
        Member(b"p/byteorder", b"little"),
    )
    name, findings, pickles, _, layout = read(Archive(members).build())
    assert (name, findings) == ("torch-package", {"package-code": "unvetted", "zip-python-code": "unvetted"})
    assert [(p.member, p.naming) for p in pickles] == [("p/model/m.pkl", interface.Naming.STORAGES)]
    assert list(layout.storages) == ["0"]


@pytest.mark.parametrize("name", [b"p/.DATA/EXTERN_MODULES", b"P/.data/extern_modules"])
def test_torch_finds_a_package_without_regard_to_case(name):
    members = (Member(b"p/mod.py", b"import os\n"), Member(name, b"torch\n"), Member(b"p/m.pkl", numbered(1)))
    found, findings, _, _, _ = read(Archive(members).build())
    assert found == "torch-package"
    assert findings["package-code"] == "unvetted"


def test_every_kind_that_fits_reads_the_archive():
    members = (
        Member(b"p/data.pkl", PICKLE),
        Member(b"p/data/0", bytes(16)),
        Member(b"p/.data/extern_modules", b"torch\n"),
        Member(b"p/archive_format", b"pt2"),
    )
    names = [container.name for container in recognise(MemorySource(Archive(members).build()))]
    assert names == ["torch-zip", "torch-package", "pt2"]


def test_exported_program():
    members = (
        Member(b"e/data/weights/weight_0", b"\x19\xd0\xfc\xbc\x92\xba\x0b?"),
        Member(b"e/data/weights/weight_1", numbered(4)),
        Member(b"e/models/model.json", b'{"graph_module": {"graph": {"inputs": [{"as_tensor": {"name": "x"}}]}}}'),
        Member(b"e/data/sample_inputs/model.pt", GOOD.build()),
        Member(b"e/archive_format", b"pt2"),
        Member(b"e/archive_version", b"0"),
    )
    _, findings, _, nested, layout = read(Archive(members).build())
    assert findings == {"pt2-program": "unvetted"}
    assert [(n.member, n.raw) for n in nested] == [
        ("e/data/weights/weight_0", True), ("e/data/weights/weight_1", True), ("e/data/sample_inputs/model.pt", False),
    ]  # fmt: skip
    assert layout.metadata["archive"] == "pt2"
