"""One object at a time: get, create, replace, patch, delete.

A write whose outcome is unknown raises (see `client.outcome_unknown`); it is for the caller's ledger to settle it by
`get`. Preconditions (uid, resourceVersion) are the caller's as well: nothing is read here to make a write pass.
"""

from __future__ import annotations

from typing import Literal

import orjson

from chalicelib.cluster.client import Client
from chalicelib.cluster.discovery import Discovery, discover, refresh
from chalicelib.domain.errors import ClusterRefused
from chalicelib.domain.objects import Body, Resource, key_of

FIELD_MANAGER = "mainstay"

Propagation = Literal["Background", "Foreground", "Orphan"]

PatchType = Literal["merge", "json", "strategic", "apply"]

_PATCH_TYPES = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    # JSON is YAML.
    "apply": "application/apply-patch+yaml",
}


class Objects:
    """The objects of one API server. `deadline` (on `client.now()`) bounds a call with all its retries."""

    def __init__(self, client: Client, discovery: Discovery | None = None) -> None:
        self._client = client
        self._discovery = discovery

    def resource_of(self, body: Body) -> Resource:
        """Where a body belongs. Asks the server once more if its kind is new; `ClusterRefused` 404 if not served."""
        resource = (self._discovery or discover(self._client)).resource_of(body)
        if resource is None:
            self._discovery = refresh(self._client) if self._discovery else None
            resource = (self._discovery or refresh(self._client)).resource_of(body)
        if resource is None:
            api_version, kind = body.get("apiVersion"), body.get("kind")
            error = ClusterRefused(
                f"{key_of(body)}: the API server does not serve the kind {kind} ({api_version}).",
                http_status=404,
                reason="NotFound",
                request=f"POST {kind}",
            )
            error.details["outcome"] = "refused"
            raise error
        return resource

    def get(self, resource: Resource, namespace: str, name: str, *, deadline: float | None = None) -> Body | None:
        """The object, `None` if it is not there (or its namespace or kind is not)."""
        try:
            found: Body = self._client.get_json(resource.object_path(namespace, name), deadline=deadline)
        except ClusterRefused as refusal:
            if refusal.http_status == 404:
                return None
            raise
        return found

    def create(
        self,
        body: Body,
        field_manager: str = FIELD_MANAGER,
        *,
        dry_run: bool = False,
        resource: Resource | None = None,
        timeout: float | None = None,
        deadline: float | None = None,
    ) -> Body:
        """POST: the object as the server stored it. 409 `AlreadyExists` if there is one of its name."""
        resource = resource or self.resource_of(body)
        namespace = key_of(body).namespace if resource.namespaced else ""
        path = resource.collection_path(namespace)
        return self._write("POST", path, body, "application/json", field_manager, dry_run, timeout, deadline)

    def replace(
        self,
        body: Body,
        field_manager: str = FIELD_MANAGER,
        *,
        dry_run: bool = False,
        subresource: str = "",
        resource: Resource | None = None,
        timeout: float | None = None,
        deadline: float | None = None,
    ) -> Body:
        """PUT: with `metadata.resourceVersion` in the body, 409 `Conflict` if the object moved since."""
        resource = resource or self.resource_of(body)
        key = key_of(body)
        path = _sub(resource.object_path(key.namespace, key.name), subresource)
        return self._write("PUT", path, body, "application/json", field_manager, dry_run, timeout, deadline)

    def patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        patch: Body | list[Body],
        kind: PatchType = "merge",
        field_manager: str = FIELD_MANAGER,
        *,
        force: bool = False,
        dry_run: bool = False,
        subresource: str = "",
        timeout: float | None = None,
        deadline: float | None = None,
    ) -> Body:
        """PATCH of the given kind; `apply` is server-side apply, where `force` takes fields from other managers."""
        path = _sub(resource.object_path(namespace, name), subresource)
        return self._write(
            "PATCH", path, patch, _PATCH_TYPES[kind], field_manager, dry_run, timeout, deadline, force=force
        )

    def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        *,
        uid: str,
        resource_version: str | None = None,
        propagation: Propagation = "Background",
        dry_run: bool = False,
        timeout: float | None = None,
        deadline: float | None = None,
    ) -> bool:
        """DELETE of that very object: `False` if it is gone already, 409 `Conflict` if it is another one by now.

        The object can live on for a while (finalizers, graceful pods): see `waiting.until_deleted`.
        """
        preconditions = {"uid": uid} | ({"resourceVersion": resource_version} if resource_version else {})
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": preconditions,
            "propagationPolicy": propagation,
        }
        query = {"dryRun": "All"} if dry_run else {}
        path = resource.object_path(namespace, name)
        try:
            self._client.request("DELETE", path, query=query, body=options, timeout=timeout, deadline=deadline)
        except ClusterRefused as refusal:
            if refusal.http_status == 404:
                return False
            raise
        return True

    def _write(
        self,
        verb: str,
        path: str,
        body: Body | list[Body],
        content_type: str,
        field_manager: str,
        dry_run: bool,  # noqa: FBT001  # private
        timeout: float | None,
        deadline: float | None,
        *,
        force: bool = False,
    ) -> Body:
        query = {"fieldManager": field_manager}
        if dry_run:
            query["dryRun"] = "All"
        if force:
            query["force"] = "true"
        answer = self._client.request(
            verb,
            path,
            query=query,
            body=orjson.dumps(body),
            content_type=content_type,
            timeout=timeout,
            deadline=deadline,
        )
        stored: Body = answer.json()
        return stored


def _sub(path: str, subresource: str) -> str:
    return f"{path}/{subresource}" if subresource else path
