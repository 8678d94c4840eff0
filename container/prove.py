"""Prove the Dockerfile without a container engine: `sudo python -m container.prove <directory>`.

A Debian root (debootstrap) with Python stands in for the base image. The Dockerfile's own RUN and COPY steps are done
in it, stage by stage. Then what the image would start is started as a container engine would: as process 1 of a
process namespace, as the image's user, on a read-only root with tmpfs where the image writes. It must become healthy,
draw a picture, and end with status 0 within its grace when it is told to stop.

Takes some minutes, a gigabyte of disk and root; it is a chore for whoever changes the Dockerfile, not a test.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from urllib.parse import quote
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parent.parent
SUITE = "bookworm"
WRITABLE = ("tmp", "staging", "results")
PORT = 18080
DEVICES = {"null": 3, "zero": 5, "random": 8, "urandom": 9}
"""Minor numbers of the devices that every container has."""


@dataclass(frozen=True)
class Step:
    """One instruction of a Dockerfile."""

    word: str
    text: str


@dataclass
class Stage:
    """From one FROM to the next."""

    name: str
    steps: list[Step] = field(default_factory=list)

    def last(self, word: str) -> str:
        """The last instruction of a kind, which is the one that counts."""
        return [step.text for step in self.steps if step.word == word][-1]

    @property
    def env(self) -> dict[str, str]:
        """What ENV sets."""
        words = (word for step in self.steps if step.word == "ENV" for word in shlex.split(step.text))
        return {name: value for name, _, value in (word.partition("=") for word in words)}


def read_dockerfile(path: Path = ROOT / "Dockerfile") -> list[Stage]:
    """Read the stages of a Dockerfile: as much of its grammar as ours uses."""
    stages: list[Stage] = []
    for step in _steps(path.read_text(encoding="utf-8")):
        if step.word == "FROM":
            stages.append(Stage(step.text.partition(" AS ")[2] or str(len(stages))))
        elif stages:
            stages[-1].steps.append(step)
    return stages


def _steps(text: str) -> Iterator[Step]:
    lines = (line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    whole = ""
    for line in lines:
        whole += line.removesuffix("\\") + " "
        if not line.endswith("\\"):
            word, _, rest = whole.strip().partition(" ")
            yield Step(word, rest.strip())
            whole = ""


def copied(step: Step) -> tuple[str | None, list[str], str]:
    """What a COPY copies: the stage it comes from (None: the context), the sources, the destination."""
    words = shlex.split(step.text)
    source = words.pop(0).removeprefix("--from=") if words[0].startswith("--from=") else None
    return source, words[:-1], words[-1]


def in_context(name: str) -> bool:
    """Whether .dockerignore lets a file into the build."""
    allowed = False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!")
        parents = [name, *(str(parent) for parent in Path(name).parents)]
        if any(fnmatch(one, pattern) or fnmatch(f"/{one}", f"*{pattern.removeprefix('**')}") for one in parents):
            allowed = line.startswith("!")
    return allowed


def build(work: Path) -> Path:
    """Carry out all stages; the root of the last."""
    base = work / "base"
    if not base.exists():
        _run("debootstrap", "--variant=minbase", "--include=ca-certificates,python3,python3-venv", SUITE, str(base))
    (base / "usr/local/bin/python").unlink(missing_ok=True)
    (base / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    roots: dict[str, Path] = {}
    for stage in read_dockerfile():
        root = roots[stage.name] = work / f"stage-{stage.name}"
        shutil.rmtree(root, ignore_errors=True)
        _run("cp", "--archive", "--reflink=auto", str(base), str(root))
        # The network of this machine, as an engine would lend it to the build.
        for name in ("etc/resolv.conf", "etc/ssl/certs/ca-certificates.crt"):
            shutil.copyfile(f"/{name}", root / name)
        _carry_out(stage, root, roots)
    return root


def _carry_out(stage: Stage, root: Path, roots: Mapping[str, Path]) -> None:
    place = "/"
    for step in stage.steps:
        match step.word:
            case "WORKDIR":
                place = step.text
                (root / place.lstrip("/")).mkdir(parents=True, exist_ok=True)
            case "COPY":
                source, names, target = copied(step)
                _copy(roots[source] if source else ROOT, names, root / str(Path(place) / target).lstrip("/"))
            case "RUN":
                print(f"RUN {step.text}", flush=True)
                _run("chroot", str(root), "/bin/sh", "-c", f"cd {place} && {step.text}", env=_build_env())


def _copy(source: Path, names: Sequence[str], target: Path) -> None:
    for name in names:
        path = source / name.lstrip("/")
        if path.is_dir():
            shutil.copytree(path, target, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            assert source != ROOT or in_context(name), f".dockerignore keeps {name} out"
            into = target / path.name if target.is_dir() or len(names) > 1 else target
            into.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, into)


def _build_env() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name.startswith("PIP_") and name != "PIP_FIND_LINKS"}
    return {
        "PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "DEBIAN_FRONTEND": "noninteractive",
        **kept,
    }


def prove(root: Path) -> None:
    """Start what the image starts, ask it, stop it."""
    stage = read_dockerfile()[-1]
    user, _, group = stage.last("USER").partition(":")
    command = [*json.loads(stage.last("ENTRYPOINT")), *json.loads(stage.last("CMD"))]
    env = stage.env | {"IMGBANG_PORT": str(PORT), "IMGBANG_RENDER_WORKERS": "2"}
    with ExitStack() as stack:
        _mount(stack, root)
        health = json.loads(stage.last("HEALTHCHECK").partition("CMD ")[2].replace(":8080/", f":{PORT}/"))
        inside = [shutil.which("chroot") or "chroot", f"--userspec={user}:{group}", str(root)]
        # Process 1 of its own process namespace, as in a container.
        namespace = [shutil.which("unshare") or "unshare", "--pid", "--fork", "--kill-child"]
        process = subprocess.Popen([*namespace, *inside, *command], env=env)
        stack.callback(_kill, process)
        began = time.monotonic()
        while subprocess.call([*inside, *health], env=env, stderr=subprocess.DEVNULL):
            assert process.poll() is None, f"it ended with {process.returncode}"
            assert time.monotonic() - began < 60, "it never became healthy"
            time.sleep(0.2)
        print(f"healthy after {time.monotonic() - began:.1f} s")
        _ask()
        began = time.monotonic()
        os.kill(_children(process)[0], signal.SIGTERM)
        status = process.wait(30)
        print(f"ended with {status} after {time.monotonic() - began:.1f} s")
        assert status == 0


def _children(process: subprocess.Popen[bytes]) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def _kill(process: subprocess.Popen[bytes]) -> None:
    # A process that became another user is not killed with its parent.
    if process.poll() is None:
        for pid in _children(process):
            os.kill(pid, signal.SIGKILL)
        process.wait()


def _mount(stack: ExitStack, root: Path) -> None:
    """A read-only root with tmpfs where the image writes, and the kernel's file systems."""
    stage = read_dockerfile()[-1]
    images = root / "images"
    _run(sys.executable, "-m", "proxy.samples", str(images), cwd=ROOT)
    owner = ",".join(
        f"{kind}={value}" for kind, value in zip(("uid", "gid"), stage.last("USER").split(":"), strict=True)
    )

    def mount(*arguments: str, on: Path) -> None:
        _run("mount", *arguments, str(on))
        stack.callback(subprocess.run, ["umount", "--lazy", str(on)], check=False)

    mount("--bind", str(root), on=root)
    mount("-t", "proc", "proc", on=root / "proc")
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", on=root / "dev")
    for name, minor in DEVICES.items():
        os.mknod(root / "dev" / name, stat.S_IFCHR | 0o666, os.makedev(1, minor))
        (root / "dev" / name).chmod(0o666)
    (root / "dev/shm").mkdir()
    mount("-t", "tmpfs", "-o", "size=64m,mode=1777", "tmpfs", on=root / "dev/shm")
    for name in WRITABLE:
        mount("-t", "tmpfs", "-o", f"size=512m,mode=1777,{owner}", "tmpfs", on=root / name)
    _run("mount", "-o", "remount,ro,bind", str(root))


def _ask() -> None:
    base = f"http://127.0.0.1:{PORT}"
    with urlopen(f"{base}/-/ready") as ready:
        print(f"ready: {json.load(ready)['renderer']}")
    key = quote(min((Path(sys.argv[1]) / "stage-1/images").iterdir()).name)
    with urlopen(f"{base}/{key}!thumb") as picture:
        body = picture.read()
        assert picture.status == 200, picture.status
    print(f"/{key}!thumb: {len(body)} bytes of {picture.headers['Content-Type']}")


def _run(*command: str, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> None:
    subprocess.run(command, check=True, env=env, cwd=cwd)


if __name__ == "__main__":
    directory = Path(sys.argv[1]).resolve()
    directory.mkdir(parents=True, exist_ok=True)
    made = build(directory)
    for name, path in (("image", made), ("base", directory / "base")):
        size = subprocess.run(["du", "-sm", str(path)], check=True, capture_output=True, text=True).stdout.split()[0]
        print(f"{name}: {size} MB on disk")
    prove(made)
