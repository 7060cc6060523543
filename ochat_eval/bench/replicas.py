"""One replica of engine=ray against two; on CPUs each has half of the cores, so one leaves half."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from ochat_eval.bench.costs import Table, claim, in_turn, measure, ratio, spread
from ochat_eval.bench.work import Timed, data_title, longest, options, stage_seconds
from ochat_eval.config.load import job
from ochat_eval.engines.vllm_build import cpu_build
from ochat_eval.records import Response, UserError
from ochat_eval.run.hardware import cores
from ochat_eval.run.store import RESPONSES, read_records

REQUESTS = 24
MAX_TOKENS = 64


def replicas(pairs: int, requests: int = REQUESTS, more: Sequence[str] = ()) -> Table:
    """Times the same requests on one and on two replicas; loading is in a column of its own.

    Args:
        requests: at least so many.
        more: options of the run: `model=…`, `engine.NAME=VALUE`.

    Raises:
        UserError: there is no room for two, a run failed, or the sides' requests differ.
    """
    half = max(1, cores() // 2)
    share = [f"engine.cpus_per_replica={half}"] if cpu_build() else []
    arguments = options(
        ["gsm8k"], requests, f"max_tokens={MAX_TOKENS}", "engine=ray", *share, *more
    )
    asked = job(arguments)
    command = [sys.executable, "-m", "ochat_eval", *arguments, "stage=generate"]
    starts: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as folder:

        def run(count: int, pair: int) -> Timed:
            run_name = f"bench{count}-{pair}"
            measure([*command, f"engine.replicas={count}", f"run={run_name}"], Path(folder))
            made = Path(folder) / "results" / "runs" / run_name
            found = list(read_records(made / RESPONSES, Response))
            seconds = stage_seconds(made)
            starts[count].append(seconds["start"])
            tokens = sum(one.completion_tokens or 0 for one in found)
            return Timed(seconds["generate"], len(found), tokens)

        sides = {
            "one replica": lambda pair: run(1, pair),
            "two replicas": lambda pair: run(2, pair),
        }
        runs = in_turn(sides, pairs)
    counts = {run.responses for every in runs.values() for run in every}
    if len(counts) > 1:
        raise UserError(f"the runs answered {' and '.join(map(str, sorted(counts)))} requests")
    seconds = {side: [run.seconds for run in every] for side, every in runs.items()}
    rows = []
    for (side, every), start in zip(runs.items(), starts.values(), strict=True):
        rate = median(run.tokens / run.seconds for run in every)
        rows.append([side, *spread(seconds[side]), f"{rate:,.0f}", f"{median(start):.2f}"])
    rows.append(["one / two", f"{ratio(*seconds.values()):.2f}", "", "", ""])
    place = f"{half} core{'s' * (half > 1)} each" if share else "a GPU each"
    title = (
        f"{asked.model.name}, gsm8k ({data_title()}): {counts.pop()} requests, "
        f"{longest(asked)}, {place}; {pairs} runs of each in turn, median"
    )
    claims = [claim("two replicas / one", *reversed(list(seconds.values())), goal=1.0)]
    headers = ["side", "seconds", "from, to", "tokens/s", "start"]
    return Table(title, headers, rows, seconds, claims)
