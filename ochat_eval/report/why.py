"""Why a score differs: the published rule against the robust one on the same answers, by cause.

Nothing is generated or judged anew: both rules' scores are read, and the benchmark names the cause
where they part (`Task.cause`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from ochat_eval.benchmark.task import Task
from ochat_eval.records import Item, Response, Rule, Score
from ochat_eval.report.summary import Judged
from ochat_eval.terminal.grid import grid
from ochat_eval.terminal.words import plain

OTHER_COUNT = "the rules count different numbers of verdicts"
"""The cause of what is left where one rule could not read a verdict that the other could."""
_SHOWN = 3


@dataclass
class _Cause:
    """What is known of one cause: answers by id, and each rule's sum of values."""

    answers: list[str] = field(default_factory=list)
    gained: int = 0
    lost: int = 0
    sums: defaultdict[Rule, float] = field(default_factory=lambda: defaultdict(float))


class Differences:
    """Looks at a task's items as they pass by on their way to the summary."""

    def __init__(self, task: Task):
        self._task = task
        self._causes: defaultdict[str, _Cause] = defaultdict(_Cause)
        self._answers = 0
        self._read_otherwise = 0
        self._uneven = False  # verdicts of one turn of which one rule read more than the other

    def watch(self, judged: Iterable[Judged]) -> Iterator[Judged]:
        """Yields what it is given."""
        for one, scores in judged:
            texts = {(r.sample, r.turn): r for r in one.responses}
            if len(scores) == 2 and scores[0].turn == scores[1].turn:
                self._answers += 1
                if scores[0].value != scores[1].value or scores[0].answer != scores[1].answer:
                    self._see(one.item, texts, scores)
            else:
                self._see_several(one.item, texts, scores)
            yield one, scores

    def _see_several(
        self, item: Item, texts: Mapping[tuple[int, int], Response], scores: Sequence[Score]
    ) -> None:
        """The turns of an item, each with its samples."""
        self._answers += len({(s.sample, s.turn) for s in scores})
        for turn in sorted({s.turn for s in scores}):
            self._see(item, texts, [s for s in scores if s.turn == turn])

    def _see(
        self, item: Item, texts: Mapping[tuple[int, int], Response], scores: Sequence[Score]
    ) -> None:
        """One turn's scores; its samples share the weight of one value."""
        read = Counter(s.rule for s in scores if s.value is not None)
        self._uneven |= read["published"] != read["robust"]
        pairs: defaultdict[int, dict[Rule, Score]] = defaultdict(dict)
        for score in scores:
            pairs[score.sample][score.rule] = score
        for sample, pair in pairs.items():
            published, robust = pair.get("published"), pair.get("robust")
            response = texts.get((sample, scores[0].turn))
            if published is None or robust is None or response is None:
                continue
            self._read_otherwise += published.answer != robust.answer
            if published.value == robust.value:
                continue
            cause = self._causes[self._task.cause(item, response.text, published, robust)]
            where = item.id + f" sample {sample}" * (len(pairs) > 1)
            cause.answers.append(where + f" turn {response.turn}" * (len(item.turns) > 1))
            low, high = published.value or 0.0, robust.value or 0.0
            cause.gained += high > low
            cause.lost += high < low
            for score in (published, robust):
                if score.value is not None:
                    cause.sums[score.rule] += score.value / read[score.rule]

    def result(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        """The differences by cause, from the summary that the same items made.

        Returns:
            `published`, `robust` (scores), `difference` (robust less published, in the task's
            unit), `answers` (scored), `read_otherwise` (answers that the rules read otherwise,
            with whatever verdict), `causes`: each `cause`, `answers`, `gained` and `lost` by the
            robust rule, `points`, and `ids`; the points add up to the difference. `quirks`: what
            the published setting leaves out or changes before anything is asked. `rule`: the
            options by which the published rule was chosen.
        """
        published, robust = summary["published"], summary["robust"]
        found: dict[str, Any] = {
            "published": published["score"],
            "robust": robust["score"],
            "difference": None,
            "answers": self._answers,
            "read_otherwise": self._read_otherwise,
            "causes": [],
            "quirks": self._task.quirks(),
            "rule": summary["rule"],
        }
        if published["score"] is None or robust["score"] is None:
            return found
        found["difference"] = difference = robust["score"] - published["score"]
        scale = self._task.scale
        for name, cause in self._causes.items():
            points = scale * (
                cause.sums["robust"] / robust["n"] - cause.sums["published"] / published["n"]
            )
            found["causes"].append(_entry(name, cause, points))
        found["causes"].sort(key=lambda c: (-abs(c["points"]), c["cause"]))
        if self._uneven:
            rest = difference - sum(c["points"] for c in found["causes"])
            found["causes"].append(_entry(OTHER_COUNT, _Cause(), rest))
        return found


def _entry(name: str, cause: _Cause, points: float) -> dict[str, Any]:
    return {
        "cause": name,
        "answers": len(cause.answers),
        "gained": cause.gained,
        "lost": cause.lost,
        "points": points,
        "ids": cause.answers,
    }


def markdown(why: Mapping[str, Mapping[str, Any]]) -> str:
    """The differences of all tasks as Markdown; why.json lists every answer."""
    rows = []
    for name, task in why.items():
        for cause in task["causes"]:
            ids = ", ".join(islice(cause["ids"], _SHOWN)) + ", …" * (len(cause["ids"]) > _SHOWN)
            rows.append([
                name, cause["cause"], cause["answers"], cause["gained"], cause["lost"],
                f"{cause['points']:+.2f}", ids,
            ])  # fmt: skip
        if task["difference"] is not None:
            total = f"{task['published']:.2f} → {task['robust']:.2f}"
            rows.append([name, f"in all: {total}", "", "", "", f"{task['difference']:+.2f}", ""])
        rows += [
            [name, f"quirk: {quirk}", n, "", "", "", ""] for quirk, n in task["quirks"].items()
        ]
        rows += [
            [name, f"published rule: {option}={value}", "", "", "", "", ""]
            for option, value in task["rule"].items()
        ]
    headers = ["task", "cause", "answers", "gained", "lost", "points", "for example"]
    cells = [[plain(str(cell)).replace("|", "\\|") for cell in row] for row in rows]
    align = ("left", "left", "right", "right", "right", "right", "left")
    body = grid(cells, headers, "github", align=align)
    return (
        "# Why the robust score differs from the published one\n\n"
        "The same answers, read by both rules. Points: what the robust rule gains or loses by each "
        f"cause; they add up to the difference.\n\n{body}\n"
    )
