"""The shortest way through everything."""

from __future__ import annotations

from tests.pictures import decoded
from tests.servers.imgbang import ImgbangServer


def test_a_preset_of_a_photo(server: ImgbangServer) -> None:
    """`/photo.jpg!thumb` is a JPEG of 50x50; asked again, it comes from memory."""
    first = server.get("/photo.jpg!thumb")
    again = server.get("/photo.jpg!thumb")

    assert (first.status, first.headers["content-type"]) == (200, "image/jpeg")
    assert decoded(first.body).size == (50, 50)
    assert again.body == first.body
    assert again.headers["cache-status"].startswith("imgbang; hit; detail=memory")
