"""engine=vllm against a bare `vllm.LLM.generate` on the very same calls.

One process and one loaded engine for both, so that all engine arguments are the same. The token
ids and sampling parameters are those that our engine hands to vLLM, noted down in a first run that
is not timed. The bare side gets them ready-made and all at once; ours builds them from the plan,
keeps its window full, and has every response on disk. The prefix cache is emptied before each run.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from ochat_eval.bench.costs import Table, claim, in_turn, ratio, spread
from ochat_eval.bench.engines import Engines
from ochat_eval.bench.loaded import Loaded
from ochat_eval.bench.work import Timed, data_title, longest, options, planned, timed
from ochat_eval.config.job import Job
from ochat_eval.config.load import job

GOAL = 1.02
REQUESTS = 48
MAX_TOKENS = 64

Calls = list[tuple[Any, Any]]
"""Prompts and their sampling parameters."""


def vllm(
    engines: Engines,
    pairs: int,
    requests: int = REQUESTS,
    max_tokens: int = MAX_TOKENS,
    more: Sequence[str] = (),
) -> Table:
    """Times both sides, loading the model once and counting that to none.

    Args:
        requests: at least so many, the same on both sides.
        max_tokens: longest answer.
        more: options of the run: `model=…`, `engine.NAME=VALUE`.
    """
    return engines.run(_arguments(requests, max_tokens, more), _measure, pairs)


def _measure(engine: Loaded, arguments: list[str], pairs: int) -> Table:
    return beside_bare(job(arguments), engine, pairs)


def _arguments(requests: int, max_tokens: int, more: Sequence[str]) -> list[str]:
    return options(["gsm8k"], requests, f"max_tokens={max_tokens}", *more)


def asked_for(requests: int, max_tokens: int, more: Sequence[str]) -> Job:
    """The run that is measured; the arguments as in `vllm`."""
    return job(_arguments(requests, max_tokens, more))


def beside_bare(asked: Job, engine: Loaded, pairs: int) -> Table:
    """Times both sides on an engine that is loaded."""
    with tempfile.TemporaryDirectory() as name:
        folder, run = Path(name), replace(asked, engine=engine)

        def ours(pair: int) -> Timed:
            return timed(run, planned(run, folder, f"pair{pair}"))

        calls: Calls = []
        with noted(engine.llm, calls):
            ours(0)
        bare(engine, calls[:8])
        found = in_turn(
            {"engine=vllm": ours, "vllm.LLM.generate": lambda pair: bare(engine, calls)}, pairs
        )
    seconds = {side: [one.seconds for one in every] for side, every in found.items()}
    rows = []
    for side, every in found.items():
        rate = median(one.tokens / one.seconds for one in every)
        tokens = median(one.tokens for one in every)
        rows.append([side, *spread(seconds[side]), f"{tokens:,.0f}", f"{rate:,.0f}"])
    rows.append(["ratio", f"{ratio(*seconds.values()):.3f}", "", "", ""])
    title = (
        f"{asked.model.name}, gsm8k ({data_title()}): {len(calls):,} requests, "
        f"{longest(asked)}; {pairs} runs of each in turn, median"
    )
    claims = [claim("engine=vllm / vllm.LLM.generate", *seconds.values(), goal=GOAL)]
    headers = ["side", "seconds", "from, to", "tokens", "tokens/s"]
    return Table(title, headers, rows, seconds, claims)


@contextlib.contextmanager
def noted(llm: Any, calls: Calls) -> Iterator[None]:
    """Within it, what is handed to `llm.enqueue` is noted down too."""
    enqueue = llm.enqueue

    def noting(prompt: Any, params: Any, **more: Any) -> Any:
        calls.append((prompt, params))
        return enqueue(prompt, params, **more)

    llm.enqueue = noting
    try:
        yield
    finally:
        llm.enqueue = enqueue


def bare(engine: Loaded, calls: Calls) -> Timed:
    """Times vLLM's own loop over the calls."""
    prompts, params = map(list, zip(*calls, strict=True))
    engine.llm.reset_prefix_cache()
    begun = time.monotonic()
    outputs = engine.llm.generate(prompts, params, use_tqdm=False)
    seconds = time.monotonic() - begun
    return Timed(seconds, len(outputs), sum(len(one.outputs[0].token_ids) for one in outputs))
