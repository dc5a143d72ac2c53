"""Any application on a real API server, its versions in memory: backup, damage, plan, restore, and a look afterwards
that shares nothing with the product.

The fault tests ask what an operation survives, with the shop; here it is asked what operations do to every kind of
object. So manifests and documents are the test's own, and the repository is the quickest there is.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import yaml

from chalicelib.domain.application import Application, ClusterRecord
from chalicelib.domain.ids import new_id
from chalicelib.domain.operation import Operation, OperationKind, State
from chalicelib.domain.plan import Action, Plan, ResultRow
from chalicelib.engine.lane.engine import Engine
from chalicelib.engine.operations import results
from chalicelib.engine.plan.plans import read_plan
from chalicelib.store.backends.memory import MemoryBackend
from chalicelib.store.repository import Repository
from chalicelib.store.wrappers import Wrapping
from tests.harness.access import Access
from tests.harness.api import Api
from tests.harness.errors import ApiError
from tests.harness.processes import wait_until
from tests.support.moments import Watch

Body = dict[str, Any]

_VOLUMES = "/api/v1/persistentvolumes"
_OF_ONE_INCARNATION = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink")
#: Annotations that count or mark one incarnation.
_COUNTED = ("deployment.kubernetes.io/revision", "pv.kubernetes.io/bind-completed")
_THE_CLUSTERS_OWN = ("ConfigMap/kube-root-ca.crt", "ServiceAccount/default")
_NO_WRITES = {"keep", "skip"}
#: Labels by which a Job names itself.
_JOBS_OWN = ("controller-uid", "batch.kubernetes.io/controller-uid")


class Unlocked:
    """A wrapper that locks nothing: stretching a passphrase takes a tenth of a second."""

    name = "unlocked"

    def wrap(self, key: bytes) -> Wrapping:
        return {"wrapper": self.name, "key": key.hex()}

    def unwrap(self, wrapping: Wrapping) -> bytes:
        return bytes.fromhex(wrapping["key"])


class Kinds:
    """Where the objects of each kind are served, by the API server's own word."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._known: dict[tuple[str, str], tuple[str, bool]] = {}

    def path(self, body: Body, namespace: str) -> str:
        """The URL path of the collection that takes a body."""
        version, kind = body["apiVersion"], body["kind"]
        if (version, kind) not in self._known:
            root = "/apis/" if "/" in version else "/api/"
            for found in self._api.get(root + version)["resources"]:
                if "/" not in found["name"]:
                    self._known[(version, found["kind"])] = (found["name"], found["namespaced"])
        plural, namespaced = self._known[(version, kind)]
        root = "/apis/" if "/" in version else "/api/"
        return f"{root}{version}/namespaces/{namespace}/{plural}" if namespaced else f"{root}{version}/{plural}"


@dataclass
class Restored:
    """A restore or an undo that has ended."""

    operation: Operation
    rows: dict[str, ResultRow]
    #: The requests that changed the cluster, in order, as `VERB path`.
    writes: list[str]

    @property
    def state(self) -> State:
        return self.operation.state

    @property
    def id(self) -> str:
        return self.operation.id

    @property
    def message(self) -> str:
        """Why it failed and what became of it; empty if it did not."""
        error = self.operation.error
        return f"{error.message} {error.consequence}" if error else ""

    def outcomes(self) -> dict[str, str]:
        """`Kind/name` and what was done to it, of what was written."""
        return {key: row.verb.value for key, row in self.rows.items() if row.verb.writes}


