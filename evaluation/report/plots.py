"""Charts as inline SVG that takes its colours from the page, for light and dark themes."""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from evaluation.rates import Rate

SERIES = ("#3f7fd6", "#d9782b", "#2f9b72", "#9a6bd0", "#c9588f", "#8a8f98", "#b0902a", "#3aa3b8")
"""Line colours that are legible on white and on black."""
LEGEND_LETTERS = 56
"""Letters of a legend that stand side by side."""
LINE_LETTERS = 6
"""Letters that the line before a name and the gaps take."""
MOST_LETTERS = 48
"""Letters of the labels below an axis that stand side by side."""
_INK, _GRID = "#010203", "#040506"  # `svg` replaces them by the colours of the page
_STYLE: dict[Any, Any] = {
    **{
        "svg.fonttype": "none",
        "text.parse_math": False,
        "font.family": "sans-serif",
        "font.size": 10,
    },
    **{"text.color": _INK, "axes.labelcolor": _INK, "axes.titlecolor": _INK},
    **{"xtick.color": _INK, "ytick.color": _INK, "axes.edgecolor": _GRID, "grid.color": _GRID},
    **{"axes.spines.top": False, "axes.spines.right": False, "axes.grid": True},
    **{"axes.grid.axis": "y", "axes.axisbelow": True, "legend.frameon": False},
}


class Point(NamedTuple):
    """A value of a named curve."""

    step: float
    name: str
    value: float


class Chart(NamedTuple):
    """Curves over training steps; a `share` is drawn from 0 to 100 %."""

    title: str
    points: Sequence[Point | Mapping[str, Any]]
    """Points, or mappings with `step`, `name` and `value`."""
    share: bool = False


def history_points(
    log_history: Sequence[Mapping[str, Any]], key: str, name: str | None = None
) -> list[Point]:
    """The curve of a key in the `log_history` of a Trainer's `trainer_state.json`."""
    return [Point(entry["step"], name or key, entry[key]) for entry in log_history if key in entry]


def curves_svg(chart: Chart) -> str:
    """One line per name, in the order of their first points."""
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": chart.title}):
        figure = Figure((5.2, 3.0), layout="constrained")
        if _draw_curves(figure.subplots(), chart) > 1:
            _draw_legend(figure)
        return svg(figure)


def save_curves(charts: Sequence[Chart], file: Path) -> None:
    """Write charts as one image, two in a row, in the format of the file's suffix."""
    if not charts:
        return
    plain = {name: value for name, value in _STYLE.items() if value not in (_INK, _GRID)}
    with matplotlib.rc_context({**plain, "grid.color": "#dddddd", "axes.edgecolor": "#999999"}):
        columns = min(2, len(charts))
        rows = -(-len(charts) // columns)
        figure = Figure((5.2 * columns, 3.0 * rows), layout="constrained")
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, chart in zip(panels, charts, strict=False):
            if _draw_curves(axes, chart) > 1:
                axes.legend(fontsize=8)
        for axes in panels[len(charts) :]:
            axes.set_axis_off()
        figure.savefig(file, dpi=144)


def _draw_curves(axes: Axes, chart: Chart) -> int:
    """Draw the lines of a chart; returns how many there are."""
    lines: dict[str, list[Point]] = {}
    for each in chart.points:
        point = Point(**each) if isinstance(each, Mapping) else each
        lines.setdefault(point.name, []).append(point)
    for index, (name, points) in enumerate(lines.items()):
        points.sort(key=lambda point: point.step)
        steps, values = [p.step for p in points], [p.value for p in points]
        marker = "o" if len(points) < 40 else ""
        color = SERIES[index % len(SERIES)]
        axes.plot(steps, values, color=color, marker=marker, markersize=3.5, label=name)
    axes.set(title=chart.title, xlabel="step")
    if chart.share:
        _share_axis(axes)
    return len(lines)


def levels_svg(
    rates: Mapping[str, Mapping[str, Rate]],
    title: str,
    places: Sequence[str],
    names: Sequence[str] = (),
    unit: str = "level",
) -> str:
    """Rates by level, or another `unit`, with intervals as error bars; one line per name.

    `places` are the levels from left to right. The index in `names` gives the colour, so that a
    name has the same one in every chart of a page.
    """
    names = list(names or rates)
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": title}):
        figure = Figure((5.2, 3.0), layout="constrained")
        axes = figure.subplots()
        for name, found in rates.items():
            index = names.index(name)
            # Side by side, because error bars of equal rates would cover each other.
            beside = 0.07 * (index - (len(names) - 1) / 2)
            values = [rate.value for rate in found.values()]
            below = [rate.value - rate.low for rate in found.values()]
            above = [rate.high - rate.value for rate in found.values()]
            axes.errorbar(
                [places.index(place) + beside for place in found], values, (below, above),
                marker="o", markersize=4, capsize=3, color=SERIES[index % len(SERIES)], label=name,
            )  # fmt: skip
        axes.set(title=title, xlabel=unit)
        every = -(-sum(len(place) + 1 for place in places) // MOST_LETTERS)
        axes.set_xticks(range(0, len(places), every), places[::every])
        axes.margins(x=0.12)
        _share_axis(axes)
        if len(names) > 1:
            _draw_legend(figure)
        return svg(figure)


def _draw_legend(figure: Figure) -> None:
    """A legend below the axes, in as many columns as fit; the figure grows by its rows.

    Long names are wrapped. The page may draw wider letters than ours, so some room is left.
    """
    drawn, names = figure.axes[0].get_legend_handles_labels()
    names = [textwrap.fill(name, LEGEND_LETTERS - LINE_LETTERS) for name in names]
    letters = max(len(line) for name in names for line in name.splitlines()) + LINE_LETTERS
    columns = max(1, min(len(names), 4, LEGEND_LETTERS // letters))
    figure.legend(drawn, names, loc="outside lower center", ncols=columns, fontsize=9)
    per_column = -(-len(names) // columns)
    lines = sum(sorted((1 + name.count("\n") for name in names), reverse=True)[:per_column])
    figure.set_figheight(figure.get_figheight() + 0.19 * (lines - 1))


def _share_axis(axes: Axes) -> None:
    axes.set_ylim(-0.02, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1))


def svg(figure: Figure) -> str:
    """The figure as an `<svg>` element for an HTML page, without external references."""
    file = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(file, format="svg", transparent=True, metadata=nothing)
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r'\s(xmlns(:\w+)?|version)="[^"]*"', "", text)
    head, body = text.split(">", 1)  # the page sets the size
    text = re.sub(r'\s(width|height)="[^"]*"', "", head) + ' class="plot">' + body
    return text.replace(_INK, "var(--ink)").replace(_GRID, "var(--line)")
