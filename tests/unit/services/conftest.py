import pytest

from tests.unit.services.house import House, house


@pytest.fixture
def built() -> House:
    return house()
