"""Faces in a whole imgbang: found behind every fence that stands around a render worker."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.pictures import decoded
from tests.servers.imgbang import ImgbangServer

pytestmark = pytest.mark.integration

PORTRAIT = Path(__file__).parents[1] / "imaging" / "data" / "eileen-collins.jpg"
PRESETS = """
[presets.face]
width = 120
height = 40
fit = "cover"
gravity = ["face", "south"]
[presets.south]
width = 120
height = 40
fit = "cover"
gravity = "south"
[presets.hidden]
redact = { faces = true, by = "fill" }
"""


def test_faces_are_found_by_workers(tmp_path: Path) -> None:
    """A crop follows the face, and hiding hides it."""
    server = ImgbangServer(tmp_path, presets=PRESETS)
    server.originals.mkdir(parents=True)
    shutil.copy(PORTRAIT, server.originals / "portrait.jpg")
    with server:
        face, south, hidden = (server.get(f"/portrait.jpg!{name}") for name in ("face", "south", "hidden"))

    assert face.status == south.status == hidden.status == 200
    assert "opencv" not in str(hidden.headers)
    blacked = np.asarray(decoded(hidden.body).convert("L"))[70:110, 110:150]
    assert blacked.max() < 20
    difference = np.asarray(decoded(face.body), dtype=int) - np.asarray(decoded(south.body), dtype=int)
    assert np.abs(difference).mean() > 20
