"""Plans in vendors' words: what a dialect reads it can write, and what it writes is read as the same plan."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from proxy.errors import InvalidRequest
from proxy.plan.dialects import DIALECTS, write_commands
from proxy.plan.dialects.dialect import Context
from proxy.plan.output import Target
from proxy.plan.plan import Plan
from proxy.plan.request import AskAdhoc
from tests.dialects.grammars import GRAMMARS, b64


def compiled(dialect: str, command: str) -> AskAdhoc:
    """What a command asks for."""
    asked = DIALECTS[dialect].compile(command, Context())
    assert isinstance(asked, AskAdhoc)
    return asked


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_what_was_read_can_be_written(dialect: str, data: st.DataObject) -> None:
    """Parse, write, parse again: the same plan, the same canonical text, the same fingerprint."""
    command = data.draw(GRAMMARS[dialect])
    try:
        asked = compiled(dialect, command)
    except InvalidRequest:  # more than three image marks, say: what the random words cannot know
        assume(False)

    text = DIALECTS[dialect].write(asked.operations, asked.output)

    # Tencent's gravity is one for a whole command, so a crop may take a command of its own. There are ten at most, and
    # between two of them a JPEG loses its transparency.
    whole = len(asked.operations) < 10 and asked.output.target is not Target.JPEG
    assume(text is not None or dialect != "tencent" or whole)
    assert text is not None, command
    again = compiled(dialect, text)
    first, second = (Plan("cat.jpg", each.operations, each.output) for each in (asked, again))
    assert (again.operations, again.output) == (asked.operations, asked.output)
    assert second.canonical() == first.canonical()
    assert second.fingerprint == first.fingerprint
    assert DIALECTS[dialect].write(again.operations, again.output) == text


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(DIALECTS)), st.data())
def test_others_write_it_only_if_they_mean_it(dialect: str, data: st.DataObject) -> None:
    """A command of one vendor, written in another's words, is the same plan there."""
    try:
        asked = compiled(dialect, data.draw(GRAMMARS[dialect]))
    except InvalidRequest:
        assume(False)

    for other, text in write_commands(asked.operations, asked.output).items():
        again = compiled(other, text)
        assert again.operations == asked.operations
        assert again.output == asked.output


@pytest.mark.parametrize(
    ("dialect", "command", "written"),
    [
        (
            "qiniu",
            f"watermark/1/image/{b64('logo.png')}/ws/0.5|imageMogr2/auto-orient/rotate/90",
            f"watermark/1/image/{b64('logo.png')}/ws/0.5/wst/0|imageMogr2/auto-orient/rotate/90",
        ),
        ("qiniu", f"watermark/2/text/{b64('Hi')}/fontsize/500|imageMogr2/strip", f"watermark/2/text/{b64('Hi')}/fontsize/500|imageMogr2/strip"),
        ("qiniu", "imageslim", "imageslim"),
        ("qiniu", "imageMogr2/size-limit/20k!", "imageMogr2/size-limit/20480!"),
        ("tencent", "imageMogr2/crop/300x200/gravity/center", "imageMogr2/crop/300x200"),
        ("tencent", "imageMogr2/cut/300x200x10x20", "imageMogr2/cut/300x200x10x20"),
        ("tencent", "imageMogr2/thumbnail/60x60/pad/1", f"imageMogr2/thumbnail/60x60/pad/1/color/{b64('#3d3d3d')}"),
        ("tencent", "imageMogr2/cgif/1/thumbnail/200x", "imageMogr2/thumbnail/200x/cgif/1"),
        ("tencent", "imageMogr2/scrop/300x400", "imageMogr2/scrop/300x400"),
        ("tencent", "imageMogr2/iradius/50/rquality/80", "imageMogr2/iradius/50/rquality/80"),
        (
            "aliyun",
            "image/watermark,image_bG9nby5wbmc,g_west,x_5,voffset_7,t_50",
            "image/watermark,image_bG9nby5wbmc,t_50,g_west,x_5,voffset_7",
        ),
        ("upyun", "/watermark/text/SGk=/align/southeast", "/watermark/text/SGk=/size/32/font/simsun/align/southeast"),
    ],
)  # fmt: skip
def test_text_is_what_a_person_would_write(dialect: str, command: str, written: str) -> None:
    """Short, and with nothing that goes without saying."""
    asked = compiled(dialect, command)

    assert DIALECTS[dialect].write(asked.operations, asked.output) == written


def test_marks_are_written_by_all_who_know_them() -> None:
    """One mark, every vendor's words for it; who has other shares, or moving pictures, has none."""
    asked = compiled(
        "qiniu", f"imageMogr2/auto-orient/thumbnail/200x>|watermark/1/image/{b64('logo.png')}/ws/0.2/wst/2"
    )
    plain = compiled("aliyun", "image/resize,w_200/watermark,image_bG9nby5wbmc,x_20,y_20")

    written, others = (write_commands(each.operations, each.output) for each in (asked, plain))

    assert set(written) == {"qiniu", "tencent"}
    assert set(others) == {"aliyun", "huawei", "volcengine", "upyun"}
