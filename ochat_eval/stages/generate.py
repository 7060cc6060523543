"""Stage generate: the queue of requests, the session that answers them, and the journal."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from ochat_eval.config.job import Job
from ochat_eval.engines.engine import Failure, Session, Work
from ochat_eval.model.chat.conversation import before_first
from ochat_eval.records import Item, Message, Request, Response, UserError
from ochat_eval.run import store
from ochat_eval.run.index import Index
from ochat_eval.run.journal import Journal, recovered
from ochat_eval.run.reuse import Signature
from ochat_eval.run.sequential import Sequential
from ochat_eval.stages.estimate import answer_tokens, earlier_runs
from ochat_eval.stages.plan import Plan
from ochat_eval.stages.progress import Meter
from ochat_eval.stages.until import Watch
from ochat_eval.terminal.say import say
from ochat_eval.terminal.words import counted

Done = Callable[[str], Sequence[Response]]


class Queue:
    """The requests still to be made: follow-up turns first, then the plan's, in its order."""

    def __init__(
        self,
        planned: Plan,
        seed: int,
        done: Done,
        *,
        shuffle: int | None = None,
        system: str | None = None,
        signature: Signature,
        watch: Watch | None = None,
    ):
        """`done` gives an item's recorded responses; `shuffle` seeds another order; `system` stands
        in front of every conversation; `signature` makes the digests of requests; `watch`
        withdraws what is decided.

        Attributes:
            digests: of the requests in flight, by their key.
        """
        self.digests: dict[tuple[str, int, int], str] = {}
        self._signature = signature
        self._system = system
        self._watch = watch
        self._seed = seed
        self._tasks = planned.tasks
        self._follow_ups: deque[Request] = deque()
        if watch is not None:
            items = watch.items()
        else:
            items = planned.as_asked() if shuffle is None else planned.shuffled(shuffle)
        self._fresh = self._from_plan(items, done)
        self._open: dict[tuple[str, int], tuple[Item, tuple[Message, ...]]] = {}

    def _from_plan(self, items: Iterable[Item], done: Done) -> Iterator[Request]:
        for item in items:
            if self._withdrawn(item.task):
                continue
            texts = {(r.sample, r.turn): r.text for r in done(item.id)}
            for sample in range(self._tasks[item.task].n):
                messages = before_first(item, self._system)
                for turn, content in enumerate(item.turns):
                    messages = (*messages, Message("user", content))
                    if (sample, turn) not in texts:
                        yield self._request(item, sample, turn, messages)
                        break
                    messages = (*messages, Message("assistant", texts[sample, turn]))

    def _request(
        self, item: Item, sample: int, turn: int, messages: tuple[Message, ...]
    ) -> Request:
        sampling = self._tasks[item.task].sampling(item)
        if sampling.temperature > 0:
            # From the request's own name, so that a resumed run draws what it would have drawn.
            name = f"{self._seed}/{item.id}/{sample}/{turn}".encode()
            seed = int.from_bytes(hashlib.sha256(name).digest()[:4]) >> 1
            sampling = dataclasses.replace(sampling, seed=seed)
        if turn + 1 < len(item.turns):
            self._open[item.id, sample] = (item, messages)
        return Request(item.id, sample, turn, messages, item.condition, sampling)

    def next(self) -> Request | None:
        """The next request; None when there is none now (an answer may bring another)."""
        one = self._follow_ups.popleft() if self._follow_ups else next(self._fresh, None)
        if one is not None:
            self.digests[one.key] = self._signature.of(one)
        return one

    def _withdrawn(self, task: str) -> bool:
        return self._watch is not None and self._watch.withdrawn(task)

    def answered(self, response: Response) -> None:
        """Queues the item's next turn, asked with the model's own answer."""
        self.digests.pop(response.key, None)
        if self._watch is not None:
            self._watch.note(response)
        if (waiting := self._open.pop((response.id, response.sample), None)) is None:
            return
        item, messages = waiting
        if self._withdrawn(item.task):
            return
        turn = response.turn + 1
        messages = (*messages, Message("assistant", response.text))
        messages = (*messages, Message("user", item.turns[turn]))
        self._follow_ups.append(self._request(item, response.sample, turn, messages))


