"""How to restore."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from chalicelib.domain.forms import Form
from chalicelib.services.models.shapes import Request

Mode = Literal["exact", "merge", "missing"]
#: `Kind.group/name` with `*` and `?`; a namespace may stand before the name.
Only = Annotated[list[Annotated[str, Field(min_length=1, max_length=400)]], Field(max_length=1000)]
NamespaceName = Annotated[
    str,
    Form(
        r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?",
        "a namespace's name: at most 63 lower-case letters, digits and `-`, with a letter or digit at both ends",
    ),
]
ClassName = Annotated[
    str,
    Form(
        r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?",
        "a storage class's name: lower-case letters, digits, `-` and `.`, with a letter or digit at both ends",
    ),
]
KindName = Annotated[str, Field(min_length=1, max_length=300)]


class RestoreRequest(Request):
    """How to restore; everything that is not said is as the application's document says."""

    mode: Mode | None = None
    dry_run: bool = Field(False, description="Only plan: the operation's plan says what a restore would do.")
    plan: str | None = Field(
        None, min_length=1, description="Id of a plan operation: do exactly what it shows, or nothing."
    )
    namespace: NamespaceName | None = Field(
        None, description="Another namespace to restore into, for a version of one namespace."
    )
    namespaces: dict[NamespaceName, NamespaceName] = Field(
        default_factory=dict, max_length=100, description="Other namespaces to restore into: from each to which."
    )
    cluster: str | None = Field(
        None, min_length=1, max_length=200, description="Another cluster to restore to: its name or id."
    )
    storage_classes: dict[ClassName, ClassName] = Field(
        default_factory=dict, max_length=100, description="Storage classes to exchange: from each to which."
    )
    suspend: bool | None = Field(
        None,
        description="Whether CronJobs, Jobs and what deploys by itself are suspended. Not said: as the document "
        "says, else beside the original; what deploys, wherever namespaces have other names.",
    )
    only: Only = Field(default_factory=list, description="`Kind.group/name` with `*` and `?`: only these objects.")
    on_failure: Literal["rollback", "keep"] | None = None
    safety: Literal["required", "bestEffort", "none"] | None = None
    consent: list[KindName] = Field(
        default_factory=list, max_length=200, description="Protected kinds that may be deleted or replaced."
    )
    shared: bool = Field(
        False, description="Also change what was pulled in by `closure: references` where it differs."
    )
