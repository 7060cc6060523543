"""What stands before every route of the server: host, key, turn, body and caps, request log."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ochat_eval.serve.callers import Callers
from ochat_eval.serve.clean import without_empty_tools
from ochat_eval.serve.limits import Limits
from ochat_eval.serve.log import RequestLog, begin
from ochat_eval.serve.refusal import Refused
from ochat_eval.serve.shares import Place, Shares

_WITHOUT_BODY = ("GET", "HEAD", "OPTIONS")
"""Requests that only look; they take no turn."""


class _Gone(Exception):
    """The client went before its request had its turn."""


class Gate:
    """ASGI middleware: whatever is not named as open asks for a key, and for a turn if it posts.

    vLLM's own check guards a list of prefixes, so that a route it forgets is open. Here the list
    is of what is open.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        keys: Sequence[str],
        open_paths: Collection[str],
        limits: Limits,
        shares: Shares,
        callers: Callers,
        log: RequestLog,
    ):
        """Takes the application behind the gate; without `keys` every path is open."""
        self._app = app
        self._digests = [_digest(key) for key in keys]
        self._open = frozenset(open_paths)
        self._limits = limits
        self._shares = shares
        self._callers = callers
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request, or refuses it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] != "http":  # no route of ours is a WebSocket
            await send({"type": "websocket.close", "code": 1008})
        else:
            await self._logged(scope, receive, send)

    async def _logged(self, scope: Scope, receive: Receive, send: Send) -> None:
        entry = begin()
        headers = Headers(scope=scope)
        entry |= {
            "client": self._callers.address(scope, headers),
            "method": scope["method"],
            "path": scope["path"],
            "status": None,
        }
        begun, ended, gone = time.monotonic(), False, asyncio.Event()

        async def noted(message: Message) -> None:
            nonlocal ended
            if message["type"] == "http.response.start":
                entry["status"] = message["status"]
            elif message["type"] == "http.response.body" and not message.get("more_body"):
                ended = True
            if not gone.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._limits.read_timeout_seconds):
                        return await send(message)
                gone.set()  # it takes nothing more, and holds a place in the engine

        async def heard() -> Message:
            message = await _first(receive, gone)
            if message["type"] == "http.disconnect" and not ended:
                entry["disconnected"] = True
            return message

        try:
            with suppress(_Gone):
                await self._admit(entry["client"], scope, heard, noted)
        finally:
            entry["seconds"] = round(time.monotonic() - begun, 3)
            if not ended:
                entry["disconnected"] = True
            self._log.write(entry)

    async def _admit(self, address: str, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        place = None
        try:
            self._callers.check_host(scope, headers)
            key = self._key(headers)
            if key is None and scope["path"] not in self._open:
                text = "a valid API key is needed: Authorization: Bearer KEY"
                raise Refused(401, text, WWW_Authenticate="Bearer")
            if scope["method"] not in _WITHOUT_BODY:
                place = self._shares.enter(key or address)
                body = await self._body(headers, receive)
                await self._turn(place, self._limits.choices(body), receive)
                receive = _replay(without_empty_tools(body), receive)
            await self._app(scope, receive, send)
        except Refused as refused:
            await refused.response()(scope, receive, send)
        finally:
            if place is not None:
                self._shares.leave(place)

    async def _turn(self, place: Place, choices: int, receive: Receive) -> None:
        """Waits for the request's turn, or until its client goes."""
        granted = self._shares.ask(place, choices)
        if granted.done():
            return
        # The body is here: what comes now can only be the end.
        gone: asyncio.Future[Any] = asyncio.ensure_future(receive())
        try:
            await asyncio.wait([granted, gone], return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
        if not granted.done():
            raise _Gone

    def _key(self, headers: Headers) -> str | None:
        """What stands for the request's key, empty where none is needed; None: it has none.

        Takes the same time whichever key it is.
        """
        if not self._digests:
            return ""
        scheme, _, given = headers.get("Authorization", "").partition(" ")
        digest = _digest(given)
        found = False
        for known in self._digests:
            found |= hmac.compare_digest(digest, known)
        return f"key {digest.hex()}" if found and scheme.lower() == "bearer" else None

    async def _body(self, headers: Headers, receive: Receive) -> bytes:
        """The whole body; raises Refused if it is longer than it may be, or too slow."""
        most = self._limits.max_body_bytes
        text = f"the request is longer than {most:,} bytes (max_body_bytes)"
        too_long = Refused(413, text)
        announced = headers.get("Content-Length", "")
        if announced.isdecimal() and int(announced) > most:
            raise too_long
        seconds = self._limits.read_timeout_seconds
        parts: list[bytes] = []
        size, more = 0, True
        try:
            async with asyncio.timeout(seconds):
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _Gone
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    more = message.get("more_body", False)
                    if size > most:
                        raise too_long
        except TimeoutError:
            text = f"the body did not come within {seconds:g} s (read_timeout_seconds)"
            raise Refused(408, text, Connection="close") from None
        return b"".join(parts)


async def _first(receive: Receive, gone: asyncio.Event) -> Message:
    """What comes next; once the client is given up, that it went."""
    message: asyncio.Future[Any] = asyncio.ensure_future(receive())
    end: asyncio.Future[Any] = asyncio.ensure_future(gone.wait())
    try:
        await asyncio.wait([message, end], return_when=asyncio.FIRST_COMPLETED)
        return message.result() if message.done() else {"type": "http.disconnect"}
    finally:
        message.cancel()
        end.cancel()


def _digest(key: str) -> bytes:
    """Of equal length for all keys, so that comparing tells nothing about theirs."""
    return hashlib.sha256(key.encode()).digest()


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body that was read, then whatever comes (a disconnect)."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
