"""The gate in front of an application that stands for the engine."""

from __future__ import annotations

import asyncio
import json
from dataclasses import fields
from pathlib import Path

import httpx

from ochat_eval.serve.access import Gate
from ochat_eval.serve.callers import Callers
from ochat_eval.serve.limits import Limits
from ochat_eval.serve.log import RequestLog
from ochat_eval.serve.options import Serve
from ochat_eval.serve.shares import Shares

CHAT = "/v1/chat/completions"


def limits(context: int = 1000, **changes: object) -> Limits:
    """The caps of conf/serve.yaml, but for some."""
    options = Serve(**changes)
    named = {f.name: getattr(options, f.name) for f in fields(Limits) if f.name != "context"}
    return Limits(**named, context=context)


class Engine:
    """An application that holds each request until it is let go, and notes the order."""

    def __init__(self, held: bool = True):
        self.begun: list[str] = []
        self.bodies: list[dict] = []
        self.free = asyncio.Semaphore(0 if held else 10**9)

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "lifespan":
            return
        body = b""
        if scope["method"] == "POST":
            body = (await receive())["body"]
            request = json.loads(body or b"{}")
            self.bodies.append(request)
            self.begun.append(request.get("user", ""))
        await self.free.acquire()
        start = {"type": "http.response.start", "status": 200, "headers": []}
        await send(start)
        await send({"type": "http.response.body", "body": b"done"})


def gate(
    app, *, keys=(), shares=(8, 6, 4), hosts=None, proxies=(), log: Path | None = None, **caps
):
    """The gate; any host will do unless `hosts` are named."""
    return Gate(
        app,
        keys=keys,
        open_paths={"/"},
        limits=limits(**caps),
        shares=Shares(*shares),
        callers=Callers(hosts, proxies),
        log=RequestLog(None if log is None else str(log), 10**6, 1, texts=False),
    )


def client(app, address: str = "127.0.0.1", **options) -> httpx.AsyncClient:
    """A client of the gate, from an address."""
    transport = httpx.ASGITransport(app, client=(address, 1))
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", **options)


async def settle() -> None:
    """Lets all that can go on go on."""
    for _ in range(50):
        await asyncio.sleep(0)
