"""torchserve_manifest: what a .mar runs is named, and nothing of it leads out of its folder unseen."""

from __future__ import annotations

import json
import random

import pytest

from safeload.containers.descriptions.torchserve_manifest import torchserve_manifest
from safeload.containers.interface import ImportedName
from safeload.errors import LimitExceeded, Malformed
from safeload.findings import Finding, Verdict
from safeload.limits import Limits

LIMITS = Limits()
MODEL = {
    "modelName": "m",
    "handler": "handler.py:entry",
    "modelFile": "model.py",
    "serializedFile": "weights.pt",
    "requirementsFile": "requirements.txt",
    "modelVersion": "1.0",
}


def judged(manifest):
    data = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
    return list(torchserve_manifest(data, "MAR-INF/MANIFEST.json", LIMITS))


def rules(manifest):
    return [part.rule if isinstance(part, Finding) else f"{part.module}.{part.name}" for part in judged(manifest)]


def test_it_says_what_runs_and_when():
    summary, named = judged({"runtime": "python", "model": MODEL, "archiverVersion": "0.9.0"})
    assert (summary.rule, summary.verdict) == ("mar-handler", Verdict.UNVETTED)
    assert summary.message == (
        "the archive is a program for TorchServe, which imports the handler 'handler.py:entry' and calls it, when the"
        " model is loaded and for each request; it imports 'model.py' to build the model, when it is loaded; it hands"
        " 'weights.pt' to torch.jit.load or torch.load, when the model is loaded; it lets pip install what"
        " 'requirements.txt' lists, before the model is loaded, if its configuration allows it"
    )
    assert (named.module, named.name, named.evidence) == ("handler", "entry", "handler.py:entry")


def test_an_empty_manifest_is_a_program_too():
    assert rules({}) == ["mar-handler"]
    assert rules({"model": {}}) == ["mar-handler"]


@pytest.mark.parametrize(
    ("handler", "named"),
    [
        ("image_classifier", []),
        ("handler.py", []),
        ("code/handler.py", []),
        ("os:system", ["os.system"]),
        ("os.py:system", ["os.system"]),
        ("x/subprocess.py:getoutput", ["subprocess.getoutput"]),
        ("package.module", ["package.module.handle"]),
    ],
)
def test_a_handler_that_is_a_module_is_for_the_policy(handler, named):
    assert rules({"model": {"handler": handler}}) == ["mar-handler", *named]


@pytest.mark.parametrize(
    "key", ["handler", "modelFile", "serializedFile", "requirementsFile", "configFile", "extraFiles"]
)
@pytest.mark.parametrize(
    "path", ["../x.py", "a/../../x.py", "/tmp/x.py", "..\\x.py", "C:\\x.py", "~/x.py", "a.txt,../x", "../x.py:run"]
)
def test_a_path_that_leads_out_is_dangerous(key, path):
    assert rules({"model": {key: path}}) == ["mar-handler", "mar-outside"]
    assert judged({"model": {key: path}})[1].verdict == Verdict.DANGEROUS


def test_equal_keys_escapes_and_encodings():
    text = b'{"model": {"handler": "a.py", "h\\u0061ndler": "..\\/b.py", "handler": "os:system"}}'
    assert rules(text) == ["mar-handler", "mar-outside", "os.system"]
    for encoding in ("utf-8-sig", "utf-16", "utf-32-be"):
        assert rules(("  " + json.dumps({"model": {"handler": "../a.py"}})).encode(encoding)) == [
            "mar-handler",
            "mar-outside",
        ]
    assert rules({"a": [{"model": {"handler": "../a.py"}}]}) == ["mar-handler", "mar-outside"]


def test_where_it_is():
    part = judged({"model": {"handler": "os:system"}})[1]
    assert part == ImportedName(
        "os", "system", "TorchServe imports and calls it", "MAR-INF/MANIFEST.json", 22, "os:system"
    )


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b'"x"', b"1", b"{", b"{'model': 1}", b"{} // x", b'{"a": "\xff"}', b'{"model": {"handler": "a"'],
)
def test_what_is_no_manifest_is_malformed(data):
    with pytest.raises(Malformed):
        judged(data)


def test_limits_and_damage():
    with pytest.raises(LimitExceeded):
        judged(b'{"model":' * 100_000)
    with pytest.raises(LimitExceeded):
        judged(b"{" + b",".join(b'"handler": "a%d"' % n for n in range(65)) + b"}")
    text = json.dumps({"model": MODEL}).encode()
    chance = random.Random(5)
    for _ in range(1500):
        damaged = bytearray(text)
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.choice(b'"{}[],:\\x./\0\xff')
        try:
            judged(bytes(damaged))
        except (Malformed, LimitExceeded):
            continue