class SignedJournal(Journal):
    """The journal of responses, each with the digest of its request."""

    def __init__(self, path: Path, queue: Queue):
        super().__init__(path)
        self._queue = queue

    def append(self, responses: Iterable[Response]) -> None:
        """As `Journal.append`."""
        digests = self._queue.digests
        super().append(dataclasses.replace(r, request=digests[r.key]) for r in responses)


def generate(job: Job, planned: Plan) -> None:
    """Asks what has no response yet; each response is on disk the moment it exists.

    With `until`, of a benchmark that is decided nothing more is asked.
    """
    known = recorded(planned)
    left = planned.missing(known)
    if job.until is None:
        _generate(job, planned, known, left, None)
        _write_looks(planned, None)
        return
    watch = Watch(job.until, job, planned)
    ended = False
    try:
        watch.resume(known.of)
        _write_looks(planned, watch.found(None))
        left = {name: n for name, n in left.items() if not watch.withdrawn(name)}
        _generate(job, planned, known, left, watch)
        ended = True
    finally:
        watch.close(wait=ended)
    with contextlib.closing(Index(planned.run.file(store.RESPONSES), Response)) as responses:
        _write_looks(planned, watch.found(responses))


def _write_looks(planned: Plan, found: Sequential | None) -> None:
    """What the looks say, in the manifest; None: all was asked, and none stopped anything."""
    before = planned.manifest.sequential()
    if found is None and before is not None and before.stopped:
        tasks = {n: dataclasses.replace(one, stopped=False) for n, one in before.tasks.items()}
        found = dataclasses.replace(before, tasks=tasks)
    if found is not None:
        planned.manifest.set("sequential", dataclasses.asdict(found))


def _generate(
    job: Job,
    planned: Plan,
    known: Index[Response],
    left: Mapping[str, int],
    watch: Watch | None,
) -> None:
    """Asks what is `left` by benchmark; less where `watch` withdraws some."""
    failed = failures_in(planned.run.file(store.FAILURES))
    if not any(left.values()):
        say(f"all {len(known):,} responses are there; nothing to generate")
        return
    if known:
        say(f"going on: {len(known):,} of {counted(planned.requests, 'response')} are there")
    expected = functools.partial(expected_tokens, job)
    with planned.manifest.timing("start"):
        session = start(job, [planned])
    queue = queue_of(job, planned, known.of if known else nothing, watch)
    journal = SignedJournal(planned.run.file(store.RESPONSES), queue)
    try:
        with planned.manifest.timing("generate", session.gpus):
            failures = drive(session, queue, journal, Meter("generate", left, expected), failed)
    finally:
        planned.manifest.learn("engine", session.learnt())
        journal.close()
        session.close()
    conclude(planned, failures)


def conclude(planned: Plan, failures: Sequence[Failure]) -> None:
    """Says what failed.

    Raises:
        UserError: nothing was answered.
    """
    say_failures(planned.run.file(store.FAILURES), failures, "engine")
    if failures and not planned.run.file(store.RESPONSES).stat().st_size:
        raise UserError(f"nothing was answered, so there is nothing to score: {failures[0].reason}")


def start(job: Job, plans: Sequence[Plan]) -> Session:
    """Starts the job's engine for plans of the same prompts.

    Raises:
        UserError: as `Engine.start`.
    """

    def note(line: Mapping[str, Any]) -> None:
        for planned in plans:
            store.append_line(planned.run.file(store.REPLICAS), line)

    work = Work(
        model=job.model,
        items=plans[0].items,
        seed=job.seed,
        truncate_overlong=job.truncate_overlong,
        say=say,
        note=note,
    )
    return job.engine.start(work)


