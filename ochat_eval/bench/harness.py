"""What the harness itself costs, as whole processes: the stages over replayed answers, no model.

The answers are made up. About half of them are right, as a model's are, because a right answer is
often cheaper to grade than a wrong one, and each has some 700 characters.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from ochat_eval.bench.costs import Table, measure
from ochat_eval.benchmark.selection import Selection
from ochat_eval.benchmark.task import Task
from ochat_eval.config.load import job
from ochat_eval.data.source import cache_root, data_root
from ochat_eval.records import Item, Response
from ochat_eval.run.store import write_records
from ochat_eval.sandbox.kept import RESULTS
from ochat_eval.terminal.say import say

CODE = ("humaneval",)
"""Benchmarks whose answers are code: they are asked, but nothing is recorded to be executed."""

_STAGES = (("all", 1, ""), ("generate", 2, ""), ("score", 2, ""), ("score", 2, " again"),
           ("report", 2, ""))  # fmt: skip
"""What is timed, in this order: the stage, in which run, and what its row says besides."""
_REASONING = "so this much is known, and from it follows what comes next in the reckoning; " * 9


@dataclass(frozen=True)
class Workload:
    """What is measured: benchmarks, and the answers to replay.

    Attributes:
        names: as given to `task=`.
        tasks: the benchmarks.
        items: how many there are of all tasks.
        unanswered: those of them with no recorded answer.
        command: the command line of a run over them; it lacks `run` and `stage`.
    """

    names: tuple[str, ...]
    tasks: tuple[Task, ...]
    items: int
    unanswered: int
    command: tuple[str, ...]

    @property
    def title(self) -> str:
        """Benchmarks, data and number of items, in words."""
        data = "full data" if data_root() else "sample data: OCHAT_EVAL_DATA is not set"
        left_out = f", {self.unanswered} of them code, not executed" if self.unanswered else ""
        return f"{', '.join(self.names)} ({data}): {self.items:,} items{left_out}"


def made_up_answers(items: Sequence[Item]) -> Iterator[Response]:
    """An answer to each turn of each item; every second one states the next item's target."""
    for place, (item, following) in enumerate(
        zip(items, islice(cycle(items), 1, None), strict=False)
    ):
        target, *_ = (following if place % 2 else item).target or ("",)
        # Only small letters before the answer, where some rules take the first capital.
        text = f"on {item.id.lower()}: {_REASONING}\n\nThe answer is {target}"
        for turn in range(len(item.turns)):
            yield Response(item.id, text, turn=turn, finish_reason="stop")


def workload(names: Sequence[str], folder: Path) -> Workload:
    """The named benchmarks with made-up answers, which are written into the folder."""
    data = "full" if data_root() else "sample"
    options = [f"task=[{','.join(names)}]", f"data={data}", "model=openchat_3.5_0106"]
    tasks = list(job(options).tasks.values())
    items = {task.name: list(Selection(task, 0)) for task in tasks}
    answers = folder / "answers.jsonl"
    asked = [every for name, every in items.items() if name not in CODE]
    write_records(answers, (answer for every in asked for answer in made_up_answers(every)))
    command = (sys.executable, "-m", "ochat_eval", *options, "engine=replay")
    total = sum(map(len, items.values()))
    return Workload(
        names=tuple(names),
        tasks=tuple(tasks),
        items=total,
        unanswered=total - sum(map(len, asked)),
        command=(*command, f"engine.path={answers}"),
    )


def without_results(folder: Path) -> Path:
    """A cache folder made here, with all that the user's own has but kept results."""
    own, ours = cache_root(), folder / "ochat_eval"
    ours.mkdir(parents=True)
    for one in own.iterdir() if own.is_dir() else ():
        if one.name != RESULTS:
            (ours / one.name).symlink_to(one)
    return folder


def harness(names: Sequence[str]) -> Table:
    """Times the stages over the named tasks, each a process of its own."""
    rows, seconds = [], {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        say(f"making answers to {', '.join(names)}")
        work = workload(names, folder)
        # Each stage plans first; `all` is a fresh run that finds no kept grades, so that it has
        # everything to do, `score` finds those of `all`, and again the scores that it made.
        environment = {**os.environ, "XDG_CACHE_HOME": str(without_results(folder / "cache"))}
        for stage, run, again in _STAGES:
            title = f"stage={stage}{again}"
            say(f"{', '.join(names)}: {title}")
            command = [*work.command, f"stage={stage}", f"run=bench{run}"]
            cost = measure(command, folder, environment)
            seconds[title] = [cost.seconds]
            each = f"{1000 * cost.seconds / work.items:.3f}"
            rows.append([title, f"{cost.seconds:.2f}", each, f"{cost.mib:.0f}"])
        start = measure([sys.executable, "-m", "ochat_eval", "--help"], folder)
        seconds["--help"] = [start.seconds]
        rows.append(["--help", f"{start.seconds:.2f}", "", f"{start.mib:.0f}"])
    headers = ["process", "seconds", "per 1,000 items", "peak MiB"]
    return Table(work.title, headers, rows, seconds)
