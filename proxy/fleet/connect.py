"""Which fleet a deployment has: one that talks through Redis, or none."""

from __future__ import annotations

from importlib.util import find_spec

from proxy.config import SettingsProblems
from proxy.fleet.base import Alone, Fleet
from proxy.metrics import Metrics

EXTRA = "redis"
"""The extra that installs the client."""


def has_client() -> bool:
    """Whether the client of Redis is installed."""
    return find_spec("redis") is not None


def connect_fleet(url: str | None, *, deployment: str, window: float, negative_ttl: float, metrics: Metrics) -> Fleet:
    """The fleet at `url`; `deployment` names what its replicas share. Nothing is connected yet.

    Raises SettingsProblems where the client is not installed.
    """
    if url is None:
        return Alone()
    if not has_client():
        raise SettingsProblems((f"IMGBANG_REDIS: needs the extra imgbang[{EXTRA}]",))
    from proxy.fleet.redis import RedisFleet  # noqa: PLC0415 -- an extra: it may be missing where no URL is given

    return RedisFleet(url, deployment=deployment, window=window, negative_ttl=negative_ttl, metrics=metrics)
