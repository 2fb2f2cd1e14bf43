"""Five repositories as templates make them: conda, CMake, Sphinx, MLflow, DVC. Nothing here is a test.

None of their files is a model, but for the folder of an MLflow model, which names what runs.
"""

from __future__ import annotations

import csv
import io
import json
import py_compile
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.containers.whole import made, made_programs, made_tables
from tests.quiet import prose, sources

# Their first letters are opcodes of pickles, or begin a line that is an operand of one.
PACKAGES = (
    "absl-py", "aiohttp", "boto3", "bokeh", "certifi", "charset-normalizer", "click", "cloudpickle",
    "cryptography", "dask", "django", "einops", "fastapi", "fsspec", "gitpython", "grpcio", "h5py",
    "huggingface-hub", "hydra-core", "idna", "imageio", "importlib-metadata", "ipython", "jinja2", "joblib",
    "jupyter", "keras", "lightning", "lxml", "matplotlib", "mkl", "networkx", "numpy", "omegaconf",
    "opencv-python", "packaging", "pandas", "pillow", "protobuf", "pyarrow", "pydantic", "pytest", "PyYAML",
    "Quandl", "requests", "rich", "ruff", "safetensors", "scikit-learn", "scipy", "seaborn", "sympy",
    "tensorboard", "torch", "tqdm", "transformers", "typer", "urllib3", "uvicorn", "Vispy", "wandb", "xgboost",
    "yarl", "zstandard",
)  # fmt: skip

Files = dict[str, bytes]


def encoded(texts: dict[str, str], folder: str = "") -> Files:
    return {folder + name: text.encode() for name, text in texts.items()}


def common(licence: str) -> Files:
    return encoded(prose.EVERYWHERE) | {"LICENSE": licence.encode()}


def pictures(folder: str, *names: str) -> Files:
    return {f"{folder}{name}": made.MADE[name.rpartition(".")[2]][0]() for name in names}


def table(rows: int, **dialect: str) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, **dialect)  # type: ignore[arg-type]
    writer.writerow(["city", "b", "c"])
    writer.writerows([number, number * 0.5, f"text {number}"] for number in range(rows))
    return out.getvalue().encode()


def compiled(source: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "module.py")
        path.write_text(source, encoding="utf-8")
        return Path(py_compile.compile(str(path), str(path) + "c", doraise=True)).read_bytes()


def library() -> bytes:
    """A shared library as a compiler makes it: the smallest one of this Python, or one made here."""
    found = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("lib-dynload/*.so"), key=lambda path: path.stat().st_size)
    return found[0].read_bytes() if found and sys.platform == "linux" else made_programs.elf()


def conda() -> Files:
    requirements = {f"requirements/{name}.txt": f"{name}\nnumpy>=1.20\npandas\n".encode() for name in PACKAGES}
    record = [f"demo/{name},sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0" for name in ("__init__.py", "a.py")]
    return (
        common(prose.BSD_NAMED)
        | requirements
        | encoded(
            {
                "environment.yml": "channels:\n  - conda-forge\ndependencies:\n  - python=3.11\n  - numpy\n",
                "environment-named.yml": "name: demo\nchannels:\n- defaults\ndependencies:\n- pip\n- pip:\n  - demo\n",
                "conda-lock.txt": "# platform: linux-64\n@EXPLICIT\nhttps://example.org/python-3.11.tar.bz2#d41d8cd9\n",
                "conda.recipe/meta.yaml": '{% set version = "0.2.0" %}\n\npackage:\n  name: demo\n',
                "conda.recipe/build.sh": "$PYTHON -m pip install . -vv\n",
                "conda.recipe/bld.bat": prose.MAKEFILE.replace("\n", "\r\n"),
                "conda_build_config.yaml": "python:\n  - 3.10\n  - 3.11\nc_compiler:\n  - gcc\n",
                "requirements.txt": "certifi\nidna\nclick>=8\n",
                "constraints.txt": "CacheControl==0.14.0\nclick==8.1.7\n",
                "demo.dist-info/RECORD": "\n".join(record) + "\n",
                "demo.dist-info/METADATA": prose.METADATA,
                "demo.dist-info/WHEEL": prose.WHEEL,
                "demo.dist-info/top_level.txt": "demo\n",
                "demo.dist-info/entry_points.txt": prose.ENTRY_POINTS,
                "demo.dist-info/licenses/LICENSE": prose.MIT_BARE,
                "demo/__init__.py": sources.PYTHON_BARE,
                "setup.cfg": prose.SETUP_CFG,
                "pyproject.toml": prose.PYPROJECT,
                "tox.ini": prose.TOX,
            }
        )
        | {
            "demo/__pycache__/a.cpython-311.pyc": compiled(sources.PYTHON),
            "demo/__pycache__/b.cpython-311.pyc": compiled("ZIP = (b'PK\\x05\\x06' + bytes(18), b'PK\\x03\\x04')\n"),
            "demo/py.typed": b"",
            "demo/names.txt": "Renée\nJürgen\nFrançoise\n".encode("latin-1")
            + b"and many more of them, in a list of names\n",
        }
    )


