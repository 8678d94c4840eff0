"""The object stores' actions, restated."""

from __future__ import annotations

from random import Random

from tests.dialects.restated import COMPASS, CORNERS, Draw, Outcome, Pair, a_side, chain_of, placed, r, scaled, turned


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


def aliyun_crop(random: Random, size: Pair) -> Outcome:
    """With the anchors of Aliyun."""
    return oss_crop(COMPASS, random, size)
