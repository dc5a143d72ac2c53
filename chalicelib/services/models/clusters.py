"""Clusters."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field

from chalicelib.domain.forms import Form
from chalicelib.services.models.shapes import Page, Request, View

EksName = Annotated[
    str, Form(r"[0-9A-Za-z][A-Za-z0-9_-]{0,99}", "a cluster's name at AWS: letters, digits, `-` and `_`, 100 at most")
]
Region = Annotated[str, Form(r"[a-z]{2}(-[a-z]+)+-[0-9]+", "a region of AWS such as `eu-central-1`")]
RoleArn = Annotated[
    str,
    Field(max_length=500),
    Form(
        r"(arn:aws[a-z-]*:iam::[0-9]{12}:role/.+)?",
        "the ARN of a role such as `arn:aws:iam::123456789012:role/mainstay`",
    ),
]
Endpoint = Annotated[
    str,
    Field(max_length=500),
    Form(r"https://.*", "an address such as `https://1A2B.gr7.eu-central-1.eks.amazonaws.com`"),
]
Proxy = Annotated[
    str, Field(max_length=500), Form(r"(http://[^/\s]+/?)?", "an address such as `http://proxy.example.com:3128`")
]
RegisteredName = Annotated[
    str,
    Form(
        r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?",
        "a name of at most 63 lower-case letters, digits, `-` and `.`, with a letter or digit at both ends",
    ),
]


class ClusterQuery(Request):
    """Of routes about a cluster."""

    cluster: str | None = Field(None, max_length=200, description="Name or id; default: the only one registered.")


class EksSettings(Request):
    """A cluster of AWS' EKS. Its address and authority are asked of AWS, or given here."""

    name: EksName
    region: Region
    role_arn: RoleArn | None = Field(
        None,
        description="The role that the cluster is asked with; empty: Mainstay's own. Default: the one this very "
        "cluster is registered with, else Mainstay's own.",
    )
    endpoint: Endpoint | None = Field(None, description="Address of its API server; default: what AWS says.")
    certificate_authority: Annotated[str, Field(max_length=64 * 1024)] | None = Field(
        None, description="With `endpoint`: its authority, PEM in base64, as `aws eks describe-cluster` shows it."
    )
    proxy: Proxy | None = Field(
        None,
        description="An HTTP proxy that the API server is reached through, `http://[user:password@]host:port`; it is "
        "stored encrypted and never shown. Empty: none. Default: the one this very cluster is registered with.",
    )


class ClusterSettings(Request):
    """How to work with a cluster. Credentials are tried before they are stored, and never shown again."""

    pods_amount: Annotated[int, Field(ge=0, le=100)] | None = Field(None, description="Most helper pods at once.")
    name: RegisteredName | None = None
    kubeconfig: Annotated[str, Field(min_length=1, max_length=512 * 1024)] | None = None
    context: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    eks: EksSettings | None = None
    connections: Annotated[int, Field(ge=1, le=64)] | None = Field(None, description="Most connections at once.")
    same_as: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        None, alias="sameAs", description="Another registered cluster's name: both names are meant to be one cluster."
    )
    moved: bool = Field(False, description="The name stands for another cluster than before from now on.")

    # The given names are snake_case here: it is the contract's own spelling.
    model_config = ConfigDict(alias_generator=None)


class ClusterView(View):
    """A registered cluster, without secrets. `pods_amount` is spelled as the contract spells it."""

    id: str
    name: str
    source: str
    context: str
    server: str
    uid: str = Field(description="What tells it from other clusters: the uid of its namespace `kube-system`.")
    same_as: str | None = Field(description="The name of another record that is known to be the same cluster.")
    connections: int
    pods_amount: int = Field(alias="pods_amount")
    created_at: datetime
    updated_at: datetime


class ClusterPage(Page):
    """Clusters by name."""

    items: list[ClusterView]


class ClusterStatusView(View):
    """Whether a cluster answers, and what Mainstay may do there."""

    id: str
    name: str
    server: str
    reachable: bool
    version: str
    latency_ms: float | None
    missing_permissions: list[str]
    warnings: list[str]
    message: str
