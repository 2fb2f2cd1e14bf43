"""Whatever the bytes of a folder are, judging it returns a report. Seeded: a failure comes again."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from safeload.findings import Verdict
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.report import Report
from safeload.scanning.units import KINDS, judge

CONFIG = b'{"auto_map": {"AutoModel": "a.B"}, "chat_template": "{{ x[\'a\' ~ b] }}", "x": [1, {"auto_map": null}]}'
YAML = b"a: &x {loader_module: os, b: [*x, !t 1]}\n? k\n: |\n  text\n_target_: nemo.X\n---\n- 1\n"
TEMPLATE = (
    b"{% set a = 'x' %}{% for m in messages %}{{ m[a ~ '_'] }}{% if m.x is defined %}{{ m|attr('b') }}{% endif %}"
    b"{% endfor %}"
)
SEEDS = {
    "config.json": CONFIG,
    "model_index.json": b'{"_class_name": ["a", "B"], "unet": ["os", "system"]}',
    "modules.json": b'[{"path": "", "type": "os.system"}]',
    "MLmodel": YAML,
    "model_config.yaml": YAML,
    "MAR-INF/MANIFEST.json": b'{"model": {"handler": "h.py"}}',
    "chat_template.jinja": TEMPLATE,
    "saved_model.pb": b"\x12\x06PyFunc",
    ".data/extern_modules": b"os\n",
    "model.safetensors": b"",
    "model_weights.ckpt": b"",
    "os.py": b"",
}


def mutated(data: bytes, chance: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(chance.randrange(1, 5)):
        at = chance.randrange(len(out) + 1)
        match chance.randrange(5):
            case 0 if at < len(out):
                out[at] = chance.randrange(256)
            case 1:
                del out[at : at + chance.randrange(20)]
            case 2:
                out[at:at] = chance.choice(
                    (b"{", b"[", b'"', b"{{", b"%}", b"&a", b"*a", b"!!", b"\\u", b"\0", b"\xff")
                )
            case 3:
                out[at:at] = out[chance.randrange(len(out) + 1) :][:30]
            case _:
                out[at:at] = chance.choice((b"[", b"{{ (", b"{% if 1 %}", b"- ", b"not ")) * 300
    return bytes(out)


@pytest.mark.parametrize("seed", range(60))
def test_every_folder_gets_a_report(seed: int, folder_of: Callable[..., object]) -> None:
    chance = random.Random(seed)
    files = {name: mutated(data, chance) if chance.random() < 0.7 else data for name, data in SEEDS.items()}
    for kind in KINDS:
        report = judge(folder_of(files), kind, Policy.default(), Limits())  # type: ignore[arg-type]
        assert isinstance(report, Report)
        assert report.verdict is not Verdict.SKIPPED
