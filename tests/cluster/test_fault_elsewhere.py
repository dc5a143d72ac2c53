"""A worker that is killed while it restores into another namespace: another one finishes the very same, and the
original does not notice either of them."""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path

import pytest

from chalicelib.domain.operation import State
from tests.harness.access import Access
from tests.harness.errors import ApiError
from tests.support import shop
from tests.support.moments import Moment
from tests.support.site import Site
from tests.support.together import together
from tests.support.truth import assert_no_version_lost, assert_succeeded

pytestmark = pytest.mark.cluster

DEATHS = [
    Moment("step-ends", "restore.plan"),
    Moment("write-answered", "POST", 1),
    Moment("write-answered", "POST", 6),
    Moment("step-begins", "restore.verify"),
]


def test_a_restore_elsewhere_whose_worker_was_killed_anywhere_is_finished_by_another(
    control_plane: Access, tmp_path: Path
) -> None:
    together(control_plane, tmp_path, DEATHS, kill_in_restore)


def inside(site: Site, namespace: str) -> set[str]:
    """What is in a namespace, as `Kind/name`."""
    return {key for key in shop.look(site.cluster.api, namespace) if not key.startswith("Namespace/")}


def own(site: Site) -> tuple[dict[str, shop.Body], dict[str, str]]:
    """The original: its objects, and which incarnations they are."""
    incarnations = shop.incarnations(site.cluster.api, site.namespace)
    return site.look(), {key: uid for key, (uid, _) in incarnations.items()}


def kill_in_restore(site: Site, moment: Moment) -> None:
    copy, api = f"{site.namespace}-{secrets.token_hex(2)}", site.cluster.api
    version, original = site.backup(), own(site)
    versions = site.versions()
    try:
        operation = site.start("restore", version=version, namespaces={site.namespace: copy})
        site.worker(moment).wait_killed()
        done = site.finish(operation)
        assert_succeeded(site, done)
        assert done.attempts >= 2
        assert inside(site, copy) == inside(site, site.namespace)
        assert own(site) == original
        assert site.run("plan", version=version, namespaces={site.namespace: copy}).outcome["empty"]
        assert_no_version_lost(site, versions)
        assert site.run("undo", restore=done.id).state is State.SUCCEEDED
        assert inside(site, copy) == set()
        assert own(site) == original
    finally:
        with contextlib.suppress(ApiError):
            api.delete(f"/api/v1/namespaces/{copy}")
