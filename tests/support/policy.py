"""Rules of the cluster that refuse one object."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.harness.api import Api
from tests.harness.errors import ApiError
from tests.harness.processes import wait_until
from tests.support import shop

_POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
_BINDINGS = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
#: What the policy says, and a result should repeat.
WORDS = "not on my watch"


@contextmanager
def refusing(
    api: Api, namespace: str, kind: str, name: str, operations: Sequence[str] = ("CREATE", "UPDATE")
) -> Iterator[None]:
    """While this is open the API server refuses to create or update one object; or to delete it, if it is there."""
    group, _, version = shop.api_version(kind).rpartition("/")
    rule = {
        "apiGroups": [group],
        "apiVersions": [version],
        "operations": list(operations),
        "resources": [shop.path(kind, namespace).rpartition("/")[2]],
    }
    where = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    own = {"metadata": {"name": f"mainstay-test-{secrets.token_hex(4)}"}}
    meant = "oldObject" if "DELETE" in operations else "object"
    expression = f"{meant}.metadata.name != '{name}' && {meant}.metadata.name != 'probe'"
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": {"namespaceSelector": where, "resourceRules": [rule]},
        "validations": [{"expression": expression, "message": WORDS}],
    }
    api.post(_POLICIES, {**own, "spec": spec})
    binding = {"policyName": own["metadata"]["name"], "validationActions": ["Deny"]}
    api.post(_BINDINGS, {**own, "spec": binding})
    probe = {"apiVersion": shop.api_version(kind), "kind": kind, "metadata": {"name": "probe"}}
    content = next(content for each, _, content in shop.objects() if each == kind)

    def refuses() -> bool:
        try:
            if "DELETE" in operations:
                api.delete(f"{shop.path(kind, namespace)}/{name}?dryRun=All")
            else:
                api.post(shop.path(kind, namespace) + "?dryRun=All", {**probe, **content})
        except ApiError as error:
            return WORDS in str(error)
        return False

    try:
        wait_until(refuses, seconds=30, what="the policy to be in force")
        yield
    finally:
        for path in (_BINDINGS, _POLICIES):
            with contextlib.suppress(ApiError):
                api.delete(f"{path}/{own['metadata']['name']}")
        wait_until(lambda: not refuses(), seconds=30, what="the policy to be out of force")
