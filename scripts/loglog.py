"""A picture of one measure against another in log-log axes, as SVG of our own for documents."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

#: Okabe and Ito's colours, told apart by colour-blind readers too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 400, 70, 190, 20, 50
Points = Sequence[tuple[float, float]]


def loglog_svg(series: Mapping[str, Points], *, x: str, y: str) -> str:
    """Lines with marks, a series each, labelled at its last point. Values are above zero; x, y: titles."""
    columns = [[math.log10(point[axis]) for points in series.values() for point in points] for axis in (0, 1)]
    (x_low, x_high), (y_low, y_high) = [(math.floor(min(each)), math.ceil(max(each))) for each in columns]

    def place(point: tuple[float, float]) -> tuple[float, float]:
        across = (math.log10(point[0]) - x_low) / max(x_high - x_low, 1)
        up = (math.log10(point[1]) - y_low) / max(y_high - y_low, 1)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif"'
        f' font-size="12" role="img" aria-label="{escape(y)} against {escape(x)}">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
    ]
    for power in range(x_low, x_high + 1):
        at, _ = place((10.0**power, 10.0**y_low))
        parts.append(_line(at, TOP, at, HEIGHT - BOTTOM) + _text(at, HEIGHT - BOTTOM + 18, power))
    for power in range(y_low, y_high + 1):
        _, at = place((10.0**x_low, 10.0**power))
        parts.append(_line(LEFT, at, WIDTH - RIGHT, at) + _text(LEFT - 22, at + 4, power))
    for (name, points), colour in zip(series.items(), COLOURS, strict=False):
        placed = [place(point) for point in sorted(points)]
        path = " ".join(f"{across:.1f},{up:.1f}" for across, up in placed)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="4" fill="{colour}"/>' for a, b in placed]
        across, up = placed[-1]
        parts.append(f'<text x="{across + 8:.1f}" y="{up + 4:.1f}" fill="{colour}">{escape(name)}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        f'<text x="{middle}" y="{HEIGHT - 10}" text-anchor="middle" fill="#333333">{escape(x)}</text>'
    )
    turned = f'transform="rotate(-90 16 {HEIGHT / 2})"'
    parts.append(
        f'<text x="16" y="{HEIGHT / 2}" text-anchor="middle" fill="#333333" {turned}>{escape(y)}</text>'
    )
    return "\n".join([*parts, "</svg>", ""])


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#dddddd"/>'


def _text(x: float, y: float, power: int) -> str:
    raised = f'<tspan dy="-5" font-size="9">{power}</tspan>'
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" fill="#333333">10{raised}</text>'
