"""Bring a picture into eight-bit sRGB or grey, whatever it came in; or keep its profile where that is asked for.

An embedded profile is converted, never just dropped: a wide-gamut picture without its profile looks washed out. A
profile that is damaged, oversized or made for another kind of picture is ignored with a note, never an error: browsers
do the same.
"""

from __future__ import annotations

import hashlib

import pyvips

from proxy.imaging.picture import Picture
from proxy.plan.colour import Colour
from proxy.plan.output import ColourPolicy

PROFILE = "icc-profile-data"
MAX_PROFILE_BYTES = 4 << 20
"""Printers' CMYK profiles have one or two megabytes."""

_GREY = ("b-w", "grey16")


def settle_colours(picture: Picture, policy: ColourPolicy) -> Picture:
    """The picture in 8-bit sRGB or grey; with `KEEP`, RGB and grey pictures stay in their profile, 8-bit as well."""
    first = picture.first
    if not first.get_typeof(PROFILE):
        return picture.each(to_plain)
    if len(first.get(PROFILE)) > MAX_PROFILE_BYTES:
        return picture.each(without_profile).each(to_plain).noting("colour profile ignored: too large")
    if policy is ColourPolicy.KEEP and first.interpretation in ("srgb", "rgb16", "rgb", *_GREY):
        return picture.each(to_plain).noting("colour profile kept")
    try:
        if _is_srgb(first):
            return picture.each(without_profile).each(to_plain).noting("colour profile is sRGB")
        return picture.each(from_profile).noting("colour profile converted to sRGB")
    except pyvips.Error:
        # libvips opens the profile when the conversion is built, so a bad one shows here and not while pixels flow.
        return picture.each(without_profile).each(to_plain).noting("colour profile ignored: damaged or of another kind")


def _is_srgb(image: pyvips.Image) -> bool:
    """Whether converting out of the embedded profile changes no colour by more than one level of 255.

    Most profiles in the wild are sRGB under many names and sizes, and converting out of them costs a fifth of a
    render. It is found by converting a row of colours, once for each profile, and not by reading the profile.
    """
    if image.interpretation != "srgb" or image.format != "uchar":
        return False
    profile: bytes = image.get(PROFILE)
    digest = hashlib.sha256(profile).digest()
    known = _KNOWN_PROFILES.get(digest)
    if known is None:
        row = pyvips.Image.new_from_memory(_COLOURS, len(_COLOURS) // 3, 1, 3, "uchar").copy(interpretation="srgb")
        row.set_type(pyvips.GValue.blob_type, PROFILE, profile)
        known = max(abs(a - b) for a, b in zip(bytes(from_profile(row).write_to_memory()), _COLOURS, strict=True)) <= 1
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


def from_profile(image: pyvips.Image) -> pyvips.Image:
    """Convert out of the embedded profile; grey stays grey."""
    grey = image.interpretation in _GREY
    converted = image.icc_transform("srgb", embedded=True, intent="relative", black_point_compensation=True, depth=8)
    converted = without_profile(converted)
    if grey and converted.bands >= 3:
        # Grey through a profile comes back as three equal bands.
        converted = joined(converted[0], converted[3] if converted.hasalpha() else None)
    return eight_bit(converted)


def to_plain(image: pyvips.Image) -> pyvips.Image:
    """Convert by interpretation alone: 16-bit to 8, CMYK by libvips' own profile, LAB, grey, palettes."""
    if image.interpretation == "multiband" or (image.bands < 3 and image.interpretation not in _GREY):
        image = image.copy(interpretation="srgb" if image.bands >= 3 else "b-w")
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
    return image.colourspace("srgb") if image.interpretation in _GREY else image


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
    if image.interpretation in _GREY:
        rgb = [0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2]]
    return [*rgb, float(colour.alpha)] if image.hasalpha() else rgb


def fits_grey(colour: Colour) -> bool:
    """Whether a grey picture can show the colour."""
    return colour.red == colour.green == colour.blue
