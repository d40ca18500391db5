"""Which part of a chart's steps is in view: arithmetic of zooming and panning."""

from __future__ import annotations

from .scale import Range

_NARROWEST = 2.0  # steps; and this part of the largest step, which a float can still divide
_FINEST = 1e-9
_ALL = 0.99


def zoomed(view: Range, whole: Range, centre: float, factor: float) -> Range | None:
    """``view`` made ``factor`` times as wide around ``centre``, which keeps its place on screen;
    never beyond ``whole``. None where everything is in view again."""
    lo, hi = view
    narrowest = max(_NARROWEST, max(abs(whole[0]), abs(whole[1])) * _FINEST)
    span = max((hi - lo) * factor, narrowest)
    if span >= (whole[1] - whole[0]) * _ALL:
        return None
    centre = min(max(centre, lo), hi)
    share = (centre - lo) / (hi - lo) if hi > lo else 0.5
    return within(centre - span * share, span, whole)


def panned(view: Range, whole: Range, parts: float) -> Range:
    """``view`` moved by ``parts`` of its width, within ``whole``."""
    span = view[1] - view[0]
    return within(view[0] + span * parts, span, whole)


def containing(view: Range, whole: Range, step: float) -> Range:
    """``view``, moved so that ``step`` is in its middle if it was outside."""
    if view[0] <= step <= view[1]:
        return view
    span = view[1] - view[0]
    return within(step - span / 2, span, whole)


def within(start: float, span: float, whole: Range) -> Range:
    """A view of width ``span`` from ``start``, moved into ``whole``."""
    start = max(min(start, whole[1] - span), whole[0])
    return start, start + span
