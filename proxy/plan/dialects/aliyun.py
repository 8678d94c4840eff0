"""Aliyun OSS (https://help.aliyun.com/document_detail/44686.html): the language is in `oss`, its defaults are Aliyun's.

    /cat.jpg?x-oss-process=image/resize,m_fill,w_200,h_200/format,webp
    /cat.jpg?x-oss-process=style/thumb       the preset thumb; the same as /cat.jpg!thumb
    /cat.jpg-thumb                           custom delimiters are the separators of presets.toml

The old language (`cat.jpg@100w_100h.jpg`), which lives on host names of its own, is not read.
"""

from __future__ import annotations

from functools import partial

from proxy.plan.dialects.dialect import Context, Dialect
from proxy.plan.dialects.oss import compile_process, write_process
from proxy.plan.dialects.oss_arguments import OssRules
from proxy.plan.request import AskAdhoc, AskPreset

RULES = OssRules()


def compile_aliyun(text: str, context: Context) -> AskAdhoc | AskPreset:
    """Compile the value of `x-oss-process`."""
    return compile_process(text, context, RULES)


ALIYUN = Dialect(
    "aliyun",
    compile_aliyun,
    parameters=frozenset({"x-oss-process"}),
    claims=lambda text: text.startswith(("image/", "style/")),
    write=partial(write_process, rules=RULES),
)
