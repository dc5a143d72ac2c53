"""Two folders have so many modules that their first lines are a map: it is whole, and leads nowhere that is not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import chalicelib.engine
import chalicelib.planning


@pytest.mark.parametrize("folder", [chalicelib.engine, chalicelib.planning])
def test_every_module_is_on_the_map_of_its_folder(folder: object) -> None:
    here = Path(str(folder.__file__)).parent  # type: ignore[attr-defined]
    modules = {path.stem for path in here.glob("*.py")} - {"__init__"}
    words = set(re.findall(r"\w+", str(folder.__doc__)))
    assert modules - words == set(), f"say in {here.name}/__init__.py what these are for"
