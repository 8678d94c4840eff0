"""The efforts of encoders."""

from __future__ import annotations

import pytest

from proxy.imaging.effort import codec_effort, effort_of
from proxy.plan.output import Format, Output


@pytest.mark.parametrize(
    ("target", "own"),
    [
        (Format.WEBP, (4, 0, 1, 1, 2, 3, 3, 4, 5, 5, 6)),
        (Format.AVIF, (2, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)),
        (Format.JXL, (4, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9)),
        (Format.GIF, (3, 1, 1, 2, 3, 4, 6, 7, 8, 9, 10)),
        (Format.PNG, (6, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)),
    ],
)
def test_efforts_of_encoders(target: Format, own: tuple[int, ...]) -> None:
    """The default, and what 0 to 9 are to each encoder: another number is another file under the same fingerprint."""
    outputs = [Output(), *(Output(effort=effort) for effort in range(10))]

    assert tuple(codec_effort(effort_of(output, target), target) for output in outputs) == own
