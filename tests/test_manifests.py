"""The manifests for Kubernetes: valid for its current and its previous version, and right in what no schema knows.

Every file is validated as it stands. The overlays are built where `kustomize` or `kubectl` is installed. Debian packages
no kustomize, and a kubectl (1.20) that knows no components; so without them, also in CI, the tests skip and say what was
not proven.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from proxy.config import PREFIX, Settings
from proxy.plan.preset_file import read_presets
from proxy.setting_values import read_bytes, read_seconds
from tests.manifests import K8S, REDIS, ROOT, base, documents
from tests.servers.nginx import find_nginx

VERSIONS = ("1.36", "1.37")
OVERLAYS = sorted(path.name for path in (K8S / "overlays").iterdir())
NOT_OURS = {"ServiceMonitor"}
"""Kinds without a schema in Kubernetes itself."""


def files(name: str = "*.yaml") -> Iterator[Path]:
    yield from (path for path in K8S.rglob(name) if path.name != "kustomization.yaml")


def settings() -> dict[str, str]:
    """The settings of the base's ConfigMap."""
    (kustomization,) = documents(K8S / "base/kustomization.yaml")
    generators = {one["name"]: one for one in kustomization["configMapGenerator"]}
    return dict(line.split("=", 1) for line in generators["imgbang-settings"]["literals"])


def validate(one: dict[str, Any]) -> None:
    if one["kind"] not in NOT_OURS:
        for version in VERSIONS:
            kubernetes_validate.validate(one, version, strict=True)


@pytest.mark.parametrize("path", sorted(files()), ids=lambda path: str(path.relative_to(K8S)))
def test_files_are_valid(path: Path) -> None:
    """Every object of every file is valid for both versions, without unknown fields."""
    assert documents(path)
    for one in documents(path):
        validate(one)


