"""A cluster that is reached through a proxy only, as its kubeconfig says."""

from __future__ import annotations

from pathlib import Path

import yaml

from chalicelib.domain.operation import State
from tests.support.connect_proxy import Proxy
from tests.support.site import Site


def through(site: Site, proxy: Proxy, folder: Path) -> Path:
    config = yaml.safe_load(site.kubeconfig.read_text())
    for each in config["clusters"]:
        each["cluster"]["proxy-url"] = f"http://me:secret@127.0.0.1:{proxy.port}"
    file = folder / "through-a-proxy"
    file.write_text(yaml.safe_dump(config))
    return file


def test_a_backup_and_a_restore_go_through_the_proxy_of_the_kubeconfig(site: Site, tmp_path: Path) -> None:
    proxy = Proxy()
    engine = site.engine(kubeconfig=through(site, proxy, tmp_path))
    before = site.look()
    backup = site.run("backup", engine)
    assert backup.state is State.SUCCEEDED, backup.error
    site.cluster.api.delete(f"/api/v1/namespaces/{site.namespace}/configmaps/conf")
    restore = site.run("restore", engine, version=backup.outcome["version"], mode="exact")
    assert restore.state is State.SUCCEEDED, restore.error
    assert site.look() == before
    assert proxy.heads
    assert all(head.startswith("CONNECT 127.0.0.1:") for head in proxy.heads)
    proxy.close()
