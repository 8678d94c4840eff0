"""Huawei OBS (https://support.huaweicloud.com/intl/en-us/usermanual-obs/obs_01_0430.html).

    /cat.jpg?x-image-process=image/resize,w_200,limit,0/flip,horizontal
    /cat.jpg?x-image-process=style/thumb

The language of `oss`, but:

1. The anchors are `tl`, `top`, `tr`, `left`, `center`, `right`, `bl`, `bottom`, `br`. A mark stands in the top left
   corner, and a row of marks on one top line.
2. `limit,0` may be written for `limit_0`, behind a comma or a slash.
3. `m_fixed` with one side keeps the proportions; `m_ratio` cuts to the proportions w : h; sides go up to 9999.
4. The key of a mark begins with the name of its bucket. A key without a slash is one without a bucket.
5. Also `flip,vertical|horizontal` and `imageslim`. `info` answers with numbers where Aliyun answers with texts.
"""

from __future__ import annotations

import re
from functools import partial

from proxy.plan.dialects.dialect import Context, Dialect
from proxy.plan.dialects.oss import compile_process, write_process
from proxy.plan.dialects.oss_arguments import CORNERS, OssRules
from proxy.plan.geometry import Gravity
from proxy.plan.operations import Align
from proxy.plan.output import Answer
from proxy.plan.request import AskAdhoc, AskPreset

_LIMIT = re.compile(r"[,/]limit,([01])(?=[,/]|$)")
RULES = OssRules(
    vendor="Huawei",
    anchors=CORNERS,
    mark_anchor=Gravity.NORTHWEST,
    mark_align=Align.TOP,
    mark_key_has_bucket=True,
    max_side=9999,
    lone_fixed_is_square=False,
    flips=True,
    slims=True,
    ratios=True,
    info=Answer.HUAWEI_INFO,
)


def compile_huawei(text: str, context: Context) -> AskAdhoc | AskPreset:
    """Compile the value of `x-image-process`."""
    return compile_process(_LIMIT.sub(r",limit_\1", text), context, RULES)


HUAWEI = Dialect(
    "huawei",
    compile_huawei,
    parameters=frozenset({"x-image-process"}),
    claims=lambda text: text.startswith(("image/", "style/")),
    write=partial(write_process, rules=RULES),
)
