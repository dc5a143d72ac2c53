"""The seam between the command line and the service.

One method for each use case. Arguments and answers are the JSON that the API documents; a list is the whole
list, `{"items": […]}`, whatever pages it came in. Every method raises `Failure` and nothing else.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol

Json = dict[str, Any]


class Gateway(Protocol):
    """What the service can be asked to do."""

    def applications(self) -> Json:
        """Every application one may see."""

    def application(self, application: str) -> Json:
        """One application with its document."""

    def register(self, body: Json) -> Json:
        """Register an application: `{name, description?, document?, namespace?, cluster?}`."""

    def change(self, application: str, body: Json) -> Json:
        """Change name, description, document or status."""

    def delete(self, application: str, *, keep_versions: bool) -> Json:
        """Start to delete an application: the operation."""

    def autobackup(self, application: str, seconds: int, body: Json) -> Json:
        """Set how often an application is backed up by itself (0: never), and what else `{backup?}` says."""

    def policy(self) -> Json:
        """The default of applications that say nothing about their backups."""

    def change_policy(self, body: Json) -> Json:
        """Change it: `{backup_regularity, keep?}`."""

    def request_keys(self) -> Json:
        """The keys that requests are signed with, without their secrets."""

    def add_request_key(self, body: Json) -> Json:
        """Make one, `{name}`: with its secret, this once."""

    def revoke_request_key(self, key: str) -> Json:
        """Revoke one."""

    def status(self, application: str, *, refresh: bool) -> Json:
        """State, health, versions and the running operation of an application."""

    def backup(self, body: Json) -> Json:
        """Start a backup, `{id, name?, comment?, labels?}`: the operation."""

    def versions(
        self, application: str, *, limit: int | None = None, label: str | None = None, safety: bool = False
    ) -> Json:
        """The newest `limit` versions (`None`: all) that a label selector lets through, newest first; with `safety`
        also those that restores made of what they were about to change."""

    def version(self, version: str) -> Json:
        """Everything about one version."""

    def change_version(self, version: str, body: Json) -> Json:
        """Change what people say about a version: name, comment, labels, hold."""

    def delete_version(self, version: str, *, force: bool) -> Json:
        """Delete a version; `force`: even the last good one."""

    def restore(self, version: str, body: Json) -> Json:
        """Start a restore, or with `dryRun` a plan: the operation."""

    def undo(self, operation: str) -> Json:
        """Start to undo a restore: the operation."""

    def compare(self, from_: str, to: str) -> Json:
        """What differs between a version and another, or `live`."""

    def operations(self, application: str | None, *, limit: int | None = None, running: bool | None = None) -> Json:
        """The newest `limit` operations, of one application or of all, newest first; only those (not) `running`."""

    def operation(self, operation: str) -> Json:
        """One operation."""

    def plan(self, operation: str) -> Json:
        """The plan that an operation made."""

    def result(self, operation: str) -> Json:
        """The result rows of an operation, one for each object."""

    def cancel(self, operation: str) -> Json:
        """Ask an operation to stop: the operation."""

    def vaults(self) -> Json:
        """The applications that the repository holds something of, deleted ones too."""

    def vault_size(self, application: str) -> Json:
        """What an application's versions take."""

    def verify(self, application: str, *, quick: bool, repair: bool) -> Json:
        """Start to read everything that an application's versions need: the operation."""

    def damages(self, operation: str) -> Json:
        """What that found damaged."""

    def sweep(self, application: str, *, at_once: bool) -> Json:
        """Start to remove what no version of an application needs: the operation."""

    def draft(self, body: Json) -> Json:
        """A document written from what runs, `{namespace, name?, cluster?}`: `{document}`, not stored."""

    def clusters(self) -> Json:
        """The clusters that are known."""

    def cluster_status(self, cluster: str | None) -> Json:
        """Whether a cluster answers, its version and what is missing."""

    def configure_cluster(self, body: Json) -> Json:
        """Register a cluster or change it: `{name, kubeconfig? or eks?, context?, connections?}`."""

    def remove_cluster(self, cluster: str) -> Json:
        """Forget a cluster."""

    def attend(self, operation: Json) -> AbstractContextManager[None]:
        """While this is open the operation gets done: by the server anyway; `--direct` works on it here."""
