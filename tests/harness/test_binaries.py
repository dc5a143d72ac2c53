"""Programs are found where they are, and a build that fails says why."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness import binaries
from tests.harness.errors import HarnessError

# The shape of k8s.io/kubernetes' own go.mod.
UPSTREAM = """module k8s.io/kubernetes

go 1.25.0

godebug default=go1.25

require (
	k8s.io/api v0.0.0
)

replace (
	k8s.io/api => ./staging/src/k8s.io/api
	k8s.io/kube-proxy => ./staging/src/k8s.io/kube-proxy
)
"""


def test_every_staging_module_is_replaced_by_the_published_one() -> None:
    lines = binaries.module_file(UPSTREAM, "1.35.4").splitlines()
    assert "require k8s.io/kubernetes v1.35.4" in lines
    assert [line for line in lines if line.startswith("replace")] == [
        "replace k8s.io/api => k8s.io/api v0.35.4",
        "replace k8s.io/kube-proxy => k8s.io/kube-proxy v0.35.4",
    ]
    assert {"go 1.25.0", "godebug default=go1.25"} <= set(lines)


def test_a_module_file_of_another_form_is_refused() -> None:
    with pytest.raises(HarnessError, match="no staging modules"):
        binaries.module_file("module k8s.io/kubernetes\n", "1.35.4")


@pytest.mark.cluster
def test_given_programs_come_first_and_the_rest_has_the_same_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = binaries.kubernetes_programs(binaries.KUBERNETES, [*binaries.CONTROL_PLANE, *binaries.NODE])
    for name in binaries.CONTROL_PLANE:
        (tmp_path / name).symlink_to(ours[name])
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    found = binaries.kubernetes_programs(None, [*binaries.CONTROL_PLANE, *binaries.NODE])
    assert found.version == binaries.KUBERNETES
    assert found["etcd"] == tmp_path / "etcd"
    assert found["kubelet"] == ours["kubelet"]


def test_given_programs_without_an_api_server_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    with pytest.raises(HarnessError, match="no kube-apiserver"):
        binaries.kubernetes_programs()


@pytest.fixture
def go_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a go command in place that builds so; the cache is empty."""

    def install(builds: str) -> None:
        go = tmp_path / "bin" / "go"
        go.parent.mkdir()
        go.write_text(f"#!/bin/sh\n[ $1 = env ] && echo go1.99.0 || {{ {builds}; }}\n")
        go.chmod(0o755)
        monkeypatch.setenv("PATH", f"{go.parent}:/usr/bin:/bin")
        monkeypatch.setenv("MAINSTAY_TEST_CACHE", str(tmp_path / "cache"))

    return install


def test_a_failed_build_shows_the_end_of_its_log_and_leaves_no_part(
    tmp_path: Path, go_that: Callable[[str], None]
) -> None:
    go_that("echo 'cannot find the module' >&2; exit 1")
    with pytest.raises(HarnessError, match=r"exit code 1(?s:.*)cannot find the module"):
        binaries.pause()
    assert not (tmp_path / "cache" / "programs").exists()


def test_a_build_that_hangs_is_given_up_and_says_that_the_next_goes_on_from_there(
    tmp_path: Path, go_that: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    go_that("echo 'k8s.io/api/core/v1' >&2; exec sleep 3600")
    monkeypatch.setattr(binaries, "_SILENT_SECONDS", 0.5)
    monkeypatch.setattr(binaries, "_LOOK_SECONDS", 0.1)
    with pytest.raises(HarnessError, match=r"Run it again: what Go has compiled is kept(?s:.*)k8s.io/api/core/v1"):
        binaries.pause()
    assert not (tmp_path / "cache" / "programs").exists()


def test_a_build_that_gets_on_is_not_given_up_however_long_it_takes(tmp_path: Path) -> None:
    log, times = tmp_path / "log", iter(range(0, 6000, 600))
    log.write_text("")
    progress = binaries.Progress(log, lambda: float(next(times)))
    for package in ("one", "two", "three"):
        with log.open("a") as file:
            file.write(f"{package}\n")
        assert progress.silent <= 600
    assert progress.silent > 600
