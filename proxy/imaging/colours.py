"""Bring a picture into eight-bit sRGB or grey, whatever it came in; or keep its profile where that is asked for.

An embedded profile is converted, never just dropped: a wide-gamut picture without its profile looks washed out. A
profile that is damaged, oversized or made for another kind of picture is ignored with a note, never an error: browsers
do the same.
"""

from __future__ import annotations

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
        return picture.each(from_profile).noting("colour profile converted to sRGB")
    except pyvips.Error:
        # libvips opens the profile when the conversion is built, so a bad one shows here and not while pixels flow.
        return picture.each(without_profile).each(to_plain).noting("colour profile ignored: damaged or of another kind")


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