def cmake() -> Files:
    return (
        common(prose.APACHE)
        | encoded(sources.LANGUAGES, "src/")
        | encoded(
            {
                "CMakeLists.txt": sources.CMAKE,
                "src/CMakeLists.txt": "add_executable(demo main.cpp)\ninstall(TARGETS demo)\n",
                "cmake/demo.cmake": sources.CMAKE_MODULE,
                "cmake/demo-config.cmake.in": sources.CMAKE_IN,
                "CMakePresets.json": json.dumps({"version": 3, "configurePresets": [{"name": "default"}]}, indent=2),
                "build/CMakeCache.txt": "# This is the CMakeCache file.\nCMAKE_BUILD_TYPE:STRING=Release\n",
                "build/compile_commands.json": json.dumps([{"directory": "/b", "file": "a.cpp"}]),
                "build/cmake_install.cmake": "# Install script for directory: /demo\n\nif(NOT DEFINED A)\nendif()\n",
                "meson.build": "project('demo', 'cpp')\nexecutable('demo', 'main.cpp')\n",
                "demo.pc.in": "prefix=@prefix@\n\nName: demo\nLibs: -ldemo\n",
                "BUILD.bazel": 'cc_library(\n    name = "demo",\n)\n',
                "Doxyfile": 'PROJECT_NAME           = "demo"\nINPUT = src\n',
                ".clang-format": "BasedOnStyle: Google\nColumnLimit: 100\n",
                "vcpkg.json": json.dumps({"name": "demo", "dependencies": ["fmt"]}),
                "third_party/a/LICENSE": prose.BSD,
                "third_party/b/LICENSE.txt": prose.MIT_OF,
                "third_party/c/COPYING": prose.GPL,
                "third_party/d/NOTICE": "Copyright 2024 The Authors\nThis product includes software.\n",
                "patches/0001-fix.patch": prose.PATCH,
                "man/demo.1": prose.MAN,
                "certs/ca.pem": prose.PEM,
                "certs/key.pub": prose.PUBLIC_KEY,
                "windows.rc": '1 ICON "demo.ico"\r\nIDR_A RCDATA "a.bin"\r\n',
            }
        )
        | pictures("resources/", "demo.ico", "demo.icns", "font.ttf", "sound.wav", "logo.png")
        | {
            "lib/libdemo.so": library(),
            "lib/libdemo.a": made_programs.ar(),
            "lib/demo.dll": made_programs.pe(),
            "lib/demo.class": made_programs.java(),
            "src/old.cpp": "// Größe in µm, see the café\nint size() { return 1; }\n".encode("cp1252")
            + sources.CPP.encode(),
            "src/strings.rc": b"\xff\xfe" + 'STRINGTABLE\r\nBEGIN\r\n  1 "hello"\r\nEND\r\n'.encode("utf-16-le"),
        }
    )


