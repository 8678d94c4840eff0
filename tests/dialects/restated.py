"""The vendors' arithmetic, restated from their documentation: nothing here knows the code that it is held against.

Each function draws a command at random, and says what it makes of a picture: a size, the place of the result's corner
in the picture where the command cuts, or None where it must be refused. Sides are rounded half up and never below 1,
but for areas, which are cut off.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

Pair = tuple[int, int]
NAMES = ("NorthWest", "North", "NorthEast", "West", "Center", "East", "SouthWest", "South", "SouthEast")
COMPASS = ("nw", "north", "ne", "west", "center", "east", "sw", "south", "se")
CORNERS = ("tl", "top", "tr", "left", "center", "right", "bl", "bottom", "br")


@dataclass(frozen=True)
class Outcome:
    """What a command comes to."""

    text: str
    size: Pair | None
    """None: refused."""
    loose: bool = False
    """Whether turning by an odd angle makes it a matter of three pixels."""
    corner: Pair | None = None
    """The place of its first pixel in the picture, while nothing but cutting has happened."""


def r(value: float) -> int:
    """Round half up, never below 1."""
    return max(1, math.floor(value + 0.5))


def scaled(size: Pair, factor: float) -> Pair:
    """Both sides times a factor."""
    return r(size[0] * factor), r(size[1] * factor)


def a_side(random: Random) -> int:
    """Small sides as well as large ones."""
    return random.choice((1, 2, 3, random.randint(1, 50), random.randint(1, 1500), random.randint(1, 9999)))


def a_size(random: Random) -> Pair:
    """Of a picture."""
    side = random.choice((random.randint(1, 5), random.randint(1, 300), random.randint(1, 4000)))
    return (
        (side, side)
        if random.random() < 0.1
        else (side, random.choice((1, random.randint(1, 300), random.randint(1, 4000))))
    )


# --- Qiniu and Tencent ------------------------------------------------------------------------------------------------


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


def placed(box: Pair, size: Pair, anchor: int, dx: int, dy: int) -> tuple[Pair, Pair] | None:
    """Size and corner of a box at one of nine anchors, moved inwards, where it lies in the picture."""
    column, row = anchor % 3, anchor // 3
    left = (dx, size[0] // 2 - box[0] // 2 + dx, size[0] - box[0] - dx)[column]
    top = (dy, size[1] // 2 - box[1] // 2 + dy, size[1] - box[1] - dy)[row]
    right, bottom = min(size[0], left + box[0]), min(size[1], top + box[1])
    left, top = max(0, left), max(0, top)
    return ((right - left, bottom - top), (left, top)) if right > left and bottom > top else None


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


def turned(random: Random, size: Pair) -> Outcome:
    """`rotate`: exact for quarters."""
    degrees = random.choice((90, 180, 270, 360, random.randint(1, 359)))
    if degrees % 90 == 0:
        return Outcome(f"rotate/{degrees}", size[::-1] if degrees in (90, 270) else size)
    c, s = abs(math.cos(math.radians(degrees))), abs(math.sin(math.radians(degrees)))
    return Outcome(f"rotate/{degrees}", (r(size[0] * c + size[1] * s), r(size[0] * s + size[1] * c)), loose=True)


def canvas(random: Random, size: Pair) -> Outcome:
    """`extent` is the canvas, `border` twice its bars more."""
    w, h = a_side(random), a_side(random)
    text, result = random.choice((
        (f"extent/{w}x{h}", (w, h)), (f"extent/!{w}x{h}a3-4", (w, h)), (f"extent/{w}x", (w, size[1])),
        (f"extent/x{h}", (size[0], h)), ("extent/!-3a0", size), (f"border/{w % 90}x{h % 90}", (size[0] + 2 * (w % 90), size[1] + 2 * (h % 90))),
    ))  # fmt: skip
    return Outcome(text, result)


Draw = Callable[[Random, Pair], Outcome]


def chain(random: Random, size: Pair, draws: tuple[Draw, ...], join: str) -> Outcome:
    """One to four of these after one another."""
    texts: list[str] = []
    loose = False
    result: Pair | None = size
    for _ in range(random.randint(1, 4)):
        assert result is not None
        step = random.choice(draws)(random, result)
        texts.append(step.text)
        result = step.size
        if result is None or max(result) > 30_000:
            break
        loose = loose or step.loose
        if loose:  # what follows would only spread the three pixels
            break
    return Outcome(join.join(texts), result, loose)


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


def chain_of(prefix: str, random: Random, size: Pair, draws: tuple[Draw, ...], join: str) -> Outcome:
    """A chain behind a prefix."""
    found = chain(random, size, draws, join)
    return Outcome(prefix + found.text, found.size, found.loose)


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


# --- the object stores ------------------------------------------------------------------------------------------------


def oss_resize(vendor: str, random: Random, size: Pair) -> Outcome:
    """Every mode with every way to give a box."""
    mode = random.choice(("", "lfit", "mfit", "fill", "pad", "fixed"))
    limit = random.choice(("", "0", "1"))
    grows = limit == "0"
    which = random.choice((("w",), ("h",), ("w", "h"), ("l",), ("s",), ("l", "s"), ("w", "l"), ("p",)))
    sides = {name: min(a_side(random), 4096) for name in which}
    if which == ("p",):
        percent = random.randint(1, 1000)
        words = f"resize,p_{percent}{f',limit_{limit}' if limit else ''}"
        if vendor == "volcengine" and percent > 100 and not grows:
            return Outcome(words, size)
        return Outcome(words, (r(size[0] * percent / 100), r(size[1] * percent / 100)))
    text = "resize" + (f",m_{mode}" if mode else "")
    text += "".join(f",{name}_{side}" for name, side in sides.items()) + (f",limit_{limit}" if limit else "")
    if which == ("w", "l"):
        which = ("w",)
    width, height = size
    upright = height >= width
    w = sides.get("w") or (None if "h" in sides else sides.get("s" if upright else "l"))
    h = sides.get("h") or (None if "w" in sides else sides.get("l" if upright else "s"))
    if len(which) == 1 and mode in ("", "lfit", "mfit"):
        s = (w / width) if w else (h or 1) / height
        return Outcome(text, scaled(size, s) if s < 1 or grows else size)
    if len(which) == 1 and mode == "fixed" and vendor != "aliyun":
        s = (w / width) if w else (h or 1) / height
        return Outcome(text, scaled(size, s) if s < 1 or grows else size)
    w, h = w or h or 1, h or w or 1
    if mode in ("", "lfit", "mfit"):
        s = (max if mode == "mfit" else min)(w / width, h / height)
        return Outcome(text, scaled(size, s) if s <= 1 or grows else size)
    return Outcome(text, (w, h) if grows or (w <= width and h <= height) else size)


def oss_crop(anchors: tuple[str, ...], random: Random, size: Pair) -> Outcome:
    """The box where `g` puts it, then moved to the right and down, whatever `g` is."""
    w, h = a_side(random), a_side(random)
    x, y = random.randint(0, 60), random.randint(0, 60)
    anchor = random.randrange(9)
    column, row = anchor % 3, anchor // 3
    found = placed((w, h), size, anchor, -x if column == 2 else x, -y if row == 2 else y)
    text = f"crop,w_{w},h_{h},x_{x},y_{y}" + (f",g_{anchors[anchor]}" if anchor or random.random() < 0.5 else "")
    return Outcome(text, found and found[0], corner=found and found[1])


def slices(random: Random, size: Pair) -> Outcome:
    """A slice that does not exist is the whole picture."""
    along, length, index = random.choice("xy"), a_side(random), random.randint(0, 5)
    side = size[0] if along == "x" else size[1]
    left = side - index * length
    kept = side if left <= 0 else min(length, left)
    start = 0 if left <= 0 else index * length
    corner = (start, 0) if along == "x" else (0, start)
    return Outcome(
        f"indexcrop,{along}_{length},i_{index}", (kept, size[1]) if along == "x" else (size[0], kept), corner=corner
    )


def oss_shapes(random: Random, size: Pair) -> Outcome:
    """Circles, corners, effects and turns."""
    radius = random.randint(1, 4096)
    side = min(2 * radius, *size)
    turn = turned(random, size)
    return random.choice((
        Outcome(f"circle,r_{radius}", (side, side)), Outcome(f"rounded-corners,r_{radius}", size),
        Outcome("bright,20/contrast,-10/sharpen,99/blur,r_3,s_2", size), Outcome("format,png/quality,q_80/interlace,1", size),
        Outcome(turn.text.replace("/", ","), turn.size, turn.loose),
    ))  # fmt: skip


def oss(vendor: str, random: Random, size: Pair) -> Outcome:
    """A chain of actions."""
    anchors = CORNERS if vendor == "huawei" else COMPASS
    draws: tuple[Draw, ...] = (
        lambda a, b: oss_resize(vendor, a, b), lambda a, b: oss_crop(anchors, a, b), slices, oss_shapes,
    )  # fmt: skip
    if vendor == "huawei":
        draws = (*draws, ratio)
    return chain_of("image/", random, size, draws, "/")


def ratio(random: Random, size: Pair) -> Outcome:
    """Huawei's cut to proportions: one side stays whole."""
    w, h = random.randint(1, 99), random.randint(1, 99)
    wide = size[0] * h > size[1] * w
    result = (min(size[0], r(size[1] * w / h)), size[1]) if wide else (size[0], min(size[1], r(size[0] * h / w)))
    return Outcome(f"resize,m_ratio,w_{w},h_{h}", result)


