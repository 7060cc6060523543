"""Stage generate for LoRA adapters on one base: a run each, in one engine and one queue.

Before that each adapter must show that it acts: one whose answers to the first prompts are all the
base's is not asked more, and its run is not scored.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from ochat_eval.config.job import Job
from ochat_eval.engines.engine import Failure, Session
from ochat_eval.model.adapter import places
from ochat_eval.model.step import named_step
from ochat_eval.records import Request, Response, UserError
from ochat_eval.run import store
from ochat_eval.run.identity import ADAPTER
from ochat_eval.run.index import Index
from ochat_eval.stages.generate import (
    SignedJournal,
    conclude,
    drive,
    expected_tokens,
    failures_in,
    nothing,
    queue_of,
    recorded,
    start,
)
from ochat_eval.stages.plan import Plan
from ochat_eval.stages.progress import Meter
from ochat_eval.terminal.say import say
from ochat_eval.terminal.words import counted

COMPARED = 20
"""Prompts whose answers are compared with the base's."""
ACTS = "acts"
"""In a run's manifest, the first prompt to which the adapter's answer is not the base's: its id."""

_Tagged = TypeVar("_Tagged", Response, Failure)


def each_adapter(job: Job) -> list[Job]:
    """The job of each of the model's adapters, named after base and adapter; its training step is
    the one that its folder's name tells, unless another was said.

    Returns:
        The job itself where there are none, or where a run's folder says what it is.

    Raises:
        UserError: an adapter's name or place, or an option that does not go with adapters.
    """
    named = places(job.model.adapters)
    if not named or job.known is not None:
        return [job]
    if not job.engine.takes_adapters:
        raise UserError(
            f"model.adapters: engine={job.engine.label} loads none; engine=vllm and engine=ray do"
        )
    if job.until is not None:
        raise UserError("until=decided is of one model: leave model.adapters away")
    if job.run is not None and len(named) > 1:
        raise UserError(
            f"run={job.run}: it names one run; those of several adapters are named after them"
        )
    return [_alone_with(job, name, path) for name, path in named.items()]


def _alone_with(job: Job, name: str, path: Path) -> Job:
    entry = f"{name}={path}"
    model = dataclasses.replace(job.model, name=f"{job.model.name}+{name}", adapters=[entry])
    value, unit = named_step(path.name) or (None, "")
    step = int(value) if value is not None and unit == "step" else None
    return dataclasses.replace(job, model=model, step=step if job.step is None else job.step)


def acts(planned: Plan) -> bool:
    """Whether a run may be scored: it is of no adapter, or of one that was shown to act."""
    values = planned.manifest.values
    return ADAPTER not in values["identity"] or ACTS in values


class _Lane:
    """One adapter's run."""

    def __init__(self, job: Job, planned: Plan, known: Index[Response], left: Mapping[str, int]):
        """`known`: its responses so far; `left`: by benchmark, how many are still to come."""
        [self.name] = places(job.model.adapters)
        self.job, self.planned, self.left = job, planned, left
        self.queue = queue_of(job, planned, known.of if known else nothing)
        self.journal = SignedJournal(planned.run.file(store.RESPONSES), self.queue)
        self.failures: list[Failure] = []
        self._note = failures_in(planned.run.file(store.FAILURES))

    def failed(self, failure: Failure) -> None:
        """Takes note of a request that got no answer."""
        self.failures.append(failure)
        self._note(failure)


class _Together:
    """The requests of all runs as one stream, and the way back of each answer to its run.

    In the stream an id carries its run: `NAME:ID`. It goes run by run, so that few adapters are in
    a batch, and on to the next before the last answers of one are there.
    """

    def __init__(self, lanes: Sequence[_Lane]):
        self._lanes = {lane.name: lane for lane in lanes}

    def next(self) -> Request | None:
        """As `Queue.next`."""
        for name, lane in self._lanes.items():
            if (one := lane.queue.next()) is not None:
                return dataclasses.replace(one, id=f"{name}:{one.id}", adapter=name)
        return None

    def append(self, responses: Iterable[Response]) -> None:
        """As `Journal.append`, each in its run's."""
        of: dict[str, list[Response]] = defaultdict(list)
        for name, response in map(_apart, responses):
            of[name].append(response)
        for name, some in of.items():
            self._lanes[name].journal.append(some)

    def answered(self, response: Response) -> None:
        """As `Queue.answered`."""
        name, own = _apart(response)
        self._lanes[name].queue.answered(own)

    def failed(self, failure: Failure) -> None:
        """As `_Lane.failed`."""
        name, own = _apart(failure)
        self._lanes[name].failed(own)


