"""What the replicas of a run did over time, for the report's picture of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_LINES = 1000
"""Of all replicas together, events not counted."""


def over_time(path: Path) -> list[dict[str, Any]]:
    """The lines of `replicas.jsonl`, as `ochat_eval.engines.ray` describes them; none without it.

    Where the run went on, which begins again at 0 seconds, its lines follow those before. Of many
    lines each replica keeps only some, evenly, and all events.
    """
    if not path.exists():
        return []
    found = list(_following(_readable(path)))
    step = -(-len(found) // _LINES)
    seen: Counter[int] = Counter()
    kept = []
    for line in found:
        if "event" in line or seen[line["replica"]] % step == 0:
            kept.append(line)
        seen[line["replica"]] += "event" not in line
    return kept


def _readable(path: Path) -> Iterator[dict[str, Any]]:
    """The whole lines; one that a full disk or a kill cut is a picture's loss, not the run's."""
    with path.open("rb") as file:
        for text in file:
            try:
                line = json.loads(text)
                yield {**line, "seconds": float(line["seconds"]), "replica": int(line["replica"])}
            except (ValueError, TypeError, KeyError):
                continue


def _following(lines: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    before = last = 0.0
    for line in lines:
        if line["seconds"] < last:
            before += last
        last = line["seconds"]
        yield {**line, "seconds": round(before + last, 2)}
