"""Every vendor: what stands before its commands in a URL, and what draws them."""

from __future__ import annotations

from tests.dialects.restated import CORNERS, Draw
from tests.dialects.restated_mogr import cut, qiniu, qiniu_crop, tencent, tencent_crop
from tests.dialects.restated_paths import template, upyun, upyun_crop
from tests.dialects.restated_stores import aliyun_crop, oss, oss_crop, slices

DRAWS: dict[str, tuple[str, Draw]] = {
    "qiniu": ("?", qiniu),
    "tencent": ("?", tencent),
    "aliyun": ("?x-oss-process=", lambda random, size: oss("aliyun", random, size)),
    "huawei": ("?x-image-process=", lambda random, size: oss("huawei", random, size)),
    "volcengine": ("?x-tos-process=", lambda random, size: oss("volcengine", random, size)),
    "veimagex": ("", template),
    "upyun": ("", upyun),
}
"""What stands before a command in the URL, and what draws it."""
CUTS: dict[str, tuple[str, Draw]] = {
    "qiniu": ("?imageMogr2/", qiniu_crop),
    "tencent": ("?imageMogr2/", lambda random, size: random.choice((cut, tencent_crop))(random, size)),
    "aliyun": ("?x-oss-process=image/", lambda random, size: random.choice((slices, aliyun_crop))(random, size)),
    "huawei": ("?x-image-process=image/", lambda random, size: oss_crop(CORNERS, random, size)),
    "upyun": ("!/", lambda random, size: upyun_crop("crop", random, size)),
}
"""The same for commands that cut a box out."""
