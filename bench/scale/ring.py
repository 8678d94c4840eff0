"""The ring of `hash … consistent`, exactly as nginx builds it, so that a simulated replica has the real one's pictures.

ngx_http_upstream_hash_module: 160 points for each server, crc32 of host, NUL, port and the point before it; a key
belongs to the first point at or after its own crc32.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from zlib import crc32

POINTS = 160


class Ring:
    """Which of the servers (`host:port`, as in replicas.conf) a key belongs to."""

    def __init__(self, servers: Sequence[str]) -> None:
        owners: dict[int, str] = {}
        for server in servers:
            host, _, port = server.rpartition(":")
            base = f"{host}\0{port}".encode()
            point = 0
            for _ in range(POINTS):
                point = crc32(base + point.to_bytes(4, "little"))
                owners.setdefault(point, server)
        self._points = sorted(owners)
        self._owners = [owners[point] for point in self._points]

    def owner(self, key: str) -> str:
        """The server that `key` belongs to."""
        index = bisect_left(self._points, crc32(key.encode()))
        return self._owners[index % len(self._owners)]
