"""The programs of a control plane and the flags each is started with. A pure function of what the cluster is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """What kind of cluster.

    `version`: of Kubernetes; None is the given or default one. `node`: pods run, with a provisioner for their
    claims. `controllers`: without them namespaces stay Terminating and nothing is collected. The flags are
    appended to those programs' own, where the last one of a name counts.
    """

    version: str | None = None
    node: bool = True
    controllers: bool = True
    etcd_flags: Sequence[str] = ()
    apiserver_flags: Sequence[str] = ()
    controller_manager_flags: Sequence[str] = ()


def commands(directory: Path, ports: Mapping[str, int], options: Options) -> dict[str, list[str]]:
    """Each program's flags, by its name and in the order in which they start.

    `directory` holds the cluster; certificates and kubeconfigs are in its `pki`. `ports`: etcd, peer, apiserver.
    """
    pki = directory / "pki"
    found: dict[str, list[str]] = {
        "etcd": [
            f"--data-dir={directory}/etcd",
            "--unsafe-no-fsync",
            "--log-level=warn",
            f"--listen-client-urls=http://127.0.0.1:{ports['etcd']}",
            f"--advertise-client-urls=http://127.0.0.1:{ports['etcd']}",
            f"--listen-peer-urls=http://127.0.0.1:{ports['peer']}",
            f"--initial-advertise-peer-urls=http://127.0.0.1:{ports['peer']}",
            f"--initial-cluster=default=http://127.0.0.1:{ports['peer']}",
            *options.etcd_flags,
        ],
        "kube-apiserver": [
            f"--etcd-servers=http://127.0.0.1:{ports['etcd']}",
            "--bind-address=127.0.0.1",
            f"--secure-port={ports['apiserver']}",
            f"--tls-cert-file={pki}/server.crt",
            f"--tls-private-key-file={pki}/server.key",
            f"--client-ca-file={pki}/ca.crt",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={pki}/sa.pub",
            f"--service-account-signing-key-file={pki}/sa.key",
            f"--kubelet-client-certificate={pki}/kubelet-client.crt",
            f"--kubelet-client-key={pki}/kubelet-client.key",
            "--kubelet-preferred-address-types=InternalIP",
            "--authorization-mode=Node,RBAC",
            "--allow-privileged",
            "--endpoint-reconciler-type=none",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--profiling=false",
            *options.apiserver_flags,
        ],
    }
    if options.controllers:
        found["kube-controller-manager"] = [
            f"--kubeconfig={pki}/controller-manager.kubeconfig",
            "--use-service-account-credentials",
            "--leader-elect=false",
            "--secure-port=0",
            f"--root-ca-file={pki}/ca.crt",
            f"--service-account-private-key-file={pki}/sa.key",
            f"--cluster-signing-cert-file={pki}/ca.crt",
            f"--cluster-signing-key-file={pki}/ca.key",
            "--kube-api-qps=300",
            "--kube-api-burst=500",
            # A claim and a volume that are made at the same time may not find each other before the next look.
            "--pvclaimbinder-sync-period=1s",
            *options.controller_manager_flags,
        ]
        found["kube-scheduler"] = [
            f"--kubeconfig={pki}/scheduler.kubeconfig",
            "--leader-elect=false",
            "--secure-port=0",
        ]
    return found
