"""A whole fleet on this machine: a bucket, replicas, nginx, and Redis if it is wanted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from bench.servers import Imgbang
from bench.workload import PRESETS
from tests.servers.nginx import NginxServer, free_ports
from tests.servers.rclone import RcloneServer, find_rclone
from tests.servers.redis import RedisServer


class Servers:
    """A context manager; everything ends with it."""

    def __init__(self, home: Path, count: int, env: Mapping[str, str], *, redis: bool) -> None:
        self._home = home
        self._redis = redis
        self._stack = ExitStack()
        self.bucket = RcloneServer(find_rclone(), home / "s3")
        self.originals = self.bucket.make_bucket("originals")
        self.bucket.make_bucket("results")
        self.presets = home / "presets.toml"
        self.presets.write_text(PRESETS, "utf-8")
        self._env = dict(env)
        self._ports = free_ports(count)
        self.replicas: list[Imgbang] = []
        self.nginx = NginxServer(home / "nginx", self._ports)

    def __enter__(self) -> Self:
        self.bucket.start()
        self._stack.callback(self.bucket.stop)
        env = {
            **self.bucket.environment,
            "IMGBANG_ORIGINALS": "s3://originals",
            "IMGBANG_RESULTS": "s3://results",
            "IMGBANG_PRESETS": str(self.presets),
            **self._env,
        }
        if self._redis:
            env["IMGBANG_REDIS"] = self._stack.enter_context(RedisServer(self._home / "redis")).url
        for number, port in enumerate(self._ports):
            own = self._home / f"replica-{number}"
            own.mkdir()
            self.replicas.append(Imgbang(own, env={**env, "IMGBANG_PORT": str(port), "IMGBANG_RENDER_WORKERS": "1"}))
            self._stack.enter_context(self.replicas[-1])
        self._stack.enter_context(self.nginx)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def url(self) -> str:
        """The public port."""
        return f"http://127.0.0.1:{self.nginx.port}"

    @property
    def addresses(self) -> list[str]:
        """The replicas, as replicas.conf names them."""
        return [f"127.0.0.1:{port}" for port in self._ports]

    def metric(self, name: str, **labels: str) -> int:
        """The sum over the fleet."""
        return round(sum(replica.metric(name, **labels) for replica in self.replicas))

    def wait_quiet(self) -> None:
        """Until no replica has anything to do."""
        for replica in self.replicas:
            replica.wait_quiet()

    def mean_sizes(self) -> dict[str, float]:
        """Mean bytes of the results that nginx sent, by preset."""
        sizes: dict[str, dict[str, float]] = defaultdict(dict)
        for line in self.nginx.log_lines():
            uri, sent = str(line["uri"]), str(line["bytes"])
            if "!" in uri and str(line["status"]) == "200":
                sizes[uri.rpartition("!")[2]][uri] = float(sent)
        return {preset: sum(by_uri.values()) / len(by_uri) for preset, by_uri in sizes.items()}
