"""The members of an AOTInductor package that are no weights: flags, metadata, sources and native code.

`torch._inductor.aoti_load_package` extracts `data/aotinductor/<model>` and `data/constants`. So does
`torch.export.load`: it loads a package in the archive before anything else. torch loads a `.wrapper.so` into the
process. Without one it builds `<compiler> <sources> -D <definitions> -<cflags> -I<include_dirs> ...` from
`*_compile_flags.json` and `*_linker_flags.json`, and gives both lines to `system()`: a shell. So torch always runs what
a package holds: every package has a finding, and nothing here makes one clean.

Flags have a closed form: known keys, values of harmless letters, and the switches of a table, because a compiler has
switches that run programs (`-wrapper`, `-fplugin=`, `-B`, `@file`). Anything else is dangerous.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from safeload.containers.interface import ImportedName
from safeload.containers.text.json_paths import JsonLeaf, leaves
from safeload.containers.text.json_text import EventKind
from safeload.errors import Malformed
from safeload.findings import Finding, Severity, Verdict
from safeload.limits import Limits

_REFUSE = "Do not load this file; ask its author for the weights as safetensors."
_LOOK = "Load it only when you trust its author with your account; read the flags and sources first."

_LISTS = frozenset(
    {"definitions", "include_dirs", "cflags", "ldflags", "libraries_dirs", "libraries", "passthrough_args"}
)
_FLAGS = frozenset({"aot_mode", "use_relative_path", "compile_only"})
_COMPILER = re.compile(
    r"(?:/(?:[A-Za-z0-9_+.-]+/)*)?(?:[a-z0-9_]+-)*(?:g\+\+|gcc|clang\+\+|clang|c\+\+|cc|icpx|icx|nvcc|hipcc|cl)(?:-[0-9.]+)?(?:\.exe)?"
)
_MACRO = re.compile(r" ?[A-Za-z_]\w*(?:=[A-Za-z0-9_.]*)?", re.ASCII)
_FOLDER = re.compile(r"(?:[A-Za-z]:)?[\\/]?(?:[A-Za-z0-9_+. -]+[\\/])*[A-Za-z0-9_+.-]*")
_LIBRARY = re.compile(r"[A-Za-z0-9_+.:-]*")
_SWITCH = re.compile(
    r"O[0-3sg]?|Ofast|g[0-3]?|D[A-Za-z_]\w*(?:=\w*)?|f(?!plugin|module-mapper)[a-z0-9-]+(?:=[a-z0-9_,-]+)?"
    r"|m[a-z0-9.-]+(?:=[a-z0-9_.,-]+)?|W(?![alp],)[a-z0-9+-]*(?:=[a-z0-9-]+)?|std[=:]c\+\+\w+|shared|fPIC|pedantic|pthread"
    r"|Wl,(?:--as-needed|--no-as-needed|--script=[A-Za-z0-9_+./-]*script\.ld|-z,[a-z]+|--build-id|-undefined,[a-z_]+"
    r"|-rpath,[A-Za-z0-9_+./$-]*)"
    r"|undefined|dynamiclib|Xpreprocessor|nologo|EHsc|MD|LD|openmp|openmp:experimental|arch:[A-Z0-9]+|Zc:[a-zA-Z_]+"
    r"|c",
    re.ASCII,
)
_METADATA = re.compile(r"[A-Za-z0-9_.,:;+= /()\[\]-]{0,4096}")
_MEMBER = re.compile(r"[A-Za-z0-9_]{1,100}(?:\.[A-Za-z0-9_]{1,20})?")
_NATIVE = {
    "so": "a shared library", "pyd": "a shared library", "dll": "a shared library", "dylib": "a shared library",
    "o": "an object file that is linked in", "obj": "an object file that is linked in", "a": "a library of objects",
    "cubin": "code for a GPU", "hsaco": "code for a GPU", "spv": "code for a GPU", "fatbin": "code for a GPU",
    "ptx": "code for a GPU", "metallib": "code for a GPU",
}  # fmt: skip


def aoti_flags(data: bytes, member: str, limits: Limits) -> Iterator[Finding | ImportedName]:
    """Findings for flags in `*_compile_flags.json` or `*_linker_flags.json` that would make the shell run more."""
    words: list[str] = []
    for leaf in leaves(data, limits):
        why = _wrong(leaf)
        value = str(leaf.event.value)
        if why:
            yield Finding(
                "aoti-compile-flags", Verdict.DANGEROUS, Severity.CRITICAL,
                f"the flag {value[:200]!r} in {_way(leaf)} {why}; torch puts it into a command line that a shell runs "
                "when the package is loaded",
                _REFUSE, member=member, offset=leaf.event.offset, evidence=value[:200],
            )  # fmt: skip
        elif leaf.event.kind is EventKind.STRING:
            words.append(value)
    line = " ".join(words)
    yield Finding(
        "aoti-compile-flags", Verdict.UNVETTED, Severity.MEDIUM,
        "torch compiles the sources of this package when it is loaded, with a command that a shell runs: "
        + line[:200] + ("..." if len(line) > 200 else ""),
        _LOOK, member=member, evidence=line[:200],
    )  # fmt: skip


def aoti_metadata(data: bytes, member: str, limits: Limits) -> Iterator[Finding | ImportedName]:
    """Check `*_metadata.json`, which describes the device: torch compares its texts, and runs none."""
    del member
    yield from ()
    for leaf in leaves(data, limits):
        if leaf.event.kind is EventKind.OBJECT_END and not leaf.path:
            return
        text = str(leaf.event.value)
        if len(leaf.path) != 1 or leaf.event.kind is not EventKind.STRING or not _METADATA.fullmatch(text):
            raise Malformed("the metadata of the package is no table of short texts", offset=leaf.event.offset)


def aoti_constants(data: bytes, member: str, limits: Limits) -> Iterator[Finding | ImportedName]:
    """Check the names of members with custom objects (`custom_objs_config.json`) or weights (`weights_config.json`).

    torch joins a name to a folder, so it may hold no slash. The members themselves are judged by their content.
    """
    del member
    yield from ()
    for leaf in leaves(data, limits):
        if leaf.event.kind is EventKind.STRING and not _MEMBER.fullmatch(str(leaf.event.value)):
            raise Malformed("a configuration of the package names no member beside it", offset=leaf.event.offset)
        if not leaf.path and leaf.event.kind is not EventKind.OBJECT_END:
            raise Malformed("a configuration of the package is no table", offset=leaf.event.offset)


def aoti_source(data: bytes, member: str, limits: Limits) -> Iterator[Finding | ImportedName]:
    """The finding for a source (.cpp, .cu, .h, CMakeLists.txt, script.ld): nothing here understands C++."""
    del limits
    yield Finding(
        "aoti-source", Verdict.UNVETTED, Severity.HIGH,
        f"{len(data)} bytes of source code, which torch compiles and loads into the process when the package is used",
        _LOOK, member=member, offset=0,
    )  # fmt: skip


def aoti_native(data: bytes, member: str, limits: Limits) -> Iterator[Finding | ImportedName]:
    """The finding for native code (.so, .o, .cubin, ...), which torch loads or links as it is."""
    del limits
    what = _NATIVE.get(member.rpartition(".")[2].lower() if "." in member else "", "native code")
    yield Finding(
        "aoti-native-code", Verdict.UNVETTED, Severity.HIGH,
        f"{what} of {len(data)} bytes, which torch loads into the process and runs when the package is loaded",
        _LOOK, member=member, offset=0,
    )  # fmt: skip


def _way(leaf: JsonLeaf) -> str:
    return repr(str(leaf.path[0])[:60]) if leaf.path else "the whole"


def _wrong(leaf: JsonLeaf) -> str:
    """Why torch does not write this leaf; "" when it does."""
    match leaf.path:
        case ("compiler",):
            return _unless(leaf, _COMPILER, "is no compiler that torch writes")
        case (str(key),) if key in _FLAGS:
            return "" if isinstance(leaf.event.value, bool) else "is neither true nor false"
        case (str(key),) if key in _LISTS and leaf.event.kind is EventKind.ARRAY_END:
            return ""
        case ("definitions", int()):
            return _unless(leaf, _MACRO, "is no plain macro")
        case ("include_dirs" | "libraries_dirs", int()):
            return _folder(leaf)
        case ("libraries", int()):
            return _unless(leaf, _LIBRARY, "is no plain name of a library")
        case ("cflags" | "ldflags", int()):
            return _switches(leaf, dashed=False)
        case ("passthrough_args", int()):
            return _switches(leaf, dashed=True)
        case _:
            return "is a setting that torch does not write"


def _unless(leaf: JsonLeaf, form: re.Pattern[str], why: str) -> str:
    value = leaf.event.value
    return "" if leaf.event.kind is EventKind.STRING and isinstance(value, str) and form.fullmatch(value) else why


def _folder(leaf: JsonLeaf) -> str:
    value = leaf.event.value
    if isinstance(value, str) and ".." in value.replace("\\", "/").split("/"):
        return "leads out of its folder"
    return _unless(leaf, _FOLDER, "is no plain path")


def _switches(leaf: JsonLeaf, *, dashed: bool) -> str:
    """Check an entry of one or several switches, with blanks between. Those of `passthrough_args` have their dash."""
    value = leaf.event.value
    if not isinstance(value, str) or leaf.event.kind is not EventKind.STRING:
        return "is no text"
    for number, word in enumerate(value.replace("undefined dynamic_lookup", "undefined").split(" ")):
        bare = word.removeprefix("-") if dashed or number else word
        if bare == word and word and (dashed or number):
            return "holds a word that is no switch: the compiler would take it for a file"
        if word and not _SWITCH.fullmatch(bare):
            return "holds a switch outside those that torch writes"
        if ".." in bare:
            return "leads out of its folder"
    return ""
