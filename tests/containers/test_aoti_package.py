"""AOTInductor packages: the command line that torch would give to a shell, held to what torch writes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from safeload.containers.descriptions.aoti_package import (
    aoti_constants,
    aoti_flags,
    aoti_metadata,
    aoti_native,
    aoti_source,
)
from safeload.errors import Malformed
from safeload.findings import Finding, Verdict
from safeload.limits import Limits

# As torch 2.13 wrote them on Linux, for a CPU.
WRITTEN: dict[str, Any] = {
    "compiler": "g++",
    "definitions": ["TORCH_INDUCTOR_CPP_WRAPPER", " C10_USING_CUSTOM_GENERATED_MACROS", "CPU_CAPABILITY_AVX2"],
    "include_dirs": ["/usr/include/python3.11", "/home/me/.venv/lib/python3.11/site-packages/torch/include"],
    "cflags": [
        "O3", "DNDEBUG", "fno-omit-frame-pointer", "g1", "fno-trapping-math", "ffp-contract=off",
        "fexcess-precision=fast", "march=native", "shared", "fPIC", "Wall", "std=c++20", "Wno-unused-variable",
        "pedantic", "fopenmp",
    ],
    "ldflags": [],
    "libraries_dirs": ["/home/me/.venv/lib/python3.11/site-packages/torch/lib"],
    "libraries": ["torch", "torch_cpu", "gomp"],
    "passthrough_args": ["", "-mavx2 -mfma -mf16c", "-Wl,--script=/tmp/x/script.ld"],
    "aot_mode": True,
    "use_relative_path": False,
    "compile_only": False,
}  # fmt: skip


def judged(**change: Any) -> list[Finding]:
    data = json.dumps({**WRITTEN, **change}).encode()
    found = list(aoti_flags(data, "x_compile_flags.json", Limits()))
    assert all(isinstance(item, Finding) and item.rule == "aoti-compile-flags" for item in found)
    return [item for item in found if isinstance(item, Finding)]


def test_what_torch_writes_is_named() -> None:
    (found,) = judged()
    assert found.verdict is Verdict.UNVETTED
    assert "g++" in found.message
    (mac,) = judged(compiler="clang++", cflags=["shared", "fPIC", "undefined dynamic_lookup"])
    assert mac.verdict is Verdict.UNVETTED
    (other,) = judged(compiler="/usr/bin/x86_64-linux-gnu-g++-13")
    assert other.verdict is Verdict.UNVETTED


@pytest.mark.parametrize(
    "change",
    [
        {"cflags": ["O1; touch MARKER; true "]},
        {"cflags": ["O1 && touch MARKER"]},
        {"cflags": ["O1\ntouch MARKER"]},
        {"cflags": ["$(touch MARKER)"]},
        {"cflags": ["`touch MARKER`"]},
        {"cflags": ["O1 | sh"]},
        {"cflags": ["O1 >x"]},
        {"cflags": ["wrapper touch,MARKER"]},
        {"cflags": ["fplugin=x"]},
        {"cflags": ["fmodule-mapper=x"]},
        {"cflags": ["Bx"]},
        {"cflags": ["specs=x"]},
        {"cflags": ["include x.h"]},
        {"cflags": ["O3 evil.cpp"]},
        {"cflags": ["O3 @x"]},
        {"passthrough_args": ["x.o"]},
        {"passthrough_args": ["-Wl,-plugin,x.so"]},
        {"passthrough_args": ["-Wl,--script=../x/script.ld"]},
        {"compiler": "sh -c 'touch MARKER' #"},
        {"compiler": "./g++"},
        {"compiler": "../g++"},
        {"compiler": "python"},
        {"compiler": ["g++"]},
        {"definitions": ["X=$(touch MARKER)"]},
        {"definitions": ["X -wrapper"]},
        {"include_dirs": ["../x"]},
        {"include_dirs": ["/a/../../b"]},
        {"include_dirs": ["/a -wrapper"]},
        {"include_dirs": ["/a;b"]},
        {"libraries": ["x;y"]},
        {"libraries": ["x -y"]},
        {"libraries_dirs": ["'x'"]},
        {"aot_mode": "yes"},
        {"more": "x"},
        {"cflags": "O3"},
        {"cflags": [["O3"]]},
        {"cflags": [3]},
        {"cflags": {"a": "O3"}},
    ],
)
def test_what_torch_does_not_write_is_dangerous(change: dict[str, Any]) -> None:
    assert judged(**change)[0].verdict is Verdict.DANGEROUS


@pytest.mark.parametrize("data", [b"", b"{", b'{"compiler": "g++", "compiler": "sh"}', b"\xff"])
def test_flags_that_cannot_be_read_are_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        list(aoti_flags(data, "", Limits()))


@pytest.mark.parametrize("data", [b"[]", b"1", b'"x"', b"{}"])
def test_flags_are_never_silent(data: bytes) -> None:
    assert list(aoti_flags(data, "", Limits()))


def test_metadata_is_a_table_of_texts() -> None:
    written = b'{"AOTI_DEVICE_KEY": "cpu", "AOTI_PLATFORM": "linux", "AOTI_COMPUTE_CAPABILITY": ""}'
    assert list(aoti_metadata(written, "", Limits())) == []
    assert list(aoti_metadata(b"{}", "", Limits())) == []
    for data in (b"[]", b"1", b'{"a": 1}', b'{"a": {"b": "c"}}', b'{"a": "$(x)"}', b'{"a": "b", "a": "c"}', b"{"):
        with pytest.raises(Malformed):
            list(aoti_metadata(data, "", Limits()))


def test_sources_and_native_code_are_named() -> None:
    (source,) = aoti_source(b"int main;", "data/aotinductor/model/a.cpp", Limits())
    assert isinstance(source, Finding)
    assert (source.rule, source.verdict) == ("aoti-source", Verdict.UNVETTED)
    for name, words in (("a.so", "shared library"), ("A.SO", "shared library"), ("a.cubin", "GPU"), ("a", "native")):
        (native,) = aoti_native(b"\x7fELF", name, Limits())
        assert isinstance(native, Finding)
        assert (native.rule, native.verdict) == ("aoti-native-code", Verdict.UNVETTED)
        assert words in native.message


def test_configurations_name_members_beside_them() -> None:
    for data in (b"{}", b'{"obj": "custom_obj_0"}', b'{"w": ["weight_0", [2, 3], [3, 1], 0]}'):
        assert list(aoti_constants(data, "", Limits())) == []
    for data in (b"[]", b'"x"', b'{"obj": "../x"}', b'{"obj": "/x"}', b'{"obj": ".."}', b'{"obj": ""}', b"{"):
        with pytest.raises(Malformed):
            list(aoti_constants(data, "", Limits()))
