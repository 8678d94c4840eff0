"""The Redis of `k8s/`: imgbang finds it, only imgbang reaches it, and a real one takes what the manifest says."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from redis import Redis

from proxy.config import Settings
from proxy.setting_values import read_bytes
from tests.manifests import K8S, REDIS, base, documents
from tests.servers.redis import RedisServer


def test_redis_is_where_imgbang_looks() -> None:
    """The password is the same key of the same Secret on both sides; names and ports lead from imgbang to Redis's pod."""
    password, url = redis_env()
    assert "$(" + password["name"] + ")" in url["value"]  # only what is named before can be put in
    (server,) = base("Deployment", "imgbang-redis", place=REDIS)["spec"]["template"]["spec"]["containers"]
    assert password["valueFrom"] == server["env"][0]["valueFrom"]
    wanted = password["valueFrom"]["secretKeyRef"]
    secrets = {one["metadata"]["name"]: one["stringData"] for one in documents(K8S / "secret.example.yaml")}
    assert wanted["key"] in secrets[wanted["name"]]
    assert not wanted.get("optional")

    parts = urlsplit(Settings(originals="s3://photos", redis=url["value"]).redis or "")
    service = base("Service", "imgbang-redis", place=REDIS)
    assert parts.hostname == service["metadata"]["name"]
    (port,) = service["spec"]["ports"]
    assert parts.port == port["port"]
    (listened,) = server["ports"]
    assert port["targetPort"] == listened["name"]
    template = base("Deployment", "imgbang-redis", place=REDIS)["spec"]["template"]
    assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
    # A Service of this name would otherwise give imgbang settings that it does not know, such as IMGBANG_REDIS_PORT.
    assert base("Deployment", "imgbang")["spec"]["template"]["spec"]["enableServiceLinks"] is False


def test_only_imgbang_reaches_redis() -> None:
    """One policy lets imgbang out to Redis, one lets it in and nobody else, on the port that Redis listens at."""
    imgbang = base("Deployment", "imgbang")["spec"]["template"]["metadata"]["labels"]
    template = base("Deployment", "imgbang-redis", place=REDIS)["spec"]["template"]
    labels = template["metadata"]["labels"]
    ports = [{"protocol": "TCP", "port": template["spec"]["containers"][0]["ports"][0]["containerPort"]}]
    inward = base("NetworkPolicy", "imgbang-redis", place=REDIS)["spec"]
    assert inward == {
        "podSelector": {"matchLabels": labels},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [{"podSelector": {"matchLabels": imgbang}}], "ports": ports}],
    }
    outward = base("NetworkPolicy", "imgbang-to-redis", place=REDIS)["spec"]
    assert outward == {
        "podSelector": {"matchLabels": imgbang},
        "policyTypes": ["Egress"],
        "egress": [{"to": [{"podSelector": {"matchLabels": labels}}], "ports": ports}],
    }


def test_redis_takes_its_arguments(tmp_path: Path) -> None:
    """A real Redis with the manifest's arguments wants the password, forgets, and hides it; the probes see all of that."""
    (server,) = base("Deployment", "imgbang-redis", place=REDIS)["spec"]["template"]["spec"]["containers"]
    (name,) = (one["name"] for one in server["env"])
    arguments = tuple(word.replace(f"$({name})", "c0ffee") for word in server["args"])
    assert arguments != tuple(server["args"])
    limit = read_bytes(server["resources"]["limits"]["memory"] + "B")
    assert isinstance(limit, int)

    def probe(password: str) -> bool:
        command = [*server["livenessProbe"]["exec"]["command"]]
        command[1:1] = ["-p", str(redis.port)]
        environment = {"PATH": os.environ["PATH"], name: password}
        seconds = server["livenessProbe"]["timeoutSeconds"]
        try:
            asked = subprocess.run(command, env=environment, capture_output=True, timeout=seconds, check=False)
        except subprocess.TimeoutExpired:
            return False
        return asked.returncode == 0

    with RedisServer(tmp_path, arguments) as redis:
        assert redis.ask("PING").startswith(b"-NOAUTH")
        assert probe("c0ffee")
        assert not probe("another")
        _, url = redis_env()
        there = (
            url["value"].replace("$(REDIS_PASSWORD)", "c0ffee").replace("imgbang-redis:6379", f"localhost:{redis.port}")
        )
        with Redis.from_url(there) as client:
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "volatile-lru"}
            assert client.config_get("save") == {"save": ""}
            assert client.config_get("appendonly") == {"appendonly": "no"}
            assert 0 < int(client.config_get("maxmemory")["maxmemory"]) <= limit / 2
        assert redis.process
        assert b"c0ffee" not in Path(f"/proc/{redis.process.pid}/cmdline").read_bytes()
        redis.freeze()
        assert not probe("c0ffee")
        redis.thaw()


def redis_env() -> list[dict[str, Any]]:
    """What the component adds to imgbang's environment: the password, and the URL made of it."""
    (kustomization,) = documents(K8S / REDIS / "kustomization.yaml")
    (patch,) = kustomization["patches"]
    (added,) = yaml.safe_load(patch["patch"])
    assert patch["target"] == {"kind": "Deployment", "name": "imgbang"}
    assert added["path"] == "/spec/template/spec/containers/0/env"
    assert "env" not in base("Deployment", "imgbang")["spec"]["template"]["spec"]["containers"][0]  # it would be lost
    return list(added["value"])
