"""A dynamic provisioner: hostPath volumes under the cluster's directory for claims that wait for one.

Run as a process of its own, so that it lives as long as its cluster: `python -m tests.harness.provisioner
KUBECONFIG.json DIRECTORY`. Watches only wake it; every turn looks at all claims and volumes afresh, so nothing is
lost when the API server goes away for a while.
"""

import json
import shutil
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.harness.api import Api
from tests.harness.errors import ApiError, HarnessError

PROVISIONER = "mainstay.test/hostpath"
DEFAULT_CLASS = "mainstay-hostpath"
RETAIN_CLASS = "mainstay-hostpath-retain"
WAIT_CLASS = "mainstay-hostpath-wait"

_CLAIMS = "/api/v1/persistentvolumeclaims"
_VOLUMES = "/api/v1/persistentvolumes"
_CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
_BY = "pv.kubernetes.io/provisioned-by"
_ASKED = "volume.kubernetes.io/storage-provisioner"
_NODE = "volume.kubernetes.io/selected-node"
_SECONDS_BETWEEN_TURNS = 10.0

_Object = Mapping[str, Any]


def classes() -> list[dict[str, Any]]:
    """The storage classes of a cluster with this provisioner; the first is the default one."""
    return [
        _class(DEFAULT_CLASS, "Delete", "Immediate", default=True),
        _class(RETAIN_CLASS, "Retain", "Immediate"),
        _class(WAIT_CLASS, "Delete", "WaitForFirstConsumer"),
    ]


def install_classes(api: Api) -> None:
    for storage_class in classes():
        if not api.exists(f"{_CLASSES}/{storage_class['metadata']['name']}"):
            api.post(_CLASSES, storage_class)


def needed_volumes(
    claims: list[_Object], classes: list[_Object], volumes: list[_Object], root: Path
) -> list[_Object]:
    """The volumes to make: one for each claim that waits for this provisioner and has none yet."""
    ours = {one["metadata"]["name"]: one for one in classes if one["provisioner"] == PROVISIONER}
    present = {volume["metadata"]["name"] for volume in volumes}
    made = []
    for claim in claims:
        notes = claim["metadata"].get("annotations", {})
        storage_class = ours.get(claim["spec"].get("storageClassName", ""))
        if claim["spec"].get("volumeName") or notes.get(_ASKED) != PROVISIONER or storage_class is None:
            continue
        if storage_class["volumeBindingMode"] == "WaitForFirstConsumer" and _NODE not in notes:
            continue
        if f"pvc-{claim['metadata']['uid']}" not in present:
            made.append(_volume(claim, storage_class, root))
    return made


def released_volumes(volumes: list[_Object]) -> list[_Object]:
    """The volumes to delete: ours, whose claim is gone, where the policy says so."""
    return [
        volume
        for volume in volumes
        if volume["metadata"].get("annotations", {}).get(_BY) == PROVISIONER
        and volume["spec"]["persistentVolumeReclaimPolicy"] == "Delete"
        and volume.get("status", {}).get("phase") == "Released"
        and "deletionTimestamp" not in volume["metadata"]
    ]


def run(api: Api, root: Path) -> None:
    """Provision until the process is ended."""
    changed = threading.Event()
    for path in (_CLAIMS, _VOLUMES):
        threading.Thread(target=_notice, args=(api, path, changed), daemon=True).start()
    while True:
        changed.clear()
        try:
            _turn(api, root)
        except (OSError, HarnessError, ValueError) as error:
            print(f"{time.strftime('%H:%M:%S')} {error}", flush=True)
            time.sleep(1)
        changed.wait(_SECONDS_BETWEEN_TURNS)


def _turn(api: Api, root: Path) -> None:
    volumes = api.get(_VOLUMES)["items"]
    claims = api.get(_CLAIMS)["items"]
    for volume in needed_volumes(claims, api.get(_CLASSES)["items"], volumes, root):
        place = Path(volume["spec"]["hostPath"]["path"])
        place.mkdir(parents=True, exist_ok=True)
        place.chmod(0o777)
        _tolerate(409, lambda body=volume: api.post(_VOLUMES, body))
    for volume in released_volumes(volumes):
        name = volume["metadata"]["name"]
        place = Path(volume["spec"]["hostPath"]["path"])
        if place.parent == root:  # a restored volume can point anywhere
            shutil.rmtree(place, ignore_errors=True)
        _tolerate(404, lambda name=name: api.delete(f"{_VOLUMES}/{name}"))


def _tolerate(status: int, request: Any) -> None:
    try:
        request()
    except ApiError as error:
        if error.status != status:
            raise


def _notice(api: Api, path: str, changed: threading.Event) -> None:
    while True:
        try:
            for _ in api.watch(path):
                changed.set()
        except (OSError, HarnessError, ValueError):
            time.sleep(0.5)


def _class(name: str, policy: str, mode: str, *, default: bool = False) -> dict[str, Any]:
    notes = {"storageclass.kubernetes.io/is-default-class": "true"} if default else {}
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name, "annotations": notes},
        "provisioner": PROVISIONER,
        "reclaimPolicy": policy,
        "volumeBindingMode": mode,
    }


def _volume(claim: _Object, storage_class: _Object, root: Path) -> _Object:
    meta, spec = claim["metadata"], claim["spec"]
    name = f"pvc-{meta['uid']}"
    reference = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
    reference |= {key: meta[key] for key in ("namespace", "name", "uid")}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {_BY: PROVISIONER}},
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": spec["accessModes"],
            "volumeMode": spec.get("volumeMode", "Filesystem"),
            "persistentVolumeReclaimPolicy": storage_class["reclaimPolicy"],
            "storageClassName": storage_class["metadata"]["name"],
            "hostPath": {"path": str(root / name), "type": "DirectoryOrCreate"},
            "claimRef": reference,
        },
    }


if __name__ == "__main__":
    run(Api.of(json.loads(Path(sys.argv[1]).read_text())), Path(sys.argv[2]))
