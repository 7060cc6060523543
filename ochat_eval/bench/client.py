"""The client of engine=openai against a bare load generator, on the same local server.

Two servers, each a process of its own. One has a pace (`server`): it, and not the client, is the
bound, as a model server with its finite rate of tokens is. The other answers at once, so that the
client is the bound: that shows what the client could do at most.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from ochat_eval.bench.costs import Table, claim, in_turn, ratio, spread
from ochat_eval.bench.server import WORDS, serving
from ochat_eval.bench.work import Timed, data_title, options, planned, timed
from ochat_eval.config.load import job
from ochat_eval.engines.form import Asked, Form
from ochat_eval.records import Message, UserError

if TYPE_CHECKING:
    import aiohttp

BARE = "bare aiohttp"
GOAL = 1.02
"""Where the server is the bound."""
IN_FLIGHT = 256
REQUESTS = 5000
RATE = 500.0
"""Answers a second of the server that is the bound: 100,000 tokens a second."""


def bodies(folder: Path, arguments: list[str]) -> list[bytes]:
    """The bodies of the requests that the engine makes of these options."""
    run = job([*arguments, "engine.base_url=http://127.0.0.1:9/v1"])
    plan = planned(run, folder, "bodies")
    made = []
    for item in plan.items():
        task = plan.tasks[item.task]
        messages = (Message("user", item.turns[0]),)
        asked = Asked(run.model.name, messages, task.sampling(item))
        made += [Form().written(asked)] * task.n
    return made


async def _post(address: str, queue: Iterable[bytes], http: aiohttp.ClientSession) -> None:
    headers = {"Content-Type": "application/json"}
    for body in queue:
        async with http.post(address, data=body, headers=headers) as response:
            await response.read()
            if response.status != 200:
                raise UserError(f"the bench's server answered with HTTP {response.status}")


async def _bare(base: str, requests: list[bytes]) -> None:
    """So many requests in flight until all are answered; nothing is read or kept."""
    import aiohttp

    queue = iter(requests)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        address = f"{base}/chat/completions"
        await asyncio.gather(*(_post(address, queue, http) for _ in range(IN_FLIGHT)))


def bare(base: str, requests: list[bytes]) -> Timed:
    """Times the bare load generator."""
    begun = time.monotonic()
    asyncio.run(_bare(base, requests))
    return Timed(time.monotonic() - begun, len(requests), 0)


async def _package(base: str, requests: list[dict[str, Any]]) -> None:
    """As `_bare`, each request made, sent and read by the `openai` package."""
    import openai

    queue = iter(requests)
    async with openai.AsyncOpenAI(
        api_key="none", base_url=base, max_retries=0, http_client=openai.DefaultAioHttpClient()
    ) as server:

        async def ask() -> None:
            for body in queue:
                await server.chat.completions.create(**body)

        await asyncio.gather(*(ask() for _ in range(IN_FLIGHT)))


def package(base: str, requests: list[bytes]) -> Timed:
    """Times the package, which `engine=openai` has make one request only."""
    importlib.import_module("openai")  # not in the time
    read = [json.loads(body) for body in requests]
    begun = time.monotonic()
    asyncio.run(_package(base, read))
    return Timed(time.monotonic() - begun, len(requests), 0)


def client(pairs: int, requests: int = REQUESTS, rate: float = RATE) -> Table:
    """Times the engine's whole generating (journal and all) and the bare load generator; where the
    client is the bound, also every request through the `openai` package.

    Args:
        requests: at least so many, the same on both sides.
        rate: answers a second of the server that is the bound.

    Raises:
        UserError: a request got no answer.
    """
    rows: list[list[str]] = []
    seconds: dict[str, list[float]] = {}
    claims = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        arguments = options(["gsm8k"], requests, "engine=openai", f"engine.concurrency={IN_FLIGHT}")
        asked = bodies(folder, arguments)
        bounds = (f"server, {rate:g} answers/s", rate, GOAL), ("client", 0.0, None)
        for bound, pace, goal in bounds:
            took = _sides(folder / f"{pace:g}", arguments, asked, pace, pairs)
            for side, each in took.items():
                per_second = f"{len(asked) / median(each):,.0f}"
                rows.append([bound, side, *spread(each), per_second])
                seconds[f"{bound}: {side}"] = each
            theirs = took.pop(BARE)
            for side, each in took.items():
                which = f"{side} / {BARE}"
                claims.append(claim(f"{which}; bound: {bound}", each, theirs, goal=goal))
                rows.append([bound, which, f"{ratio(each, theirs):.3f}", "", ""])
    title = (
        f"gsm8k ({data_title()}): {len(asked):,} requests, {IN_FLIGHT} in flight, answers of "
        f"{WORDS} words; {pairs} runs of each in turn, median"
    )
    headers = ["bound", "side", "seconds", "from, to", "requests/s"]
    return Table(title, headers, rows, seconds, claims)


def _sides(
    folder: Path, arguments: list[str], asked: list[bytes], pace: float, pairs: int
) -> dict[str, list[float]]:
    """The seconds of each side against a server of this pace."""
    with serving(pace) as base:
        run = job([*arguments, f"engine.base_url={base}"])

        def ours(pair: int) -> Timed:
            return timed(run, planned(run, folder, f"pair{pair}"))

        few = job([*arguments, f"engine.base_url={base}", "limit=8"])
        timed(few, planned(few, folder, "warm"))  # the first to import the package waits for it
        sides = {"engine=openai": ours, BARE: lambda pair: bare(base, asked)}
        if not pace:
            sides["openai package"] = lambda pair: package(base, asked)
        found = in_turn(sides, pairs)
    if any(run.responses != len(asked) for every in found.values() for run in every):
        raise UserError(f"a side did not make {len(asked):,} requests")
    return {side: [run.seconds for run in every] for side, every in found.items()}