@dataclass
class Scene:
    """A registered application in a namespace of its own."""

    cluster: Access
    namespace: str
    repository: Repository
    application: Application
    watch: Watch
    engine: Engine
    kinds: Kinds
    #: Kinds that were ever made here, as bodies without content.
    _used: dict[tuple[str, str], Body] = field(default_factory=dict)

    @property
    def api(self) -> Api:
        """The API server, as its administrator."""
        return self.cluster.api

    # ── the application's objects ───────────────────────────────────────────────────────────────────────

    def bodies(self, text: str) -> list[Body]:
        """Manifests in YAML; `NS` is the namespace's name."""
        return [body for body in yaml.safe_load_all(textwrap.dedent(text).replace("NS", self.namespace)) if body]

    def make(self, text: str) -> None:
        """Create objects."""
        for body in self.bodies(text):
            self.post(body)

    def post(self, body: Body, manager: str = "") -> Body:
        """Create one object, on behalf of a field manager."""
        self.knows(body["apiVersion"], body["kind"])
        query = f"?fieldManager={manager}" if manager else ""
        made: Body = self.api.post(self.kinds.path(body, self._where(body)) + query, body)
        return made

    def expect(self, version: str, kind: str) -> None:
        """Objects of this kind come by themselves: `look` and `find` are to know it."""
        self._used[(version, kind)] = {"apiVersion": version, "kind": kind}

    def apply(self, text: str, manager: str, *, force: bool = False) -> None:
        """Server-side apply."""
        for body in self.bodies(text):
            self.knows(body["apiVersion"], body["kind"])
            query = f"?fieldManager={manager}&force={str(force).lower()}"
            self.api.request("PATCH", self.at(body) + query, body, "application/apply-patch+yaml")

    def knows(self, version: str, kind: str) -> None:
        """Objects of this kind are made here by others."""
        self._used[(version, kind)] = {"apiVersion": version, "kind": kind}

    def at(self, body: Body) -> str:
        """The URL path of the object that a body names."""
        return f"{self.kinds.path(body, self._where(body))}/{body['metadata']['name']}"

    def find(self, key: str) -> str:
        """The URL path of `Kind/name`, of a kind that was made here."""
        kind, _, name = key.partition("/")
        head = next(head for (_, used), head in self._used.items() if used == kind)
        return f"{self.kinds.path(head, self.namespace)}/{name}"

    def get(self, key: str) -> Body:
        """One object as it is."""
        found: Body = self.api.get(self.find(key))
        return found

    def patch(self, key: str, patch: Body) -> Body:
        """A JSON merge patch."""
        patched: Body = self.api.patch(self.find(key), patch)
        return patched

    def delete(self, *keys: str, wait: bool = True) -> None:
        """Delete objects, and wait until they are gone."""
        for key in keys:
            self.api.delete(self.find(key) + "?propagationPolicy=Background")
        if wait:
            for key in keys:
                wait_until(lambda key=key: not self.api.exists(self.find(key)), seconds=30, what=f"{key} to be gone")

    def _where(self, body: Body) -> str:
        return str(body["metadata"].get("namespace") or self.namespace)

    def register(self, cluster: Access) -> str:
        """Register another cluster; its id."""
        now = self.repository.now()
        record = ClusterRecord(id=new_id("cl", now), name="there", source="stored", created_at=now, updated_at=now)
        self.repository.clusters.create(record)
        self.repository.clusters.set_credentials(record.id, cluster.kubeconfig.read_bytes())
        return record.id

    # ── what is there ───────────────────────────────────────────────────────────────────────────────────

    def look(self, *, owned: bool = False) -> dict[str, Body]:
        """Every object of the kinds that were made here, in this namespace, as `Kind/name`."""
        found = {}
        for head in self._used.values():
            path = self.kinds.path(head, self.namespace)
            if f"/namespaces/{self.namespace}/" not in path:
                continue
            for body in self._list(path):
                key = f"{head['kind']}/{body['metadata']['name']}"
                is_owned = any(owner.get("controller") for owner in body["metadata"].get("ownerReferences", ()))
                if key not in _THE_CLUSTERS_OWN and (owned or not is_owned):
                    found[key] = bare(body)
        return found

    def _list(self, path: str) -> list[Body]:
        try:
            items: list[Body] = self.api.get(path)["items"]
        except ApiError as error:
            if error.status != 404:  # its definition is gone
                raise
            return []
        return items

    def uid(self, key: str) -> str:
        """Which incarnation of an object is there."""
        return str(self.get(key)["metadata"]["uid"])

    # ── operations ──────────────────────────────────────────────────────────────────────────────────────

    def describe(self, state: str, restore: str = "") -> None:
        """Register a document anew: YAML of `spec.state` and `spec.restore`; `NS` is the namespace."""
        text = _document(state.replace("NS", self.namespace), restore)
        self.repository.applications.update(
            self.application.id, lambda found: found.model_copy(update={"document": text})
        )

    def start(self, kind: str, **arguments: Any) -> Operation:
        """Put an operation in line."""
        now = self.repository.now()
        return self.engine.start(
            Operation(
                id=new_id("op", now),
                kind=OperationKind(kind),
                application=self.application.id,
                arguments=arguments,
                requested_by="somebody",
                requested_at=now,
            )
        )

    def run(self, kind: str, **arguments: Any) -> Operation:
        """Start an operation and work until it has ended."""
        operation = self.start(kind, **arguments)
        self.engine.tick()
        found = self.repository.operations.get(self.application.id, operation.id)
        assert found.state.ended, found
        return found

    def finish(self, operation: Operation) -> Operation:
        """Work, turn after turn, until an operation has ended."""

        def found() -> Operation:
            return self.repository.operations.get(self.application.id, operation.id)

        def ended() -> bool:
            self.engine.tick()
            return found().state.ended

        wait_until(ended, seconds=120, what=f"{operation.kind} to end")
        return found()

    def backup(self) -> str:
        """A version that is known to be whole; its id."""
        made = self.run("backup")
        assert made.state is State.SUCCEEDED, (made.error, made.outcome)
        return str(made.outcome["version"])

    def held(self, version: str) -> dict[str, Body]:
        """The objects that a version holds, as they are stored, as `Kind/name`."""
        objects = self.repository.objects(self.repository.versions(self.application.id).get(version))
        rows = list(objects.read_index())
        return {f"{key.kind}/{key.name}": body for key, body in objects.read_objects(rows)}

    def plan(self, version: str, **arguments: Any) -> Plan:
        """A plan that was asked for alone."""
        made = self.run("plan", version=version, **arguments)
        assert made.state is State.SUCCEEDED, made.error
        return read_plan(self.repository, self.application.id, made.id)

    def planned(self, version: str, **arguments: Any) -> dict[str, Action]:
        """The actions of a plan by `Kind/name`."""
        actions = self.plan(version, **arguments).actions
        return {f"{action.object.kind}/{action.object.name}": action for action in actions}

    def plan_of(self, restored: Restored) -> Plan:
        """The plan that a restore or an undo carried out."""
        return read_plan(self.repository, self.application.id, restored.id)

    def restore(self, version: str, **arguments: Any) -> Restored:
        """Restore a version, however it ends."""
        return self._restored("restore", version=version, **arguments)

    def restore_well(self, version: str, **arguments: Any) -> Restored:
        """Restore a version, successfully; planning again finds nothing to do."""
        done = self.restore(version, **arguments)
        assert (done.state, done.message) == (State.SUCCEEDED, ""), (done.operation.outcome, done.rows)
        decided = {"mode", "only", "consent", "namespaces", "cluster", "storageClasses", "suspend"}
        mode = {name: value for name, value in arguments.items() if name in decided}
        left = [action for action in self.plan(version, **mode).actions if action.verb not in _NO_WRITES]
        assert left == []
        return done

    def undo(self, restored: Restored) -> Restored:
        """Undo a restore, or an undo."""
        return self._restored("undo", restore=restored.id)

    def undo_well(self, restored: Restored) -> Restored:
        """Undo, successfully."""
        done = self.undo(restored)
        assert (done.state, done.message) == (State.SUCCEEDED, ""), (done.operation.outcome, done.rows)
        return done

    def _restored(self, kind: str, **arguments: Any) -> Restored:
        before = len(self.watch.happened)
        operation = self.run(kind, **arguments)
        rows = results.read(self.repository, self.application.id, operation.id)
        writes = [name for what, name in self.watch.happened[before:] if what == "write-allowed"]
        return Restored(operation, {f"{row.object.kind}/{row.object.name}": row for row in rows}, writes)


