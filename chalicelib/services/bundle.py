"""All use cases of one repository, as `bootstrap` puts them together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.services.access import Access

if TYPE_CHECKING:
    from chalicelib.engine.lane.engine import Engine
    from chalicelib.services.applications import Applications
    from chalicelib.services.automatic import Automatic
    from chalicelib.services.clusters import RegisteredClusters
    from chalicelib.services.documents import Documents
    from chalicelib.services.operations import Operations
    from chalicelib.services.request_keys import RequestKeys
    from chalicelib.services.requests import Requests
    from chalicelib.services.sweeping import Sweeping
    from chalicelib.services.vaults import Vaults
    from chalicelib.services.versions import Versions


@dataclass(frozen=True, slots=True)
class Services:
    """What there is to ask for. `engine` is for those who work (pumps, schedules, `--direct`), not for handlers."""

    access: Access
    applications: Applications
    automatic: Automatic
    requests: Requests
    request_keys: RequestKeys
    versions: Versions
    operations: Operations
    clusters: RegisteredClusters
    documents: Documents
    engine: Engine
    sweeping: Sweeping
    vaults: Vaults
    #: Whether workers are woken through a queue: then whoever finds work sends a message, and does none of it.
    queued: bool = False
