"""results/series/NAME.html: one self-contained page of a series."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ochat_eval.report.measures import marks_of
from ochat_eval.report.page.frame import assets, page_file, write_data
from ochat_eval.series.curve import Curve, Point
from ochat_eval.series.table import RATES, below, mean_tokens

_STYLES = ("tokens.css", "page.css", "phone.css", "print.css", "curve.css")
_SCRIPTS = ("basics.js", "pictures.js", "curve.js")


def write_series_page(
    path: Path,
    name: str,
    series: Sequence[Point],
    found: Sequence[Curve],
    left: Mapping[str, str],
) -> None:
    """Writes the page.

    Args:
        name: the series' name, for its heading.
        left: checkpoints that have no figures, and why.

    Raises:
        UserError: it cannot be written.
    """
    ours = "ochat_eval.series"
    style = assets(*_STYLES) + assets("series.css", package=ours)
    script = assets(*_SCRIPTS) + assets("series.js", package=ours)
    html = assets("series.html", package=ours)
    with page_file(path, html, style, script) as file:
        write_data(file, "series", _data(name, series, found, left))


def _data(
    name: str, series: Sequence[Point], found: Sequence[Curve], left: Mapping[str, str]
) -> dict[str, Any]:
    """All that the page shows.

    Returns:
        `points`: the checkpoints by step; `curves`: as `Curve`, without items; `rates`: by
        benchmark, how answers ended and the mean length, a list over the checkpoints each;
        `items`: by benchmark, ids and by checkpoint their values; `marked`: by benchmark, of which
        checkpoints the figure is not the benchmark's own.
    """
    names = [curve.task for curve in found if curve.task]
    return {
        "name": name,
        "unit": series[0].checkpoint.unit,
        "points": [
            {"label": p.checkpoint.label, "step": p.checkpoint.step, "run": p.folder.name}
            for p in series
        ],
        "curves": [
            {k: v for k, v in dataclasses.asdict(curve).items() if k not in ("items", "values")}
            for curve in found
        ],
        "rates": {task: _rates(task, series) for task in names},
        "items": {c.task: {"ids": c.items, "values": c.values} for c in found if c.items},
        "marked": {task: [_is_marked(point, task) for point in series] for task in names},
        "left": [f"{label} is not here: {why}" for label, why in left.items()],
        "notes": below(series, found, {}),
    }


def _is_marked(point: Point, name: str) -> bool:
    task = point.summary["tasks"].get(name)
    return task is not None and bool(marks_of(task))


def _rates(name: str, series: Sequence[Point]) -> dict[str, list[float | None]]:
    tasks = [point.summary["tasks"].get(name) for point in series]
    rates = {
        rate: [None if task is None else task["published"][rate] for task in tasks]
        for rate in RATES
    }
    return {**rates, "tokens": [None if task is None else mean_tokens(task) for task in tasks]}
