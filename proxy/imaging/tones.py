"""Steps that change tones: brightness and contrast; alpha stays."""

from __future__ import annotations

import pyvips

from proxy.imaging.picture import Picture
from proxy.plan.operations import Brightness, Contrast


def brightness(picture: Picture, operation: Brightness) -> Picture:
    """Add to every tone: 100 makes everything white, -100 black."""
    return _linear(picture, 1.0, operation.amount * 2.55)


def contrast(picture: Picture, operation: Contrast) -> Picture:
    """Spread the tones around the middle: -100 leaves one grey, 100 only the extremes."""
    amount = operation.amount / 100
    slope = 1 + amount if amount <= 0 else min(256.0, 1 / max(1e-3, 1 - amount))
    return _linear(picture, slope, 127.5 * (1 - slope))


def _linear(picture: Picture, slope: float, offset: float) -> Picture:
    if slope == 1 and offset == 0:
        return picture

    def changed(frame: pyvips.Image) -> pyvips.Image:
        if not frame.hasalpha():
            return frame.linear(slope, offset, uchar=True)
        last = frame.bands - 1
        tones = frame.extract_band(0, n=last).linear(slope, offset, uchar=True)
        return tones.bandjoin(frame[last]).copy(interpretation=frame.interpretation)

    return picture.each(changed)
