"""Waiting between the waves of a plan: for what an action needs to be ready (see `gating`)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from chalicelib.cluster import health as cluster_health
from chalicelib.domain.objects import ObjectKey
from chalicelib.domain.plan import Action, Awaited
from chalicelib.engine.lane.clusters import ClusterSession
from chalicelib.engine.lane.work import Work

#: How long what should be ready is waited for at most, seconds. The document's `health.timeout` may be shorter.
_SHOULD_LIMIT = 120.0
#: All waits of one restore together, in times of the document's `health.timeout`.
_IN_ALL = 2.0
#: In the checkpoint: seconds that were waited before each wave.
_WAITED = "waited"
#: Seconds between two looks.
_INTERVAL = 1.0


@dataclass(slots=True)
class Gate:
    """Waits before the waves of one plan: before each no longer than `health.timeout`, and no longer than twice that
    before all of them together, however many waves and turns there are."""

    work: Work
    session: ClusterSession
    #: Why objects that were to be written were not, if so: nobody waits for those.
    failed: Callable[[], Mapping[ObjectKey, str]]
    #: What was waited for in vain, in sentences.
    told: list[str] = field(default_factory=list)

    def before(self, wave: str, actions: Iterable[Action]) -> dict[ObjectKey, str]:
        """Wait for what the actions of a wave await; those of them that cannot be begun, with the reason."""
        awaited = {action.object.key: action.awaits for action in actions if action.awaits}
        if not awaited:
            return {}
        unready = self._wait(wave, {each.object.key: each for found in awaited.values() for each in found})
        refused: dict[ObjectKey, str] = {}
        for key, found in awaited.items():
            for each in found:
                why = unready.get(each.object.key)
                if why is None:
                    continue
                if each.required:
                    refused[key] = (
                        f"It waits for {each.object.key} by {each.reason}, which {why}. It was not begun. Find out "
                        "why that is not ready; if it only takes longer, raise `restore.health.timeout`."
                    )
                else:
                    self.told.append(f"{key} was written although {each.object.key} {why} ({each.reason}).")
        return refused

    def _wait(self, wave: str, awaited: Mapping[ObjectKey, Awaited]) -> dict[ObjectKey, str]:
        """What is not ready in time, as the rest of a sentence that begins with its name."""
        timeout = self.work.document.spec.restore.health.timeout.total_seconds()
        waited = dict(self.work.checkpoint.get(_WAITED) or {})
        before = sum(seconds for earlier, seconds in waited.items() if earlier != wave)
        left = max(0.0, _IN_ALL * timeout - before)
        unready: dict[ObjectKey, str] = {}
        passed = 0.0
        while True:
            failed = self.failed()
            seen = self._unready(key for key in awaited if key not in failed)
            own = {key: timeout if awaited[key].required else min(timeout, _SHOULD_LIMIT) for key in seen}
            passed = self.work.elapsed(f"gate-{wave}", min(left, max(own.values()))) if seen else passed
            over = {
                key: _late(passed, before, own[key], why)
                for key, why in seen.items()
                if passed >= min(left, own[key])
            }
            if over.keys() == seen.keys():
                unready = over
                break
            self.work.pause()
            self.work.report(len(awaited) - len(seen), len(awaited), "workloads to be ready")
            time.sleep(_INTERVAL)
        if passed and wave not in waited:
            self.work.note(**{_WAITED: {**waited, wave: round(passed, 1)}})
        return unready | {key: "could not be written" for key in awaited if key in failed}

    def _unready(self, keys: Iterable[ObjectKey]) -> dict[ObjectKey, str]:
        wanted = {(key.kind, key.namespace, key.name): key for key in keys}
        if not wanted:
            return {}
        namespaces = sorted({key.namespace for key in wanted.values()})
        found = cluster_health.observe(self.session.client, self.session.discovery, namespaces)
        seen = {(each.kind, each.namespace, each.name): each for each in found}
        return {
            key: seen[name].trouble if name in seen else "it is not there"
            for name, key in wanted.items()
            if name not in seen or not seen[name].healthy
        }


def _late(passed: float, before: float, limit: float, why: str) -> str:
    """What is said of a workload that is not ready after a wait, which ends at its own limit or at that of all."""
    in_all = f", and this restore has waited {before + passed:.0f} s in all" if passed < limit else ""
    return f"is not ready after {passed:.0f} s{in_all} ({why})"