def bare(body: Body) -> Body:
    """An object without what is true of one incarnation only."""
    metadata = {name: value for name, value in body["metadata"].items() if name not in _OF_ONE_INCARNATION}
    annotations = {
        name: value for name, value in (metadata.pop("annotations", None) or {}).items() if name not in _COUNTED
    }
    if annotations:
        metadata["annotations"] = annotations
    spec = body.get("spec") or {}
    template = spec.get("template")
    of_pods = template.get("metadata", {}).get("labels") if isinstance(template, dict) else None
    for labels in (spec.get("selector"), of_pods, metadata):
        for place in (labels, (labels or {}).get("matchLabels"), (labels or {}).get("labels")):
            for name in _JOBS_OWN:
                (place or {}).pop(name, None)
    _without_token(spec)
    return {
        **{name: value for name, value in body.items() if name not in {"status", "apiVersion", "kind"}},
        "metadata": metadata,
    }


def _without_token(spec: Body) -> None:
    """Take out the volume that the server gives to a pod under a name of its own making."""
    for member in [spec, *spec.get("containers", ())]:
        for name in ("volumes", "volumeMounts"):
            if isinstance(member.get(name), list):
                member[name] = [each for each in member[name] if not each["name"].startswith("kube-api-access-")]


def managers(body: Body) -> list[Body]:
    """Who owns which fields of an object, without times and without the status' owners."""
    entries = [
        {name: value for name, value in entry.items() if name != "time"}
        for entry in body["metadata"].get("managedFields") or ()
        if entry.get("subresource", "") in {"", "scale"}
    ]
    return sorted(entries, key=lambda entry: (entry["manager"], entry["operation"], entry.get("subresource", "")))


