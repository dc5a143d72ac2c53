"""An identity that may do everything but touch some kinds of the core group."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.harness.access import Access
from tests.harness.api import Api
from tests.harness.errors import ApiError
from tests.harness.processes import wait_until

_ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
_BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"


class Limited:
    """A user, the kubeconfig that is theirs, and what can still be taken from them."""

    def __init__(self, access: Access, name: str, kubeconfig: Path) -> None:
        self._access = access
        self._name = name
        self.kubeconfig = kubeconfig

    def revoke(self, path: str) -> None:
        """Take the extra right away, and wait until the server says no."""
        self._access.api.delete(f"{_BINDINGS}/{self._name}-extra")
        own = Api.of(json.loads(self.kubeconfig.read_text()))

        def refused() -> bool:
            try:
                own.get(path)
            except ApiError as error:
                return error.status == 403
            return False

        wait_until(refused, seconds=30, what="the right to be gone")


@contextmanager
def limited(access: Access, without: str, *, verbs: tuple[str, ...] = ()) -> Iterator[Limited]:
    """A user who may do everything but one kind of the core group (`secrets`), with which they may do `verbs`."""
    name = f"mainstay-test-{secrets.token_hex(4)}"
    api = access.api
    served = {entry["name"].partition("/")[0] for entry in api.get("/api/v1")["resources"]}
    groups = [group["name"] for group in api.get("/apis")["groups"]]
    rules = [
        {"apiGroups": groups, "resources": ["*"], "verbs": ["*"]},
        {"apiGroups": [""], "resources": sorted(served - {without}), "verbs": ["*"]},
        {"nonResourceURLs": ["*"], "verbs": ["get"]},
    ]
    extra = [{"apiGroups": [""], "resources": [without], "verbs": list(verbs) or ["use"]}]
    subject = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": name}
    made = []
    try:
        for suffix, granted in (("", rules), ("-extra", extra)):
            metadata = {"name": name + suffix}
            role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name + suffix}
            api.post(_ROLES, {"metadata": metadata, "rules": granted})
            made.append(f"{_ROLES}/{name}{suffix}")
            api.post(_BINDINGS, {"metadata": metadata, "roleRef": role, "subjects": [subject]})
            made.append(f"{_BINDINGS}/{name}{suffix}")
        yield Limited(access, name, access.identity(name))
    finally:
        for path in made:
            if api.exists(path):
                api.delete(path)
