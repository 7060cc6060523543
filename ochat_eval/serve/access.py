"""What stands before every route of the server: the key, the size of a body, the request log."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Collection, Sequence
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ochat_eval.serve.log import RequestLog, begin


class Gate:
    """ASGI middleware: whatever is not named as open asks for a key.

    vLLM's own check guards a list of prefixes, so that a route it forgets is open. Here the list
    is of what is open.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        keys: Sequence[str],
        open_paths: Collection[str],
        max_body_bytes: int,
        log: RequestLog,
    ):
        """Takes the application behind the gate; without `keys` every path is open."""
        self._app = app
        self._digests = [_digest(key) for key in keys]
        self._open = frozenset(open_paths)
        self._max_body = max_body_bytes
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
        client = scope.get("client")
        entry |= {
            "client": client[0] if client else None,
            "method": scope["method"],
            "path": scope["path"],
            "status": None,
        }
        begun, ended = time.monotonic(), False

        async def noted(message: Message) -> None:
            nonlocal ended
            if message["type"] == "http.response.start":
                entry["status"] = message["status"]
            elif message["type"] == "http.response.body" and not message.get("more_body"):
                ended = True
            await send(message)

        async def heard() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect" and not ended:
                entry["disconnected"] = True
            return message

        try:
            await self._admit(scope, heard, noted)
        finally:
            entry["seconds"] = round(time.monotonic() - begun, 3)
            if not ended:
                entry["disconnected"] = True
            self._log.write(entry)

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        if scope["path"] not in self._open and not self._has_key(headers):
            refusal = _error(401, "a valid API key is needed: Authorization: Bearer KEY")
            refusal.headers["WWW-Authenticate"] = "Bearer"
            await refusal(scope, receive, send)
            return
        body = await self._body(headers, receive)
        if body is None:
            text = f"the request is longer than {self._max_body:,} bytes (max_body_bytes)"
            await _error(413, text)(scope, receive, send)
            return
        await self._app(scope, _replay(body, receive), send)

    def _has_key(self, headers: Headers) -> bool:
        """Whether the request has one of the keys; takes the same time whichever it is."""
        if not self._digests:
            return True
        scheme, _, given = headers.get("Authorization", "").partition(" ")
        digest = _digest(given)
        found = False
        for known in self._digests:
            found |= hmac.compare_digest(digest, known)
        return found and scheme.lower() == "bearer"

    async def _body(self, headers: Headers, receive: Receive) -> bytes | None:
        """The whole body; None if it is longer than it may be."""
        announced = headers.get("Content-Length", "")
        if announced.isdecimal() and int(announced) > self._max_body:
            return None
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                break  # the application sees it next, as `receive` goes on saying so
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            more = message.get("more_body", False)
            if size > self._max_body:
                return None
        return b"".join(parts)


def _digest(key: str) -> bytes:
    """Of equal length for all keys, so that comparing tells nothing about theirs."""
    return hashlib.sha256(key.encode()).digest()


def _error(status: int, text: str) -> JSONResponse:
    """An error in the form of OpenAI's and vLLM's."""
    kind = {401: "AuthenticationError", 413: "RequestTooLarge"}[status]
    error: dict[str, Any] = {"message": text, "type": kind, "param": None, "code": status}
    return JSONResponse({"error": error}, status_code=status)


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
