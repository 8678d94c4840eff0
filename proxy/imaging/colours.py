"""Bring a picture into eight-bit sRGB, Display P3 or grey, whatever it came in; or keep its profile if that is asked.

An embedded profile is converted, never just dropped: a wide-gamut picture without its profile looks washed out. A
profile that is damaged, oversized or made for another kind of picture is ignored with a note, never an error: browsers
do the same.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress

import pyvips

from proxy.imaging.fields import CREDIT, PROFILE, carry
from proxy.imaging.icc import fits, intent_of
from proxy.imaging.icc_transforms import MOST_PIXELS, convert
from proxy.imaging.picture import Picture
from proxy.plan.colour import Colour
from proxy.plan.output import ColourPolicy

MAX_PROFILE_BYTES = 4 << 20
"""Printers' CMYK profiles have one or two megabytes."""

_GREY = ("b-w", "grey16")
_PLAIN = (("srgb", 3), ("srgb", 4), ("b-w", 1), ("b-w", 2))
_LAB = ("lab", "labs")
_FLOATS = ("float", "double")
_SPACES = {"srgb": "sRGB", "p3": "Display P3"}
_LINEAR_GREY_BELOW = 16
"""A grey picture in floats says nowhere whether it means 0 to 1 in linear light, as painters of light write it, or 0 to
255; one of the latter kind that stays below this is black to the eye."""


def settle_colours(picture: Picture, policy: ColourPolicy) -> Picture:
    """The picture in 8-bit sRGB or grey; with `P3` in Display P3 or grey; with `KEEP` in its own profile, 8-bit too."""
    first = picture.first
    space = "p3" if policy is ColourPolicy.P3 else "srgb"
    if first.interpretation in _LAB:
        return picture.each(lambda frame: from_lab(frame, space)).noting(f"converted from LAB to {_SPACES[space]}")
    if not first.get_typeof(PROFILE):
        return _settle_plain(picture, policy)
    profile = first.get(PROFILE)
    if len(profile) > MAX_PROFILE_BYTES:
        return _settle_plain(picture.relabelled(without_profile), policy).noting("colour profile ignored: too large")
    if fits(profile, first.interpretation):
        if policy is ColourPolicy.SRGB and _is_quick(picture):
            picture = picture.in_memory()  # here, where a damaged picture is not taken for a damaged profile
            first, raster = picture.first, picture.raster
            if raster is not None and (quick := convert(raster, profile, intent=intent_of(profile))) is not None:
                picture = picture.with_frames((carry(CREDIT, first, quick.image()),), (quick,))
                return picture.noting(_converted("srgb"))
        # libvips opens the profile when the conversion is built, so a bad one shows here and not while pixels flow.
        with suppress(pyvips.Error):
            return _settle_profile(picture, policy, space)
    picture = _settle_plain(picture.relabelled(without_profile), policy)
    return picture.noting("colour profile ignored: damaged or of another kind")


def _settle_plain(picture: Picture, policy: ColourPolicy) -> Picture:
    """A picture without a profile: it is sRGB, or its kind of pixels says what it is."""
    kind = picture.first.interpretation
    if kind in _GREY and picture.first.format in _FLOATS:
        picture = picture.in_memory()
        if picture.first.max() < _LINEAR_GREY_BELOW:
            picture = picture.each(_from_light)
    if kind == "cmyk":
        picture = picture.noting("CMYK without a profile: converted as usual offset print")
    picture = picture.each(to_plain)
    if policy is not ColourPolicy.P3 or picture.first.interpretation in _GREY:
        return picture
    return picture.each(lambda frame: _transformed(frame, "p3", input_profile="srgb")).noting("converted to Display P3")


def _from_light(image: pyvips.Image) -> pyvips.Image:
    """Grey in linear light, 0 to 1, with or without alpha from 0 to 1."""
    light = image[0]
    grey = light.bandjoin([light, light]).copy(interpretation="scrgb").colourspace("srgb")[0]
    return joined(grey, (image[1] * 255).cast("uchar") if image.bands > 1 else None)


