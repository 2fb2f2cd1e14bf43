"""The table of families, by which a family is imported only when one of its shapes is needed, says what they hold."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import safeload.vetted
from safeload.vetted import CONSTRUCTORS, FAMILIES


def test_every_family_has_the_shapes_that_the_table_says() -> None:
    shapes = {
        family: tuple(made.shape for made in import_module(f"safeload.vetted.{family}").CONSTRUCTORS)
        for family in FAMILIES
    }
    assert shapes == FAMILIES


def test_every_file_with_shapes_is_a_family() -> None:
    folder = Path(safeload.vetted.__file__).parent
    having = {path for path in folder.rglob("*.py") if "\nCONSTRUCTORS" in path.read_text(encoding="utf-8")}
    named = {".".join(path.relative_to(folder).with_suffix("").parts) for path in having}
    assert named - {"__init__"} == set(FAMILIES)


def test_each_shape_is_found_by_its_id() -> None:
    assert len(CONSTRUCTORS) == sum(map(len, FAMILIES.values())), "two shapes have one id"
    assert {shape: CONSTRUCTORS[shape].shape for shape in CONSTRUCTORS} == {shape: shape for shape in CONSTRUCTORS}


def test_a_family_is_imported_when_it_is_needed() -> None:
    code = (
        "import sys, safeload; safeload.scan(b'N.'); print('safeload.vetted.datetimes' in sys.modules);"
        "safeload.scan(b'cdatetime\\ndate\\n.'); print('safeload.vetted.datetimes' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