def queue_of(job: Job, planned: Plan, done: Done, watch: Watch | None = None) -> Queue:
    """The queue of a plan's requests; arguments as `Queue`'s."""
    return Queue(
        planned,
        job.seed,
        done,
        shuffle=job.shuffle,
        system=job.model.system,
        signature=Signature(planned.manifest.values["identity"]),
        watch=watch,
    )


def recorded(planned: Plan) -> Index[Response]:
    """The responses at hand, each to something that this run asks."""
    path = planned.run.file(store.RESPONSES)
    known = recovered(path, Response)
    expected = 0
    for item in planned.items() if known else ():
        for one in known.of(item.id):
            if one.sample >= planned.tasks[item.task].n or one.turn >= len(item.turns):
                raise UserError(
                    f"{path} has sample {one.sample}, turn {one.turn} of {item.id!r}, which this "
                    "run does not ask"
                )
            expected += 1
    if expected < len(known):
        stranger = known.unknown(item.id for item in planned.items())[0]
        raise UserError(f"{path} answers {stranger!r}, which this run does not ask")
    return known


def expected_tokens(job: Job) -> dict[str, float]:
    """By benchmark, how long its answers were in an earlier run, in tokens."""
    earlier = earlier_runs(job.results)
    found = {
        name: answer_tokens(name, 1, task.max_tokens, job.model.name, earlier).tokens
        for name, task in job.tasks.items()
    }
    return {name: tokens for name, tokens in found.items() if tokens is not None}


def nothing(item_id: str) -> Sequence[Response]:
    """Of any item, that it has no response yet."""
    return ()


class Requests(Protocol):
    """Where `drive` gets its requests from."""

    def next(self) -> Request | None:
        """The next request; None when there is none now (an answer may bring another)."""

    def answered(self, response: Response) -> None:
        """Takes note of an answer."""


class Answers(Protocol):
    """Where `drive` puts responses."""

    def append(self, responses: Iterable[Response]) -> None:
        """Takes responses; they are on disk when it returns."""


def drive(
    session: Session,
    queue: Requests,
    journal: Answers,
    meter: Meter,
    failed: Callable[[Failure], None] | None = None,
) -> list[Failure]:
    """Keeps the session's window full until every request is answered or has failed.

    Args:
        failed: is told each failure as it happens.

    Returns:
        The requests that got no response.
    """
    failures: list[Failure] = []
    in_flight = 0
    with meter:
        while True:
            while in_flight < session.window and (request := queue.next()):
                session.submit(request)
                in_flight += 1
            if not in_flight:
                return failures
            finished = session.collect()
            responses = [r for r in finished if isinstance(r, Response)]
            journal.append(responses)
            for failure in (f for f in finished if isinstance(f, Failure)):
                failures.append(failure)
                if failed is not None:
                    failed(failure)
            for response in responses:
                queue.answered(response)
            in_flight -= len(finished)
            meter.add(finished, session)


def failures_in(path: Path) -> Callable[[Failure], None]:
    """Begins a list of failures anew; what it returns adds one, as it happens."""
    with store.writing(path):
        path.unlink(missing_ok=True)
    return lambda failure: store.append_line(path, dataclasses.asdict(failure))


def say_failures(path: Path, failures: Sequence[Failure], where: str) -> None:
    """Says how many requests failed, and what may help.

    Args:
        path: the list of them.
        where: the place of the options that could mend them: `engine`.
    """
    if not failures:
        return
    final = sum(failure.final for failure in failures)
    hints = []
    if final < len(failures):
        hints.append(
            "Run the same command again to ask " + ("the others" if final else "them again")
        )
    if final:
        which = "They" if final == len(failures) else f"{final:,} of them"
        hints.insert(
            0,
            f"{which} would be refused again: see whether another option helps "
            f"({where}.leave_out, {where}.rename, {where}.extra_body, {where}.fold_system)",
        )
    say(
        f"{counted(len(failures), 'request')} got no response, the first: {failures[0].id}: "
        f"{failures[0].reason}; all are in {path}. {'. '.join(hints)}"
    )
