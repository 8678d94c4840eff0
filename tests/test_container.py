"""The Dockerfile, as far as it can be tested without a container engine; `container/prove.py` carries it out."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from container.lock import PYTHON, build_requirements, requirements
from container.prove import ROOT, copied, in_context, read_dockerfile
from proxy.config import PREFIX, Settings
from tests.pictures import make_samples
from tests.servers.imgbang import ImgbangServer

BUILD, IMAGE = read_dockerfile()


def pins(name: str) -> dict[str, str]:
    """The versions that a lock names."""
    text = (ROOT / "container" / name).read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ;\\]+)", text, re.MULTILINE))


def test_copied_files_exist_and_get_into_the_build() -> None:
    """Every path that is copied exists, and .dockerignore lets it in; what is not copied stays outside."""
    names = [
        name
        for stage in (BUILD, IMAGE)
        for step in stage.steps
        if step.word == "COPY" and copied(step)[0] is None
        for name in copied(step)[1]
    ]
    assert "proxy" in names
    for name in names:
        assert (ROOT / name).exists(), name
        assert in_context(name), name
    for name in (".git", ".venv", "tests", "bench", "images", "container/prove.py", "proxy/__pycache__"):
        assert not in_context(name), name


@pytest.mark.parametrize(
    ("lock", "wanted"), [("requirements.lock", requirements()), ("build.lock", build_requirements())]
)
def test_locks_are_in_step(lock: str, wanted: list[str]) -> None:
    """What pyproject.toml asks for is pinned at a version that it allows, each with hashes; `make lock` renews this."""
    pinned = pins(lock)
    for text in wanted:
        requirement = Requirement(text)
        name = canonicalize_name(requirement.name)
        assert name in pinned, f"{name} is not in container/{lock}: run `make lock`"
        assert requirement.specifier.contains(pinned[name]), f"{text}, but container/{lock} pins {pinned[name]}"
    text = (ROOT / "container" / lock).read_text(encoding="utf-8")
    for entry in re.split(r"\n(?=[a-z])", text)[1:]:
        assert "--hash=sha256:" in entry, entry


def test_the_image_is_of_the_locked_python() -> None:
    """The base's Python is the one that the locks were made for."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.findall(r"^ARG BASE=python:(\d+\.\d+)-", text, re.MULTILINE) == [PYTHON]
    assert [line for line in text.splitlines() if line.startswith("FROM")] == ["FROM ${BASE} AS build", "FROM ${BASE}"]


def test_the_image_starts_as_it_should() -> None:
    """Nobody's user by number, programs without a shell around them, real settings, and a health check of a real page."""
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", IMAGE.last("USER"))
    assert (json.loads(IMAGE.last("ENTRYPOINT")), json.loads(IMAGE.last("CMD"))) == (["imgbang"], ["serve"])
    assert f":{IMAGE.env['IMGBANG_PORT']}/-/live" in IMAGE.last("HEALTHCHECK")
    assert IMAGE.last("EXPOSE") == IMAGE.env["IMGBANG_PORT"]
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    assert {name for name in IMAGE.env if name.startswith(PREFIX)} <= known
    order = [step.word for step in IMAGE.steps]
    assert order.index("USER") > max(index for index, word in enumerate(order) if word in ("RUN", "COPY"))


def _process_one() -> tuple[str, ...]:
    wrapper = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
    if subprocess.run([*wrapper, "true"], capture_output=True).returncode:
        pytest.skip("no process namespaces here: nothing was proven about imgbang as process 1")
    return wrapper


@pytest.mark.integration
def test_as_process_one(tmp_path: Path) -> None:
    """As process 1: dead workers leave no zombies, SIGTERM ends it with status 0, and nothing is left behind."""
    server = ImgbangServer(tmp_path, wrapper=_process_one())
    make_samples(server.originals)
    server.start()
    assert server.process is not None
    (one,) = psutil.Process(server.process.pid).children()
    assert Path(f"/proc/{one.pid}/status").read_text().split("NSpid:")[1].split("\n")[0].split()[-1] == "1"
    assert server.get("/photo.jpg!thumb").status == 200
    for pid in server.worker_pids():
        psutil.Process(pid).kill()
    server.wait_for("/photo.jpg!small", lambda reply: reply.status == 200, seconds=20)
    family = one.children(recursive=True)
    assert not [process for process in family if process.status() == psutil.STATUS_ZOMBIE]

    began = time.monotonic()
    one.send_signal(signal.SIGTERM)
    assert server.process.wait(25) == 0
    assert time.monotonic() - began < 20
    assert not [process for process in family if process.is_running()]
    assert any(line["event"] == "stopped" for line in server.log_lines())
