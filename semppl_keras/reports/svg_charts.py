"""Curves as SVG, to stand in a page."""

import html
import math

import numpy as np

_WIDTH, _HEIGHT = 420, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 8, 30, 34
COLORS = (
    "#1f5fa8",
    "#d1621b",
    "#2a8a4a",
    "#8b3fa8",
    "#a8872c",
    "#c23b5a",
    "#3a9aa8",
)


def line_chart(series, title, bounds=None):
    """Curves over epochs.

    Args:
        series: Dict from names to lists with a value for each epoch; what is no number
            is left out.
        title: Text above.
        bounds: The lowest and highest value of the axis, or None for those that there
            are.

    Returns:
        HTML: the SVG and below it what each colour is.
    """
    values = [value for own in series.values() for value in own if _is_number(value)]
    low, high = bounds or (min(values, default=0), max(values, default=1))
    if high <= low:
        low, high = low - 0.5, low + 0.5
    ticks = _ticks(low, high)
    if bounds is None:
        low, high = min(low, ticks[0]), max(high, ticks[-1])
    epochs = max((len(own) for own in series.values()), default=1)

    def x(epoch):
        share = 0.5 if epochs == 1 else (epoch - 1) / (epochs - 1)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(value):
        share = (value - low) / (high - low)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)

    parts = [
        f'<text x="{_LEFT}" y="18" font-size="14" font-weight="600">'
        f"{html.escape(title)}</text>",
        f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 2}" text-anchor="end">epoch</text>',
    ]
    for tick in ticks:
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(tick):.1f}" '
            f'y2="{y(tick):.1f}" stroke="#d9dee5"/><text x="{_LEFT - 6}" '
            f'y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>'
        )
    for epoch in sorted({1, (1 + epochs) // 2, epochs}):
        parts.append(
            f'<text x="{x(epoch):.1f}" y="{_HEIGHT - _BOTTOM + 16}" '
            f'text-anchor="middle">{epoch}</text>'
        )
    for index, own in enumerate(series.values()):
        color = COLORS[index % len(COLORS)]
        points = [
            (x(epoch), y(min(max(value, low), high)))
            for epoch, value in enumerate(own, start=1)
            if _is_number(value)
        ]
        path = " ".join(f"{across:.1f},{down:.1f}" for across, down in points)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{color}" '
            'stroke-width="2" stroke-linejoin="round"/>'
        )
        if len(points) < 10:
            parts += [
                f'<circle cx="{across:.1f}" cy="{down:.1f}" r="3" fill="{color}"/>'
                for across, down in points
            ]
    key = "".join(
        f'<span class="key"><i style="background:{COLORS[index % len(COLORS)]}"></i>'
        f"{html.escape(name.replace('_', ' '))}</span>"
        for index, name in enumerate(series)
    )
    return (
        f'<div class="chart"><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{html.escape(title, quote=True)}" font-size="12" '
        f'fill="#1c2430">{"".join(parts)}</svg><div>{key}</div></div>'
    )


def _is_number(value):
    return value is not None and math.isfinite(value)


def _ticks(low, high):
    """Round values between the two, some four to six of them."""
    step = 10 ** math.floor(math.log10((high - low) / 4))
    for factor in (1, 2, 5, 10):
        if (high - low) / (factor * step) <= 6:
            step *= factor
            break
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [float(f"{step * number:.10g}") for number in np.arange(first, last + 1)]
