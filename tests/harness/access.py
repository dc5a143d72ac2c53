"""A cluster one may use: requests, kubectl, namespaces, and kubeconfigs for other identities."""

import base64
import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.harness import pki
from tests.harness.api import Api
from tests.harness.binaries import kubernetes_programs
from tests.harness.cache import cache_root, write_whole
from tests.harness.errors import ApiError, HarnessError
from tests.harness.processes import wait_until


class Access:
    """A cluster through its kubeconfig. What starts and stops it is not known here."""

    def __init__(self, kubeconfig: Path, directory: Path) -> None:
        self.kubeconfig = kubeconfig
        self.directory = directory
        self._api: Api | None = None

    @property
    def kubectl_program(self) -> Path:
        present = shutil.which("kubectl")
        return Path(present) if present else kubernetes_programs()["kubectl"]

    @property
    def api(self) -> Api:
        """Requests as the administrator."""
        if self._api is None:
            self._api = Api.of(self.config)
        return self._api

    @property
    def config(self) -> Mapping[str, Any]:
        """The kubeconfig, complete in itself, as data."""
        config: Mapping[str, Any] = json.loads(
            self.kubectl("config", "view", "--minify", "--flatten", "--raw", "-o", "json")
        )
        return config

    def kubectl(
        self,
        *arguments: str,
        stdin: str = "",
        seconds: float = 60,
        kubeconfig: Path | None = None,
        check: bool = True,
    ) -> str:
        """Run kubectl; its standard output. Errors: HarnessError with what it said, unless `check` is off."""
        command = [
            str(self.kubectl_program),
            f"--kubeconfig={kubeconfig or self.kubeconfig}",
            f"--cache-dir={self.directory}/kubectl-cache",
            *arguments,
        ]
        environment = {name: value for name, value in os.environ.items() if name.lower() != "kubeconfig"}
        try:
            done = subprocess.run(
                command,
                input=stdin,
                capture_output=True,
                text=True,
                timeout=seconds,
                env=environment,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise HarnessError(f"kubectl {' '.join(arguments)}: no end after {seconds:.0f} s") from error
        if done.returncode and check:
            raise HarnessError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def apply(self, *objects: Mapping[str, Any]) -> None:
        """Server-side apply of objects, created or changed."""
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=text)

    @contextmanager
    def namespace(self, prefix: str = "test") -> Iterator[str]:
        """A fresh namespace in which pods can start; its deletion is begun at the end, not waited for."""
        name = f"{prefix}-{secrets.token_hex(4)}"
        self.api.post("/api/v1/namespaces", {"metadata": {"name": name}})
        try:
            self.wait_for_account(name)
            yield name
        finally:
            try:
                self.api.delete(f"/api/v1/namespaces/{name}")
            except ApiError as error:
                if error.status != 404:  # deleted by the test itself
                    raise

    def wait_for_account(self, namespace: str, seconds: float = 60) -> None:
        """Wait until the controllers have made what every pod of a namespace needs."""
        base = f"/api/v1/namespaces/{namespace}"
        needed = (f"{base}/serviceaccounts/default", f"{base}/configmaps/kube-root-ca.crt")
        wait_until(
            lambda: all(self.api.exists(path) for path in needed),
            seconds=seconds,
            what=f"the default service account and kube-root-ca.crt of {namespace}",
        )

    def identity(self, user: str, groups: Sequence[str] = ()) -> Path:
        """A kubeconfig for a user with these groups, who has no rights but those that roles give."""
        return self._write_identity(user, self._credential(user, groups))

    def service_account(self, namespace: str, name: str, seconds: int = 3600) -> Path:
        """A kubeconfig with a token of a ServiceAccount, which must exist."""
        return self._write_identity(f"{namespace}-{name}", self.token(namespace, name, seconds))

    def token(self, namespace: str, name: str, seconds: int = 3600) -> str:
        """A token of a ServiceAccount, which must exist."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        token: str = self.api.post(path, {"spec": {"expirationSeconds": seconds}})["status"]["token"]
        return token

    def _write_identity(self, user: str, access: pki.Credential | str) -> Path:
        cluster = self.config["clusters"][0]["cluster"]
        ca = base64.b64decode(cluster["certificate-authority-data"]).decode()
        path = self.directory / "identities" / f"{user.replace('/', '_')}-{secrets.token_hex(4)}.kubeconfig"
        write_whole(path, pki.kubeconfig(cluster["server"], ca, user, access), 0o600)
        return path

    def _credential(self, user: str, groups: Sequence[str]) -> pki.Credential:
        """By the cluster's own certificates API, which needs no key of its CA."""
        requests = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
        request, key = pki.signing_request(user, groups)
        name = f"mainstay-test-{secrets.token_hex(4)}"
        made = self.api.post(
            requests,
            {
                "metadata": {"name": name},
                "spec": {
                    "request": base64.b64encode(request.encode()).decode(),
                    "signerName": "kubernetes.io/kube-apiserver-client",
                    "usages": ["client auth"],
                },
            },
        )
        approved = {"type": "Approved", "status": "True", "reason": "Test", "message": "by the test harness"}
        made["status"] = {"conditions": [approved]}
        self.api.request("PUT", f"{requests}/{name}/approval", made)
        deadline = time.monotonic() + 30
        while not (certificate := self.api.get(f"{requests}/{name}").get("status", {}).get("certificate")):
            if time.monotonic() > deadline:
                raise HarnessError(f"the cluster signed no certificate for {user} within 30 s")
            time.sleep(0.1)
        self.api.delete(f"{requests}/{name}")
        return pki.Credential(base64.b64decode(certificate).decode(), key)


def given_cluster() -> Access | None:
    """The cluster of MAINSTAY_TEST_KUBECONFIG, or None. The harness starts and stops nothing of it."""
    named = os.environ.get("MAINSTAY_TEST_KUBECONFIG")
    if not named:
        return None
    if not Path(named).exists():
        raise HarnessError(f"MAINSTAY_TEST_KUBECONFIG={named}: there is no such file")
    directory = cache_root() / "given"
    directory.mkdir(exist_ok=True)
    return Access(Path(named).absolute(), directory)