def _document(state: str, restore: str) -> str:
    spec: Body = {"state": yaml.safe_load(state)}
    if restore:
        spec["restore"] = yaml.safe_load(restore)
    whole = {"apiVersion": "mainstay.dev/v1", "kind": "Application", "metadata": {"name": "scene"}, "spec": spec}
    return yaml.safe_dump(whole)


@contextmanager
def open_scene(
    cluster: Access, manifests: str = "", *, state: str = "objects: [{namespaces: [NS]}]", restore: str = ""
) -> Iterator[Scene]:
    """A fresh namespace with these objects, registered with a document of this state and these restore rules."""
    backend = MemoryBackend()
    repository = Repository.initialise_on(backend, backend, [Unlocked()]).repository
    now = repository.now()
    record = ClusterRecord(id=new_id("cl", now), name="here", source="kubeconfig", created_at=now, updated_at=now)
    repository.clusters.create(record)
    watch = Watch()
    with cluster.namespace("scene") as namespace:
        application = repository.applications.create(
            Application(
                id=new_id("app", now),
                name="scene",
                owner="somebody",
                cluster=record.id,
                document=_document(state.replace("NS", namespace), restore),
                created_at=now,
                updated_at=now,
            )
        )
        engine = Engine(repository, watch.clusters(repository, str(cluster.kubeconfig)), watch.flows())
        scene = Scene(cluster, namespace, repository, application, watch, engine, Kinds(cluster.api))
        try:
            scene.make(manifests)
            yield scene
        finally:
            _let_go(scene)


def _let_go(scene: Scene) -> None:
    """Finalizers that a test put on objects would keep the namespace for ever, and volumes that are to be retained
    would outlive it."""
    for key, body in scene.look(owned=True).items():
        if body["metadata"].get("finalizers"):
            _tolerate_gone(lambda key=key: scene.patch(key, {"metadata": {"finalizers": None}}))
    if ("v1", "PersistentVolumeClaim") in scene._used:
        for volume in scene.api.get(_VOLUMES)["items"]:
            if (volume["spec"].get("claimRef") or {}).get("namespace") == scene.namespace:
                path = f"{_VOLUMES}/{volume['metadata']['name']}"
                _tolerate_gone(lambda path=path: scene.api.delete(path))


def _tolerate_gone(request: Callable[[], object]) -> None:
    try:
        request()
    except ApiError as error:
        if error.status != 404:
            raise
