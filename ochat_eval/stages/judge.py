"""Judging: a second generate, in which a judge model is asked about the answers of the first."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator

from ochat_eval.engines.judge import Judge
from ochat_eval.records import Request, Response, Sampling, UserError, Verdict
from ochat_eval.run import store
from ochat_eval.run.index import Index
from ochat_eval.run.journal import Journal, recovered
from ochat_eval.stages.generate import drive, record_failures
from ochat_eval.stages.plan import Plan
from ochat_eval.stages.progress import Meter
from ochat_eval.terminal.say import say
from ochat_eval.terminal.words import counted


def judge_answers(judge: Judge, planned: Plan, responses: Index[Response]) -> bool:
    """Asks the judge about every response that it has not yet judged.

    Its prompts go into judge_items.jsonl, its verdicts into judgments.jsonl, each on disk the
    moment it exists. A verdict is never asked for twice, however it reads.

    Returns:
        False where there were answers to judge and there is not one verdict.

    Raises:
        UserError: the run has another judge's verdicts, or the judge cannot be reached.
    """
    if not any(task.judged for task in planned.tasks.values()):
        say("judge: none of the chosen benchmarks is rated by a judge; nothing to do")
        return True
    known = recovered(planned.run.file(store.JUDGMENTS), Verdict)
    wanted = _write_prompts(judge, planned, responses)
    kept = _drop_stale(judge, planned, responses, known)
    if kept < wanted:
        _ask(judge, planned, responses, wanted - kept)
    return _sum_up(judge, planned, wanted) > 0 or not wanted


def _requests(judge: Judge, planned: Plan, responses: Index[Response]) -> Iterator[Request]:
    """What the judge is asked about the responses at hand."""
    sampling = Sampling(judge.temperature, 1.0, judge.max_tokens)
    for name, task in planned.tasks.items():
        for one in planned.answered(name, responses) if task.judged else ():
            for response in one.responses:
                request = task.judge_request(one, response, judge.style)
                if request is not None:
                    yield dataclasses.replace(request, sampling=sampling)


def _write_prompts(judge: Judge, planned: Plan, responses: Index[Response]) -> int:
    """Writes judge_items.jsonl; returns how many there are."""
    count = 0

    def lines() -> Iterator[dict[str, object]]:
        nonlocal count
        for request in _requests(judge, planned, responses):
            count += 1
            yield {
                "id": request.id,
                "sample": request.sample,
                "turn": request.turn,
                "messages": [dataclasses.asdict(m) for m in request.messages],
                "prompt": request.digest,
            }

    store.write_lines(planned.run.file(store.JUDGE_ITEMS), lines())
    return count


def _drop_stale(
    judge: Judge, planned: Plan, responses: Index[Response], known: Index[Verdict]
) -> int:
    """Keeps the verdicts on the answers as they are now; returns how many these are."""
    fitting: list[Verdict] = []
    for request in _requests(judge, planned, responses) if known else ():
        for verdict in known.of(request.id):
            if verdict.judge != judge.served_name or verdict.style != judge.style:
                raise UserError(
                    f"{known.path} has verdicts of {verdict.judge} ({verdict.style}), not of "
                    f"{judge.served_name} ({judge.style}); move it away to judge again"
                )
            same = (verdict.sample, verdict.turn) == (request.sample, request.turn)
            if same and verdict.prompt == request.digest:
                fitting.append(verdict)
    if stale := len(known) - len(fitting):
        say(f"{counted(stale, 'verdict')} on other answers than the present ones: asked anew")
        store.write_records(known.path, fitting)
    return len(fitting)


class _Waiting:
    """The requests that have no verdict yet."""

    def __init__(self, requests: Iterable[Request]):
        self._requests = iter(requests)
        self.prompts: dict[tuple[str, int, int], str] = {}

    def next(self) -> Request | None:
        request = next(self._requests, None)
        if request is not None:
            self.prompts[request.key] = request.digest
        return request

    def answered(self, response: Response) -> None:
        del self.prompts[response.key]


class _VerdictJournal(Journal):
    """Takes a judge's responses and writes them as verdicts."""

    judge: Judge
    waiting: _Waiting

    def append(self, responses: Iterable[Response]) -> None:
        name, style = self.judge.served_name, self.judge.style
        super().append(
            Verdict(
                **{f.name: getattr(r, f.name) for f in dataclasses.fields(Response)},
                judge=name,
                style=style,
                prompt=self.waiting.prompts[r.key],
            )
            for r in responses
        )


def _ask(judge: Judge, planned: Plan, responses: Index[Response], missing: int) -> None:
    known = Index(planned.run.file(store.JUDGMENTS), Verdict)

    def unanswered() -> Iterator[Request]:
        for request in _requests(judge, planned, responses):
            if request.key not in {v.key for v in known.of(request.id)}:
                yield request

    left = Counter(request.id.partition("/")[0] for request in unanswered())
    say(f"judge {judge.served_name}: {counted(missing, 'verdict')} to ask for")
    journal = _VerdictJournal(planned.run.file(store.JUDGMENTS))
    journal.judge, journal.waiting = judge, _Waiting(unanswered())
    try:
        session = judge.start(judge.work())
        try:
            with planned.manifest.timing("judge"):
                failures = drive(session, journal.waiting, journal, Meter("judge", left))
        finally:
            planned.manifest.learn("judge", session.learnt())
            session.close()
    finally:
        journal.close()
    record_failures(planned.run.file(store.JUDGE_FAILURES), failures, "judge")


def _sum_up(judge: Judge, planned: Plan, wanted: int) -> int:
    """Tokens and cost of all verdicts, into the manifest and for the user; their number."""
    count = prompt = completion = 0
    for verdict in store.read_records(planned.run.file(store.JUDGMENTS), Verdict):
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
        },
    )
    price = "" if cost is None else f", ${cost:,.2f}"
    say(
        f"judge {judge.served_name}: {count:,} of {counted(wanted, 'verdict')}, "
        f"{counted(prompt, 'token')} in, "
        f"{completion:,} out{price}"
    )
    return count
