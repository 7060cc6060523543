"""Run as a script: `endless_task.py replay|ray COUNT [REPLICAS [ADDRESS]]`, a run over made-up items.

The items are made as they are asked for; `replay` is a whole run over recorded answers, `ray`
generates with (two) replicas of a fast model of ours, in a cluster that is there if its address is
given. Prints, by stage, the peak resident size in MiB and the seconds, and the peak at 50,000
answers; and while it generates, to stderr, the resident size about every twentieth part.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ochat_eval import pipeline
from ochat_eval.benchmark.task import make_item
from ochat_eval.config.load import job
from ochat_eval.records import Item, Response
from ochat_eval.run import store
from ochat_eval.run.index import Index
from ochat_eval.run.journal import Journal
from ochat_eval.tasks.gsm8k import Gsm8k
from tests.fake_model import FakeRay

EARLY = 50_000
"""Answers, after which what Ray itself keeps has its full size."""


@dataclass(frozen=True, kw_only=True)
class Endless(Gsm8k):
    """The sample items of GSM8K's shape again and again, under new ids."""

    items_wanted: int

    def items(self) -> Iterator[Item]:
        real = list(super().items())
        for index in range(self.items_wanted):
            one = real[index % len(real)]
            yield make_item(self, f"part{index % 7}", index, one.turns, one.target)

    def expected_items(self) -> int:
        return self.items_wanted


def record_answers(task: Endless) -> list[str]:
    """The options of the engine that gives them."""
    answers = Path("answers.jsonl")
    store.write_records(
        answers,
        (
            Response(item.id, f"The answer is {item.index % 9}.", 0, 0, "stop")
            for item in task.items()
        ),
    )
    return ["engine=replay", f"engine.path={answers}"]


def peak_mib() -> int:
    """The most that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def watch_journal(part: int, found: dict[str, Any]) -> None:
    """Tells the resident size each time that so many answers more are on disk; notes an early peak."""
    append, written, told = Journal.append, 0, 0

    def watched(self: Journal, responses: Iterable[Response]) -> Any:
        nonlocal written, told
        kept = list(responses)
        append(self, kept)
        written += len(kept)
        if written >= EARLY:
            found.setdefault("early_peak_mib", peak_mib())
        if written // part > told:
            told = written // part
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            mib = pages * os.sysconf("SC_PAGE_SIZE") >> 20
            print(f"{written} answers: {mib} MiB, {time.monotonic():.0f} s", file=sys.stderr)

    Journal.append = watched


def main(kind: str, count: int, replicas: int = 2, address: str | None = None) -> None:
    task = Endless(name="endless", items_wanted=count, data="sample")
    whole = kind == "replay"
    options = record_answers(task) if whole else []
    window = {"requests": 512, "at_once": 512}
    fast = FakeRay(replicas=replicas, cpus_per_replica=1, address=address, **window)
    found: dict[str, Any] = {}
    watch_journal(max(1, count // 20), found)
    for stage in ("generate", "score") if whole else ("generate",):
        begun = time.monotonic()
        asked = job(["task=gsm8k", *options, "run=r", f"stage={stage}"])
        # A configuration cannot name a class of the tests.
        engine = asked.engine if whole else fast
        made = {"tasks": {task.name: task}, "changed": {task.name: ()}, "engine": engine}
        pipeline.execute(replace(asked, **made))
        found[stage] = {
            "seconds": round(time.monotonic() - begun, 1),
            "peak_mib": peak_mib(),
        }
    run = Path("results/runs/r")
    found["answers"] = len(
        Index(run / store.RESPONSES, Response)
    )  # refuses one that is there twice
    if (run / store.SUMMARY).exists():
        found["scored"] = store.read_json(run / store.SUMMARY)["tasks"]["endless"]["published"]["n"]
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:4]), *sys.argv[4:])
