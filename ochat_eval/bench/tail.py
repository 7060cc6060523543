"""What the end of a run takes, when a few answers that repeat themselves are left, and what helps.

Guessing ahead is chosen when the model is loaded, so that side has an engine of its own.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from ochat_eval.bench.costs import Table, claim, in_turn, spread
from ochat_eval.bench.engines import Engines
from ochat_eval.bench.loaded import Loaded, tail
from ochat_eval.bench.prefix import SUITE
from ochat_eval.bench.work import data_title, options, planned, timed
from ochat_eval.config.load import job
from ochat_eval.engines.speculation import FEW
from ochat_eval.records import Response
from ochat_eval.run.store import RESPONSES, read_records

PUBLISHED = "as published"
AHEAD, STOPPED = "engine.speculate=8", "engine.stop_loops=20"
REQUESTS = 4
MAX_TOKENS = 256


@dataclass(frozen=True)
class Ended:
    """A run and its end.

    Attributes:
        seconds: of the whole run, without loading the model.
        tail: of those, the ones at the end with at most `FEW` requests in flight.
        tokens: written.
        steps: of the engine; each writes a token of every answer, and more where it guessed right.
        texts: the answers, by item, sample and turn.
    """

    seconds: float
    tail: float
    tokens: int
    steps: int
    texts: dict[tuple[str, int, int], str]


def tails(
    engines: Engines,
    pairs: int,
    requests: int = REQUESTS,
    more: Sequence[str] = (),
    helps: Sequence[str] = (STOPPED, AHEAD),
) -> Table:
    """Times the same requests as published, and with what may help: guessing ahead, loops ended.

    Args:
        requests: of each benchmark.
        more: options of the run: `model=…`, `max_tokens=N`, `engine.NAME=VALUE`.
        helps: options of the other sides.
    """
    arguments = options(SUITE, requests, f"max_tokens={MAX_TOKENS}", *more)
    chosen = {PUBLISHED: arguments, **{one: [*arguments, one] for one in helps}}

    def run(given: list[str]) -> Callable[[int], Ended]:
        return lambda pair: engines.run(given, _run)

    runs = in_turn({side: run(given) for side, given in chosen.items()}, pairs)
    seconds = {side: [run.seconds for run in every] for side, every in runs.items()}
    ends = {side: [run.tail for run in every] for side, every in runs.items()}
    rows = [
        [
            side,
            *spread(seconds[side]),
            f"{median(ends[side]):.2f}",
            f"{median(run.tokens for run in every):,.0f}",
            f"{median(run.steps for run in every):,.0f}",
            _same(every, runs[PUBLISHED]),
        ]
        for side, every in runs.items()
    ]
    published = seconds[PUBLISHED]
    claims = [claim(f"{one} / {PUBLISHED}", seconds[one], published, goal=1.0) for one in helps]
    claims += [claim(f"tail / whole run, {side}", ends[side], seconds[side]) for side in runs]
    title = (
        f"{job(arguments).model.name}, {', '.join(SUITE)} ({data_title()}): {requests} requests of "
        f"each; tail: at most {FEW} in flight; {pairs} runs of each in turn, median"
    )
    headers = ["side", "seconds", "from, to", "tail", "tokens", "steps", "texts as published"]
    return Table(title, headers, rows, seconds, claims)


def _run(engine: Loaded, arguments: list[str]) -> Ended:
    """Warms the engine up with an answer of two tokens to an item, and times the run."""
    with tempfile.TemporaryDirectory() as name:
        folder, run = Path(name), replace(job(arguments), engine=engine)
        short = replace(job([*arguments, "limit=1", "max_tokens=2"]), engine=engine)
        timed(short, planned(short, folder, "warm"))
        plan = planned(run, folder, "run")
        engine.flow.clear()
        with _steps_of(engine.llm.llm_engine) as steps:
            took = timed(run, plan)
        found = read_records(plan.run.file(RESPONSES), Response)
        texts = {(one.id, one.sample, one.turn): one.text for one in found}
    return Ended(took.seconds, tail(engine.flow, FEW), took.tokens, len(steps), texts)


@contextlib.contextmanager
def _steps_of(engine: Any) -> Iterator[list[None]]:
    """Within it, a list that has an entry for each step of a vLLM engine."""
    step, made = engine.step, list[None]()

    def counted() -> Any:
        made.append(None)
        return step()

    engine.step = counted
    try:
        yield made
    finally:
        engine.step = step


def _same(runs: Sequence[Ended], published: Sequence[Ended]) -> str:
    """How many texts a side has that are also the published side's, in the pair with the fewest."""
    pairs = zip(runs, published, strict=True)
    least = min(sum(b.texts.get(k) == text for k, text in a.texts.items()) for a, b in pairs)
    return f"{least} of {len(published[0].texts)}"
