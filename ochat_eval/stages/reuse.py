"""What earlier runs have answered already, taken over before anything is asked."""

from __future__ import annotations

import contextlib
import dataclasses
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path

from ochat_eval.baseline.find import find
from ochat_eval.config.job import Job
from ochat_eval.engines.engine import Failure, Session
from ochat_eval.records import Request, Response, UserError
from ochat_eval.run import store
from ochat_eval.run.identity import differences, engine_part
from ochat_eval.run.manifest import Facts, read_facts
from ochat_eval.run.reuse import Earlier, Signature
from ochat_eval.stages.generate import Queue, SignedJournal, drive, recorded
from ochat_eval.stages.plan import Plan
from ochat_eval.stages.progress import Meter
from ochat_eval.terminal.say import say
from ochat_eval.terminal.words import counted

AUTO = "auto"


def reuse_answers(job: Job, planned: Plan) -> None:
    """Writes into the run's journal what the runs that `reuse` names have answered.

    It is an engine like any other, so that a kill loses nothing; what it has no answer to is
    asked afterwards. The manifest says how many answers are from which run.

    Raises:
        UserError: there is no such run, or its answers were given otherwise.
    """
    if job.reuse is None:
        return
    known = recorded(planned)
    left = planned.missing(known)
    if not any(left.values()):
        return
    earlier = Earlier()
    names = [at.name for at, facts in _sources(job, planned) if _add(earlier, at, facts)]
    if not names:
        say("reuse: no earlier run of this model has answers to take over")
        return
    signature = Signature(planned.manifest.values["identity"])
    queue = Queue(planned, job.seed, known.of, system=job.model.system, signature=signature)
    journal = SignedJournal(planned.run.file(store.RESPONSES), queue)
    planned.manifest.set("reused", dict.fromkeys(names, 0))  # how many is known at the end
    try:
        with planned.manifest.timing("reuse"):
            drive(_Recalled(earlier, queue), queue, journal, Meter("reuse", left))
    finally:
        journal.close()
        earlier.close()
        counts = _counts(planned)
        planned.manifest.set("reused", counts)
    told = ", ".join(f"{n:,} of {name}" for name, n in counts.items()) or "none"
    say(f"reuse: of {counted(planned.requests, 'answer')} taken over: {told}")


def _counts(planned: Plan) -> Counter[str]:
    """By earlier run, how many of the run's responses are from it."""
    every = store.read_records(planned.run.file(store.RESPONSES), Response)
    return Counter(one.reused_from for one in every if one.reused_from is not None)


def _sources(job: Job, planned: Plan) -> Iterator[tuple[Path, Facts]]:
    """The runs to take answers from: the named one, or all of the same model, latest first."""
    identity = planned.manifest.values["identity"]
    if job.reuse != AUTO:
        folder = find(str(job.reuse), job.results)
        if not (folder / store.RESPONSES).exists():
            raise UserError(f"reuse={job.reuse}: {folder} has no {store.RESPONSES}")
        if folder.resolve() == planned.run.path.resolve():
            raise UserError(f"reuse={job.reuse} is this run itself; name another, or {AUTO}")
        facts = read_facts(folder / store.MANIFEST)
        if other := _otherwise(facts, identity):
            raise UserError(
                f"reuse={job.reuse}: its answers were given otherwise: {'; '.join(other[:4])}"
            )
        yield folder, facts
        return
    found = sorted(
        job.results.glob(f"*/{store.MANIFEST}"), key=lambda p: p.stat().st_mtime, reverse=True
    )
    for path in found:
        with contextlib.suppress(UserError):  # damaged: it is not looked into
            store.check_files(path.parent)
            facts = read_facts(path)
            same = not _otherwise(facts, identity)
            there = (path.parent / store.RESPONSES).exists()
            if same and there and path.parent.resolve() != planned.run.path.resolve():
                yield path.parent, facts


def _otherwise(facts: Facts, identity: dict[str, object]) -> list[str]:
    """In what another run's model, engine, or treatment of long prompts differ from ours."""
    there, now = facts.identity, identity
    return differences(
        {**engine_part(there), "overlong": facts.overlong},
        {**engine_part(now), "overlong": now["overlong"]},
    )


def _add(earlier: Earlier, folder: Path, facts: Facts) -> bool:
    """Whether the run has answers to take; says what cannot be."""
    usable, others = earlier.add(folder, facts)
    if others:
        say(
            f"reuse: {counted(others, 'response')} of {folder.name} cannot be taken over: damaged, "
            "or of a version that did not note what was asked"
        )
    return usable > 0


class _Recalled(Session):
    """Answers what was answered before; everything else fails at once, to be asked later."""

    window = 256

    def __init__(self, earlier: Earlier, queue: Queue):
        self._earlier = earlier
        self._queue = queue
        self._ready: deque[Response | Failure] = deque()

    def submit(self, request: Request) -> None:
        found = self._earlier.find(self._queue.digests[request.key], request.sampling.max_tokens)
        if found is None:
            self._ready.append(Failure(*request.key, "not asked before"))
            return
        response, run = found
        name, sample, turn = request.key
        self._ready.append(
            dataclasses.replace(
                response,
                id=name,
                sample=sample,
                turn=turn,
                reused_from=response.reused_from or run,
            )
        )

    def collect(self) -> list[Response | Failure]:
        ready = list(self._ready)
        self._ready.clear()
        return ready
