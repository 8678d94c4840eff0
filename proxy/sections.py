"""What the settings come to for each part: the section that it is given, and what is missing for it."""

from __future__ import annotations

from pathlib import Path

from proxy.config import Settings, SettingsProblems
from proxy.delivery.admission import Gate
from proxy.fleet.connect import EXTRA, has_client
from proxy.imaging.extras import missing_extra
from proxy.imaging.fences import Fences
from proxy.imaging.job import RenderLimits
from proxy.plan.animation import OverBudget
from proxy.plan.output import Format, Target
from proxy.setting_values import MIB, words_of


def auto_candidates(settings: Settings) -> tuple[Target, ...]:
    """What `format = "auto"` chooses from, the preferred one first."""
    return tuple(Target(name) for name in words_of(settings.auto_formats))


def check_extras(settings: Settings) -> None:
    """Raise SettingsProblems where a setting asks for what is not installed."""
    wanted = {
        f"IMGBANG_AUTO_FORMATS={settings.auto_formats}": Format.JXL
        if "jxl" in words_of(settings.auto_formats)
        else None,
        "IMGBANG_SVG=true": Format.SVG if settings.svg else None,
        "IMGBANG_PDF=true": Format.PDF if settings.pdf else None,
    }
    missing = {setting: missing_extra(known) for setting, known in wanted.items() if known is not None}
    missing["IMGBANG_REDIS"] = EXTRA if settings.redis is not None and not has_client() else None
    if problems := tuple(f"{setting}: needs the extra imgbang[{extra}]" for setting, extra in missing.items() if extra):
        raise SettingsProblems(problems)


def render_limits(settings: Settings) -> RenderLimits:
    """What render workers refuse."""
    return RenderLimits(
        max_pixels=settings.max_source_pixels,
        max_frames=settings.max_frames,
        max_result_side=settings.max_result_side,
        max_result_pixels=settings.max_result_pixels,
        svg=settings.svg,
        exif_gps=settings.exif_gps,
        max_svg_bytes=settings.max_svg_bytes,
        pdf=settings.pdf,
        over_budget=OverBudget(settings.over_budget),
        animation_seconds=settings.animation_seconds,
        cpu_seconds=settings.render_cpu,
    )


def worker_fences(settings: Settings, directory: Path) -> Fences:
    """How render workers are fenced in; `directory` is where they find originals and leave results."""
    return Fences(
        memory_bytes=settings.worker_memory or settings.memory_budget + 256 * MIB,
        cpu_seconds=settings.render_cpu,
        file_bytes=settings.staging_bytes,
        directory=str(directory),
        confined=settings.sandbox,
    )


def gates(settings: Settings) -> dict[str, Gate]:
    """The limits of what is done at the same time, by name."""
    wait = settings.queue_wait
    return {
        "fetch": Gate("fetch", slots=settings.fetch_slots, queue=settings.fetch_queue, longest_wait=wait),
        "stream": Gate("stream", slots=settings.stream_slots, queue=settings.fetch_queue, longest_wait=wait),
        "render": Gate("render", slots=settings.render_workers, queue=settings.render_queue, longest_wait=wait),
        "memory": Gate("decode", slots=settings.memory_budget, queue=settings.render_workers, longest_wait=wait),
    }
