"""Qiniu's and Tencent's commands, restated."""

from __future__ import annotations

import math
from random import Random

from tests.dialects.restated import NAMES, Outcome, Pair, a_side, chain_of, placed, r, scaled, turned


def view(random: Random, size: Pair) -> Outcome:
    """`imageView2`: nothing is enlarged; of a square the height counts as the long side."""
    mode, w, h = random.randint(0, 5), a_side(random), a_side(random)
    which = random.choice(("w", "h", "wh", "hw", ""))
    words = "".join(f"/{name}/{w if name == 'w' else h}" for name in which)
    text = f"imageView2/{mode}{words}"
    if not which:
        return Outcome(text, size)
    width, height = size
    long_, short = max(size), min(size)
    if mode in (0, 2):
        limits = {"w": (long_ if mode == 0 else width, w), "h": (short if mode == 0 else height, h)}
        return Outcome(text, scaled(size, min(1, *(to / side for name, (side, to) in limits.items() if name in which))))
    w, h = (w if "w" in which else h), (h if "h" in which else w)
    box = (w, h)
    if mode in (4, 5) and height >= width:
        box = (h, w)
    big = scaled(size, min(1, max(box[0] / width, box[1] / height)))
    return Outcome(text, (min(box[0], big[0]), min(box[1], big[1])) if mode in (1, 5) else big)


def first_view(random: Random, size: Pair) -> Outcome:
    """The obsolete `imageView`: mode 1 is exactly the box."""
    mode, w, h = random.choice((1, 2)), a_side(random), a_side(random)
    text = f"imageView/{mode}/w/{w}/h/{h}"
    return Outcome(text, (w, h) if mode == 1 else scaled(size, min(1, w / size[0], h / size[1])))


def thumbnail(random: Random, size: Pair) -> Outcome:
    """Every form of `thumbnail`."""
    width, height = size
    w, h, n, m = a_side(random), a_side(random), random.randint(1, 999), random.randint(1, 999)
    area = random.choice((random.randint(1, 24_999_999), random.randint(1, 50_000)))
    t = math.sqrt(area / (width * height))
    fit, cover = min(w / width, h / height), max(w / width, h / height)
    form, result = random.choice((
        (f"!{n}p", (r(width * n / 100), r(height * n / 100))),
        (f"!{n}px", (r(width * n / 100), height)),
        (f"!x{n}p", (width, r(height * n / 100))),
        (f"!{n}px{m}p", (r(width * n / 100), r(height * m / 100))),
        (f"{w}x", scaled(size, w / width)),
        (f"{w}", scaled(size, w / width)),
        (f"x{h}", scaled(size, h / height)),
        (f"{w}x{h}", scaled(size, fit)),
        (f"!{w}x{h}r", scaled(size, cover)),
        (f"{w}x{h}!", (w, h)),
        (f"{w}x!", (w, height)),
        (f"x{h}!", (width, h)),
        (f"{w}x{h}>", scaled(size, fit) if fit < 1 else size),
        (f"{w}x{h}<", scaled(size, fit) if fit > 1 else size),
        (f"!{w}xr", scaled(size, max(w / width, w / height))),
        (f"!x{h}r", scaled(size, max(h / width, h / height))),
        (f"{area}@", (max(1, math.floor(width * t)), max(1, math.floor(height * t)))),
    ))  # fmt: skip
    return Outcome(f"thumbnail/{form}", result)


def signed(value: int) -> str:
    """An offset as `a3` or `-3`."""
    return f"{'a' if value >= 0 else '-'}{abs(value)}"


def qiniu_crop(random: Random, size: Pair) -> Outcome:
    """Qiniu's plain crop: north-west until a gravity says otherwise."""
    w, h = a_side(random), a_side(random)
    form = random.choice(("{w}x", "x{h}", "{w}x{h}"))
    box = (w if "w" in form else size[0], h if "h" in form else size[1])
    anchor = random.randrange(9)
    dx, dy = (random.randint(-60, 60), random.randint(-60, 60)) if random.random() < 0.6 else (0, 0)
    moved = f"!{form.format(w=w, h=h)}{signed(dx)}{signed(dy)}" if dx or dy else form.format(w=w, h=h)
    found = placed(box, size, anchor, dx, dy)
    text = f"gravity/{random.choice((str, str.lower))(NAMES[anchor])}/crop/{moved}"
    return Outcome(text, found and found[0], corner=found and found[1])