@pytest.mark.parametrize("path", sorted(K8S.rglob("kustomization.yaml")), ids=lambda path: path.parent.name)
def test_kustomizations_name_what_there_is(path: Path) -> None:
    """Every path in a kustomization exists."""
    (kustomization,) = documents(path)
    named = [*kustomization.get("resources", []), *kustomization.get("components", [])]
    for generator in kustomization.get("configMapGenerator", []):
        named += generator.get("files", [])
    assert named or kustomization["patches"]
    for name in named:
        assert (path.parent / name).exists(), name


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_overlays_build(overlay: str) -> None:
    """Each overlay builds, is valid, and leaves nothing to hope: images, names of ConfigMaps and Services fit."""
    kustomize = shutil.which("kustomize")
    command = [kustomize, "build"] if kustomize else [shutil.which("kubectl") or "", "kustomize"]
    if not command[0]:
        pytest.skip("neither kustomize nor kubectl is installed: it was not proven that the overlays build")
    built = subprocess.run([*command, str(K8S / "overlays" / overlay)], capture_output=True, text=True, check=True)
    objects = [one for one in yaml.safe_load_all(built.stdout) if one]
    for one in objects:
        validate(one)
    names = {(one["kind"], one["metadata"]["name"]) for one in objects}
    assert ("ConfigMap", "imgbang-presets") in names
    for deployment in (one for one in objects if one["kind"] == "Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        mounted = [volume["configMap"]["name"] for volume in pod.get("volumes", []) if "configMap" in volume]
        taken = [
            one["configMapRef"]["name"] for one in pod["containers"][0].get("envFrom", []) if "configMapRef" in one
        ]
        for name in mounted + taken:
            assert ("ConfigMap", name) in names, name
    given = next(one["data"] for one in objects if one["metadata"]["name"].startswith("imgbang-settings-"))
    Settings(**{name.removeprefix(PREFIX).lower(): value for name, value in given.items() if name.startswith(PREFIX)})
    assert "IMGBANG_ORIGINALS" in given
    (imgbang,) = (one for one in objects if one["kind"] == "Deployment" and one["metadata"]["name"] == "imgbang")
    with_redis = [one["name"] for one in imgbang["spec"]["template"]["spec"]["containers"][0].get("env", [])]
    assert with_redis == (["REDIS_PASSWORD", "IMGBANG_REDIS"] if ("Service", "imgbang-redis") in names else [])
    assert (("Service", "imgbang-redis") in names) == (overlay == "ha")
    nginx = next(
        one["data"] for one in objects if one["metadata"]["name"].startswith("imgbang-nginx-") and "data" in one
    )
    for text in nginx.values():
        for included in re.findall(r"^\s*include (\S+);", text, re.MULTILINE):
            assert included in nginx
    assert f"imgbang-replicas.{objects[-1]['metadata']['namespace']}.svc" in nginx["replicas.conf"]


def test_nginx_takes_the_files_for_kubernetes(tmp_path: Path) -> None:
    """The base's own three files fit the rest; looking names up at run time needs a newer nginx than Debian's."""
    for path in (*(ROOT / "nginx").glob("*.conf"), *(K8S / "base/nginx").glob("*.conf")):
        text = re.sub(r"/var/(cache|log)/nginx|/run(?=/nginx.pid)", str(tmp_path), path.read_text(encoding="utf-8"))
        text = re.sub(r"^resolver .*$| resolve\b", "", text, flags=re.MULTILINE)
        (tmp_path / path.name).write_text(
            text.replace(".svc.cluster.local", "").replace("imgbang-replicas.imgbang", "localhost")
        )
    tried = subprocess.run(
        [find_nginx(), "-t", "-q", "-c", str(tmp_path / "nginx.conf")], capture_output=True, text=True
    )
    assert tried.returncode == 0, tried.stderr


def test_hardening() -> None:
    """Each container satisfies what Kubernetes calls restricted, and cannot write to its root."""
    redis = base("Deployment", "imgbang-redis", place=REDIS)
    for deployment in (base("Deployment", "imgbang"), base("Deployment", "imgbang-nginx"), redis):
        pod = deployment["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert all("sizeLimit" in volume["emptyDir"] for volume in pod.get("volumes", []) if "emptyDir" in volume)
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    pod = base("Deployment", "imgbang")["spec"]["template"]["spec"]["securityContext"]
    assert f"USER {pod['runAsUser']}:{pod['runAsGroup']}\n" in text


def test_presets_are_live() -> None:
    """The presets' ConfigMap keeps its name and is mounted whole: a subPath or another name would never be updated."""
    (kustomization,) = documents(K8S / "base/kustomization.yaml")
    presets = next(one for one in kustomization["configMapGenerator"] if one["name"] == "imgbang-presets")
    assert presets["options"]["disableNameSuffixHash"] is True
    (container,) = base("Deployment", "imgbang")["spec"]["template"]["spec"]["containers"]
    mount = next(one for one in container["volumeMounts"] if one["name"] == "presets")
    assert "subPath" not in mount
    assert "IMGBANG_PRESETS=" + mount["mountPath"] in (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert read_presets((K8S / "base/presets.toml").read_text(encoding="utf-8")).presets


def test_grace_is_long_enough() -> None:
    """The kubelet waits longer than the pod needs: preStop, imgbang's own grace for requests and saves, the workers' end."""
    pod = base("Deployment", "imgbang")["spec"]["template"]["spec"]
    pause = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    grace = _seconds(settings()["IMGBANG_SHUTDOWN_GRACE"])
    assert pod["terminationGracePeriodSeconds"] >= pause + grace + 10
    assert pause >= 5 + 2  # nginx looks the names up again every five seconds
    assert grace > Settings.model_fields["deadline"].default

    nginx = base("Deployment", "imgbang-nginx")["spec"]["template"]["spec"]
    pause = nginx["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    drain = _seconds(_directive("nginx.conf", "worker_shutdown_timeout"))
    assert nginx["terminationGracePeriodSeconds"] >= pause + drain


def test_resources_fit_the_settings() -> None:
    """Workers are the CPU request; volumes hold what the settings allow; memory is more than what all parts may take."""
    given = settings()
    pod = base("Deployment", "imgbang")["spec"]["template"]["spec"]
    resources = pod["containers"][0]["resources"]
    assert resources["requests"]["cpu"] == given["IMGBANG_RENDER_WORKERS"]
    assert "cpu" not in resources["limits"]
    assert resources["requests"]["memory"] == resources["limits"]["memory"]
    staging = next(volume["emptyDir"]["sizeLimit"] for volume in pod["volumes"] if volume["name"] == "staging")
    assert _bytes(staging + "B") > _bytes(given["IMGBANG_STAGING_BYTES"])
    nginx = base("Deployment", "imgbang-nginx")["spec"]["template"]["spec"]
    cache = next(volume["emptyDir"]["sizeLimit"] for volume in nginx["volumes"] if volume["name"] == "cache")
    found = re.search(r"max_size=(\d+)g", (ROOT / "nginx/imgbang.conf").read_text(encoding="utf-8"))
    assert found
    assert _bytes(cache + "B") > int(found[1]) * 1024**3


def test_nginx_waits_longer_than_imgbang() -> None:
    """The time-outs that only make sense in an order are in that order."""
    deadline = Settings.model_fields["deadline"].default
    assert _seconds(_directive("proxy.conf", "proxy_read_timeout")) > deadline
    assert _seconds(_directive("imgbang.conf", "proxy_cache_lock_timeout")) > deadline
    assert _seconds(_directive("imgbang.conf", "keepalive_timeout")) < 75  # imgbang's own


def _seconds(text: str) -> float:
    value = read_seconds(text)
    assert isinstance(value, float)
    return value


def _bytes(text: str) -> int:
    value = read_bytes(text)
    assert isinstance(value, int)
    return value


def _directive(name: str, directive: str) -> str:
    found = re.search(rf"^\s*{directive} (\S+);", (ROOT / "nginx" / name).read_text(encoding="utf-8"), re.MULTILINE)
    assert found
    return found[1]
