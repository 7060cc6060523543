"""Judging: a second generate, in which a judge model is asked about the answers of the first."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from ochat_eval.engines.judge import Judge
from ochat_eval.records import Item, Request, Response, Sampling, UserError, Verdict
from ochat_eval.run import store
from ochat_eval.run.index import Index
from ochat_eval.run.journal import Journal, recovered
from ochat_eval.stages.generate import drive, failures_in, say_failures
from ochat_eval.stages.plan import Plan
from ochat_eval.stages.progress import Meter
from ochat_eval.terminal.say import say
from ochat_eval.terminal.words import counted

Against = Callable[[Item], Sequence[Response]]
"""Gives the responses to an item that a judge compares with (`Baselines.of`)."""
_Key = tuple[str, int, int, str, bool]


@dataclass(frozen=True)
class _Asked:
    """What a judge is asked about one response.

    Attributes:
        style: how.
        swapped: of a comparison, whether the other answer stands first.
    """

    request: Request
    style: str
    swapped: bool = False

    @property
    def key(self) -> _Key:
        return (*self.request.key, self.style, self.swapped)


def judge_answers(
    judge: Judge, planned: Plan, responses: Index[Response], against: Against
) -> bool:
    """Asks the judge about every response that it has not yet judged.

    Its prompts go into judge_items.jsonl, its verdicts into judgments.jsonl, each on disk the
    moment it exists. A verdict is never asked for twice, however it reads.

    Returns:
        False where there were answers to judge and there is not one verdict.

    Raises:
        UserError: the run has another judge's verdicts and this one is not to stand beside it, or
            the judge cannot be reached.
    """
    if not any(task.judged for task in planned.tasks.values()):
        say("judge: none of the chosen benchmarks is rated by a judge; nothing to do")
        return True

    def wanted() -> Iterator[_Asked]:
        return _questions(judge, planned, responses, against)

    known = recovered(planned.run.file(store.JUDGMENTS), Verdict)
    count = _write_prompts(planned, wanted())
    kept = _drop_stale(judge, wanted(), known)
    if kept < count:
        _ask(judge, planned, wanted)
    return _sum_up(judge, planned, count) > 0 or not count


def _questions(
    judge: Judge, planned: Plan, responses: Index[Response], against: Against
) -> Iterator[_Asked]:
    """What the judge is asked about the responses at hand."""
    sampling = Sampling(judge.temperature, 1.0, judge.max_tokens)
    for name, task in planned.tasks.items():
        style = task.judge_style(judge.style)
        for one in planned.answered(name, responses) if task.judged else ():
            other = against(one.item) if task.compared_with() is not None else None
            for response in task.scored(one.item, one.responses):
                for swapped in (False,) if other is None else (False, True):
                    if other is None:
                        request = task.judge_request(one, response, style)
                    else:
                        request = task.pair_request(one, response, other, swapped)
                    if request is not None:
                        asked = dataclasses.replace(request, sampling=sampling)
                        yield _Asked(asked, style, swapped)


def _write_prompts(planned: Plan, wanted: Iterable[_Asked]) -> int:
    """Writes judge_items.jsonl; returns how many there are."""
    count = 0

    def lines() -> Iterator[dict[str, object]]:
        nonlocal count
        for one in wanted:
            count += 1
            yield {
                "id": one.request.id,
                "sample": one.request.sample,
                "turn": one.request.turn,
                "messages": [dataclasses.asdict(m) for m in one.request.messages],
                "prompt": one.request.digest,
                **({"swapped": True} if one.swapped else {}),
            }

    store.write_lines(planned.run.file(store.JUDGE_ITEMS), lines())
    return count


def _drop_stale(judge: Judge, wanted: Iterable[_Asked], known: Index[Verdict]) -> int:
    """Keeps the verdicts on the answers as they are now; returns how many are this judge's."""
    fitting: list[Verdict] = []
    for one in wanted if known else ():
        for verdict in known.of(one.request.id):
            if (*verdict.key, verdict.style, verdict.swapped) == one.key:
                _refuse_mixture(judge, verdict, one.style, known)
                if verdict.prompt == one.request.digest:
                    fitting.append(verdict)
            elif verdict.style != one.style:
                _refuse_mixture(judge, verdict, one.style, known)
    if stale := len(known) - len(fitting):
        say(f"{counted(stale, 'verdict')} on other answers than the present ones: asked anew")
        store.write_records(known.path, fitting)
    return sum(verdict.judge == judge.served_name for verdict in fitting)


