"""The installed `mainstay` command against a running server and a real API server, there and back."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.harness.access import Access
from tests.harness.processes import wait_until

pytestmark = pytest.mark.cluster

BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Terminal:
    """One user with an environment of their own."""

    environment: dict[str, str]
    directory: Path
    always: tuple[str, ...] = field(default=())

    def __call__(self, *args: str, stdin: str = "", code: int | None = 0, program: str = "mainstay") -> Said:
        ended = subprocess.run(
            [str(BIN / program), *args, *self.always],
            input=stdin,
            capture_output=True,
            text=True,
            env=self.environment,
            cwd=self.directory,
            timeout=120,
            check=False,
        )
        assert "Traceback" not in ended.stderr, ended.stderr
        assert code is None or ended.returncode == code, f"{ended.returncode}\n{ended.stdout}\n{ended.stderr}"
        return Said(ended.returncode, ended.stdout, ended.stderr)


@pytest.fixture
def surroundings(control_plane: Access, tmp_path: Path) -> dict[str, str]:
    """The environment of a machine where nothing is configured but a kubeconfig."""
    own = {name: given for name, given in os.environ.items() if not name.startswith(("MAINSTAY_", "COLUMNS"))}
    return {
        **own,
        "KUBECONFIG": str(control_plane.kubeconfig),
        "MAINSTAY_DATA": str(tmp_path / "data"),
        "MAINSTAY_LISTEN": "127.0.0.1:0",
        "MAINSTAY_LEASE_SECONDS": "5",
        "MAINSTAY_DEBUG": "1",
    }


@pytest.fixture
def serve(surroundings: dict[str, str], tmp_path: Path) -> Iterator[Callable[[], str]]:
    """Starts `mainstay serve` and returns its URL."""
    started: list[subprocess.Popen[str]] = []

    def start() -> str:
        with (tmp_path / f"serve-{len(started)}.log").open("w") as log:
            server = subprocess.Popen(
                [str(BIN / "mainstay"), "serve"], env=surroundings, stdout=subprocess.PIPE, stderr=log, text=True
            )
        started.append(server)
        assert server.stdout is not None
        assert select.select([server.stdout], [], [], 60)[0], "it never said where it listens"
        line = server.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found, line
        return found.group()

    yield start
    for server in started:
        server.send_signal(signal.SIGTERM)
    for server in started:
        assert server.wait(60) == 0, "a server that is told to stop ends well"
        assert server.stdout is not None
        server.stdout.close()


@pytest.fixture
def mainstay(serve: Callable[[], str], surroundings: dict[str, str], tmp_path: Path) -> Terminal:
    return Terminal({**surroundings, "MAINSTAY_URL": serve()}, tmp_path)


@pytest.fixture
def shop(control_plane: Access, control_namespace: str) -> str:
    """A namespace with something worth keeping in it."""
    control_plane.apply(
        _config_map(control_namespace, "settings", {"colour": "blue", "lines": "one\ntwo\nthree\n"}),
        _config_map(control_namespace, "other", {"a": "1"}),
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"namespace": control_namespace, "name": "password"},
            "stringData": {"password": "open-sesame"},
        },
    )
    return control_namespace


def test_there_and_back_on_the_command_line(mainstay: Terminal, control_plane: Access, shop: str) -> None:
    _registered(mainstay, shop)
    version = mainstay("backup", shop, "--name", "good", "--label", "by=test", "-q").out.strip()
    assert version.startswith("ver-")
    assert mainstay("diff", shop, "--exit-code").code == 0

    _break(control_plane, shop)
    assert sorted(mainstay("diff", shop, "--exit-code", "-q", code=6).out.splitlines()) == [
        f"added ConfigMap {shop}/extra",
        f"changed ConfigMap {shop}/settings",
        f"changed Secret {shop}/password",
        f"removed ConfigMap {shop}/other",
    ]
    plan = mainstay("plan", shop, "good")
    assert f"+ ConfigMap {shop}/other" in plan.out
    assert f"− ConfigMap {shop}/extra" in plan.out
    assert "- TWO" in plan.out
    assert "+ two" in plan.out
    assert re.search(r"data\.password +\(hidden\)", plan.out)
    assert "Plan: 1 to create · 2 to update · 1 to delete" in plan.out
    saved = re.search(r"--plan (op-\w+)", plan.err)
    assert saved

    restored = mainstay("restore", shop, "--plan", saved.group(1), "--yes")
    assert "1 created, 2 updated, 1 deleted" in restored.out
    assert _data(control_plane, shop, "settings") == {"colour": "blue", "lines": "one\ntwo\nthree\n"}
    assert mainstay("plan", shop, "--exit-code").out.splitlines()[-1].startswith("Nothing to do")
    operation = re.search(r"mainstay undo (op-\w+)", restored.err)
    assert operation
    rows = mainstay("result", operation.group(1), "-o", "json").json["items"]
    assert {(row["object"]["name"], row["outcome"]) for row in rows} == {
        ("other", "done"),
        ("settings", "done"),
        ("password", "done"),
        ("extra", "done"),
    }

    undone = mainstay("undo", shop, "--yes")
    assert "put back to what it was before" in undone.out
    assert _data(control_plane, shop, "extra") == {"x": "y"}
    assert mainstay("plan", shop, "--exit-code", "-q", code=6).code == 6

    everything = "".join(
        mainstay(*args).out + mainstay(*args, "-o", "json").out
        for args in (("plan", shop), ("diff", shop), ("versions", shop), ("operations",), ("show", version))
    )
    assert "open-sesame" not in everything
    assert "b3Blbi1zZXNhbWU" not in everything


def test_a_stale_plan_is_refused_and_says_what_to_do(mainstay: Terminal, control_plane: Access, shop: str) -> None:
    _registered(mainstay, shop)
    older = mainstay("backup", shop, "-q").out.strip()
    mainstay("backup", shop)
    _break(control_plane, shop)
    saved = mainstay("plan", shop, older, "--mode", "merge", "-o", "json").json["operation"]
    control_plane.apply(_config_map(shop, "settings", {"colour": "green"}))
    said = mainstay("restore", shop, "--plan", saved, "--yes", code=4)
    assert f"mainstay plan {shop} {older} --mode=merge\n" in said.err
    assert _data(control_plane, shop, "settings")["colour"] == "green"


def test_direct_does_the_same_with_no_server(
    surroundings: dict[str, str], tmp_path: Path, control_plane: Access, shop: str
) -> None:
    mainstay = Terminal(surroundings, tmp_path, always=("--direct",))
    first = mainstay("app", "list")
    assert "recovery key" in first.err
    _registered(mainstay, shop)
    assert mainstay("backup", shop, "-q").out.startswith("ver-")
    _break(control_plane, shop)
    mainstay("restore", shop, "--yes")
    assert _data(control_plane, shop, "settings")["colour"] == "blue"
    assert mainstay("plan", shop, "--exit-code").code == 0
    assert "restore" in mainstay("operations", shop).out


def test_what_direct_began_a_server_goes_on_with(
    surroundings: dict[str, str], tmp_path: Path, serve: Callable[[], str], shop: str
) -> None:
    direct = Terminal(surroundings, tmp_path, always=("--direct",))
    _registered(direct, shop)
    operation = direct("backup", shop, "--no-wait", "-q").out.strip()
    over_http = Terminal({**surroundings, "MAINSTAY_URL": serve()}, tmp_path)
    followed = over_http("operation", operation, "--wait", "-o", "json").json
    assert followed["state"] == "succeeded"


@pytest.fixture
def hears_ctrl_c() -> Iterator[None]:
    """Programs that are started hear SIGINT, also where these tests run in a shell's background and do not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("hears_ctrl_c")