# --- Upyun and veImageX -----------------------------------------------------------------------------------------------


def upyun_size(random: Random, size: Pair, *, force: bool) -> Outcome:
    """Sizes shrink only, unless forced; scale, both and sq are what they say."""
    width, height = size
    w, h, n = a_side(random), a_side(random), a_side(random)
    percent, pixels = random.randint(1, 1000), random.choice((random.randint(1, 9999), random.randint(1, 25_000_000)))
    upright = height >= width
    across, down = (h, w) if upright else (w, h)
    t = math.sqrt(pixels / (width * height))

    def by(factor: float) -> Pair:
        return scaled(size, factor) if factor < 1 or force else size

    text, result = random.choice((
        (f"fw/{n}", by(n / width)),
        (f"fh/{n}", by(n / height)),
        (f"max/{n}", by(n / max(size))),
        (f"min/{n}", by(n / min(size))),
        (f"fwfh/{w}x{h}", by(min(w / width, h / height))),
        (f"fwfh2/{w}x{h}", by(max(w / width, h / height))),
        (f"fxfn/{w}x{h}", by(min(across / width, down / height))),
        (f"fxfn2/{w}x{h}", by(max(across / width, down / height))),
        (f"both/{w}x{h}", (w, h)),
        (f"sq/{n}", (n, n)),
        (f"scale/{percent}", (r(width * percent / 100), r(height * percent / 100))),
        (f"wscale/{percent}", (r(width * percent / 100), height)),
        (f"hscale/{percent}", (width, r(height * percent / 100))),
        (f"fp/{pixels}", (max(1, math.floor(width * t)), max(1, math.floor(height * t))) if t < 1 or force else size),
    ))  # fmt: skip
    return Outcome(text, result)


