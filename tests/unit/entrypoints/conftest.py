from collections.abc import Iterator

import pytest

from chalicelib import bootstrap
from tests.unit.services.house import House, house


@pytest.fixture
def built() -> Iterator[House]:
    """The services behind the app, for the time of one test."""
    made = house()
    with bootstrap.use(made.services):
        yield made
