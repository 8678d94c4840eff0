"""Imported once, by the fork server and by nothing else: what every render worker shares from birth.

It must never import libvips, whose threads do not survive a fork. A stop signal to the whole process group is for the
front to act on, so the fork server and its children ignore it: they die with the front. Credentials end here.
"""

from __future__ import annotations

import os
import signal

# Before numpy, which comes with simplejpeg: its threads would not survive a fork.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import simplejpeg  # noqa: F401 -- preloaded
from PIL import BmpImagePlugin, IcoImagePlugin, Image, ImageCms  # noqa: F401 -- preloaded

import proxy.imaging.serving  # noqa: F401 -- preloaded
from proxy.imaging.death import die_with_parent
from proxy.imaging.environment import forget_environment

Image.preinit()  # the formats that Pillow would look up when it first writes a JPEG
die_with_parent()
forget_environment()
signal.signal(signal.SIGTERM, signal.SIG_IGN)