def sphinx() -> Files:
    return (
        common(prose.MIT)
        | encoded(
            {
                "docs/conf.py": sources.SPHINX_CONF,
                "docs/old/conf.py": sources.SPHINX_CONF_BARE,
                "docs/short/conf.py": sources.SPHINX_CONF_SHORT,
                "docs/index.rst": sources.INDEX,
                "docs/usage.rst": prose.README_RST,
                "docs/api/modules.rst": sources.API,
                "docs/Makefile": "SPHINXOPTS    ?=\nSOURCEDIR     = .\n\nhelp:\n\t@$(SPHINXBUILD) -M help\n",
                "docs/make.bat": sources.BATCH,
                "docs/requirements.txt": "sphinx>=7\nfuro\nmyst-parser\n",
                "docs/_static/custom.css": sources.CSS,
                "docs/_static/custom.js": sources.JS,
                "docs/_templates/layout.html": '{% extends "!layout.html" %}\n{{ super() }}\n',
                "docs/_build/html/index.html": prose.HTML,
                "docs/_build/html/searchindex.js": 'Search.setIndex({"docnames": ["index"], "terms": {"a": 0}})',
                "docs/_build/html/_sources/index.rst.txt": sources.INDEX,
                "docs/_build/html/.buildinfo": "# Sphinx build info version 1\nconfig: 0f3b\ntags: 645f\n",
                "docs/locale/de/LC_MESSAGES/index.po": prose.PO,
                "docs/words.txt": "cat\ndog\ninto\nbird\nNone\nIs\n",
                "docs/spelling.txt": "autodoc\nbool\nchangelog\ndocstring\nnumpy\n",
                "docs/paper/paper.tex": prose.LATEX,
                "docs/paper/paper.bib": prose.BIBTEX,
                "docs/tutorial.ipynb": sources.notebook(),
                "docs/logo.svg": prose.SVG,
                "docs/build.xml": prose.XML,
                ".readthedocs.yaml": "version: 2\n\nsphinx:\n  configuration: docs/conf.py\n",
                "NEWS.rst": prose.NEWS,
                "README.rst": prose.README_RST,
                "MANIFEST.in": prose.MANIFEST,
                "demo/__init__.py": sources.PYTHON_COPYRIGHT,
                "tests/conftest.py": sources.CONFTEST,
                ".gitlab-ci.yml": prose.GITLAB,
            }
        )
        | pictures(
            "docs/_static/", "logo.png", "photo.jpeg", "a.gif", "favicon.ico", "font.woff2", "font.woff", "b.webp"
        )
        | {
            "docs/_build/html/objects.inv": inventory(),
            "docs/locale/de/LC_MESSAGES/index.mo": made_programs.catalog(),
            "docs/paper/paper.pdf": made.pdf(),
            "docs/windows.txt": b"c text with lines\r\nof another kind\r\n",
            "docs/locale/ru/index.po": prose.PO.replace("UTF-8", "KOI8-R")
            .replace("grüß dich", "привет")
            .encode("koi8-r"),
        }
    )


def inventory() -> bytes:
    """The list of objects that Sphinx writes: four lines of text, then a stream, which nobody can tell from others."""
    return b"# Sphinx inventory version 2\n# Project: demo\n# Version: 0.2\n# uncompressed here\n"


def mlflow() -> Files:
    run = "mlruns/0/5f0c2b8a/"
    return (
        common(prose.GPL)
        | encoded(
            {
                "MLproject": "name: demo\n\nconda_env: conda.yaml\n\nentry_points:\n  main:\n    command: 'a'\n",
                "conda.yaml": "channels:\n- conda-forge\ndependencies:\n- python=3.11\n- pip:\n  - mlflow\n",
                "python_env.yaml": "python: 3.11.7\ndependencies:\n- -r requirements.txt\n",
                "requirements.txt": "mlflow==2.14.0\ncloudpickle==3.0.0\nnumpy==1.26.4\n",
                "train.py": sources.PYTHON_BARE,
                "mlruns/0/meta.yaml": "artifact_location: mlruns/0\nexperiment_id: '0'\nname: Default\n",
                run + "meta.yaml": "artifact_uri: mlruns/0/5f0c2b8a/artifacts\nend_time: 1\nrun_id: 5f0c2b8a\n",
                run + "metrics/loss": "1715000000000 0.5 0\n1715000000001 0.25 1\n",
                run + "params/epochs": "10",
                run + "params/optimizer": "adam",
                run + "params/name": "iris",
                run + "params/loss": "cross_entropy",
                run + "params/none": "None",
                run + "tags/mlflow.user": "jane",
                run + "tags/mlflow.source.name": "train.py",
                run + "tags/mlflow.source.git.commit": "c0ffee0000000000000000000000000000000000",
                run + "artifacts/report.html": prose.HTML,
                run + "artifacts/confusion.json": json.dumps({"columns": ["a"], "data": [[1]]}),
                "Dockerfile": prose.DOCKERFILE,
                "docker-compose.yml": prose.COMPOSE,
                "notebooks/explore.ipynb": sources.notebook(),
                "config/params.yaml": "lr: 0.1\nlayers: [1, 2]\nname: &a demo\nalias: *a\n",
                "config/net.prototxt": sources.PROTO_TEXT,
                "setup.py": "from setuptools import setup\n\nsetup(name='demo')\n",
                "src/__init__.py": "",
                "src/model.py": sources.PYTHON,
                "src/api.proto": sources.PROTO,
                "tests/test_a.py": "from src import model\n\n\ndef test_a():\n    assert model\n",
                "LICENSE-MPL": prose.MPL,
            }
        )
        | pictures(run + "artifacts/", "plot.png", "loss.gif", "roc.jpeg")
        | {
            "mlflow.db": made_programs.sqlite(),
            "data/iris.csv": table(50),
            "data/iris.tsv": table(50, delimiter="\t"),
            "data/notes.txt": "Messgröße in °C, aufgenommen an der Universität Köln im Frühjahr\n".encode("latin-1"),
        }
    )


