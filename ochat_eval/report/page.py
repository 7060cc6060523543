"""report.html: one self-contained page a run; model text is escaped by the template."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from jinja2 import Environment, PackageLoader, select_autoescape

from ochat_eval.records import Score
from ochat_eval.report import table
from ochat_eval.task import Answered

_SHOWN = 200
"""Items with their texts on the page, per task; the files have all."""


def page(
    title: str,
    summary: Mapping[str, Any],
    manifest: Mapping[str, Any],
    answered: Mapping[str, Iterable[Answered]],
    scores: Callable[[str], Sequence[Score]],
) -> str:
    """The page's HTML.

    Args:
        title: the run's name.
        answered: per task, the items with their responses.
        scores: gives an item's scores.
    """
    environment = Environment(
        loader=PackageLoader("ochat_eval", "report"), autoescape=select_autoescape(["html"])
    )
    shown = {name: list(islice(items, _SHOWN)) for name, items in answered.items()}
    by_answer: dict[tuple[str, int], dict[str, Score]] = defaultdict(dict)
    for item in (one.item for every in shown.values() for one in every):
        for score in scores(item.id):
            by_answer[score.id, score.sample][score.rule] = score
    return environment.get_template("page.html").render(
        title=title,
        headers=table.HEADERS,
        rows=table.rows(summary),
        summary=summary,
        manifest=manifest,
        shown=shown,
        scores=by_answer,
    )
