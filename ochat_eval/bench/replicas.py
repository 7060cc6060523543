"""One replica of engine=ray against two; on CPUs each has half of the cores, so one leaves half."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from ochat_eval.bench.costs import Table, in_turn, measure, ratio, spread
from ochat_eval.bench.work import data_title, options, stage_seconds
from ochat_eval.engines.vllm import cpu_build
from ochat_eval.hardware import cores
from ochat_eval.records import Response
from ochat_eval.store import RESPONSES, read_records

REQUESTS = 96
MAX_TOKENS = 64


def replicas(pairs: int, requests: int = REQUESTS, more: Sequence[str] = ()) -> Table:
    """Times the same requests on one and on two replicas; loading is in a column of its own.

    Args:
        requests: at least so many.
        more: options of the run: `model=…`, `engine.NAME=VALUE`.
    """
    half = max(1, cores() // 2)
    share = [f"engine.cpus_per_replica={half}"] if cpu_build() else []
    arguments = options(
        ["gsm8k"], requests, f"max_tokens={MAX_TOKENS}", "engine=ray", *share, *more
    )
    command = [sys.executable, "-m", "ochat_eval", *arguments, "stage=generate"]
    tokens: list[int] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def run(count: int, pair: int) -> dict[str, float]:
            run_name = f"bench{count}-{pair}"
            measure([*command, f"engine.replicas={count}", f"run={run_name}"], folder)
            made = folder / "results" / "runs" / run_name
            found = read_records(made / RESPONSES, Response)
            tokens.append(sum(one.completion_tokens or 0 for one in found))
            return stage_seconds(made)

        sides = {
            "one replica": lambda pair: run(1, pair),
            "two replicas": lambda pair: run(2, pair),
        }
        found = in_turn(sides, pairs)
    seconds = {side: [one["generate"] for one in every] for side, every in found.items()}
    rows = []
    for side, every in found.items():
        rate = median(tokens) / median(seconds[side])
        start = median(one["start"] for one in every)
        rows.append([side, *spread(seconds[side]), f"{rate:,.0f}", f"{start:.2f}"])
    rows.append(["one / two", f"{ratio(*seconds.values()):.2f}", "", "", ""])
    title = (
        f"gsm8k ({data_title()}): {requests} requests, at most {MAX_TOKENS} tokens, "
        f"{f'{half} cores each' if share else 'a GPU each'}; {pairs} runs of each in turn, median"
    )
    return Table(title, ["side", "seconds", "from, to", "tokens/s", "start"], rows, seconds)
