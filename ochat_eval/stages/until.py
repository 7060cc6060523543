"""until=decided: a benchmark is asked no further as soon as the gate against another run can tell.

Items go out in blocks (`benchmark.blocks`), a block of each benchmark in turn. Each finished block
is scored and looked at in a thread, while the engine goes on with the next ones. What a look says
hangs on the answers in the journal only: a run that was killed decides the same when it goes on.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Pipe
from queue import SimpleQueue

from ochat_eval.baseline.gate import ONCE, TaskGate
from ochat_eval.baseline.looks import Looks, decides, look_at, looks_of
from ochat_eval.baseline.policy import Policy
from ochat_eval.baseline.results import Outcome, RunResults, TaskResults
from ochat_eval.baseline.runs import outcome, prompt_digest, read
from ochat_eval.baseline.same_work import unlike_questions
from ochat_eval.baseline.sequential import where
from ochat_eval.benchmark.task import Answered, ScoringOptions, Task
from ochat_eval.config.job import Gated, Job
from ochat_eval.records import Item, Response, Score, UserError
from ochat_eval.run import store
from ochat_eval.run.index import Index
from ochat_eval.run.sequential import Looked, Sequential
from ochat_eval.sandbox.workers import STOP, Stopped
from ochat_eval.stages.plan import Plan
from ochat_eval.terminal.say import say


@dataclass
class _Followed:
    """A benchmark that is looked at.

    Attributes:
        home: of each item the block, from 0, and where it stands in items.jsonl.
        turns: of each item, how many.
        lacking: of each block the items that are not yet answered.
        waiting: by item, the responses that are not yet scored.
        outcomes: of the items that were scored.
        rows: the looks' verdicts.
    """

    task: Task
    looks: Looks
    home: dict[str, tuple[int, store.Span]]
    turns: dict[str, int]
    lacking: list[int]
    waiting: dict[str, list[Response]] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    rows: list[TaskGate] = field(default_factory=list)


class Watch:
    """Follows a run's answers, and says which benchmarks are decided."""

    def __init__(self, gated: Gated, job: Job, planned: Plan):
        """Raises UserError where the run cannot be gated against the other: before it costs."""
        self._planned, self._gated = planned, gated
        self._options = ScoringOptions(job.sandbox, job.workers)
        self._policy = Policy(mode=gated.mode, margin=gated.margin)
        self._recorded = read(gated.against, job.results, recorded=True)
        if self._recorded.runs < 2 and gated.margin is None:
            raise UserError(f"against={gated.against}: {ONCE.replace('--margin', 'margin=')}")
        self._decided: set[str] = set()
        self._followed: dict[str, _Followed] = {}
        for name, task in planned.tasks.items():
            if task.judged:
                say(f"{name} is asked whole: it is rated by a judge, after all answers")
            elif name not in self._recorded.tasks:
                say(f"{name} is asked whole: {gated.against} does not have it")
            else:
                self._followed[name] = self._follow(name, job.seed)
        if not self._followed:
            raise UserError(
                f"until=decided: {gated.against} has none of the benchmarks that can be looked at"
            )
        self._answers: SimpleQueue[Response | None] = SimpleQueue()
        self._stop = threading.Event()
        self._wake, self._woken = Pipe()  # interrupts the waiting for workers
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _follow(self, name: str, seed: int) -> _Followed:
        planned = self._planned
        task = planned.tasks[name]
        path, there = planned.run.file(store.ITEMS), self._recorded.tasks[name]
        prompts, spans, turns = {}, {}, {}
        for span, item in store.placed_records(path, Item, planned.spans[name]):
            prompts[item.id], spans[item.id] = prompt_digest(item), span
            turns[item.id] = len(item.turns)
        options = task.all_options()
        if why := next(unlike_questions(prompts, options, there), ""):
            raise UserError(f"until=decided: {name}: {why}; compare with what asked the same")
        looks = looks_of(task, planned.items(name), seed)
        home = {id_: (k, spans[id_]) for k, block in enumerate(looks.blocks) for id_ in block}
        return _Followed(task, looks, home, turns, [len(block) for block in looks.blocks])

    def withdrawn(self, task: str) -> bool:
        """Whether a benchmark is asked no further."""
        return task in self._decided

    def items(self) -> Iterator[Item]:
        """The items in the order in which they are asked: a block of each benchmark in turn, then
        the benchmarks that nothing looks at."""
        path = self._planned.run.file(store.ITEMS)
        for number in range(max(len(one.looks.blocks) for one in self._followed.values())):
            for one in self._followed.values():
                for block in one.looks.blocks[number : number + 1]:
                    for id_ in block:
                        yield from store.read_records(path, Item, one.home[id_][1])
        for name in self._planned.tasks:
            if name not in self._followed:
                yield from self._planned.items(name)

    def resume(self, responses: Callable[[str], Sequence[Response]]) -> None:
        """Looks at what is there already, then starts to follow what comes."""
        for one in self._followed.values():
            for id_ in one.home:
                for response in responses(id_):
                    self._take(response)
        self._thread.start()

    def note(self, response: Response) -> None:
        """Takes note of an answer; raises what went wrong in a look."""
        if self._error is not None:
            raise self._error
        self._answers.put(response)

    def close(self, *, wait: bool) -> None:
        """Ends the following; with `wait` after the looks at all that was answered.

        Raises:
            UserError: of a look, with `wait`.
        """
        if self._thread.ident is not None:
            if not wait:
                self._stop.set()
                self._wake.close()
            self._answers.put(None)
            self._thread.join()
        self._wake.close()
        self._woken.close()
        if wait and self._error is not None:
            raise self._error

    def _run(self) -> None:
        STOP.set(self._woken)
        try:
            while (response := self._answers.get()) is not None and not self._stop.is_set():
                self._take(response)
        except Stopped:
            pass
        except BaseException as e:  # raised again by `note` or `close`
            self._error = e

    def _take(self, response: Response) -> None:
        name = response.id.partition("/")[0]
        one = self._followed.get(name)
        if one is None or name in self._decided:
            return
        given = one.waiting.setdefault(response.id, [])
        given.append(response)
        block, _ = one.home[response.id]
        one.lacking[block] -= len(given) == one.task.n * one.turns[response.id]
        while len(one.rows) < len(one.lacking) and not one.lacking[len(one.rows)]:
            self._look(name, one)
            if name in self._decided:
                one.waiting.clear()
                return

    def _look(self, name: str, one: _Followed) -> None:
        """Scores the next block and looks at all that is scored."""
        path, number = self._planned.run.file(store.ITEMS), len(one.rows)
        answered = []
        for id_ in one.looks.blocks[number]:
            [item] = store.read_records(path, Item, one.home[id_][1])
            given = sorted(one.waiting.pop(id_), key=lambda r: (r.sample, r.turn))
            answered.append(Answered(item, tuple(given)))
        scores: dict[str, list[Score]] = {}
        for score in one.task.score(answered, self._options):
            scores.setdefault(score.id, []).append(score)
        for each in answered:
            every = sorted(scores.get(each.item.id, ()), key=lambda s: (s.sample, s.turn))
            one.outcomes[each.item.id] = outcome(one.task, each.item, each.responses, every)
        run = self._results(name, one)
        row = look_at(run, self._recorded, name, self._policy, one.looks, number)
        one.rows.append(row)
        if decides(row):
            self._decided.add(name)
            reason = f": {row.reason}" if row.reason else ""
            say(f"{where(name, one.rows, one.looks)}{reason}")

    def _results(self, name: str, one: _Followed) -> RunResults:
        planned, task = self._planned, one.task
        results = TaskResults(
            name=name,
            metric=task.metric,
            bounds=task.bounds,
            scale=task.scale,
            options=task.all_options(),
            asked=len(one.outcomes),
            of=planned.totals[name],
            outcomes=one.outcomes,
        )
        identity = planned.manifest.values["identity"]
        return RunResults(planned.run.path.name, planned.model, identity, {name: results})

    def found(self, responses: Index[Response] | None) -> Sequential:
        """What was planned and what the looks said; `responses`: when all is asked."""
        tasks = {}
        missing = self._planned.answers if responses is None else self._planned.missing(responses)
        for name, one in self._followed.items():
            ends = [len(one.looks.seen(k)) for k in range(len(one.looks.blocks))]
            looked = Looked(planned=one.looks.planned, looks=ends, look=len(one.rows))
            if one.rows:
                row = one.rows[-1]
                looked = dataclasses.replace(
                    looked, verdict=row.verdict, difference=row.difference, lo=row.lo, hi=row.hi,
                    margin=row.margin,
                    stopped=name in self._decided and missing[name] > 0,
                )  # fmt: skip
            tasks[name] = looked
        gated = self._gated
        return Sequential(against=gated.against, mode=gated.mode, margin=gated.margin, tasks=tasks)


def as_stopped(planned: Plan) -> Plan:
    """The plan with, of benchmarks that were stopped, the items that the deciding look saw."""
    found = planned.manifest.sequential()
    seen, counts, answers = {}, dict(planned.counts), dict(planned.answers)
    seed = planned.manifest.values["identity"].get("seed", 0)
    for name, task in planned.tasks.items():
        looked = found.stopped.get(name) if found else None
        if looked is None:
            continue
        seen[name] = frozenset(looks_of(task, planned.items(name), seed).seen(looked.look - 1))
        counts[name] = len(seen[name])
        items = (item for item in planned.items(name) if item.id in seen[name])
        answers[name] = sum(task.n * len(item.turns) for item in items)
    return dataclasses.replace(planned, seen=seen, counts=counts, answers=answers)


def stands(gated: Gated | None, planned: Plan) -> bool:
    """Whether a finished run was stopped nowhere, or as it would be now."""
    found = planned.manifest.sequential()
    if found is None or not found.stopped:
        return True
    return gated == Gated(found.against, found.mode, found.margin)
