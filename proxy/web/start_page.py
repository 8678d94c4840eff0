"""`GET /`: where a newcomer lands. With samples, every sample in every preset; otherwise what this is."""

from __future__ import annotations

from html import escape

from aiohttp import web

from proxy.plan.keys import encode_key
from proxy.plan.presets import Preset, PresetSnapshot
from proxy.web.headers import NO_STORE
from proxy.web.state import SITE

_POLICY = "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'"

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #222; }
h1 { font-size: 1.6rem } h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem }
code { background: #f3f3f0; padding: .1em .3em; border-radius: 3px }
ul { list-style: none; padding: 0; margin: 0; display: flex; flex-wrap: wrap; gap: 1rem; align-items: end }
li { font-size: .8rem; text-align: center }
li img { display: block; max-width: 220px; max-height: 160px; margin: 0 auto .3rem;
  background: repeating-conic-gradient(#e4e4e0 0 25%, #fff 0 50%) 0 0/16px 16px }
a { color: #0b57a4; text-decoration: none } a:hover { text-decoration: underline }
"""


async def get_start_page(request: web.Request) -> web.Response:
    """Show the samples as clickable thumbnails, or a few words when there are none to show."""
    site = request.app[SITE]
    snapshot = site.book.current
    body = "".join(_section(key, snapshot) for key in site.samples) or _nothing(snapshot)
    page = (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>imgbang</title>"
        f"<meta name=viewport content='width=device-width'><style>{_STYLE}</style>"
        f"<h1>imgbang is running</h1>"
        f"<p>Put <code>{escape(snapshot.separators[0])}preset</code> after the URL of any image and get that preset of "
        f"it. The presets come from <code>presets.toml</code>; save an edit and reload this page.</p>{body}"
    )
    headers = {**NO_STORE, "Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff"}
    return web.Response(body=page.encode(), headers={**headers, "Content-Type": "text/html; charset=utf-8"})


def _section(key: str, snapshot: PresetSnapshot) -> str:
    path = "/" + encode_key(key)
    items = "".join(_item(path, snapshot.separators[0], preset) for preset in snapshot.presets.values())
    return f"<h2><a href='{escape(path)}'>{escape(key)}</a></h2><ul>{items}</ul>"


def _item(path: str, separator: str, preset: Preset) -> str:
    href = escape(f"{path}{encode_key(separator)}{encode_key(preset.name)}")
    label = escape(f"{separator}{preset.name}")
    return f"<li><a href='{href}'><img loading=lazy alt='{label}' src='{href}'>{label}</a></li>"


def _nothing(snapshot: PresetSnapshot) -> str:
    names = ", ".join(f"<code>{escape(name)}</code>" for name in list(snapshot.presets)[:50])
    return f"<p>Presets: {names or 'none'}.</p>"
