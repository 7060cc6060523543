"""Answers that judge models rate, or compare with those of another run.

A verdict belongs to what was asked: one on another answer, of another reference or another rubric
is no verdict. Where several judges have been asked, an answer has a score when each has given its
verdict, and its value is their mean.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ochat_eval import stats
from ochat_eval.answers.winner import winner
from ochat_eval.benchmark.task import Answered, ScoringOptions, Task
from ochat_eval.records import (
    RULES,
    Item,
    Message,
    Reading,
    Request,
    Response,
    Rule,
    Sampling,
    Score,
    UserError,
    Verdict,
)

PAIRWISE = "pairwise"
"""The style of verdicts that compare two answers."""
_OUTCOMES = {"A": 1.0, "B": 0.0, "C": 0.5}
_WORDS = {1.0: "win", 0.5: "tie", 0.0: "loss"}

Read = tuple[Reading, float | None, dict[str, Any]]
"""What one judge says of an answer: its reading, its value, and what there is to say of it."""


@dataclass(frozen=True, kw_only=True)
class Judged(Task):
    """Attributes:
    against: a run of the same questions; a judge then says which answer is better, in both
        orders, in place of rating one. The score is the rate of wins, a tie being half of one.
    """

    metric: ClassVar[str] = "rating"
    scale: ClassVar[float] = 1.0
    judged: ClassVar[bool] = True
    paths: ClassVar[frozenset[str]] = frozenset({"against"})
    before: ClassVar[Mapping[str, Any]] = {**Task.before, "against": None}

    against: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.against is not None:
            self._differs(metric="win rate", bounds=(0.0, 1.0), scale=100.0)

    def _differs(self, **values: Any) -> None:
        """Sets for this instance what its class says of all, where it hangs on an option."""
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def compared_with(self) -> str | None:
        """The run that is named."""
        return self.against

    def judge_style(self, style: str) -> str:
        """`pairwise` for a comparison, whatever the judge's style of rating."""
        return style if self.against is None else PAIRWISE

    def judge_request(self, one: Answered, response: Response, style: str) -> Request | None:
        """As `Task.judge_request`, with the messages of `rating_messages`."""
        texts = _texts(one.responses, response)
        if texts is None:
            return None
        return Request(
            *response.key, self.rating_messages(one.item, texts, style), None, Sampling()
        )

    def pair_request(
        self, one: Answered, response: Response, other: Sequence[Response], swapped: bool
    ) -> Request | None:
        """As `Task.pair_request`, with the messages of `pair_messages`: the same sample of both."""
        ours, theirs = _texts(one.responses, response), _texts(other, response)
        if ours is None or theirs is None:
            return None
        pair = (theirs, ours) if swapped else (ours, theirs)
        return Request(*response.key, self.pair_messages(one.item, *pair), None, Sampling())

    def rating_messages(
        self, item: Item, answers: Sequence[str], style: str
    ) -> tuple[Message, ...]:
        """What a judge is asked that rates the last of the answers.

        Raises:
            UserError: the benchmark does not know the style.
        """
        raise NotImplementedError

    def pair_messages(
        self, item: Item, first: Sequence[str], second: Sequence[str]
    ) -> tuple[Message, ...]:
        """What a judge is asked that compares two conversations, `A` and `B`, at their ends."""
        raise NotImplementedError

    def rating(self, text: str, rule: Rule, style: str) -> tuple[Reading, float | None]:
        """The rating that a verdict gives; None where it gives none."""
        raise NotImplementedError

    def score(self, answered: Iterable[Answered], options: ScoringOptions) -> Iterator[Score]:
        """Both rules' readings of the verdicts; what has not every verdict has no score."""
        for one in answered:
            verdicts = list(options.verdicts(one.item.id))
            other = options.against(one.item) if self.against is not None and verdicts else ()
            for response in self.scored(one.item, one.responses):
                ours = [v for v in verdicts if v.key == response.key]
                fitting = list(self._fitting(ours, one, response, other))
                for rule in RULES:
                    yield from self._judged(response, rule, fitting, options.judges)

    def _fitting(
        self,
        verdicts: Iterable[Verdict],
        one: Answered,
        response: Response,
        other: Sequence[Response],
    ) -> Iterator[Verdict]:
        """The verdicts on the answer as it is now."""
        for verdict in verdicts:
            pair = verdict.style == PAIRWISE
            if pair != (self.against is not None):
                continue
            if pair:
                request = self.pair_request(one, response, other, verdict.swapped)
            else:
                request = self.judge_request(one, response, verdict.style)
            if request is not None and request.digest == verdict.prompt:
                yield verdict

    def _judged(
        self, response: Response, rule: Rule, verdicts: Sequence[Verdict], judges: Sequence[str]
    ) -> Iterator[Score]:
        by_judge: dict[str, list[Verdict]] = defaultdict(list)
        for verdict in verdicts:
            by_judge[verdict.judge].append(verdict)
        read = self._pair if self.against is not None else self._rating
        panel = sorted({*judges, *by_judge})
        found = {judge: read(by_judge[judge], rule) for judge in panel}
        whole = {judge: one for judge, one in found.items() if one is not None}
        if not whole or len(whole) < len(panel):
            return
        readings = [reading for reading, _, _ in whole.values()]
        values = [value for _, value, _ in whole.values() if value is not None]
        value = stats.mean(values) if len(values) == len(whole) else None
        [(first, _, detail), *more] = whole.values()
        answer = first.answer
        detail = {"judge": ", ".join(whole), "style": verdicts[0].style, **detail}
        if more:
            answer = None if value is None else f"{value:g}"
            detail = {"judge": detail["judge"], "style": detail["style"]}
            detail["judges"] = {judge: one[1] for judge, one in whole.items()}
            if self.against is not None:
                detail["turned"] = {judge: one[2]["turned"] for judge, one in whole.items()}
        matched = all(reading.matched for reading in readings)
        name, sample, turn = response.key
        yield Score(name, sample, rule, answer, matched, value, detail, turn)

    def _rating(self, verdicts: Sequence[Verdict], rule: Rule) -> Read | None:
        if not verdicts:
            return None
        verdict, *more = verdicts
        if more:
            raise UserError(f"there are two verdicts of {verdict.judge} on {verdict.id!r}")
        reading, value = self.rating(verdict.text, rule, verdict.style)
        detail: dict[str, Any] = {"verdict_span": list(reading.span)} if reading.span else {}
        if verdict.finish_reason == "length":
            detail["reason"] = "the verdict was cut off"
        return reading, value, detail

    def _pair(self, verdicts: Sequence[Verdict], rule: Rule) -> Read | None:
        """Both orders together: only a verdict that stays the same counts as one (FastChat)."""
        if len(verdicts) < 2:
            return None
        said = {}
        for verdict in verdicts:
            label = winner(verdict.text, rule).answer
            value = None if label is None else _OUTCOMES[label]
            said[verdict.swapped] = 1 - value if value is not None and verdict.swapped else value
        first, swapped = said[False], said[True]
        if first is None or swapped is None:
            return Reading(None, matched=False), None, {"turned": None}
        value = first if first == swapped else 0.5
        orders = {"first": _WORDS[first], "swapped": _WORDS[swapped]}
        detail = {"turned": first != swapped, "orders": orders}
        return Reading(_WORDS[value], matched=True), value, detail

    def range_of(self, style: str) -> tuple[float, float]:
        """The worst and the best value that a verdict of this style can give."""
        del style
        return self.bounds

    def figures(
        self, items: Sequence[Item], scores: Mapping[str, Sequence[Score]], rule: Rule
    ) -> dict[str, Any]:
        """Who judged; the share of unread verdicts and what it can matter; of a comparison the
        share that turned with the order; of several judges each one's score, and their agreement.
        """
        del rule
        every = [(item, score) for item in items for score in scores[item.id]]
        details = [score.detail or {} for _, score in every]
        judges = sorted({f"{d['judge']} ({d['style']})" for d in details})
        worst, best = self.range_of(details[0]["style"])
        unread = sum(score.value is None for _, score in every)
        found: dict[str, Any] = {"unparsed": unread / len(every)}
        if unread:
            for name, value in (("if_worst", worst), ("if_best", best)):
                values = (value if s.value is None else s.value for _, s in every)
                found[name] = self.figure(every, values)
        note = f"judge: {', '.join(judges)}"
        if self.against is None:
            note += f", {worst:g} to {best:g}"
        else:
            note = f"wins against {self.against}, {note}"
            turned = [t for detail in details for t in _turned(detail)]
            found["turned"] = stats.mean(turned) if turned else None
            if turned:
                note += f", {stats.mean(turned):.1%} of the verdicts turned with the order"
        panel = [d["judges"] for d in details if "judges" in d]
        if panel:
            level: stats.Level = "interval" if self.against is None else "nominal"
            alpha = stats.krippendorff_alpha([list(one.values()) for one in panel], level)
            found["agreement"] = {"alpha": alpha, "level": level, "answers": len(panel)}
            if alpha is not None:
                note += f", agreement (Krippendorff's alpha) {alpha:.2f}"
            for judge in panel[0]:
                found[judge] = self.figure(every, (one[judge] for one in panel))
        return {"note": note, **found}

    def figure(
        self, pairs: Iterable[tuple[Item, Score]], values: Iterable[float | None]
    ) -> dict[str, Any]:
        """The mean of values of scores, with the task's clusters and strata; samples of an answer
        count as one. A value of None counts for nothing."""
        by_turn: defaultdict[tuple[Item, int], list[float]] = defaultdict(list)
        for (item, score), value in zip(pairs, values, strict=True):
            if value is not None:
                by_turn[item, score.turn].append(value)
        if not by_turn:
            return {"score": None, "n": 0, "stderr": None, "ci95": [None, None]}
        found = stats.estimate(
            [stats.mean(every) for every in by_turn.values()],
            clusters=[self.cluster(item) for item, _ in by_turn],
            strata=[self.stratum(item) for item, _ in by_turn],
            bounds=self.bounds,
            scale=self.scale,
        )
        return found.figures()


def _turned(detail: Mapping[str, Any]) -> list[bool]:
    """Of each judge whether its verdict turned with the order, where both could be read."""
    found = detail["turned"]
    every = found.values() if isinstance(found, Mapping) else [found]
    return [one for one in every if one is not None]


def _texts(responses: Iterable[Response], last: Response) -> list[str] | None:
    """A sample's answers up to one of them; None where one is missing."""
    texts = {r.turn: r.text for r in responses if r.sample == last.sample}
    answers = [texts[turn] for turn in range(last.turn + 1) if turn in texts]
    return answers if len(answers) > last.turn else None


def conversation(turns: Sequence[str], answers: Sequence[str]) -> str:
    """What the last of the answers was an answer to: the question, or the talk up to it."""
    text = turns[0]
    for question, answer in zip(turns[1:], answers[:-1], strict=False):
        text += f"\n\n[the response was]\n{answer}\n\n[and then was asked]\n{question}"
    return text
