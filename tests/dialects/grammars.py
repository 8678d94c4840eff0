"""Random commands of every dialect, legal by construction: what the tests of grammars throw at compilers and writers."""

from __future__ import annotations

import base64

from hypothesis import strategies as st


def b64(text: str) -> str:
    """URL-safe base64."""
    return base64.urlsafe_b64encode(text.encode()).decode()


def standard64(text: str) -> str:
    """Upyun's base64."""
    return base64.b64encode(text.encode()).decode().replace("/", "|")


def some(*options: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Each of the options or not, joined by what they begin with."""
    return st.tuples(*(option | st.just("") for option in options)).map("".join)


def numbers(form: str, low: int, high: int) -> st.SearchStrategy[str]:
    """A form with a number in it."""
    return st.integers(low, high).map(form.format)


def words(form: str, *choices: str) -> st.SearchStrategy[str]:
    """A form with one of these words in it."""
    return st.sampled_from(choices).map(form.format)


SIDE = st.integers(1, 3000)
BOX = st.one_of(SIDE.map("{}x".format), SIDE.map("x{}".format), st.builds("{}x{}".format, SIDE, SIDE))
WHOLE_BOX = st.builds("{}x{}".format, SIDE, SIDE)
OFFSETS = st.builds(
    "{}{}{}{}".format, st.sampled_from("a-"), st.integers(0, 99), st.sampled_from("a-"), st.integers(0, 99)
)
ANCHORS = ("NorthWest", "North", "NorthEast", "West", "Center", "East", "SouthWest", "South", "SouthEast")
COLOURS = tuple(map(b64, ("red", "#3d3d3d", "#00ff0080", "transparent")))
KEYS = ("logo.png", "a/b c.png", "猫.png", "logo=1&x.png")
TEXTS = ("Hello", "七牛云存储", "a/b?c&d", "100 %")

THUMBNAIL = st.one_of(
    BOX,
    numbers("!{}p", 1, 999),
    numbers("!{}px", 1, 999),
    numbers("!x{}p", 1, 999),
    st.builds("{}{}".format, WHOLE_BOX, st.sampled_from("!<>")),
    WHOLE_BOX.map("!{}r".format),
    numbers("{}@", 1, 9_000_000),
)
MARK_PLACE = some(
    numbers("/dissolve/{}", 1, 100),
    words("/gravity/{}", *ANCHORS),
    numbers("/dx/{}", -50, 50),
    numbers("/dy/{}", -50, 50),
)
FILE = some(
    words("/format/{}", "jpg", "png", "webp", "gif"), st.just("/interlace/1"), numbers("/quality/{}", 1, 100),
    words("/density/{}", "72", "300"), st.just("/ignore-error/1"), words("/size-limit/{}", "20k", "1m!", "$(fsize)!"),
)  # fmt: skip
VIEW = st.builds(
    "imageView2/{}{}".format,
    st.integers(0, 5),
    some(numbers("/w/{}", 1, 3000), numbers("/h/{}", 1, 3000), st.just("/q/80!")),
)


def joined(fop: str, parts: st.SearchStrategy[str], file: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """A fop of one to five parts, and what it says of the file."""
    return st.builds(
        lambda some_parts, tail: f"{fop}{''.join(some_parts)}{tail}", st.lists(parts, min_size=1, max_size=5), file
    )


QINIU_MOGR = joined(
    "imageMogr2",
    st.one_of(
        THUMBNAIL.map("/thumbnail/{}".format),
        BOX.map("/crop/{}".format),
        st.builds("/crop/!{}{}".format, BOX, OFFSETS),
        words("/gravity/{}", *ANCHORS),
        numbers("/rotate/{}", 1, 360),
        st.builds("/extent/!{}{}".format, BOX, OFFSETS),
        st.builds("/border/{}x{}".format, st.integers(0, 50), st.integers(0, 50)),
        st.sampled_from(["/auto-orient", "/strip", "/blur/3x5", "/sharpen/1", "/colors/16"]),
    ),
    some(words("/background/{}", *COLOURS), words("/bordercolor/{}", *COLOURS), FILE),
)
QINIU_MARK = st.one_of(
    st.builds("watermark/1/image/{}{}{}".format, st.sampled_from(KEYS).map(b64), MARK_PLACE,
              some(words("/ws/{}", "0.1", "0.333333333", "1"), numbers("/wst/{}", 0, 3), st.just("/tile/1"))),
    st.builds("watermark/2/text/{}{}{}".format, st.sampled_from(TEXTS).map(b64), MARK_PLACE,
              some(numbers("/fontsize/{}", 20, 9999), words("/fill/{}", *COLOURS), st.just(f"/font/{b64('宋体')}"))),
    st.builds("watermark/4/text/{}{}".format, st.sampled_from(TEXTS).map(b64),
              some(numbers("/fontsize/{}", 20, 999), numbers("/rotate/{}", -180, 180), numbers("/uw/{}", 1, 999),
                   numbers("/uh/{}", 1, 999))),
    st.builds("watermark/3/image/{}{}/text/{}{}".format, st.sampled_from(KEYS).map(b64), MARK_PLACE,
              st.sampled_from(TEXTS).map(b64), MARK_PLACE),
)  # fmt: skip
ROUND = st.one_of(
    numbers("roundPic/radius/{}", 1, 999),
    st.builds("roundPic/radiusx/!{}p/radiusy/!{}p".format, *(st.integers(1, 50),) * 2),
)
ANIMATION = st.builds(
    "animate/duration/{}/merge{}{}".format, st.integers(1, 9999),
    st.lists(st.sampled_from(KEYS), min_size=1, max_size=20).map(lambda keys: "".join(f"/key/{b64(key)}" for key in keys)),
    some(words("/effect/{}", "0", "1")),
)  # fmt: skip
QINIU = st.lists(st.one_of(VIEW, QINIU_MOGR, QINIU_MARK, ROUND, ANIMATION), min_size=1, max_size=3).map("|".join)

TENCENT_MOGR = joined(
    "imageMogr2",
    st.one_of(
        THUMBNAIL.map("/thumbnail/{}".format),
        BOX.map("/crop/{}".format),
        st.builds("/crop/!{}{}".format, BOX, OFFSETS),
        st.builds("/cut/{}x{}x{}".format, WHOLE_BOX, st.integers(0, 99), st.integers(0, 99)),
        numbers("/iradius/{}", 1, 999),
        numbers("/rradius/{}", 1, 999),
        numbers("/rotate/{}", 0, 360),
        numbers("/sharpen/{}", 10, 300),
        numbers("/bright/{}", -100, 100),
        numbers("/contrast/{}", -100, 100),
        st.builds("/extent/!{}{}".format, BOX, OFFSETS),
        st.sampled_from(["/auto-orient", "/strip", "/blur/3x5", "/grayscale/1", "/flip/vertical", "/flip/horizontal"]),
    ),
    some(
        words("/gravity/{}", *ANCHORS), words("/background/{}", *COLOURS), words("/bordercolor/{}", *COLOURS),
        words("/format/{}", "jpg", "png", "webp"), words("/cgif/{}", "2", "100"), words("/{}/70", "quality", "rquality", "lquality"),
    ),
)  # fmt: skip
TENCENT_PAD = WHOLE_BOX.map("imageMogr2/scrop/{}".format) | st.builds(
    "imageMogr2/thumbnail/{}/pad/1{}".format, WHOLE_BOX, some(words("/color/{}", *COLOURS))
)
TENCENT_MARK = st.one_of(
    st.builds("watermark/1/image/{}{}{}".format, st.sampled_from(KEYS).map(b64), MARK_PLACE,
              some(words("/blogo/{}", "1", "2"), st.builds("/scatype/{}/spcent/{}".format, st.integers(1, 3), st.integers(1, 250)),
                   st.builds("/batch/1/spacing/{}/degree/{}".format, st.integers(0, 100), st.integers(0, 360)))),
    st.builds("watermark/2/text/{}{}{}".format, st.sampled_from(TEXTS).map(b64), MARK_PLACE,
              some(numbers("/fontsize/{}", 1, 700), words("/fill/{}", *COLOURS), numbers("/shadow/{}", 0, 100),
                   st.builds("/scatype/{}/spcent/{}".format, st.integers(1, 3), st.integers(1, 250)),
                   st.just("/batch/1"))),
)  # fmt: skip
TENCENT = st.lists(st.one_of(VIEW, TENCENT_MOGR, TENCENT_PAD, TENCENT_MARK, ROUND), min_size=1, max_size=3).map(
    "|".join
)


def oss(anchors: tuple[str, ...], limit: int, *more: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Processes of an object store with these anchors."""
    side = st.integers(1, min(3000, limit))
    anchored = words(",g_{}", *anchors)
    mark_place = some(
        anchored,
        numbers(",x_{}", 0, 4096),
        numbers(",y_{}", 0, 4096),
        numbers(",voffset_{}", -1000, 1000),
        numbers(",t_{}", 0, 100),
    )
    process = st.sampled_from(["", "resize,P_30", "rotate,90", "crop,w_10,h_10/rounded-corners,r_3", "resize,w_20"])
    image = st.builds(
        lambda key, actions: "image_" + b64(f"{key}?x-oss-process=image/{actions}" if actions else key).rstrip("="),
        st.sampled_from(KEYS), process,
    )  # fmt: skip
    text = st.builds(
        "text_{}{}".format, st.sampled_from(TEXTS).map(b64),
        some(numbers(",size_{}", 1, 1000), words(",color_{}", "FF0000", "000000"), numbers(",shadow_{}", 0, 100),
             numbers(",rotate_{}", 0, 360), st.just(f",type_{b64('wqy-zenhei')}")),
    )  # fmt: skip
    resize = st.builds(
        "resize{}{}{}{}".format,
        words(",m_{}", "lfit", "mfit", "fill", "pad", "fixed") | st.just(""),
        st.one_of(
            side.map(",w_{}".format), side.map(",h_{}".format), side.map(",l_{}".format), side.map(",s_{}".format),
            st.builds(",w_{},h_{}".format, side, side), st.builds(",l_{},s_{}".format, side, side),
        ),
        words(",limit_{}", "0", "1") | st.just(""),
        st.just(",color_FF0000") | st.just(""),
    )  # fmt: skip
    actions = st.one_of(
        resize,
        numbers("resize,p_{}", 1, 1000),
        st.builds("crop,w_{},h_{},x_{},y_{}{}".format, SIDE, SIDE, st.integers(0, 99), st.integers(0, 99), anchored),
        st.builds("indexcrop,{}_{},i_{}".format, st.sampled_from("xy"), SIDE, st.integers(0, 9)),
        numbers("circle,r_{}", 1, 4096),
        numbers("rounded-corners,r_{}", 1, 4096),
        numbers("rotate,{}", 0, 360),
        st.builds("blur,r_{},s_{}".format, st.integers(1, 50), st.integers(1, 50)),
        numbers("sharpen,{}", 50, 399),
        numbers("bright,{}", -100, 100),
        numbers("contrast,{}", -100, 100),
        words("format,{}", "png", "webp", "jpg", "gif"),
        words("quality,{}", "q_80", "Q_90"),
        st.sampled_from(["interlace,1", "auto-orient,0", "auto-orient,1"]),
        st.builds("watermark,{}{}".format, image | text, mark_place),
        st.builds("watermark,{},fill_1,padx_{},pady_{}".format, image | text, st.integers(0, 99), st.integers(0, 99)),
        st.builds("watermark,{},{}{}{}".format, image, text, mark_place,
                  some(words(",order_{}", "0", "1"), numbers(",align_{}", 0, 2), numbers(",interval_{}", 0, 1000))),
        *more,
    )  # fmt: skip
    return st.lists(actions, min_size=1, max_size=3).map(lambda each: "image/" + "/".join(each))


COMPASS = ("nw", "north", "ne", "west", "center", "east", "sw", "south", "se")
CORNERS = ("tl", "top", "tr", "left", "center", "right", "bl", "bottom", "br")
ALIYUN = oss(COMPASS, 16_384)
VOLCENGINE = oss(COMPASS, 16_384)
HUAWEI = oss(
    CORNERS, 9999, words("flip,{}", "vertical", "horizontal"),
    st.builds("resize,m_ratio,w_{},h_{}".format, st.integers(1, 99), st.integers(1, 99)),
)  # fmt: skip

UPYUN_MARK_PLACE = some(
    words("/align/{}", *(anchor.lower() for anchor in ANCHORS)),
    st.builds("/margin/{}x{}".format, st.integers(0, 99), st.integers(0, 99)),
    numbers("/opacity/{}", 0, 100),
    st.just("/repeat/true"),
)
_PLACED = st.builds("{}{}".format, WHOLE_BOX, some(st.builds("a{}s{}".format, st.integers(0, 99), st.integers(0, 99))))
_UPYUN_SIZE = st.one_of(
    *(numbers(f"/{name}/{{}}", 1, 3000) for name in ("fw", "fh", "max", "min", "sq")),
    *(WHOLE_BOX.map(f"/{name}/{{}}".format) for name in ("fwfh", "fwfh2", "fxfn", "fxfn2", "both")),
    numbers("/scale/{}", 1, 1000), numbers("/wscale/{}", 1, 1000), numbers("/fp/{}", 1, 25_000_000),
)  # fmt: skip
_UPYUN_CROP = st.builds("{}{}".format, _PLACED, some(words("/gravity/{}", *(anchor.lower() for anchor in ANCHORS))))
UPYUN = some(
    _UPYUN_CROP.map("/crop/{}".format),
    _UPYUN_SIZE,
    st.just("/force/true"),
    _UPYUN_CROP.map("/clip/{}".format),
    st.just("/rotate/auto") | numbers("/rotate/{}", 1, 360),
    words("/flip/{}", "left,right", "top,down", "left-right"),
    st.just("/unsharp/true"),
    st.builds("/gaussblur/{}x{}".format, st.integers(0, 50), st.integers(1, 50)),
    st.builds("/gdori/{}{}{}".format, st.sampled_from(["top,down", "right-left"]), st.just("/gdpos/5,50") | st.just(""),
              st.sampled_from(["/gdstartcolor/FF000000", "/gdstopcolor/00FF007F", "/gdstartcolor/0000FF00/gdstopcolor/FFFFFFFF"])),
    numbers("/roundrect/{}", 1, 999),
    st.builds("/border/{}x{}/brdcolor/FF00007F".format, st.integers(0, 50), st.integers(0, 50)),
    st.builds("/canvas/{}/cvscolor/00FF00FF".format, _PLACED),
    words("/format/{}", "jpg", "png", "webp"),
    numbers("/quality/{}", 1, 99),
    words("/{}/true", "lossless", "compress", "progressive", "gifto", "exifswitch", "ignore-error"),
    words("/excolor/9/exformat/{}", "hex", "dec"),
    st.builds("/watermark/url/{}{}{}".format, st.sampled_from(KEYS).map(standard64), UPYUN_MARK_PLACE, some(numbers("/percent/{}", 1, 100))),
    st.builds("/watermark/text/{}{}{}".format, st.sampled_from(TEXTS).map(standard64), UPYUN_MARK_PLACE,
              some(numbers("/size/{}", 1, 1000), words("/color/{}", "FF0000", "00FF00"), words("/border/{}", "FF000000", "0000FF7F"))),
).filter(bool)  # fmt: skip

GRAMMARS = {
    "qiniu": QINIU, "tencent": TENCENT, "aliyun": ALIYUN, "volcengine": VOLCENGINE, "huawei": HUAWEI, "upyun": UPYUN,
}  # fmt: skip
