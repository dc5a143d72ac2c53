"""The document: what a user writes about an application, read and checked.

    Document ─ metadata.name
             └ spec ┬ cluster
                    ├ state ─ objects: scopes │ closure │ dumps │ volumes │ images │ hooks
                    ├ backup ─ schedule │ keep │ quota │ alert │ notify
                    ├ restore ─ mode │ protect │ order │ rewrite │ health │ safety │ onFailure
                    └ drill ─ schedule │ namespace │ rewrite │ health

Every part is checked here whether or not this release carries it out; `chalicelib.language.support` says what
is carried out. Text becomes a document in `chalicelib.language.loader`, which adds lines and columns.
"""

from chalicelib.domain.document.backup import Alert, Backup, Keep, Notice, Schedule
from chalicelib.domain.document.part import Part, PodRef
from chalicelib.domain.document.restore import (
    Check,
    Drill,
    Health,
    Match,
    ObjectRef,
    Order,
    PatchOperation,
    Restore,
    Rewrite,
)
from chalicelib.domain.document.state import Dump, Exclude, Hook, Hooks, Scope, State, Volumes
from chalicelib.domain.document.whole import API_VERSION, Document, Metadata, Spec

__all__ = [
    "API_VERSION",
    "Alert",
    "Backup",
    "Check",
    "Document",
    "Drill",
    "Dump",
    "Exclude",
    "Health",
    "Hook",
    "Hooks",
    "Keep",
    "Match",
    "Metadata",
    "Notice",
    "ObjectRef",
    "Order",
    "Part",
    "PatchOperation",
    "PodRef",
    "Restore",
    "Rewrite",
    "Schedule",
    "Scope",
    "Spec",
    "State",
    "Volumes",
]