def upyun_crop(name: str, random: Random, size: Pair) -> Outcome:
    """The box at its gravity, then moved: `a` to the right and down, `s` to the left and up; 0 is the rest."""
    w, h = random.choice((0, a_side(random))), random.choice((0, a_side(random)))
    x, y = random.randint(-60, 60), random.randint(-60, 60)
    anchor = random.randrange(9)
    found = placed(
        (w or size[0], h or size[1]), size, anchor, -x if anchor % 3 == 2 else x, -y if anchor // 3 == 2 else y
    )
    moved = "".join(f"{'a' if value >= 0 else 's'}{abs(value)}" for value in (x, y))
    return Outcome(
        f"{name}/{w}x{h}{moved}/gravity/{NAMES[anchor].lower()}", found and found[0], corner=found and found[1]
    )


def upyun(random: Random, size: Pair) -> Outcome:
    """Parameters in any order: crop, size, clip, rotate, border, canvas is how they work."""
    force = random.random() < 0.5
    texts = ["force/true"] if force else []
    result: Pair | None = size
    loose = False
    for draw in (
        lambda a, b: upyun_crop("crop", a, b), lambda a, b: upyun_size(a, b, force=force),
        lambda a, b: upyun_crop("clip", a, b), turned,
        lambda a, b: Outcome("border/3x2", (b[0] + 6, b[1] + 4)), lambda a, b: Outcome("canvas/80x60", (80, 60)),
    ):  # fmt: skip
        if result is None or loose or random.random() < 0.6:
            continue
        step = draw(random, result)
        texts.append(step.text)
        result, loose = step.size, step.loose
    random.shuffle(texts)
    return Outcome("!/" + "/".join(texts or ["strip/true"]), result, loose)


def template(random: Random, size: Pair) -> Outcome:
    """VeImageX's templates: no enlarging; 0 follows from the other."""
    name = random.choice(("fixed", "contain", "resize", "cover", ""))
    w, h = random.choice((0, a_side(random))), random.choice((0, a_side(random)))
    text = f"~tplv-1upkr0djo9125{f'-{name}' if name else ''}:{w}:{h}.image"
    if not w or not h:
        s = (w / size[0]) if w else (h / size[1]) if h else 1
        return Outcome(text, scaled(size, min(1, s)))
    if name == "fixed":
        return Outcome(text, (min(w, size[0]), min(h, size[1])))
    return Outcome(text, scaled(size, min(1, (max if name == "cover" else min)(w / size[0], h / size[1]))))


DRAWS: dict[str, tuple[str, Draw]] = {
    "qiniu": ("?", qiniu),
    "tencent": ("?", tencent),
    "aliyun": ("?x-oss-process=", lambda random, size: oss("aliyun", random, size)),
    "huawei": ("?x-image-process=", lambda random, size: oss("huawei", random, size)),
    "volcengine": ("?x-tos-process=", lambda random, size: oss("volcengine", random, size)),
    "veimagex": ("", template),
    "upyun": ("", upyun),
}
"""What stands before a command in the URL, and what draws it."""
CUTS: dict[str, tuple[str, Draw]] = {
    "qiniu": ("?imageMogr2/", qiniu_crop),
    "tencent": ("?imageMogr2/", lambda random, size: random.choice((cut, tencent_crop))(random, size)),
    "aliyun": ("?x-oss-process=image/", lambda random, size: random.choice((slices, aliyun_crop))(random, size)),
    "huawei": ("?x-image-process=image/", lambda random, size: oss_crop(CORNERS, random, size)),
    "upyun": ("!/", lambda random, size: upyun_crop("crop", random, size)),
}
"""The same for commands that cut a box out."""


def aliyun_crop(random: Random, size: Pair) -> Outcome:
    """With the anchors of Aliyun."""
    return oss_crop(COMPASS, random, size)
