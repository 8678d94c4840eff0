"""The manifests for Kubernetes, read as they stand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
K8S = ROOT / "k8s"
REDIS = "components/redis"


def documents(path: Path) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one]


def base(kind: str, name: str, *, place: str = "base") -> dict[str, Any]:
    """An object of the base, or of another place."""
    return next(
        one
        for path in (K8S / place).glob("*.yaml")
        for one in documents(path)
        if (one["kind"], one.get("metadata", {}).get("name")) == (kind, name)
    )
