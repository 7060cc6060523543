"""How often each rule misreads, by a person's marks: by stratum, and over all answers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ochat_eval import stats
from ochat_eval.records import RULES, Response
from ochat_eval.review.marks import Key, Mark, read_marks, reading_digest
from ochat_eval.review.strata import STRATA, Place, Read, readings
from ochat_eval.run import store


def measured(folder: Path) -> dict[str, dict[str, Any]]:
    """The error rates that a run's marks tell, by benchmark; nothing where there are no marks.

    A rate is of the readings that were marked `right` or `wrong`, with Wilson's interval; it is the
    rate in its stratum. Over all answers there is one only where every stratum that has answers
    has marks: the strata's rates weighted by their answers (`stats.stratified_wilson`).

    Returns:
        `<task>`: `strata` (name -> answers in it), `stale` (marks of readings that have changed
        since, which count for nothing), and for each rule `strata` (name -> `marked`, `wrong`,
        `unclear`, `rate`, `ci95`) and `rate`, `ci95` over all answers, None where not known. Rates
        are fractions; `marked` are those that `wrong` is of.

    Raises:
        UserError: a file of the run cannot be read.
    """
    marks: defaultdict[str, dict[Key, Mark]] = defaultdict(dict)
    for key, mark in read_marks(folder).items():
        marks[mark.id.partition("/")[0]][key] = mark
    return {task: _of_task(folder, task, marks[task]) for task in sorted(marks)}


def current(folder: Path, found: Mapping[Place, Read], marks: Mapping[Key, Mark]) -> set[Key]:
    """The keys of the marks that are of the readings as they are now.

    Args:
        found: the answers that are marked, by place.
    """
    fresh = set()
    for response in store.read_records(folder / store.RESPONSES, Response):
        if (read := found.get(response.key)) is not None:
            for rule, score in read.scores.items():
                key = (*response.key, rule)
                mark = marks.get(key)
                if mark is not None and mark.reading == reading_digest(response.text, score):
                    fresh.add(key)
    return fresh


def _of_task(folder: Path, task: str, marks: Mapping[Key, Mark]) -> dict[str, Any]:
    places = {key[:3] for key in marks}
    sizes: Counter[str] = Counter()
    found = {}
    for read in readings(folder, task):
        sizes[read.stratum] += 1
        if read.place in places:
            found[read.place] = read
    fresh = current(folder, found, marks)
    strata: dict[str, int] = {name: sizes[name] for name in STRATA if sizes[name]}
    made: dict[str, Any] = {"strata": strata, "stale": len(marks) - len(fresh)}
    for rule in RULES:
        counts: dict[str, Counter[str]] = {name: Counter() for name in strata}
        for key in fresh:
            if key[3] == rule:
                counts[found[key[:3]].stratum][marks[key].mark] += 1
        made[rule] = _of_rule(strata, counts)
    return made


def _of_rule(strata: Mapping[str, int], counts: Mapping[str, Counter[str]]) -> dict[str, Any]:
    parts, sampled = {}, []
    for name, answers in strata.items():
        wrong, marked = counts[name]["wrong"], counts[name]["wrong"] + counts[name]["right"]
        parts[name] = {
            "marked": marked,
            "wrong": wrong,
            "unclear": counts[name]["unclear"],
            "rate": wrong / marked if marked else None,
            "ci95": list(stats.wilson(wrong, marked)) if marked else None,
        }
        if marked:
            sampled.append((answers / sum(strata.values()), wrong, marked))
    rate, ci95 = None, None
    if sampled and len(sampled) == len(strata):
        rate, *ci95 = stats.stratified_wilson(sampled)
    return {"strata": parts, "rate": rate, "ci95": ci95}
