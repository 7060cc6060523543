"""Runs to be timed: a plan in a folder of its own, and generating with a given engine."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ochat_eval.config.job import Job
from ochat_eval.config.load import job
from ochat_eval.data.source import data_root
from ochat_eval.records import Item, Response, UserError
from ochat_eval.run.store import ITEMS, MANIFEST, RESPONSES, read_json, read_records, write_records
from ochat_eval.stages.generate import generate
from ochat_eval.stages.plan import Plan, plan


@dataclass(frozen=True)
class Timed:
    """What generating took.

    Attributes:
        seconds: wall time.
        responses: how many came.
        tokens: their tokens, so far as they say.
    """

    seconds: float
    responses: int
    tokens: int


def data_title() -> str:
    """Which data are measured, in words."""
    return "full data" if data_root() else "sample data: OCHAT_EVAL_DATA is not set"


def options(names: Sequence[str], requests: int, *more: str) -> list[str]:
    """The command line of a run with so many requests, to each of the tasks.

    Args:
        requests: asked of each task; where it has fewer items, each is asked several times.
        more: further options.
    """
    data = f"data={'full' if data_root() else 'sample'}"
    tasks = job([f"task=[{','.join(names)}]", data]).tasks.values()
    counts = {task.name: len(list(task.items())) for task in tasks}
    several = [f"tasks.{k}.n={math.ceil(requests / n)}" for k, n in counts.items() if n < requests]
    return [f"task=[{','.join(names)}]", data, f"limit={requests}", *several, *more]


def longest(asked: Job) -> str:
    """How long an answer of the run may be, in words: an option of the user's may say otherwise
    than the measurement."""
    limits = [task.max_tokens for task in asked.tasks.values()]
    known = [limit for limit in limits if limit is not None]
    return f"at most {max(known):,} tokens" if len(known) == len(limits) else "of any length"


def planned(asked: Job, folder: Path, name: str, shuffled: bool = False) -> Plan:
    """The plan of a new run under a folder, its items in their order or shuffled."""
    made = plan(replace(asked, results=folder, run=name))
    if shuffled:
        items = list(read_records(made.run.file(ITEMS), Item))
        random.Random(0).shuffle(items)
        write_records(made.run.file(ITEMS), items)
    return made


def timed(asked: Job, *plans: Plan) -> Timed:
    """Generates one plan after another; journal and all that the harness does is in the time.

    Raises:
        UserError: a request got no response.
    """
    begun = time.monotonic()
    for one in plans:
        generate(asked, one)
    seconds = time.monotonic() - begun
    found = [r for one in plans for r in read_records(one.run.file(RESPONSES), Response)]
    if len(found) != sum(one.requests for one in plans):
        raise UserError(f"{len(found)} responses to {sum(one.requests for one in plans)} requests")
    return Timed(seconds, len(found), sum(r.completion_tokens or 0 for r in found))


def stage_seconds(run: Path) -> dict[str, float]:
    """What each stage of a finished run took, as its manifest has it."""
    return {one["stage"]: one["seconds"] for one in read_json(run / MANIFEST)["times"]}
