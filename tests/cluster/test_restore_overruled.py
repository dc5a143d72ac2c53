"""Admission that has its own mind: what it makes of an update is kept, and told."""

from __future__ import annotations

from pathlib import Path

import pytest

from chalicelib.domain.operation import State
from tests.harness.processes import wait_until
from tests.support.scene import open_scene
from tests.support.webhook import changing, serve

pytestmark = pytest.mark.cluster

CONF = """
apiVersion: v1
kind: ConfigMap
metadata: {name: conf}
data: {colour: red}
"""


def test_a_value_that_admission_puts_in_place_of_the_versions_is_told_and_never_called_equal(
    control_plane, tmp_path: Path
) -> None:
    with open_scene(control_plane, CONF) as scene, serve(tmp_path) as webhook:
        version = scene.backup()
        scene.patch("ConfigMap/conf", {"data": {"colour": "blue"}})
        webhook.changes = [{"op": "replace", "path": "/data/colour", "value": "green"}]
        with changing(scene.api, scene.namespace, webhook, "configmaps", operation="UPDATE"):

            def in_force() -> bool:
                asked = scene.api.patch(scene.find("ConfigMap/conf") + "?dryRun=All", {"data": {"asked": "yes"}})
                return bool(asked["data"]["colour"] == "green")

            wait_until(in_force, seconds=60, what="admission to change updates")
            restored = scene.restore(version)

        row = restored.rows["ConfigMap/conf"]
        assert (restored.state, scene.get("ConfigMap/conf")["data"]) == (State.SUCCEEDED, {"colour": "green"})
        assert (row.outcome, row.verified) == ("done", "differs")
        assert "does not keep /data/colour" in row.message
        assert any("ConfigMap" in said and "other values" in said for said in restored.operation.outcome["warnings"])
