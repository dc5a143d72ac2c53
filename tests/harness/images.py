"""Container images made of static programs, without a registry and without an engine."""

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.harness import binaries
from tests.harness.cache import cache_root, locked
from tests.harness.errors import HarnessError

PAUSE = "mainstay.test/pause:1"
BUSYBOX = "mainstay.test/busybox:1"


@dataclass(frozen=True)
class Image:
    """What is in an image: `files` (path in the image: content, or a file here), symbolic `links`, empty `folders`.

    Every file is executable: an image of static programs needs no finer rule.
    """

    tag: str
    files: Mapping[str, bytes | Path]
    command: Sequence[str]
    links: Mapping[str, str] = field(default_factory=dict)
    folders: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Write it as the archive that `docker save` makes and `ctr images import` reads."""
        layer = self._layer()
        digest = hashlib.sha256(layer).hexdigest()
        config = json.dumps(
            {
                "architecture": "amd64" if os.uname().machine == "x86_64" else "arm64",
                "os": "linux",
                "config": {
                    "Cmd": list(self.command),
                    "Env": [f"{name}={value}" for name, value in self.environment.items()],
                    "WorkingDir": "/",
                },
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
            }
        ).encode()
        name = f"{hashlib.sha256(config).hexdigest()}.json"
        manifest = json.dumps([{"Config": name, "RepoTags": [self.tag], "Layers": [f"{digest}.tar"]}]).encode()
        with tarfile.open(path, "w") as archive:
            for member, content in ((name, config), (f"{digest}.tar", layer), ("manifest.json", manifest)):
                _add(archive, member, content)

    def _layer(self) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            parents = {str(p) for name in (*self.files, *self.links) for p in Path(name).parents if str(p) != "."}
            for folder in sorted(parents | set(self.folders)):
                entry = tarfile.TarInfo(folder)
                entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
                archive.addfile(entry)
            for name, content in self.files.items():
                _add(archive, name, content if isinstance(content, bytes) else content.read_bytes())
            for name, target in self.links.items():
                link = tarfile.TarInfo(name)
                link.type, link.linkname = tarfile.SYMTYPE, target
                archive.addfile(link)
        return buffer.getvalue()


def pause() -> Image:
    return Image(PAUSE, {"pause": binaries.pause()}, ["/pause"])


def busybox() -> Image:
    """A shell and every applet of busybox, a web server included."""
    program = _static_busybox()
    listed = subprocess.run([program, "--list-full"], capture_output=True, text=True, check=True, timeout=30).stdout
    return Image(
        BUSYBOX,
        {
            "bin/busybox": program,
            "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
            "etc/group": b"root:x:0:\nnobody:x:65534:\n",
        },
        ["/bin/sh"],
        links={name: "/bin/busybox" for name in listed.split() if name != "bin/busybox"},
        folders=["tmp", "root", "var", "var/www"],
        environment={"PATH": "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin"},
    )


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o755
    archive.addfile(entry, io.BytesIO(content))


def _static_busybox() -> Path:
    """The machine's busybox if it is a static one, else Debian's, unpacked into the cache.

    It is not installed: the package of the static one would remove that of the other.
    """
    present = shutil.which("busybox")
    if present is not None and _is_static(Path(present)):
        return Path(present)
    target = cache_root() / "programs" / "busybox-static"
    found = [target / "bin" / "busybox", target / "usr" / "bin" / "busybox"]
    with locked("busybox", seconds=180):
        if not any(path.exists() for path in found):
            work = cache_root() / "building" / f"busybox-{os.getpid()}"
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir(parents=True)
            for command in (
                # apt fetches as a user of its own, who may not write here, unless it is told to stay.
                ["apt-get", "-o", "APT::Sandbox::User=root", "download", "busybox-static"],
                ["sh", "-c", "dpkg-deb -x busybox-static_*.deb out"],
            ):
                done = subprocess.run(command, cwd=work, capture_output=True, text=True, timeout=170, check=False)
                if done.returncode:
                    raise HarnessError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
            target.parent.mkdir(exist_ok=True)
            (work / "out").rename(target)
            shutil.rmtree(work)
    return next(path for path in found if path.exists())


def _is_static(program: Path) -> bool:
    """Whether an ELF program needs no loader: it has no program header of the type INTERP."""
    data = program.read_bytes()
    start, size, count = (int.from_bytes(data[a:b], "little") for a, b in ((32, 40), (54, 56), (56, 58)))
    kinds = (int.from_bytes(data[at : at + 4], "little") for at in range(start, start + size * count, size))
    return data[:4] == b"\x7fELF" and 3 not in kinds
