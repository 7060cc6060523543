"""The scores of all tasks: those that worker processes make beside those made here."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import SimpleQueue

from ochat_eval.index import Index
from ochat_eval.plan import Plan
from ochat_eval.records import Response, Score
from ochat_eval.task import ScoringOptions


def scores_of(
    planned: Plan, responses: Index[Response], options: ScoringOptions
) -> Iterator[Score]:
    """Every task's scores, in any order.

    Tasks that are scored by worker processes of their own start at once, in a thread that waits
    for these processes; the other tasks are scored here meanwhile.
    """

    def of(by_workers: bool) -> Iterator[Score]:
        for name, task in planned.tasks.items():
            if task.scored_by_workers is by_workers:
                yield from task.score(planned.answered(name, responses), options)

    with _Beside(of(by_workers=True)) as beside:
        for one in of(by_workers=False):
            yield one
            yield from beside.ready()
        yield from beside.rest()


class _Beside:
    """An iterator that a thread goes through."""

    def __init__(self, scores: Iterator[Score]):
        self._scores = scores
        self._queue: SimpleQueue[Score | BaseException | None] = SimpleQueue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> _Beside:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        end: BaseException | None = None
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

    def ready(self) -> Iterator[Score]:
        """What is there now."""
        while not self._queue.empty():
            one = self._queue.get()
            if not isinstance(one, Score):
                self._queue.put(one)  # the end, for `rest`
                return
            yield one

    def rest(self) -> Iterator[Score]:
        """All that is still to come; raises what the thread raised."""
        while isinstance(one := self._queue.get(), Score):
            yield one
        if one is not None:
            raise one
