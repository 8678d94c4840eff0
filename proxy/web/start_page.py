"""`GET /`: where a newcomer lands. With samples, every sample in every preset; otherwise what this is."""

from __future__ import annotations

from html import escape

from aiohttp import web

from proxy.plan.keys import encode_key
from proxy.plan.presets import Preset, PresetSnapshot
from proxy.web.headers import NO_STORE
from proxy.web.state import SITE

_POLICY = "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

_STYLE = """
:root { color-scheme: light dark; --line: #e3e3de; --soft: #6b6b66; --card: #fff; --link: #0b57a4 }
body { font: 16px/1.55 system-ui, sans-serif; margin: 0 auto; max-width: 76rem; padding: 2.5rem 1.25rem 4rem;
  background: #fafaf8; color: #23231f }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .75rem }
h2 { font-size: 1.05rem; font-weight: 600; margin: 2.75rem 0 .75rem; overflow-wrap: anywhere }
h2 small { color: var(--soft); font-weight: 400; margin-left: .5rem }
p { margin: .25rem 0; max-width: 46rem }
code { background: #efefea; padding: .1em .35em; border-radius: 4px; overflow-wrap: anywhere }
ul { list-style: none; padding: 0; margin: 0; display: grid; gap: .75rem;
  grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)) }
li a { display: flex; flex-direction: column; height: 100%; background: var(--card); border: 1px solid var(--line);
  border-radius: 8px; overflow: hidden }
li a:hover { border-color: var(--link) }
figure { margin: 0; height: 8.5rem; display: flex; align-items: center; justify-content: center; padding: .5rem;
  background: repeating-conic-gradient(#f1f1ed 0 25%, #fff 0 50%) 0 0/16px 16px }
img { max-width: 100%; max-height: 100%; display: block }
li span { padding: .35rem .6rem .45rem; font-size: .85rem; border-top: 1px solid var(--line); overflow-wrap: anywhere }
a { color: var(--link); text-decoration: none }
h2 a:hover, p a:hover { text-decoration: underline }
@media (prefers-color-scheme: dark) {
  :root { --line: #393935; --soft: #a0a09a; --card: #262623; --link: #8cc2f5 }
  body { background: #1b1b19; color: #e8e8e3 }
  code { background: #30302c }
  figure { background: repeating-conic-gradient(#33332f 0 25%, #2b2b28 0 50%) 0 0/16px 16px }
}
"""


async def get_start_page(request: web.Request) -> web.Response:
    """Show the samples as clickable thumbnails, or a few words when there are none to show."""
    site = request.app[SITE]
    snapshot = site.book.current
    body = "".join(_section(key, snapshot) for key in site.samples) or _nothing(snapshot)
    separator = escape(snapshot.separators[0])
    page = (
        "<!doctype html><html lang=en><meta charset=utf-8><title>imgbang</title>"
        f"<meta name=viewport content='width=device-width, initial-scale=1'><style>{_STYLE}</style>"
        "<h1>imgbang is running</h1>"
        f"<p>Put <code>{separator}</code> and the name of a preset after the URL of any image, and get that preset of "
        f"it.</p><p>The presets come from <code>presets.toml</code>: save an edit and reload this page.</p>{body}"
    )
    headers = {**NO_STORE, "Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff"}
    return web.Response(body=page.encode(), headers={**headers, "Content-Type": "text/html; charset=utf-8"})


def _section(key: str, snapshot: PresetSnapshot) -> str:
    path = "/" + encode_key(key)
    items = "".join(_item(path, snapshot.separators[0], preset) for preset in snapshot.presets.values())
    return f"<h2><a href='{escape(path)}'>{escape(key)}</a><small>the original</small></h2><ul>{items}</ul>"


def _item(path: str, separator: str, preset: Preset) -> str:
    # The separator stays as it is: escaped, it would ask for an original of that name first.
    href = escape(f"{path}{separator}{encode_key(preset.name)}")
    label = escape(f"{separator}{preset.name}")
    image = f"<img loading=lazy alt='' src='{href}'>"
    return f"<li><a href='{href}'><figure>{image}</figure><span>{label}</span></a></li>"


def _nothing(snapshot: PresetSnapshot) -> str:
    names = ", ".join(f"<code>{escape(name)}</code>" for name in list(snapshot.presets)[:50])
    return f"<p>Presets: {names or 'none'}.</p>"