def _settle_profile(picture: Picture, policy: ColourPolicy, space: str) -> Picture:
    first = picture.first
    if first.format in _FLOATS:
        picture = picture.each(_sixteen_bit)
        first = picture.first
    if policy is ColourPolicy.KEEP and first.interpretation in ("srgb", "rgb16", "rgb", *_GREY):
        from_profile(first)  # raises if it is damaged
        return picture.each(to_plain).noting("colour profile kept")
    if _is_already(first, space):
        if policy is ColourPolicy.P3:
            return picture.each(to_plain).noting("colour profile is Display P3")
        return picture.relabelled(without_profile).each(to_plain).noting("colour profile is sRGB")
    return picture.each(lambda frame: from_profile(frame, space)).noting(_converted(space))


def _converted(space: str) -> str:
    return f"colour profile converted to {_SPACES[space]}"


def _is_quick(picture: Picture) -> bool:
    """Whether converting the picture to sRGB takes less time than building the transform."""
    first = picture.first
    if len(picture.frames) > 1 or picture.size.pixels > MOST_PIXELS:
        return False
    if (first.interpretation, first.format, first.bands) != ("srgb", "uchar", 3):
        return False
    with suppress(pyvips.Error):
        return not _is_already(first, "srgb")
    return False


def _is_already(image: pyvips.Image, space: str) -> bool:
    """Whether converting out of the embedded profile changes no colour by more than one level of 255.

    Most profiles in the wild are sRGB under many names and sizes, and converting out of them costs a fifth of a
    render. It is found by converting a row of colours, once for each profile, and not by reading the profile.
    """
    if image.interpretation != "srgb" or image.format != "uchar":
        return False
    profile: bytes = image.get(PROFILE)
    digest = hashlib.sha256(profile + space.encode()).digest()
    known = _KNOWN_PROFILES.get(digest)
    if known is None:
        row = pyvips.Image.new_from_memory(_COLOURS, len(_COLOURS) // 3, 1, 3, "uchar").copy(interpretation="srgb")
        row.set_type(pyvips.GValue.blob_type, PROFILE, profile)
        there = bytes(from_profile(row, space).write_to_memory())
        known = max(abs(a - b) for a, b in zip(there, _COLOURS, strict=True)) <= 1
        if len(_KNOWN_PROFILES) >= _MOST_PROFILES:
            _KNOWN_PROFILES.clear()
        _KNOWN_PROFILES[digest] = known
    return known


_MOST_PROFILES = 256
_KNOWN_PROFILES: dict[bytes, bool] = {}
_STEPS = range(0, 256, 51)
_COLOURS = bytes(
    [level for red in _STEPS for green in _STEPS for blue in _STEPS for level in (red, green, blue)]
    + [level for grey in range(256) for level in (grey, grey, grey)]
)
"""Six levels of each colour, and every grey."""


def from_profile(image: pyvips.Image, space: str = "srgb") -> pyvips.Image:
    """Convert out of the embedded profile into `srgb` (none attached) or `p3` (attached); grey stays grey."""
    grey = image.interpretation in _GREY
    intent = intent_of(image.get(PROFILE))
    converted = _transformed(image, "srgb" if grey else space, embedded=True, intent=intent)
    if grey and converted.bands >= 3:
        # Grey through a profile comes back as three equal bands.
        converted = joined(converted[0], converted[3] if converted.hasalpha() else None)
    return converted


def from_lab(image: pyvips.Image, space: str) -> pyvips.Image:
    """Convert LAB, which is relative to D50 in a file as in a profile."""
    image = image.colourspace("lab").copy()
    image.remove(PROFILE)
    image = image.icc_export(output_profile=space, pcs="lab", intent="relative", depth=8)
    return eight_bit(image if space == "p3" else without_profile(image))


def _transformed(image: pyvips.Image, space: str, *, intent: str = "relative", **source: object) -> pyvips.Image:
    """Through LittleCMS, relative colorimetric with black point compensation: what browsers and Photoshop do."""
    image = image.icc_transform(space, intent=intent, black_point_compensation=True, depth=8, **source)
    return eight_bit(image if space == "p3" else without_profile(image))


def _sixteen_bit(image: pyvips.Image) -> pyvips.Image:
    """Floats of 0 to 1, as a profile is to see them."""
    grey = image.bands < 3
    return (image * 65535).cast("ushort").copy(interpretation="grey16" if grey else "rgb16")


def to_plain(image: pyvips.Image) -> pyvips.Image:
    """Convert by interpretation alone: 16-bit to 8, CMYK by libvips' own profile, grey, palettes, linear light."""
    if image.format == "uchar" and (image.interpretation, image.bands) in _PLAIN:
        return image
    if image.interpretation == "multiband" or (image.bands < 3 and image.interpretation not in _GREY):
        image = image.copy(interpretation="srgb" if image.bands >= 3 else "b-w")
    if image.interpretation == "cmyk":
        return _transformed(image, "srgb", input_profile="cmyk")
    grey = image.interpretation in _GREY
    return eight_bit(image.colourspace("b-w" if grey else "srgb"))


def eight_bit(image: pyvips.Image) -> pyvips.Image:
    """At most one alpha band, eight bits each."""
    colours = 1 if image.interpretation in _GREY else 3
    if image.bands > colours + 1:
        image = image.extract_band(0, n=colours + 1)
    return image if image.format == "uchar" else image.cast("uchar")


def without_profile(image: pyvips.Image) -> pyvips.Image:
    """The same pixels, without the profile that said what they mean."""
    image = image.copy()
    image.remove(PROFILE)
    return image


def to_rgb(image: pyvips.Image) -> pyvips.Image:
    """Three colour bands, for what needs a coloured background."""
    if image.interpretation not in _GREY:
        return image
    # A profile for grey cannot stay on colours.
    return (from_profile(image) if image.get_typeof(PROFILE) else image).colourspace("srgb")


def to_grey(image: pyvips.Image) -> pyvips.Image:
    """One band of brightness; a profile for colours cannot stay on it."""
    if image.interpretation in _GREY:
        return image
    return (from_profile(image) if image.get_typeof(PROFILE) else image).colourspace("b-w")


def in_colours_of(picture: pyvips.Image, drawing: pyvips.Image) -> pyvips.Image:
    """A drawing in sRGB as it has to be painted onto a picture that keeps its own profile."""
    if not picture.get_typeof(PROFILE) or picture.interpretation in _GREY:
        return drawing
    colours = drawing.extract_band(0, n=3).copy(interpretation="srgb").icc_import(input_profile="srgb", pcs="lab")
    colours = colours.copy()
    colours.set_type(pyvips.GValue.blob_type, PROFILE, picture.get(PROFILE))
    colours = without_profile(colours.icc_export(pcs="lab", intent="relative", depth=8))
    joined_again = colours if drawing.bands == 3 else colours.bandjoin(drawing[3])
    return joined_again.cast("uchar").copy(interpretation="srgb")


def joined(colours: pyvips.Image, alpha: pyvips.Image | None) -> pyvips.Image:
    """One grey band and perhaps alpha, as a grey image."""
    image = colours if alpha is None else colours.bandjoin(alpha)
    return image.copy(interpretation="b-w")


def with_alpha(image: pyvips.Image) -> pyvips.Image:
    """The image with an alpha channel, opaque if it had none."""
    return image if image.hasalpha() else image.bandjoin(255)


def bands_of(colour: Colour, image: pyvips.Image) -> list[float]:
    """A colour as the band values of an 8-bit image."""
    rgb = [float(colour.red), float(colour.green), float(colour.blue)]
    if image.get_typeof(PROFILE) and image.interpretation not in _GREY:
        point = pyvips.Image.black(1, 1, bands=3).linear(1, rgb).cast("uchar").copy(interpretation="srgb")
        rgb = [float(level) for level in in_colours_of(image, point).getpoint(0, 0)]
    if image.interpretation in _GREY:
        rgb = [0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2]]
    return [*rgb, float(colour.alpha)] if image.hasalpha() else rgb


def fits_grey(colour: Colour) -> bool:
    """Whether a grey picture can show the colour."""
    return colour.red == colour.green == colour.blue
