"""A house for each test."""

from __future__ import annotations

import pytest

from tests.unit.engine.house import House
from tests.unit.engine.house import house as fresh


@pytest.fixture
def house() -> House:
    return fresh()
