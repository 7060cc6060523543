"""What the order of requests is worth on vLLM: shared prefixes together, all tasks in one queue.

Grouped is the harness' own order: the items of a subset, which share their examples, one after
another. It matters where the prefix cache cannot hold all prefixes, so there are two caches: the
one that the engine makes by default, and a small one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from ochat_eval.bench.costs import Table, claim, in_turn, ratio, spread
from ochat_eval.bench.engines import Engines
from ochat_eval.bench.loaded import Loaded
from ochat_eval.bench.work import Timed, data_title, longest, options, planned, timed
from ochat_eval.config.load import job

SHARED = "bbh_cot"
"""A benchmark with worked examples: 27 prefixes."""
SUITE = ("gsm8k", "bbh_mc", "truthfulqa", "agieval")
SMALL_CACHE = 16_384
"""Tokens; some ten of the prefixes."""
BLOCK = 128
"""Tokens of a block of the cache, which vLLM counts in blocks."""
REQUESTS = 54
"""Two to each prefix, which is what there is to be shared."""
SUITE_REQUESTS = 6

Seconds = dict[str, list[float]]


def prefix(
    engines: Engines,
    pairs: int,
    requests: int = REQUESTS,
    more: Sequence[str] = (),
    large: bool = True,
) -> Table:
    """Times requests grouped by prefix, as the harness makes them, against shuffled ones.

    Args:
        requests: how many.
        more: options of the run: `model=…`, `engine.NAME=VALUE`.
        large: measure the engine's own cache, too; it holds all prefixes, so nothing is claimed.
    """
    arguments = options(
        [SHARED], requests, "max_tokens=16", "engine.max_num_seqs=16", f"engine.block_size={BLOCK}"
    )
    caches: list[tuple[list[str], float | None]] = [([], None)] if large else []
    caches.append(([f"engine.num_gpu_blocks_override={SMALL_CACHE // BLOCK}"], 1.0))
    rows: list[list[str]] = []
    seconds: Seconds = {}
    claims = []
    for cache, goal in caches:
        tokens, took = engines.run([*arguments, *cache, *more], _orders, pairs)
        for side, each in took.items():
            rows.append([f"{tokens:,}", side, *spread(each)])
            seconds[f"cache of {tokens:,}: {side}"] = each
        shuffled, grouped = took["shuffled"], took["grouped"]
        rows.append([f"{tokens:,}", "shuffled / grouped", f"{ratio(shuffled, grouped):.2f}", ""])
        what = f"grouped / shuffled, cache of {tokens:,}"
        claims.append(claim(what, grouped, shuffled, goal=goal))
    asked = job([*arguments, *more])
    title = (
        f"{SHARED} ({data_title()}): {requests} requests, {longest(asked)}; {pairs} runs of each "
        "in turn, median"
    )
    headers = ["tokens in the cache", "order", "seconds", "from, to"]
    return Table(title, headers, rows, seconds, claims)


def _orders(engine: Loaded, arguments: list[str], pairs: int) -> tuple[int, Seconds]:
    """The tokens of the cache, and the seconds of both orders."""
    cache = engine.llm.llm_engine.vllm_config.cache_config
    tokens = cache.num_gpu_blocks * cache.block_size
    return tokens, orders(pairs, arguments, engine)


def orders(pairs: int, arguments: list[str], engine: Loaded) -> Seconds:
    """The seconds of both orders on an engine that is loaded; `arguments`: the run's options."""
    with tempfile.TemporaryDirectory() as name:
        folder, ours = Path(name), replace(job(arguments), engine=engine)

        def run(pair: int, shuffled: bool) -> Timed:
            return timed(ours, planned(ours, folder, f"pair{pair}{shuffled}", shuffled))

        # A few requests warm up what the first run of a process must.
        few = replace(job([*arguments, "limit=2"]), engine=engine)
        timed(few, planned(few, folder, "warm"))
        found = in_turn(
            {"grouped": lambda pair: run(pair, False), "shuffled": lambda pair: run(pair, True)},
            pairs,
        )
    return {side: [one.seconds for one in every] for side, every in found.items()}


def suite(
    engines: Engines,
    pairs: int,
    requests: int = SUITE_REQUESTS,
    more: Sequence[str] = (),
) -> Table:
    """Times several benchmarks in one queue against one after another, one engine for both.

    Args:
        requests: of each benchmark.
        more: options of the run: `model=…`, `engine.NAME=VALUE`.
    """
    together, *apart = (
        options(names, requests, "max_tokens=64", *more) for names in (SUITE, *([n] for n in SUITE))
    )
    return engines.run(together, _suite, pairs, requests, apart)


def _suite(
    engine: Loaded, arguments: list[str], pairs: int, requests: int, parts: list[list[str]]
) -> Table:
    together, apart = job(arguments), [job(part) for part in parts]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = replace(together, engine=engine)

        def one_queue(pair: int) -> Timed:
            return timed(whole, planned(whole, folder, f"all{pair}"))

        def each(pair: int) -> Timed:
            plans = [
                planned(replace(one, engine=engine), folder, f"{task}{pair}")
                for task, one in zip(SUITE, apart, strict=True)
            ]
            return timed(whole, *plans)

        one_queue(0)
        found = in_turn({"one queue": one_queue, "task after task": each}, pairs)
    seconds = {side: [run.seconds for run in every] for side, every in found.items()}
    rows = [[side, *spread(every)] for side, every in seconds.items()]
    claims = [claim("one queue / task after task", *seconds.values(), goal=1.0)]
    rows.append([claims[0].what, f"{claims[0].measured:.3f}", ""])
    rows.append(["start of the engine, in neither", f"{engine.start_seconds:.2f}", ""])
    tokens = median(run.tokens for run in found["one queue"])
    title = (
        f"{', '.join(SUITE)} ({data_title()}): {requests} requests of each, {tokens:,.0f} tokens; "
        f"{pairs} runs of each in turn, median"
    )
    return Table(title, ["order", "seconds", "from, to"], rows, seconds, claims)
