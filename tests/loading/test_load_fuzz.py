"""For any bytes, a load gives something or raises an error of ours, and does nothing else.

Real files are broken at random, with a fixed seed, in one process of its own with an audit hook: no import, no process,
no write. Longer with SAFELOAD_FUZZ_SECONDS, otherwise with SAFELOAD_FUZZ_SEED.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SEED = os.environ.get("SAFELOAD_FUZZ_SEED", "20")
SECONDS = float(os.environ.get("SAFELOAD_FUZZ_SECONDS", "20"))

FUZZ = """
import gc, io, pickle, random, resource, struct, sys, time, warnings, zipfile
from pathlib import Path
warnings.simplefilter("ignore")
import torch
import safeload
from tests.loading.contained import _watch, import_all
from tests.loading.test_equal import saved, resaved
from tests.loading.zoo import PLAIN, TENSORS, VALUES

seconds, folder = float(sys.argv[1]), Path(sys.argv[2])
torch.set_num_threads(1)
import_all()
seeds = []
for name, make in {**TENSORS, **VALUES}.items():
    if name in ("optimizer",):
        continue
    for options in ({}, {"pickle_protocol": 4}, {"_use_new_zipfile_serialization": False}):
        seeds.append(saved(make(), **options))
    seeds.append(resaved(saved(make()), zipfile.ZIP_STORED))
seeds += [pickle.dumps(make(), p) for name, make in PLAIN.items() for p in (2, 4) if name != "numpy_random"]
seeds += [p.read_bytes() for p in sorted(Path("samples/files").rglob("*.*")) if p.stat().st_size < 20_000]
for data in seeds:
    try:
        safeload.load(data, unvetted="record")
    except safeload.SafeloadError:
        pass
seen = _watch()
limit = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + (2 << 30)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

WORDS = [0, 1, 2, 7, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]
OPCODES = b"(.012FIJKLMNPQRSTUVXabcdeghijloprstqu)]}"
OPCODES += b"\\x80\\x81\\x82\\x85\\x86\\x87\\x88\\x89\\x8a\\x8c\\x8f\\x90\\x91\\x92\\x93\\x94"


def pickle_range(data):
    "The bytes to aim at: data.pkl of a zip, all of anything else."
    at = data.find(b"data.pkl")
    if data[:2] == b"PK" and at > 0:
        end = data.find(b"PK", at)
        return at + 8, max(end, at + 9)
    return 0, min(len(data), 4000)


def broken(rng, data):
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        low, high = pickle_range(data) if rng.random() < 0.75 else (0, len(data))
        if high <= low or not data:
            return bytes(data)
        at = rng.randrange(low, min(high, len(data)) or 1) if min(high, len(data)) > low else 0
        kind = rng.randrange(9)
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at] = rng.choice(OPCODES)
        elif kind == 2:
            data[at:at + 1] = bytes([rng.choice(OPCODES), data[at]])
        elif kind == 3:
            del data[at:at + rng.randrange(1, 9)]
        elif kind == 4:
            size = rng.choice((1, 2, 4, 8))
            data[at:at + size] = (rng.choice(WORDS) & ((1 << 8 * size) - 1)).to_bytes(size, "little")
        elif kind == 5:
            other = rng.choice(seeds)
            start = rng.randrange(max(len(other), 1))
            data[at:at] = other[start:start + rng.randrange(1, 60)]
        elif kind == 6:
            end = min(len(data), at + rng.randrange(1, 40))
            data[at:at] = data[at:end]
        elif kind == 7:
            end = min(len(data), at + rng.randrange(1, 20))
            other = rng.randrange(len(data))
            data[other:other + end - at] = data[at:end]
        else:
            del data[rng.randrange(at, len(data)):]
    return bytes(data)


rng = random.Random(int(sys.argv[3]))
end, count, loaded, errors, worst = time.monotonic() + seconds, 0, 0, {}, 0.0
path = folder / "fuzz.bin"
while time.monotonic() < end:
    data = broken(rng, rng.choice(seeds))
    given = data
    if count % 5 == 0:
        del seen[:]
        path.write_bytes(data)
        del seen[:]
        given = path
    start = time.monotonic()
    try:
        got = safeload.load(given, unvetted=rng.choice(("refuse", "record")))
        loaded += 1
        del got
    except safeload.SafeloadError as error:
        errors[type(error).__name__] = errors.get(type(error).__name__, 0) + 1
    except BaseException as error:
        (folder / "failed.bin").write_bytes(data)
        raise
    took = time.monotonic() - start
    if took > worst:
        worst = took
    if seen:
        print("EFFECTS", seen[:5], data.hex()[:4000])
        sys.exit(3)
    if took > 5:
        print("SLOW", took, data.hex()[:4000])
        sys.exit(4)
    count += 1
print(count, loaded, errors, worst)
assert gc.isenabled()
"""


def test_any_bytes(tmp_path: Path, root: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", FUZZ, str(SECONDS), str(tmp_path), SEED],
        capture_output=True, text=True, timeout=SECONDS * 3 + 100, check=False, cwd=root, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    count, loaded = map(int, done.stdout.split()[:2])
    assert count > 100
    assert 0 < loaded < count
    assert "UnsafeCheckpoint" in done.stdout
