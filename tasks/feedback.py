"""How well a model judges: its ratings by the feedback evaluator against known scores.

Not published. The rows are the user's own, JSON lines of `instruction`, `response`, `reference`
(an answer worth 5), `criteria`, `descriptions` (five: what earns 1 to 5) and the known `score`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ochat_eval import stats
from ochat_eval.answers.feedback import SCORES, feedback_rating
from ochat_eval.benchmark.feedback import feedback_prompt
from ochat_eval.benchmark.task import Answered, ScoringOptions, Task, make_item
from ochat_eval.data.rows import Row, parse_jsonl, rows_digest
from ochat_eval.data.shipped import SampleSource
from ochat_eval.data.source import Source
from ochat_eval.records import Item, Reading, Rule, Score, UserError

_TEXTS = ("instruction", "response", "reference", "criteria")
_CORRELATIONS = ("pearson", "spearman", "kendall")


def mistakes(row: Row) -> Iterator[str]:
    """What is wrong with a row; each begins with the field's name."""
    for name in (*_TEXTS, "descriptions", "score"):
        if name not in row:
            yield f"{name} is missing"
    for name in (*_TEXTS, "subset"):
        value = row.get(name, "main")
        if not isinstance(value, str):
            yield f"{name} is no text but {value!r:.60}"
        elif not value.strip() and name != "response":  # a model may have said nothing
            yield f"{name} is empty"
    texts, score = row.get("descriptions", []), row.get("score", 1)
    if not isinstance(texts, list) or not all(isinstance(t, str) and t.strip() for t in texts):
        yield "descriptions is no list of texts"
    elif len(texts) != len(SCORES):
        yield f"descriptions has {len(texts)} texts, not one for each score from 1 to 5"
    if type(score) is not int or score not in SCORES:
        yield f"score is {score!r:.60}, not an integer from 1 to 5"


@dataclass(frozen=True)
class RatedRows(Source[list[Row]]):
    """The user's own rows, a JSON lines file; they are not pinned."""

    kind = "local"
    path: str

    def load(self) -> list[Row]:
        """The rows, checked; UserError names the line and the field of the first mistake."""
        try:
            content = Path(self.path).expanduser().read_bytes()
            content.decode()
            rows = parse_jsonl(content)
            rows_digest(rows)  # refuses what UTF-8 cannot say
        except (OSError, ValueError) as error:
            raise UserError(f"{self.path}: cannot be read as JSON lines: {error}") from error
        numbers = [n for n, line in enumerate(content.split(b"\n"), start=1) if line.strip()]
        checked = zip(numbers, (next(mistakes(row), None) for row in rows), strict=True)
        found = [(number, what) for number, what in checked if what]
        if found:
            more = f" ({len(found) - 1:,} more lines have mistakes)" if len(found) > 1 else ""
            raise UserError(f"{self.path} line {found[0][0]}: {found[0][1]}{more}")
        if not rows:
            raise UserError(f"{self.path}: there are no rows in it")
        return rows

    def describe(self) -> dict[str, Any]:
        """As `Source.describe`, and the digest of the rows as they are now."""
        return {**super().describe(), "digest": rows_digest(self.load())}


@dataclass(frozen=True, kw_only=True)
class Feedback(Task):
    """Attributes: file: the user's rows; a row may name its `subset` beside what it must have."""

    metric: ClassVar[str] = "exact agreement"
    sample: ClassVar[SampleSource] = SampleSource("feedback")

    file: str | None = None
    condition: str | None = "GPT4 Correct"

    def sources(self) -> tuple[Source[Any], ...]:
        if self.data == "sample":
            return (self.sample,)
        if self.file is None:
            option = f"tasks.{self.name}.file"
            raise UserError(
                f"{option} is not set: {self.name} measures a judge on rated responses of your "
                f"own. Name them with {option}=ROWS.jsonl (docs/judges.md), or take data=sample"
            )
        return (RatedRows(self.file),)

    def expected_items(self) -> int | None:
        return None

    def items(self) -> Iterator[Item]:
        [source] = self.sources()
        for index, row in enumerate(source.load()):
            asked = feedback_prompt(**{name: row[name] for name in (*_TEXTS, "descriptions")})
            labels, known = [str(score) for score in SCORES], str(row["score"])
            yield make_item(self, row.get("subset", "main"), index, asked, known, labels)

    def read(self, item: Item, text: str, rule: Rule) -> Reading:
        return feedback_rating(text, rule)

    def right(self, item: Item, answer: str, rule: Rule) -> bool:
        return answer in item.target

    def score(self, answered: Iterable[Answered], options: ScoringOptions) -> Iterator[Score]:
        """1 where the rating is the known score; no value where there is no rating."""
        for one in super().score(answered, options):
            yield one if one.matched else dataclasses.replace(one, value=None)

    def figures(
        self, items: Sequence[Item], scores: Mapping[str, Sequence[Score]], rule: Rule
    ) -> dict[str, Any]:
        """The correlations of the known scores with the mean ratings, and the unparsed rate."""
        known, rated, unparsed = [], [], []
        for item in items:
            ratings = [float(s.answer) for s in scores[item.id] if s.answer is not None]
            unparsed.append(1 - len(ratings) / len(scores[item.id]))
            if ratings:
                known.append(float(item.target[0]))
                rated.append(stats.mean(ratings))
        figures = {name: _correlation(name, known, rated) for name in _CORRELATIONS}
        rate = stats.estimate(unparsed)
        figures["unparsed"] = {"score": rate.score, "n": rate.n, "ci95": [rate.lo, rate.hi]}
        return figures


def _correlation(name: str, known: Sequence[float], rated: Sequence[float]) -> dict[str, Any]:
    try:
        found = getattr(stats, name)(known, rated)
    except ValueError as error:  # too few ratings, or all the same
        return {"score": None, "n": len(known), "ci95": None, "reason": str(error)}
    return {"score": found.value, "n": found.n, "ci95": [found.lo, found.hi]}
