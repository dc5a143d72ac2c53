"""What every suite can ask for: a cluster, S3 servers, proxies that misbehave. And in which order the tests are run
where several workers share them."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests import durations
from tests.harness.longest_first import Units, ordered

pytest_plugins = ["tests.harness.fixtures"]

# The programs of the clusters are written in Go, and short-lived: they may leave garbage for longer. With the largest
# of the published applications that saves the API servers a quarter of their CPU time, 158 s to 117 s.
os.environ.setdefault("GOGC", "400")
os.environ.setdefault("GOMEMLIMIT", "1536MiB")

# How long an example takes says how busy the machine is, and nothing about the code.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Units:
    return Units(config, log, durations.unit_of)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):  # one of several workers
        items[:] = ordered(items, lambda item: durations.unit_of(item.nodeid), durations.SECONDS)
