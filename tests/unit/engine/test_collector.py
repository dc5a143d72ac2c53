"""The collector is as it was once everybody is done."""

from __future__ import annotations

import gc

import pytest

from chalicelib.engine.lane.collector import rare_collections


def test_the_collector_is_left_as_it_was_found() -> None:
    before = gc.get_threshold()
    with rare_collections():
        assert gc.get_threshold()[0] > before[0]
        assert gc.isenabled()
        with rare_collections():
            pass
        assert gc.get_threshold()[0] > before[0]
    assert gc.get_threshold() == before


def test_a_failure_leaves_the_collector_as_it_was_found() -> None:
    before = gc.get_threshold()
    with pytest.raises(ZeroDivisionError), rare_collections():
        _ = 1 // 0
    assert gc.get_threshold() == before