def _apart(one: _Tagged) -> tuple[str, _Tagged]:
    """The run of something of the stream, and the thing as the run knows it."""
    name, _, own = one.id.partition(":")
    return name, dataclasses.replace(one, id=own)


def ask_adapters(job: Job, runs: Sequence[tuple[Job, Plan]]) -> None:
    """Asks what has no response yet, of all runs whose adapter acts; each response is on disk the
    moment it exists.

    Args:
        job: with all adapters.
        runs: the job and the plan of each adapter that has something to do.

    Raises:
        UserError: the engine cannot be started, or died; nothing of a run was answered.
    """
    lanes = []
    for one, planned in runs:
        left = planned.missing(known := recorded(planned))
        if any(left.values()) or not acts(planned):
            lanes.append(_Lane(one, planned, known, left))
    if not lanes:
        say("all responses are there; nothing to generate")
        return
    entries = [entry for lane in lanes for entry in lane.job.model.adapters]
    base = dataclasses.replace(job, model=dataclasses.replace(job.model, adapters=entries))
    with contextlib.ExitStack() as held:
        for lane in lanes:
            held.callback(lane.journal.close)
        with _timing(lanes, "start"):
            session = start(base, [lane.planned for lane in lanes])
        held.callback(session.close)
        with _timing(lanes, "generate", session.gpus):
            _prove(base, lanes, session)
            if asked := [lane for lane in lanes if acts(lane.planned)]:
                _ask(base, asked, session)
    for lane in lanes:
        conclude(lane.planned, lane.failures)


def _ask(job: Job, lanes: Sequence[_Lane], session: Session) -> None:
    """Asks what is left of these runs; the job is the base's."""

    def expected() -> dict[str, float]:
        lengths = expected_tokens(job)
        return {f"{lane.name}:{task}": n for lane in lanes for task, n in lengths.items()}

    totals = {f"{lane.name}:{task}": n for lane in lanes for task, n in lane.left.items()}
    stream = _Together(lanes)
    drive(session, stream, stream, Meter("generate", totals, expected), stream.failed)


def _prove(job: Job, lanes: Sequence[_Lane], session: Session) -> None:
    """Asks the base and each adapter that was not shown to act the same prompts, until an answer
    differs; notes in its manifest at which prompt.

    They are asked one by one, with nothing else in the engine: in another batch the same weights
    round otherwise, and the same model's answers differ. What is in a prefix cache is the same for
    all, too: each has its own, and was asked the same. None of these answers is the run's.
    """
    silent = [lane for lane in lanes if not acts(lane.planned)]
    fresh = queue_of(job, lanes[0].planned, nothing)
    number = 0
    for request in itertools.islice(iter(fresh.next, None), COMPARED):
        if not silent:
            return
        if (base := _alone(session, request)) is None:
            continue
        number += 1
        for lane in list(silent):
            own = _alone(session, dataclasses.replace(request, adapter=lane.name))
            if own is not None and own != base:
                silent.remove(lane)
                lane.planned.manifest.set(ACTS, request.id)
                say(f"adapter {lane.name} acts: not the base's answer to {request.id}")
    for lane in silent if number else ():
        say(
            f"adapter {lane.name} does nothing: its answers to the first "
            f"{counted(number, 'prompt')} are all the base's; it is asked no more. If it should "
            "act, shuffle=1 compares other prompts"
        )


def _alone(session: Session, request: Request) -> tuple[str | None, str] | None:
    """What is thought and answered where nothing else is in flight; None where it fails."""
    session.submit(request)
    while not (done := session.collect()):
        pass
    [one] = done
    return (one.reasoning, one.text) if isinstance(one, Response) else None


@contextlib.contextmanager
def _timing(lanes: Sequence[_Lane], stage: str, gpus: float = 0) -> Iterator[None]:
    """Notes the time of all in the manifest of each, and among how many it was shared."""
    with contextlib.ExitStack() as stack:
        for lane in lanes:
            stack.enter_context(lane.planned.manifest.timing(stage, gpus, shared=len(lanes)))
        yield