def _refuse_mixture(judge: Judge, verdict: Verdict, style: str, known: Index[Verdict]) -> None:
    if verdict.judge == judge.served_name and verdict.style == style:
        return
    beside = ""
    if verdict.style == style:
        if judge.beside:
            return
        beside = ", or say judge.beside=true to have both and their agreement"
    raise UserError(
        f"{known.path} has verdicts of {verdict.judge} ({verdict.style}), not of "
        f"{judge.served_name} ({style}); move it away to judge again{beside}"
    )


class _Waiting:
    """The questions that have no verdict yet, those in one order."""

    def __init__(self, questions: Iterable[_Asked]):
        self._questions = iter(questions)
        self.open: dict[tuple[str, int, int], _Asked] = {}

    def next(self) -> Request | None:
        one = next(self._questions, None)
        if one is None:
            return None
        self.open[one.request.key] = one
        return one.request

    def answered(self, response: Response) -> None:
        del self.open[response.key]


class _VerdictJournal(Journal):
    """Takes a judge's responses and writes them as verdicts."""

    judge: Judge
    waiting: _Waiting

    def append(self, responses: Iterable[Response]) -> None:
        super().append(self._verdict(r, self.waiting.open[r.key]) for r in responses)

    def _verdict(self, response: Response, asked: _Asked) -> Verdict:
        return Verdict(
            **{f.name: getattr(response, f.name) for f in dataclasses.fields(Response)},
            judge=self.judge.served_name,
            style=asked.style,
            prompt=asked.request.digest,
            swapped=asked.swapped,
        )


def _ask(judge: Judge, planned: Plan, wanted: Callable[[], Iterable[_Asked]]) -> None:
    """Asks what has no verdict of this judge; the orders of comparisons one after the other."""
    known = Index(planned.run.file(store.JUDGMENTS), Verdict)

    def unanswered() -> Iterator[_Asked]:
        for one in wanted():
            ours = (v for v in known.of(one.request.id) if v.judge == judge.served_name)
            if one.key not in {(*v.key, v.style, v.swapped) for v in ours}:
                yield one

    left: defaultdict[bool, Counter[str]] = defaultdict(Counter)
    for one in unanswered():
        left[one.swapped][one.request.id.partition("/")[0]] += 1
    missing = sum(counts.total() for counts in left.values())
    say(f"judge {judge.served_name}: {counted(missing, 'verdict')} to ask for")
    journal = _VerdictJournal(planned.run.file(store.JUDGMENTS))
    journal.judge, failures = judge, []
    failed = failures_in(planned.run.file(store.JUDGE_FAILURES))
    try:
        session = judge.start(judge.work())
        try:
            with planned.manifest.timing("judge"):
                for swapped, counts in sorted(left.items()):
                    those = (one for one in unanswered() if one.swapped is swapped)
                    journal.waiting = _Waiting(those)
                    meter = Meter("judge", counts)
                    failures += drive(session, journal.waiting, journal, meter, failed)
        finally:
            planned.manifest.learn("judge", session.learnt())
            session.close()
    finally:
        journal.close()
    say_failures(planned.run.file(store.JUDGE_FAILURES), failures, "judge")


def _sum_up(judge: Judge, planned: Plan, wanted: int) -> int:
    """Tokens and cost of the judge's verdicts, into the manifest and for the user; their number."""
    count = prompt = completion = 0
    others: set[str] = set()
    for verdict in store.read_records(planned.run.file(store.JUDGMENTS), Verdict):
        if verdict.judge != judge.served_name:
            others.add(verdict.judge)
            continue
        count += 1
        prompt += verdict.prompt_tokens or 0
        completion += verdict.completion_tokens or 0
    cost = None
    if judge.prompt_price is not None and judge.completion_price is not None:
        cost = (prompt * judge.prompt_price + completion * judge.completion_price) / 1e6
    planned.manifest.set(
        "judging",
        {
            "judge": judge.served_name,
            "style": judge.style,
            "temperature": judge.temperature,
            "max_tokens": judge.max_tokens,
            **judge.asked_otherwise(),
            "verdicts": count,
            "of": wanted,
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "cost_usd": cost,
            **({"beside": sorted(others)} if others else {}),
        },
    )
    price = "" if cost is None else f", ${cost:,.2f}"
    say(
        f"judge {judge.served_name}: {count:,} of {counted(wanted, 'verdict')}, "
        f"{counted(prompt, 'token')} in, "
        f"{completion:,} out{price}"
    )
    return count
