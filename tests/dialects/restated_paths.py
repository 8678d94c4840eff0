"""What Upyun and veImageX write into the path, restated."""

from __future__ import annotations

import math
from random import Random

from tests.dialects.restated import NAMES, Outcome, Pair, a_side, placed, r, scaled, turned


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
