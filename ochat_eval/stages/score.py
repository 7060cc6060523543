"""The scores of all tasks: those that worker processes make beside those made here."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator, Sequence
from itertools import chain
from multiprocessing.connection import Pipe
from queue import SimpleQueue

from ochat_eval.benchmark.task import ScoringOptions, Task
from ochat_eval.records import RULES, Response, UserError, Verdict
from ochat_eval.run import store
from ochat_eval.run.index import Index
from ochat_eval.sandbox.guards import guards
from ochat_eval.sandbox.workers import STOP
from ochat_eval.stages.parts import Written, in_parts, read_in_parts, written
from ochat_eval.stages.plan import Plan
from ochat_eval.terminal.say import bar


def scores_of(
    planned: Plan, responses: Index[Response], options: ScoringOptions
) -> Iterator[Written]:
    """Every task's scores, in any order.

    Tasks that are scored by worker processes of their own start at once, in a thread that waits
    for these processes; the other tasks are scored meanwhile, in parts (`parts.py`) or here. The
    two share the cores, until it comes to running programs, which is done last.
    """
    read = in_parts(planned, options.workers)
    others = [task for name, task in planned.tasks.items() if name not in read]
    grading = sorted((t for t in others if t.scored_by_workers), key=lambda t: t.executes_code)
    here = [task for task in others if not task.scored_by_workers]
    readers = options.workers // 2 if grading and read else options.workers
    graders = options.workers - readers if grading and read else options.workers

    def of(tasks: Sequence[Task]) -> Iterator[Written]:
        for task in tasks:
            workers = options.workers if task.executes_code else graders
            shared = dataclasses.replace(options, workers=workers)
            for one in task.score(planned.answered(task.name, responses), shared):
                yield written([one])

    parts = read_in_parts(planned, read, responses.path, readers)
    with _Beside(of(grading)) as beside:
        for some in chain(parts, of(here)):
            yield some
            yield from beside.ready()
        yield from beside.rest()


class _Beside:
    """An iterator that a thread goes through."""

    def __init__(self, scores: Iterator[Written]):
        self._scores = scores
        self._queue: SimpleQueue[Written | BaseException | None] = SimpleQueue()
        self._stop = threading.Event()
        self._wake, self._woken = Pipe()  # interrupts the waiting for workers
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> _Beside:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._wake.close()
        self._thread.join()
        self._woken.close()

    def _run(self) -> None:
        end: BaseException | None = None
        STOP.set(self._woken)
        try:
            for one in self._scores:
                self._queue.put(one)
                if self._stop.is_set():
                    return
        except BaseException as e:  # raised again where the scores are read
            end = e
        finally:
            self._scores.close()  # type: ignore[attr-defined]  # a generator: ends its workers
            self._queue.put(end)

    def ready(self) -> Iterator[Written]:
        """What is there now."""
        while not self._queue.empty():
            one = self._queue.get()
            if not isinstance(one, Written):
                self._queue.put(one)  # the end, for `rest`
                return
            yield one

    def rest(self) -> Iterator[Written]:
        """All that is still to come; raises what the thread raised."""
        while isinstance(one := self._queue.get(), Written):
            yield one
        if one is not None:
            raise one


def recorded_responses(planned: Plan) -> Index[Response]:
    """The run's responses by item.

    Raises:
        UserError: it has none yet.
    """
    path = planned.run.file(store.RESPONSES)
    if not path.exists():
        raise UserError(
            f"{planned.run.path} has no responses yet: run its command with stage=generate"
        )
    return Index(path, Response)


def score(planned: Plan, responses: Index[Response], options: ScoringOptions) -> bool:
    """Reads and judges every response under both rules; the manifest says what guarded that.

    Returns:
        Whether all scores are settled (`scored.is_settled`).
    """
    settled = True
    if any(task.executes_code for task in planned.tasks.values()):
        planned.manifest.set("sandbox", guards(options.sandbox))
    with (
        planned.manifest.timing("score"),
        store.atomic(planned.run.file(store.SCORES)) as file,
        bar("score", "scores", len(RULES) * len(responses)) as progress,
    ):
        judgments = planned.run.file(store.JUDGMENTS)
        if judgments.exists():
            judges = {verdict.judge for verdict in store.read_records(judgments, Verdict)}
            options = dataclasses.replace(
                options, verdicts=Index(judgments, Verdict).of, judges=tuple(sorted(judges))
            )
        for some in scores_of(planned, responses, options):
            file.buffer.write(some.lines)
            settled = settled and some.settled
            progress.update(some.number)
    return settled