def canvas(random: Random, size: Pair) -> Outcome:
    """`extent` is the canvas, `border` twice its bars more."""
    w, h = a_side(random), a_side(random)
    text, result = random.choice((
        (f"extent/{w}x{h}", (w, h)), (f"extent/!{w}x{h}a3-4", (w, h)), (f"extent/{w}x", (w, size[1])),
        (f"extent/x{h}", (size[0], h)), ("extent/!-3a0", size), (f"border/{w % 90}x{h % 90}", (size[0] + 2 * (w % 90), size[1] + 2 * (h % 90))),
    ))  # fmt: skip
    return Outcome(text, result)


def qiniu(random: Random, size: Pair) -> Outcome:
    """A pipeline of one or two commands."""
    first = random.choice((view, first_view, mogr))(random, size)
    if first.size is None or first.loose or random.random() < 0.6:
        return first
    second = random.choice((view, mogr))(random, first.size)
    return Outcome(f"{first.text}|{second.text}", second.size, second.loose)


def mogr(random: Random, size: Pair) -> Outcome:
    """`imageMogr2` with several parameters."""
    return chain_of("imageMogr2/", random, size, (thumbnail, qiniu_crop, turned, canvas), "/")


def tencent(random: Random, size: Pair) -> Outcome:
    """What Tencent does otherwise: one parameter to a command, as `gravity` is for the whole of it."""
    first = random.choice((view, tencent_mogr))(random, size)
    if first.size is None or first.loose or random.random() < 0.6:
        return first
    second = tencent_mogr(random, first.size)
    return Outcome(f"{first.text}|{second.text}", second.size, second.loose)


def tencent_mogr(random: Random, size: Pair) -> Outcome:
    """`imageMogr2` with one parameter that changes the size."""
    step = random.choice((thumbnail, tencent_crop, cut, tencent_crop, circle, padded, turned))(random, size)
    return Outcome(f"imageMogr2/{step.text}", step.size, step.loose, step.corner)


def tencent_crop(random: Random, size: Pair) -> Outcome:
    """A box is scaled to be covered; with one side or offsets it is cut out. The centre, unless said otherwise."""
    w, h = a_side(random), a_side(random)
    anchor = random.randrange(9)
    said = f"/gravity/{NAMES[anchor]}" if random.random() < 0.7 else ""
    if random.random() < 0.3:
        return Outcome(f"crop/{w}x{h}{said}", (w, h))
    if random.random() < 0.4:
        lone, box = random.choice(((f"{w}x", (w, size[1])), (f"x{h}", (size[0], h))))
        found = placed(box, size, anchor if said else 4, 0, 0)
        assert found is not None
        return Outcome(f"crop/{lone}{said}", found[0], corner=found[1])
    dx, dy = random.randint(-60, 60), random.randint(-60, 60)
    text = f"crop/!{w}x{h}{signed(dx)}{signed(dy)}{said}"
    if said:  # in the middle of an axis, offsets along it do not count
        found = placed((w, h), size, anchor, 0 if anchor % 3 == 1 else dx, 0 if anchor // 3 == 1 else dy)
    else:
        found = placed((w, h), size, 0, dx, dy)
    return Outcome(text, found and found[0], corner=found and found[1])


def cut(random: Random, size: Pair) -> Outcome:
    """A plain crop from the top left corner."""
    w, h, dx, dy = a_side(random), a_side(random), random.randint(0, 99), random.randint(0, 99)
    found = placed((w, h), size, 0, dx, dy)
    return Outcome(f"cut/{w}x{h}x{dx}x{dy}", found and found[0], corner=found and found[1])


def circle(random: Random, size: Pair) -> Outcome:
    """The square around the circle."""
    radius = a_side(random)
    side = min(2 * radius, *size)
    return random.choice((Outcome(f"iradius/{radius}", (side, side)), Outcome(f"rradius/{radius}", size)))


def padded(random: Random, size: Pair) -> Outcome:
    """A canvas of the size that is asked for."""
    w, h = a_side(random), a_side(random)
    return Outcome(f"thumbnail/{w}x{h}/pad/1", (w, h))
