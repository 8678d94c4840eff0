"""What EXIF's enumerated values mean, in libexif's English: vendors' reports print its texts.

The libexif inside of libvips' wheel has lost these tables and says "Internal error" in their place. The texts are those
that libexif 0.6.24 prints; a value that it does not know is told as the number it is.
"""

from __future__ import annotations

from collections.abc import Mapping

TEXTS: Mapping[str, Mapping[int, str]] = {
    "ColorSpace": {
        1: "sRGB", 2: "Adobe RGB", 65535: "Uncalibrated",
    },
    "Compression": {
        1: "Uncompressed", 5: "LZW compression", 6: "JPEG compression", 7: "JPEG compression",
        8: "Deflate/ZIP compression", 32773: "PackBits compression",
    },
    "Contrast": {
        0: "Normal", 1: "Soft", 2: "Hard",
    },
    "CustomRendered": {
        0: "Normal process", 1: "Custom process",
    },
    "ExposureMode": {
        0: "Auto exposure", 1: "Manual exposure", 2: "Auto bracket",
    },
    "ExposureProgram": {
        0: "Not defined", 1: "Manual", 2: "Normal program", 3: "Aperture priority", 4: "Shutter priority",
        5: "Creative program (biased toward depth of field)",
        6: "Creative program (biased toward fast shutter speed)",
        7: "Portrait mode (for closeup photos with the background out of focus)",
        8: "Landscape mode (for landscape photos with the background in focus)",
    },
    "Flash": {
        0: "Flash did not fire", 1: "Flash fired", 5: "Strobe return light not detected",
        7: "Strobe return light detected", 8: "Flash did not fire", 9: "Flash fired, compulsory flash mode",
        13: "Flash fired, compulsory flash mode, return light not detected",
        15: "Flash fired, compulsory flash mode, return light detected",
        16: "Flash did not fire, compulsory flash mode", 24: "Flash did not fire, auto mode",
        25: "Flash fired, auto mode", 29: "Flash fired, auto mode, return light not detected",
        31: "Flash fired, auto mode, return light detected", 32: "No flash function",
        65: "Flash fired, red-eye reduction mode",
        69: "Flash fired, red-eye reduction mode, return light not detected",
        71: "Flash fired, red-eye reduction mode, return light detected",
        73: "Flash fired, compulsory flash mode, red-eye reduction mode",
        77: "Flash fired, compulsory flash mode, red-eye reduction mode, return light not detected",
        79: "Flash fired, compulsory flash mode, red-eye reduction mode, return light detected",
        88: "Flash did not fire, auto mode, red-eye reduction mode",
        89: "Flash fired, auto mode, red-eye reduction mode",
        93: "Flash fired, auto mode, return light not detected, red-eye reduction mode",
        95: "Flash fired, auto mode, return light detected, red-eye reduction mode",
    },
    "FocalPlaneResolutionUnit": {
        2: "Inch", 3: "Centimeter",
    },
    "GainControl": {
        0: "Normal", 1: "Low gain up", 2: "High gain up", 3: "Low gain down", 4: "High gain down",
    },
    "LightSource": {
        0: "Unknown", 1: "Daylight", 2: "Fluorescent", 3: "Tungsten incandescent light", 4: "Flash",
        9: "Fine weather", 10: "Cloudy weather", 11: "Shade", 12: "Daylight fluorescent", 13: "Day white fluorescent",
        14: "Cool white fluorescent", 15: "White fluorescent", 17: "Standard light A", 18: "Standard light B",
        19: "Standard light C", 20: "D55", 21: "D65", 22: "D75", 24: "ISO studio tungsten", 255: "Other",
    },
    "MeteringMode": {
        0: "Unknown", 1: "Average", 2: "Center-weighted average", 3: "Spot", 4: "Multi spot", 5: "Pattern",
        6: "Partial", 255: "Other",
    },
    "Orientation": {
        1: "Top-left", 2: "Top-right", 3: "Bottom-right", 4: "Bottom-left", 5: "Left-top", 6: "Right-top",
        7: "Right-bottom", 8: "Left-bottom",
    },
    "PhotometricInterpretation": {
        0: "Reversed mono", 1: "Normal mono", 2: "RGB", 3: "Palette", 5: "CMYK", 6: "YCbCr", 8: "CieLAB",
    },
    "PlanarConfiguration": {
        0: "Chunky format", 1: "Planar format",
    },
    "ResolutionUnit": {
        2: "Inch", 3: "Centimeter",
    },
    "Saturation": {
        0: "Normal", 1: "Low saturation", 2: "High saturation",
    },
    "SceneCaptureType": {
        0: "Standard", 1: "Landscape", 2: "Portrait", 3: "Night scene",
    },
    "SensingMethod": {
        1: "Not defined", 2: "One-chip color area sensor", 3: "Two-chip color area sensor",
        4: "Three-chip color area sensor", 5: "Color sequential area sensor", 7: "Trilinear sensor",
        8: "Color sequential linear sensor",
    },
    "Sharpness": {
        0: "Normal", 1: "Soft", 2: "Hard",
    },
    "SubjectDistanceRange": {
        0: "Unknown", 1: "Macro", 2: "Close view", 3: "Distant view",
    },
    "WhiteBalance": {
        0: "Auto white balance", 1: "Manual white balance",
    },
    "YCbCrPositioning": {
        1: "Centered", 2: "Co-sited",
    },
}  # fmt: skip
"""By the name of the tag and the value."""


def enumerated_text(tag: str, raw: str, text: str) -> str:
    """The text for a value: from the table, where the tag has one; libexif's own otherwise."""
    known = TEXTS.get(tag)
    if known is not None and raw.isascii() and raw.isdigit():
        return known.get(int(raw), raw)
    return raw if text.startswith("Internal error") else text
