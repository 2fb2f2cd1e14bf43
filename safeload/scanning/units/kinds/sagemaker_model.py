"""An unpacked model.tar.gz of SageMaker: the inference container runs code/inference.py and installs its requirements.

sagemaker-inference-toolkit and the framework containers: the folder code/ goes to the front of the import path, its
requirements.txt is installed with pip, and the functions model_fn, input_fn and so on of inference.py are called. Many
projects keep their sources in code/ as well: the folder is a model's when a file lies right in it that is none of a
project's own papers, as the weights do.
"""

from __future__ import annotations

from collections.abc import Iterator

from safeload.findings import Finding
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.scanning.units.interface import Folder, folder_code
from safeload.scanning.units.shadowing import importable, shadows

_ENTRY = "code/inference.py"
_PAPERS_WORDS = """
.md .rst .txt .py .toml .cfg .ini .yml .yaml .json .lock .sh .ipynb .csv .html .bib .tex .pdf .png .jpg .svg .gif
license makefile dockerfile .gitignore .gitattributes .gitmodules .dockerignore .in .bat .r
"""
_PAPERS = tuple(_PAPERS_WORDS.split())
"""How the names of files end that a project without weights has at its top. Files of such a unit are judged anyway."""

_REQUIREMENTS = "code/requirements.txt"


class _SagemakerModel:
    name = "sagemaker"
    marks = (_ENTRY,)

    def judge(self, folder: Folder, policy: Policy, limits: Limits) -> Iterator[Finding]:
        """Every file below code/ that Python can import, and what is installed for it."""
        names = folder.names()
        if not any(not name.lower().endswith(_PAPERS) for name in names if "/" not in name):
            return
        code = [name for name in names if name.startswith("code/") and importable(name) is not None]
        yield from shadows(code, policy, below="code/", module_of=importable)
        for name in names:
            if name.lower() == _ENTRY:
                yield folder_code(name, "the code that serves the model", "no setting: a SageMaker container runs it")
            elif name in code:
                yield folder_code(
                    name, "code beside inference.py, on its import path", "a SageMaker container imports it"
                )
            elif name.lower() == _REQUIREMENTS:
                message = "packages that a SageMaker container installs, each with code of its own"
                yield folder_code(name, message, "no setting: pip installs them at the start")


SAGEMAKER_MODEL = _SagemakerModel()
