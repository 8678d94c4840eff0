"""Huawei OBS: sizes by arithmetic, where its marks stand, and what it shares with others."""

from __future__ import annotations

import pytest

from proxy.errors import InvalidCommand
from proxy.plan.dialects.dialect import Context
from proxy.plan.dialects.huawei import compile_huawei
from proxy.plan.geometry import Gravity
from proxy.plan.operations import Align, CutTo, MarkRow, Size, Watermark
from proxy.plan.output import Answer, OnError
from proxy.plan.request import AskAdhoc
from tests.dialects.arithmetic import check_computed, fingerprints, sized_cases
from tests.dialects.cases import Case, b64


def compiled(text: str) -> AskAdhoc:
    asked = compile_huawei(text, Context())
    assert isinstance(asked, AskAdhoc)
    return asked


@pytest.mark.parametrize("case", sized_cases("huawei"), ids=lambda case: f"{case.source} {case.request}"[:100])
def test_size_is_arithmetic(case: Case) -> None:
    """The size is known before a pixel is touched."""
    check_computed(case)


def test_marks_have_defaults_of_their_own() -> None:
    """In the top left corner, rows on one top line, keys behind a bucket's name."""
    (mark,) = compiled(f"image/watermark,image_{b64('bucket/a/logo.png')}").operations[1:]
    (row,) = compiled(f"image/watermark,image_{b64('logo.png')},text_{b64('x')}").operations[1:]

    assert isinstance(mark, Watermark)
    assert (mark.image, mark.gravity) == ("a/logo.png", Gravity.NORTHWEST)
    assert isinstance(row, MarkRow)
    assert (row.align, row.overlays) == (Align.TOP, ("logo.png",))


def test_limit_may_be_written_with_a_comma() -> None:
    """All spellings of one limit are one plan."""
    texts = ["w_500,limit_0", "w_500,limit,0", "w_500/limit,0", "limit_0,w_500"]

    assert len(fingerprints(*(f"/a.jpg?x-image-process=image/resize,{text}" for text in texts))) == 1


def test_limit_stands_for_nothing_alone() -> None:
    """It is a word of resize."""
    with pytest.raises(InvalidCommand):
        compiled("image/limit,2")


@pytest.mark.parametrize(
    ("operation", "picture", "size"),
    [
        (CutTo(16, 9), Size(400, 200), Size(356, 200)),
        (CutTo(16, 9), Size(200, 400), Size(200, 113)),
        (CutTo(1, 1), Size(3, 3), Size(3, 3)),
        (CutTo(1000, 1), Size(10, 10), Size(10, 1)),
        (CutTo(1, 1000), Size(10, 10), Size(1, 10)),
    ],
)
def test_proportions(operation: CutTo, picture: Size, size: Size) -> None:
    """One side stays whole, the other follows, and never to nothing."""
    assert operation.size(picture) == size


def test_slimming_alone_falls_back_to_the_original() -> None:
    """Behind another action there is no original to fall back to."""
    assert compiled("image/imageslim").output.on_error is OnError.ORIGINAL
    assert compiled("image/resize,w_9/imageslim").output.on_error is OnError.REFUSE


def test_report_has_numbers() -> None:
    """Huawei's own shape of `info`."""
    assert compiled("image/info").output.answer is Answer.HUAWEI_INFO


def test_vendors_share_results() -> None:
    """One picture, three vendors."""
    targets = [
        "/a.jpg?x-image-process=image/crop,w_50,h_40,g_br/rotate,90",
        "/a.jpg?x-tos-process=image/crop,w_50,h_40,g_se/rotate,90",
    ]

    assert len(fingerprints(*targets, presets='adhoc = "any"\ndialects = ["huawei", "volcengine"]')) == 1
