"""Run as a script: a whole run over so many items that are made as they are asked for.

Prints the peak resident size in MiB and the seconds that each stage took, as JSON.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ochat_eval.tasks.gsm8k import Gsm8k

from ochat_eval import pipeline, plan, store
from ochat_eval.config import load
from ochat_eval.records import Item, Response
from ochat_eval.task import make_item


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


def main(count: int, engine: list[str]) -> None:
    task = Endless(name="endless", items_wanted=count, data="sample")
    if not engine:
        answers = Path("answers.jsonl")
        store.write_records(
            answers,
            (
                Response(item.id, f"The answer is {item.index % 9}.", 0, 0, "stop")
                for item in task.items()
            ),
        )
        engine = ["engine=replay", f"engine.path={answers}"]
    plan.build_tasks = lambda config: [task]  # a configuration cannot name a class of the tests
    peaks = {}
    for stage in ("generate", "score"):
        begun = time.monotonic()
        overrides = ["task=gsm8k", *engine, "run=r", f"stage={stage}"]
        pipeline.run(load(overrides), overrides)
        peaks[stage] = {
            "seconds": round(time.monotonic() - begun, 1),
            "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
        }
    summary = json.loads(Path("results/runs/r/summary.json").read_text())["tasks"]["endless"]
    print(json.dumps({"n": summary["published"]["n"], "missing": summary["missing"], **peaks}))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
