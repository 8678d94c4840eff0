"""`STEPS` lists one step for every operation of the plan; a test holds the two lists against each other."""

from __future__ import annotations

from collections.abc import Mapping

from proxy.imaging import cropping, frames, gradient, hiding, marks, reshaping, steps, tones
from proxy.imaging.steps import Step
from proxy.plan import operations as plan
from proxy.plan.operations import Operation

STEPS: Mapping[type[Operation], Step] = {
    **steps.STEPS,
    plan.Scale: reshaping.scale,
    plan.Area: reshaping.scale,
    plan.Reframe: reshaping.reframe,
    plan.Slice: reshaping.cut_slice,
    plan.Circle: reshaping.circle,
    plan.RoundCorners: reshaping.round_corners,
    plan.Border: reshaping.border,
    plan.Brightness: tones.brightness,
    plan.Contrast: tones.contrast,
    plan.Watermark: marks.draw_image,
    plan.Text: marks.draw_text,
    plan.MarkRow: marks.draw_row,
    plan.CutTo: reshaping.cut_to,
    plan.FirstFrames: frames.first_frames,
    plan.Animate: frames.animate,
    plan.Gradient: gradient.gradient,
    plan.Crop: cropping.crop,
    plan.Trim: cropping.trim,
    plan.Backdrop: reshaping.backdrop,
    plan.Saturation: tones.saturation,
    plan.Hue: tones.hue,
    plan.Gamma: tones.gamma,
    plan.Normalise: tones.normalise,
    plan.Invert: tones.invert,
    plan.Sepia: tones.sepia,
    plan.Tint: tones.tint,
    plan.Duotone: tones.duotone,
    plan.Pixelate: hiding.pixelate,
    plan.Redact: hiding.redact,
}