def dvc() -> Files:
    digest = "d41d8cd98f00b204e9800998ecf8427e"
    return (
        common(prose.MIT_OF)
        | encoded(
            {
                "dvc.yaml": "stages:\n  prepare:\n    cmd: python prepare.py\n    deps:\n    - a\n",
                "dvc.lock": f"schema: '2.0'\nstages:\n  prepare:\n    deps:\n    - path: a\n      md5: {digest}\n",
                "params.yaml": "prepare:\n  split: 0.2\n  seed: 20170428\n",
                "data/raw.csv.dvc": f"outs:\n- md5: {digest}\n  size: 14445097\n  hash: md5\n  path: raw.csv\n",
                "models/model.pkl.dvc": f"outs:\n- md5: {digest}.dir\n  nfiles: 2\n  path: model.pkl\n",
                ".dvc/config": "[core]\n    remote = storage\n['remote \"storage\"']\n    url = s3://bucket\n",
                ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
                ".dvcignore": "# Add patterns of files dvc should ignore\n",
                "metrics.json": json.dumps({"accuracy": 0.9, "loss": 0.1}),
                "plots/roc.tsv": "fpr\ttpr\n0\t0\n1\t1\n",
                "plots/roc.json": json.dumps([{"fpr": 0, "tpr": 0.5}]),
                "prepare.py": sources.PYTHON,
                "src/evaluate.py": sources.PYTHON_COPYRIGHT,
                "notebooks/a.ipynb": sources.notebook(),
                "docs/index.md": prose.README,
                "docs/mkdocs.yml": "site_name: demo\nnav:\n  - Home: index.md\n",
                "references/codebook.txt": "col_a: the first column\ncol_b: the second\n",
                "references/stopwords.txt": "i\nme\nmy\nin\nis\nit\nnot\ncan\ncould\n",
                "reports/report.tex": prose.LATEX,
                "setup.cfg": prose.SETUP_CFG,
                "Pipfile": '[[source]]\nurl = "https://example.org/simple"\n\n[packages]\nnumpy = "*"\n',
                "poetry.lock": '# This file is generated.\n[[package]]\nname = "certifi"\nversion = "2024.2.2"\n',
                "package.json": json.dumps({"name": "demo", "version": "0.2.0"}, indent=2),
                "package-lock.json": json.dumps(
                    {"lockfileVersion": 3, "packages": {"": {"integrity": "sha512-" + "gAS" * 28}}}
                ),
                "yarn.lock": '# yarn lockfile v1\n\n"@a/b@^1.0":\n  version "1.0.0"\n',
                ".env.example": "SECRET_KEY=\nDATABASE_URL=postgres://user@host/db\n",
                "LICENSE-BSD": prose.BSD,
            }
        )
        | pictures("reports/figures/", "a.png", "b.jpeg", "c.gif", "d.tiff, little")
        | {
            "data/raw.json": json.dumps([{"id": number, "text": f"text {number}"} for number in range(50)]).encode(),
            "data/lines.jsonl": b"".join(b'{"id": %d}\n' % number for number in range(50)),
            "data/measured.mat": made_tables.matlab(packed=True),
            "data/measured.nc": made_tables.netcdf(),
            "data/sky.fits": made_tables.fits(),
            "data/.gitkeep": b"",
            "data/windows.csv": table(20).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
            "data/sheet.csv": b"\xff\xfe" + table(20).decode().encode("utf-16-le"),
            "data/bom.csv": b"\xef\xbb\xbf" + table(20),
        }
    )


REPOSITORIES: dict[str, Callable[[], Files]] = {
    "conda": conda, "cmake": cmake, "sphinx": sphinx, "mlflow": mlflow, "dvc": dvc,
}  # fmt: skip
"""Name -> its files."""


def write(files: Files, folder: Path) -> None:
    """Put the files into a folder."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