def test_ctrl_c_leaves_the_operation_running(mainstay: Terminal, control_plane: Access, shop: str) -> None:
    _registered(mainstay, shop)
    mainstay("backup", shop)
    # What is extra goes only when somebody takes its finalizer off: until then the restore surely runs.
    extra = _config_map(shop, "extra", {})
    extra["metadata"]["finalizers"] = ["mainstay.test/held"]
    path = f"/api/v1/namespaces/{shop}/configmaps/extra"
    control_plane.api.post(path.removesuffix("/extra"), extra)
    process = subprocess.Popen(
        [str(BIN / "mainstay"), "restore", shop, "--yes"],
        env=mainstay.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    def goes() -> bool:
        return "deletionTimestamp" in control_plane.api.get(path)["metadata"]

    wait_until(goes, seconds=60, what="the restore to delete what is extra")
    process.send_signal(signal.SIGINT)
    _out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    operation = re.search(r"mainstay operation (op-\w+) --wait", err)
    assert operation, err
    control_plane.api.patch(path, {"metadata": {"finalizers": None}})
    assert mainstay("operation", operation.group(1), "--wait", "-o", "json").json["state"] == "succeeded"


def test_direct_that_was_stopped_goes_on_later(
    surroundings: dict[str, str], tmp_path: Path, control_plane: Access, shop: str
) -> None:
    direct = Terminal(surroundings, tmp_path, always=("--direct",))
    _registered(direct, shop)
    control_plane.apply(*(_config_map(shop, f"many-{number}", {"n": "x" * 1000}) for number in range(300)))
    process = subprocess.Popen(
        [str(BIN / "mainstay"), "backup", shop, "--direct"],
        env=surroundings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert select.select([process.stderr], [], [], 30)[0]
    process.send_signal(signal.SIGINT)
    _out, err = process.communicate(timeout=60)
    assert process.returncode in {0, 130}, err
    if process.returncode == 130:
        operation = re.search(r"mainstay --direct operation (op-\w+) --wait", err)
        assert operation, err
        direct("operation", operation.group(1), "--wait")
    assert [version["objects"] > 300 for version in direct("versions", shop, "-o", "json").json["items"]] == [True]


def test_it_works_as_a_plugin_of_kubectl(mainstay: Terminal, control_plane: Access) -> None:
    path = f"{BIN}{os.pathsep}{mainstay.environment['PATH']}"
    ended = subprocess.run(
        [str(control_plane.kubectl_program), "mainstay", "app", "show", "nothing"],
        env={**mainstay.environment, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 3
    assert "hint: None is registered yet: kubectl mainstay app add FILE" in ended.stderr


def test_the_service_is_found_wanting_in_a_sentence(surroundings: dict[str, str], tmp_path: Path) -> None:
    nowhere = Terminal({**surroundings, "MAINSTAY_URL": "http://127.0.0.1:9"}, tmp_path)
    began = time.monotonic()
    said = nowhere("app", "list", code=5)
    assert time.monotonic() - began < 15  # it is tried once: nobody waits for a minute
    assert said.err.startswith("error: Mainstay at http://127.0.0.1:9 cannot be reached")


def _registered(mainstay: Terminal, namespace: str) -> None:
    mainstay("init", "-n", namespace)
    document = f"{namespace}.yaml"
    assert mainstay("check", document).out == f"{document} is fine.\n"
    mainstay("app", "add", document)
    assert mainstay("app", "show", namespace, "--document").out == (mainstay.directory / document).read_text()


def _break(cluster: Access, namespace: str) -> None:
    cluster.apply(
        _config_map(namespace, "settings", {"colour": "red", "lines": "one\nTWO\nthree\n"}),
        _config_map(namespace, "extra", {"x": "y"}),
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"namespace": namespace, "name": "password"},
            "stringData": {"password": "something-else"},
        },
    )
    cluster.api.delete(f"/api/v1/namespaces/{namespace}/configmaps/other")


def _config_map(namespace: str, name: str, data: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"namespace": namespace, "name": name},
        "data": data,
    }


def _data(cluster: Access, namespace: str, name: str) -> dict[str, str]:
    found: dict[str, str] = cluster.api.get(f"/api/v1/namespaces/{namespace}/configmaps/{name}")["data"]
    return found
