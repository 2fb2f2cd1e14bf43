"""An MLflow model: a folder with a file MLmodel, which names the module that loads it (mlflow/pyfunc/__init__.py).

load_model puts the folders under `code` at the front of the import path, imports `loader_module` and calls its
_load_pyfunc. It runs the Python file that `model_code_path` names. Keys count wherever they stand in the file, because
each flavor has its own copies of them.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from safeload.errors import Malformed
from safeload.findings import Finding, Severity, Verdict
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.scanning.units.interface import Folder, folder_code, spelled
from safeload.scanning.units.leaves import Leaf, yaml_leaves
from safeload.scanning.units.named import imported, tagged
from safeload.scanning.units.shadowing import importable, shadows

_NAME = "mlmodel"
_ALWAYS = "no setting: mlflow.pyfunc.load_model runs it"

_LOADERS_WORDS = """
mlflow.catboost mlflow.diviner mlflow.fastai mlflow.gluon mlflow.h2o mlflow.johnsnowlabs mlflow.keras
mlflow.keras.load mlflow.langchain mlflow.langchain.model mlflow.lightgbm mlflow.llama_index
mlflow.llama_index.model mlflow.mleap mlflow.mxnet mlflow.onnx mlflow.openai mlflow.openai.model mlflow.paddle
mlflow.pmdarima mlflow.promptflow mlflow.prophet mlflow.pyfunc.loaders.chat_agent mlflow.pyfunc.loaders.chat_model
mlflow.pyfunc.loaders.code_model mlflow.pyfunc.loaders.responses_agent mlflow.pyfunc.model mlflow.pyspark.ml
mlflow.pytorch mlflow.sentence_transformers mlflow.shap mlflow.sklearn mlflow.spacy mlflow.spark mlflow.statsmodels
mlflow.tensorflow mlflow.transformers mlflow.xgboost
"""
_LOADERS = frozenset(_LOADERS_WORDS.split())
"""Flavors of MLflow: modules that are made to load a model folder. The pickles in it are judged as files."""

_MOST = 200
"""The most loader modules and code folders that one file may name; real files name a few."""

_TRUST_LISTS = ("skops_trusted_types", "trusted_types", "trusted", "skops_trusted")
_RUN = ("model_code_path", "loader_code", "code_file")
_FOLDERS = ("code", "code_path", "code_paths")


class _MlflowModel:
    name = "mlflow"
    marks = (_NAME,)

    def judge(self, folder: Folder, policy: Policy, limits: Limits) -> Iterator[Finding]:
        """Findings for the module of the loader, for the code that it runs, and for trust lists in the file."""
        names = folder.names()
        for name in spelled(folder, _NAME):
            ran: dict[str, str] = {}
            asked: set[str] = set()
            for leaf in yaml_leaves(folder, name, limits):
                yield from self._leaf(leaf, name, names, policy, ran, asked)
            for file, why in ran.items():
                yield folder_code(file, why, _ALWAYS)

    def _leaf(
        self, leaf: Leaf, name: str, names: tuple[str, ...], policy: Policy, ran: dict[str, str], asked: set[str]
    ) -> Iterator[Finding]:
        if leaf.tag:
            yield from tagged(policy, leaf, name)
        if not isinstance(leaf.value, str):
            return
        if leaf.last == "loader_module" or leaf.below(*_FOLDERS):
            # Each of them is searched for among all names, so each is looked at once, and their number is bounded.
            if leaf.value in asked:
                return
            asked.add(leaf.value)
            if len(asked) > _MOST:
                raise Malformed(f"{name} names more than {_MOST} modules and folders of code", offset=leaf.offset)
        if leaf.last == "loader_module":
            if leaf.value not in _LOADERS:
                yield from self._loader(leaf.value, name, names, policy, ran)
        elif leaf.below(*_TRUST_LISTS):
            yield Finding(
                "own-trust-list", Verdict.UNVETTED, Severity.MEDIUM,
                f"{leaf.last} names {leaf.value[:200]!a} as trusted: the model's own list, which grants nothing",
                "check each type yourself before you pass it to a loader as trusted", member=name,
                name=leaf.value[:400],
            )  # fmt: skip
        elif leaf.last in _RUN:
            place = posixpath.normpath(leaf.value)
            file = place if place in names else posixpath.basename(place)
            where = file if file in names else name
            ran.setdefault(where, f"code that {name} has run: {leaf.last} is {leaf.value[:200]!a}")
        elif leaf.below(*_FOLDERS):
            yield from self._code_folder(leaf.value, name, names, policy, ran)

    def _loader(
        self, module: str, name: str, names: tuple[str, ...], policy: Policy, ran: dict[str, str]
    ) -> Iterator[Finding]:
        tail = module.replace(".", "/")
        for file in names:
            if file in (f"{tail}.py", f"{tail}/__init__.py") or file.endswith((f"/{tail}.py", f"/{tail}/__init__.py")):
                ran.setdefault(file, f"the module {module[:200]!a} that {name} names as the loader of the model")
                return
        if module.partition(".")[0] == "mlflow":
            ran.setdefault(name, f"names the module {module[:200]!a} of MLflow, which is not made to load models")
            return
        yield from imported(policy, f"{module}._load_pyfunc", f"{name} has MLflow import the module of", name)

    def _code_folder(
        self, given: str, name: str, names: tuple[str, ...], policy: Policy, ran: dict[str, str]
    ) -> Iterator[Finding]:
        place = posixpath.normpath(given)
        below = "" if place == "." else place + "/"
        code = [file for file in names if importable(file) is not None and (file.startswith(below) or file == place)]
        yield from shadows(code, policy, below=below, module_of=importable)
        for file in code:
            ran.setdefault(file, f"code that {name} puts at the front of the import path ({given[:200]!a})")
        if not code:
            ran.setdefault(name, f"puts {given[:200]!a} at the front of the import path, which is not in the folder")


MLFLOW_MODEL = _MlflowModel()
