"""Small pictures made by code, and how to look at what came back."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image


def coordinates(width: int, height: int) -> Image.Image:
    """A picture whose pixels say where they are: red grows to the right, green to the bottom, blue is the diagonal."""
    red = Image.linear_gradient("L").rotate(90).resize((width, height))
    green = Image.linear_gradient("L").resize((width, height))
    return Image.merge("RGB", (red, green, Image.blend(red, green, 0.5)))


def textured(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """Noise on a gradient: every coefficient of every block of a JPEG has something to say."""
    noise = np.random.default_rng(5).integers(0, 60, (height, width, 3), np.uint8)
    return Image.fromarray(np.asarray(coordinates(width, height).convert("RGB")) // 2 + noise).convert(mode)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """The picture as a file of this kind."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def decoded(body: bytes) -> Image.Image:
    """The picture in a file, all of it read."""
    image = Image.open(io.BytesIO(body))
    image.load()
    return image


def make_samples(directory: Path) -> None:
    """Write one original of each kind that tests ask for."""
    directory.mkdir(parents=True, exist_ok=True)
    photo = coordinates(800, 600)
    (directory / "photo.jpg").write_bytes(encoded(photo, "JPEG", quality=90))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = photo.rotate(90, expand=True)
    (directory / "turned.jpg").write_bytes(encoded(turned, "JPEG", quality=90, exif=exif.tobytes()))
    alpha = photo.convert("RGBA").resize((200, 150))
    alpha.putalpha(Image.linear_gradient("L").resize((200, 150)))
    (directory / "alpha.png").write_bytes(encoded(alpha, "PNG"))
    frames = [photo.resize((64, 48)).rotate(30 * turn) for turn in range(4)]
    (directory / "animated.gif").write_bytes(
        encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=80, loop=0)
    )
    (directory / "photo.webp").write_bytes(encoded(photo, "WEBP", quality=80))
    nested = directory / "albums" / "2026"
    nested.mkdir(parents=True, exist_ok=True)
    (nested / "bahía al amanecer.jpg").write_bytes(encoded(photo, "JPEG"))
    (directory / "looks!thumb").write_bytes(encoded(photo, "JPEG"))
    (directory / "page.jpg").write_bytes(b"<!doctype html><script>alert(1)</script>")
    (directory / "truncated.jpg").write_bytes(encoded(photo, "JPEG", quality=90)[:9000])
    (directory / "empty.jpg").write_bytes(b"")


def png_header(width: int, height: int, *, bits: int = 1) -> bytes:
    """A PNG that claims to have this size, in a few dozen bytes: a bomb, if somebody believes it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body
