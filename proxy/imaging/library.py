"""Start libvips so that it may be fed hostile files, and say which version it is.

Rules:

1. `start` runs in every process that touches pixels, before the first picture.
2. Loaders and savers are allowed, never forbidden: the whole tree is blocked, then what we serve is opened again. The
   `uhdr` loader stays blocked, so a JPEG with a gain map goes through the plain JPEG loader (libvips 8.18.7 reads freed
   memory in the other one).
3. A loader is called by its name with the path we staged; libvips never guesses from bytes or from a file name.
4. Nothing of libvips' own error text reaches a client: it is process-wide, and may speak of an earlier picture.
"""

from __future__ import annotations

import logging
import os
import re
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Random-access loads above this many bytes would go through a temporary file; out of reach, so none is ever left
# behind. libvips reads it once, so it is set before the library is.
os.environ["VIPS_DISC_THRESHOLD"] = "1000000m"

import PIL
import pyvips

from proxy.errors import OriginalTooLarge, ProxyError
from proxy.imaging.foreign import HEIC_VERSION
from proxy.imaging.jpeg import VERSION as JPEG_VERSION
from proxy.imaging.jxl import JXL_VERSION
from proxy.imaging.pdf import PDF_VERSION
from proxy.imaging.svg import CLEANER_VERSION
from proxy.machine import vision_version

PIXELS_REVISION = 4
"""Raised by hand when our own code makes other bytes of the same plan, for a picture that looks the same: what is made
from then on has another entity tag, and what is stored stays good. For another picture: `plan.RENDER_REVISION`."""

LOADERS = ("Jpeg", "Png", "Nsgif", "Webp", "Heif", "Tiff")
SAVERS = ("Jpeg", "Png", "Cgif", "Webp", "Heif", "Tiff")


def start(*, svg: bool = False) -> None:
    """Set libvips up for one-shot work on untrusted files; `svg` opens the SVG loader as well."""
    if "VIPS_UNLIMITED" in os.environ:
        raise RuntimeError("VIPS_UNLIMITED is set: it removes the codecs' own guards, so no render worker starts")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core would hold the customer's picture
    # libvips' warnings speak of paths and come by the hundred from one damaged file; what fails says so by itself.
    logging.getLogger("pyvips").setLevel(logging.CRITICAL)
    pyvips.cache_set_max(0)
    pyvips.cache_set_max_mem(0)
    pyvips.cache_set_max_files(0)
    pyvips.concurrency_set(1)  # one slot is one core; more workers, not more threads
    pyvips.block_untrusted_set(True)  # noqa: FBT003 -- the library's signature
    allow("VipsForeignLoad", (*LOADERS, "Svg") if svg else LOADERS)
    allow("VipsForeignSave", SAVERS)


def allow(tree: str, names: tuple[str, ...]) -> None:
    """Block a whole tree of operations, then open the named branches of it."""
    pyvips.operation_block_set(tree, True)  # noqa: FBT003 -- the library's signature
    for name in names:
        pyvips.operation_block_set(f"{tree}{name}", False)  # noqa: FBT003


def versions() -> str:
    """What decides which pixels come out: the libraries, and our own code; part of every result's entity tag."""
    libvips = ".".join(str(pyvips.version(part)) for part in range(3))
    extras = {
        "simplejpeg": JPEG_VERSION,
        "heic": HEIC_VERSION,
        "jxl": JXL_VERSION,
        "lxml": CLEANER_VERSION,
        "pdfium": PDF_VERSION,
        "opencv": vision_version(),
    }
    said = "".join(f" {name}-{number}" for name, number in extras.items() if number)
    return f"pixels-{PIXELS_REVISION} libvips-{libvips} pillow-{PIL.__version__}{said}"


_OUT_OF_MEMORY = re.compile(
    r"out of memory|insufficient memory|memory alloc|cannot allocate|failed to allocate|not enough memory",
    re.IGNORECASE,
)
"""What libvips and the codecs say when they ask for more than the worker's limit."""


@contextmanager
def translated(failure: Callable[[str], ProxyError]) -> Iterator[None]:
    """Answer a library's failure with `failure`, which is given the library's text; only the log shows that text."""
    pyvips.vips_lib.vips_error_clear()  # what an earlier picture left behind
    try:
        yield
    except ProxyError:
        raise
    except MemoryError as error:
        raise OriginalTooLarge("the picture needs more memory than a render worker has") from error
    # Pillow's plugins let struct.error, SyntaxError, IndexError and more escape on damaged files, and pyvips lets
    # UnicodeDecodeError escape on text that is not UTF-8: on hostile input the only safe list is all of them.
    except Exception as error:
        text = f"{type(error).__name__}: {error}"[:2000]
        if _OUT_OF_MEMORY.search(text):
            raise OriginalTooLarge("the picture needs more memory than a render worker has") from error
        answer = failure(text)
        answer.add_note(text)  # a cause does not travel to the front, a note does
        raise answer from error
