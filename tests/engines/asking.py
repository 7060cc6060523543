"""The client's questions to a scripted server."""

from __future__ import annotations

import asyncio

from ochat_eval.engines.address import ClientOptions
from ochat_eval.engines.answer import Completion
from ochat_eval.engines.client import Client
from ochat_eval.records import Message, Sampling

FINE = Completion("The answer is 4", "stop", 7, 3)
OPTIONS = {"attempts": 4, "backoff_seconds": 0.01, "timeout_seconds": 5.0, "wait_seconds": 5.0}
GREEDY = Sampling()


def ask(server, *prompts, sampling=GREEDY, fields=None, say=print, system=None, **options):
    """The outcomes of prompts that are asked at the same time; `server` None: of no server."""
    options = {"base_url": server.url, **options} if server else options
    before = [] if system is None else [Message("system", system)]

    async def all_of_them():
        client = Client(ClientOptions(**{**OPTIONS, **options}), "engine", say)
        try:
            await client.connect()
            return await asyncio.gather(
                *(
                    client.complete("m", [*before, Message("user", p)], sampling, **(fields or {}))
                    for p in prompts
                )
            )
        finally:
            await client.aclose()

    return asyncio.run(all_of_them())
