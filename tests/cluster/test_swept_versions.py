"""Real versions of a real application: ended, swept, damaged at rest, verified, and restored."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from chalicelib.domain.operation import State
from chalicelib.engine.lane.sweeps import SweepTerms
from chalicelib.engine.operations.mending import repair
from chalicelib.engine.operations.verifying import Verifier
from chalicelib.store import layout
from chalicelib.store.backends.files import path_of
from chalicelib.store.statistics import measure
from tests.support import shop
from tests.support.moments import Moment
from tests.support.site import Site
from tests.support.truth import assert_as, assert_no_version_lost, assert_succeeded

pytestmark = pytest.mark.cluster

AT_ONCE = SweepTerms(timedelta(0)).arguments()


def end(site: Site, version: str) -> None:
    site.repository.end_version(site.application.id, version, "somebody", "asked for")


def test_what_is_left_after_sweeps_is_whole_and_restores_the_application(site: Site) -> None:
    """Each round changes the application, makes a version, ends the one before, and sweeps. The first sweeper dies
    when it has condemned, the second when it has deleted, and another one goes on."""
    moments = iter((Moment("stored", "/condemned/"), Moment("step-ends", "sweep.sweep")))
    made = [site.backup()]
    for number in range(3):
        content = {"data": {"round": str(number)}}
        shop.create(site.cluster.api, site.namespace, "ConfigMap", f"round-{number}", content)
        made.append(site.backup())
        wanted, kept = site.look(), site.versions()
        end(site, made[-2])
        del kept[made[-2]]
        operation = site.start("sweep", **AT_ONCE)
        moment = next(moments, None)
        if moment is not None:
            site.worker(moment).wait_killed()
        assert site.finish(operation).state is State.SUCCEEDED
        assert_no_version_lost(site, kept)
    assert list(site.versions()) == [made[-1]]
    assert site.sealed() == [made[-1]]
    size = measure(site.repository, site.application.id)
    assert (size.unneeded_segments, len(size.versions)) == (0, 1)
    assert Verifier(site.repository, site.application.id).look().damages == []
    shop.damage(site.cluster.api, site.namespace)
    assert_succeeded(site, site.run("restore", version=made[-1]))
    assert_as(site, wanted)


def test_what_was_damaged_at_rest_is_found_and_the_next_version_is_whole(site: Site) -> None:
    version = site.backup()
    wanted = site.look()
    manifest = site.repository.versions(site.application.id).get(version)
    key = layout.segment(site.application.id, manifest.segments[0].name)
    path = path_of(Path(site.storage.directory), key)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    poisoned = site.backup()  # it has the same content, and nobody has noticed
    verifier = Verifier(site.repository, site.application.id)
    found = verifier.look()
    assert [(damage.key, damage.versions) for damage in found.damages] == [(key, {version, poisoned})]
    assert any("ConfigMap" in each for each in found.damages[0].objects)
    repair(site.repository, verifier, found)
    whole = site.backup()
    assert whole not in Verifier(site.repository, site.application.id).look().affected
    shop.damage(site.cluster.api, site.namespace)
    assert_succeeded(site, site.run("restore", version=whole))
    assert_as(site, wanted)
