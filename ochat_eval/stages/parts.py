"""Many answers are read in worker processes, a part of a benchmark at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from ochat_eval.benchmark.task import Task
from ochat_eval.records import Item, Response, Score, UserError, to_json
from ochat_eval.run import store
from ochat_eval.run.index import Index
from ochat_eval.sandbox.workers import Killed, Raised, run_jobs
from ochat_eval.stages.plan import Plan, answered, counts
from ochat_eval.stages.scored import is_settled

MANY = 4_000
"""Fewer answers are read before workers have started."""
_PART_BYTES = 256 << 10
"""Of items.jsonl: some hundred items, which take some hundredths of a second."""
_MOST_WORKERS = 8
"""Each has an index of the responses."""
_SECONDS = 3600.0
"""For a part: what a user's own rule may take, and no end where it hangs."""

_Part = tuple[str, store.Span]  # a benchmark, and where some of its items stand in items.jsonl


class Written(NamedTuple):
    """Some scores as they stand in scores.jsonl.

    Attributes:
        lines: their lines, each with its end.
        number: how many there are.
        settled: whether all of them are (`scored.is_settled`).
    """

    lines: bytes
    number: int
    settled: bool


def written(scores: Iterable[Score]) -> Written:
    """The scores as lines."""
    every = list(scores)
    lines = b"".join(to_json(one) + b"\n" for one in every)
    return Written(lines, len(every), all(map(is_settled, every)))


def in_parts(planned: Plan, workers: int) -> list[str]:
    """The benchmarks whose answers are read by workers: those that need nothing but the answer, if
    they have many together and there is more than one core to be used."""
    names = [name for name, task in planned.tasks.items() if task.reads_alone and _importable(task)]
    many = sum(planned.answers[name] for name in names) >= MANY
    return names if many and workers > 1 else []


def _importable(task: Task) -> bool:
    """Whether another process finds the benchmark's class: not a notebook's, nor a function's."""
    kind = type(task)
    return kind.__module__ != "__main__" and "<locals>" not in kind.__qualname__


def read_in_parts(
    planned: Plan, names: Sequence[str], responses: Path, workers: int
) -> Iterator[Written]:
    """The scores of these benchmarks, in the plan's order.

    Args:
        responses: the file of the responses, which stays as it is meanwhile.

    Raises:
        UserError: a worker died.
        RuntimeError: a rule raised an exception; it is told with its traceback.
    """
    items = planned.run.file(store.ITEMS)
    tasks = {name: planned.tasks[name] for name in names}
    seen = {name: frozenset(planned.seen[name]) for name in names if name in planned.seen}
    parts = ((name, part) for name in names for part in _parts(items, planned.spans[name]))
    results = run_jobs(
        _PartReader(items, responses, tasks, seen),
        parts,
        workers=min(workers, _MOST_WORKERS),
        seconds=_SECONDS,
    )
    early: dict[int, Written] = {}
    due = 0
    with contextlib.closing(results):
        for place, result in results:
            early[place] = _sound(result)
            while due in early:
                yield early.pop(due)
                due += 1


def _sound(result: Written | UserError | Killed) -> Written:
    """A worker's result, if it is one."""
    if isinstance(result, UserError):
        raise result
    if isinstance(result, Raised):
        raise RuntimeError(f"a rule failed in a worker process:\n{result.traceback}")
    if isinstance(result, Killed):
        raise UserError(
            f"a worker process that read answers gave none: {result.reason}; run the same command "
            "again, with workers=1 to have no such processes"
        )
    return result


def _parts(path: Path, span: store.Span) -> Iterator[store.Span]:
    """Cuts a span of whole lines into shorter ones."""
    start, stop = span
    with path.open("rb") as file:
        while start < stop:
            file.seek(min(start + _PART_BYTES, stop) - 1)
            file.readline()  # to the line's end
            yield start, file.tell()
            start = file.tell()


@dataclass(frozen=True)
class _PartReader:
    """What a worker knows: it is sent to each once."""

    items: Path
    responses: Path
    tasks: Mapping[str, Task]
    seen: Mapping[str, frozenset[str]]

    @cached_property
    def _index(self) -> Index[Response]:
        return Index(self.responses, Response)

    def __call__(self, part: _Part) -> Written | UserError:
        """The scores of a part."""
        name, span = part
        task = self.tasks[name]
        try:
            items = store.read_records(self.items, Item, span)
            each = answered((item for item in items if counts(item, self.seen)), self._index)
            return written(score for one in each for score in task.scores_read(one))
        except UserError as e:  # to be raised where the scores are wanted
            return e
