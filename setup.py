"""Compile the machine with mypyc when a wheel is built; fall back to plain Python when that is not possible.

Everything else of the package is declared in pyproject.toml. The compiled machine and the plain one are the same source
and pass the same tests; only the speed differs. Rules kept here:

- Only a wheel is compiled. An editable install and the checkout stay plain Python: a compiled module beside its source
  would go on answering for it after the source was edited.
- No compiler, no mypyc, or a failure of either: one line says so and the wheel is plain Python. Installing never fails
  for want of speed.
- A wheel is built in a new temporary folder. `build/` would keep modules that the source no longer has, and ship them.
- SAFELOAD_PURE=1 asks for plain Python and then needs nothing but setuptools.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

COMPILED = (
    "safeload/document/cell.py",
    "safeload/machine/*.py",
    "safeload/document/document.py",
    "safeload/inputs/file.py",
    "safeload/inputs/cached.py",
    "safeload/inputs/lfs.py",
    "safeload/inputs/stream.py",
    "safeload/document/dtypes.py",
    "safeload/document/elements.py",
    "safeload/scanning/nesting.py",
    "safeload/scanning/judge.py",
    "safeload/vetted/consumption.py",
    "safeload/vetted/collections_types.py",
    "safeload/vetted/torch/geometry.py",
    "safeload/vetted/torch/storages.py",
    "safeload/vetted/torch/tensors.py",
    "safeload/containers/safetensors_file.py",
    "safeload/containers/kinds/torch_zip.py",
    "safeload/containers/zip/directory.py",
    "safeload/containers/zip/entry.py",
    "safeload/scanning/declared.py",
    "safeload/tree/encode.py",
    "safeload/tree/json_text.py",
    "safeload/tree/nodes.py",
    "safeload/tree/objects.py",
    "safeload/tree/paths.py",
    "safeload/tree/scalars.py",
    "safeload/tree/spelling.py",
    "safeload/tree/storages.py",
    "safeload/converting/verify/comparing.py",
    "safeload/converting/encoding.py",
    "safeload/converting/plan/layout.py",
    "safeload/converting/plan/naming.py",
    "safeload/converting/plan/plan.py",
    "safeload/converting/plan/select.py",
    "safeload/converting/plan/views.py",
    "safeload/converting/write/writer.py",
)
"""What is compiled: what runs once for each opcode, each tensor or each member of a zip, and the objects it makes."""

PLAIN = ("__init__.py", "interface.py")
"""File names among them that only re-export or declare: compiling them gains nothing."""

MYPYC = "mypy>=2.0"

HERE = Path(__file__).resolve().parent


def modules() -> list[str]:
    """The source files to compile, as paths relative to the project."""
    found = (path for pattern in COMPILED for path in HERE.glob(pattern) if path.name not in PLAIN)
    return sorted(path.relative_to(HERE).as_posix() for path in found)


def say(line: str) -> None:
    """One line in the build log."""
    sys.stderr.write(f"safeload: {line}\n")


def why_pure() -> str:
    """Why nothing can be compiled here; empty when it can."""
    if os.environ.get("SAFELOAD_PURE", "") not in ("", "0"):
        return "SAFELOAD_PURE is set"
    if platform.python_implementation() != "CPython":
        return f"mypyc compiles for CPython, and this is {platform.python_implementation()}"
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "probe.c")
        source.write_text("#include <Python.h>\nint safeload_probe(void) { return PY_VERSION_HEX; }\n")
        try:
            # setuptools puts its own copy of distutils in place.
            from distutils.ccompiler import new_compiler
            from distutils.sysconfig import customize_compiler, get_python_inc

            compiler = new_compiler()
            customize_compiler(compiler)
            compiler.compile([str(source)], output_dir=folder, include_dirs=[get_python_inc()])
        except Exception as error:  # whatever a compiler's driver raises, it means that there is none
            return f"no C compiler with Python's headers was found ({error})"
    return ""


def extensions(target: str) -> list[Extension]:
    """The compiled modules, their C written to `target`; none when mypyc is missing or refuses the source."""
    try:
        from mypyc.build import mypycify

        # No configuration, silence on other files, and no look at installed packages: what the type checker has to say
        # must not decide whether a build is fast, nor what stands beside it what is built: reading torch took a minute.
        alone = ["--config-file=", "--follow-imports=silent", "--no-site-packages", "--ignore-missing-imports"]
        return mypycify([*alone, *modules()], opt_level="3", debug_level="0", target_dir=target, group_name="safeload")
    except (Exception, SystemExit) as error:  # mypyc ends the process where it finds an error in the source
        say(f"the machine is not compiled, plain Python is used: mypyc: {error!r}")
        return []


class BuildOrFallBack(build_ext):
    """Compile all of the modules or none: half of them could not find the library that they share."""

    def run(self) -> None:
        """Build every extension; on failure remove what was built and go on without."""
        try:
            super().run()
        except Exception:  # see why_pure
            say("the machine is not compiled, plain Python is used: the compiler failed, its output is above")
            for extension in self.extensions:
                Path(self.get_ext_fullpath(extension.name)).unlink(missing_ok=True)
            self.extensions = []
            self.distribution.ext_modules = []
            wheel = self.distribution.get_command_obj("bdist_wheel", create=False)
            if wheel is not None:
                wheel.root_is_pure = True
        else:
            if self.extensions:
                say(f"compiled {len(modules())} modules of the machine")


def main() -> None:
    """Run setuptools, with extensions where they can be built."""
    wheel = "bdist_wheel" in sys.argv  # an editable install runs editable_wheel
    requirements = "egg_info" in sys.argv  # the question a build frontend asks first: what does a build need?
    if not (wheel or requirements):
        setup()
        return
    reason = why_pure()
    if requirements and not wheel:
        setup(setup_requires=[] if reason else [MYPYC])
        return
    folder = tempfile.mkdtemp(prefix="safeload-build-")
    try:
        if reason:
            say(f"the machine is not compiled, plain Python is used: {reason}")
        setup(
            ext_modules=[] if reason else extensions(folder),
            cmdclass={"build_ext": BuildOrFallBack},
            options={"build": {"build_base": folder}},
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
