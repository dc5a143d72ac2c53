"""Patterns by which a document names objects: names with wildcards, and kinds in their three spellings.

Wildcards are those of a shell: `*` any run of characters, `?` any one, `[abc]` one of these. Case matters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

from chalicelib.domain.errors import Invalid

#: How a document writes the core API group, whose own name is empty.
CORE = "core"

_KIND = re.compile(r"[A-Z*?][A-Za-z0-9*?]{0,62}")
_PLURAL = re.compile(r"[a-z][a-z0-9*?-]{0,62}")
_GROUP = re.compile(r"[a-z0-9*?](?:[a-z0-9.*?-]{0,251}[a-z0-9*?])?")

#: Kinds every cluster has, by where their objects live; a document that puts one in the wrong kind of scope
#: would silently select nothing.
NAMESPACED_KINDS = frozenset(
    {
        "ConfigMap",
        "CronJob",
        "ControllerRevision",
        "DaemonSet",
        "Deployment",
        "Endpoints",
        "EndpointSlice",
        "Event",
        "HorizontalPodAutoscaler",
        "Ingress",
        "Job",
        "Lease",
        "LimitRange",
        "NetworkPolicy",
        "PersistentVolumeClaim",
        "Pod",
        "PodDisruptionBudget",
        "PodTemplate",
        "ReplicaSet",
        "ReplicationController",
        "ResourceQuota",
        "Role",
        "RoleBinding",
        "Secret",
        "Service",
        "ServiceAccount",
        "StatefulSet",
    }
)
CLUSTER_KINDS = frozenset(
    {
        "APIService",
        "CertificateSigningRequest",
        "ClusterRole",
        "ClusterRoleBinding",
        "CSIDriver",
        "CSINode",
        "CustomResourceDefinition",
        "FlowSchema",
        "IngressClass",
        "MutatingWebhookConfiguration",
        "Node",
        "PersistentVolume",
        "PriorityClass",
        "PriorityLevelConfiguration",
        "RuntimeClass",
        "StorageClass",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
        "VolumeAttachment",
    }
)


def name_matches(pattern: str, name: str) -> bool:
    """Whether a name fits a pattern with wildcards. Case matters."""
    return fnmatchcase(name, pattern)


@dataclass(frozen=True, slots=True)
class KindPattern:
    """Kinds, named as `Kind` (in any group), `Kind.group` or `plural.group`, with wildcards in either part.

    `name` is the part before the first dot. It is compared with the plural if it is in lower case, else with
    the kind. `group` is `None` for "any", `""` for the core group (written `core`).
    """

    name: str
    group: str | None = None

    @classmethod
    def parse(cls, text: str) -> KindPattern:
        """The pattern written in `text`, or `Invalid` with a sentence."""
        name, dot, group = text.partition(".")
        if dot and _GROUP.fullmatch(group) is None:
            raise Invalid(f"`{text[:80]}` is not a kind: an API group such as `apps` belongs after the dot.")
        if _KIND.fullmatch(name):
            return cls(name, (("" if group == CORE else group) if dot else None))
        if _PLURAL.fullmatch(name) is None:
            raise Invalid(f"`{text[:80]}` is not a kind: write it such as `Deployment` or `Deployment.apps`.")
        if not dot:
            raise Invalid(
                f"`{text[:80]}` is not a kind: write the kind as manifests do (such as `Deployment`), "
                f"or a plural with its group (such as `deployments.apps`)."
            )
        return cls(name, "" if group == CORE else group)

    @property
    def by_plural(self) -> bool:
        """Whether the name is compared with the plural of the resource."""
        return self.name[0].islower()

    def matches(self, group: str, kind: str, plural: str) -> bool:
        """Whether it names this kind. `group` is `""` for the core group."""
        if self.group is not None and not fnmatchcase(group, self.group):
            return False
        return fnmatchcase(plural if self.by_plural else kind, self.name)

    def __str__(self) -> str:
        if self.group is None:
            return self.name
        return f"{self.name}.{self.group or CORE}"
