"""Folders with many modules begin with a map of them: it is whole."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path
from types import ModuleType

import pytest

from chalicelib import engine, planning

FOLDERS = [
    importlib.import_module(found.name)
    for above in (engine, planning)
    for found in pkgutil.walk_packages([str(Path(str(above.__file__)).parent)], f"{above.__name__}.")
    if found.ispkg
] + [engine, planning]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.__name__))
def test_every_module_is_on_the_map_of_its_folder(folder: ModuleType) -> None:
    here = Path(str(folder.__file__)).parent
    modules = {path.stem for path in here.glob("*.py")} - {"__init__"}
    modules |= {path.parent.name for path in here.glob("*/__init__.py")}
    assert modules, f"{here} is empty"
    words = set(re.findall(r"\w+", str(folder.__doc__)))
    assert modules - words == set(), f"say in {here.name}/__init__.py what these are for"
