"""A real chat server of ours on a socket, whose answers and faults a test scripts.

A reply is a coroutine function that gets the connection and the request's body, and does with the
connection what it likes.
"""

from __future__ import annotations

import asyncio
import email.utils
import json
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

Body = dict[str, object]
Reply = Callable[["Connection", Body], Awaitable[None]]


@dataclass
class Connection:
    """One client's connection, in the midst of one request."""

    writer: asyncio.StreamWriter
    headers: dict[str, str]

    async def send(self, status: int, content: bytes, **headers: str) -> None:
        lines = [f"HTTP/1.1 {status} x", f"Content-Length: {len(content)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + content)
        await self.writer.drain()

    def reset(self) -> None:
        """Ends the connection with a TCP reset, as the kernel does for a killed process."""
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@dataclass
class FaultServer:
    """Answers in a thread while its `with` block runs.

    Attributes:
        script: the replies to the attempts at one prompt, by words in its last message; the last
            reply stays. A prompt with none of the words gets `default`.
        calls: time, headers and body of every chat request.
        paths: where every chat request went, the query with it.
        peak: most chat requests that were open at the same time.
    """

    script: dict[str, list[Reply]] = field(default_factory=dict)
    default: Reply = field(default_factory=lambda: RIGHT)
    models: bool = True
    calls: list[tuple[float, dict[str, str], Body]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    peak: int = 0

    def __enter__(self) -> FaultServer:
        self._attempts: Counter[str] = Counter()
        self._open = 0
        self._connections: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.listen(0)
        return self

    def listen(self, port: int) -> None:
        start = asyncio.start_server(self._serve, "127.0.0.1", port, backlog=1024)
        self._server = asyncio.run_coroutine_threadsafe(start, self._loop).result()
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _stop(self) -> None:
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def die(self) -> None:
        """From a reply: stops listening and resets every connection; `listen` revives it."""
        self._server.close()
        for writer in self._connections:
            Connection(writer, {}).reset()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            while not writer.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                pairs = (line.split(": ", 1) for line in head[1:] if line)
                headers = {name.lower(): value for name, value in pairs}
                content = await reader.readexactly(int(headers.get("content-length", 0)))
                await self._reply(head[0], Connection(writer, headers), content)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client went, or the test is over
        finally:
            self._connections.discard(writer)
            writer.close()

    async def _reply(self, line: str, connection: Connection, content: bytes) -> None:
        if re.search(r"/models[? ]", line):  # a proxy gets the whole address
            await connection.send(200 if self.models else 404, b'{"data": []}')
            return
        if line.startswith("CONNECT "):  # as a proxy that takes nobody
            await connection.send(407, b"")
            return
        assert re.search(r"/chat/completions[? ]", line), line
        body = json.loads(content)
        self.paths.append(line.split(" ")[1])
        self.calls.append((time.monotonic(), connection.headers, body))
        prompt = body["messages"][-1]["content"]
        replies = next((r for words, r in self.script.items() if words in prompt), [self.default])
        reply = replies[min(self._attempts[prompt], len(replies) - 1)]
        self._attempts[prompt] += 1
        self._open += 1
        self.peak = max(self.peak, self._open)
        try:
            await reply(connection, body)
        finally:
            self._open -= 1

    def asked(self, words: str) -> list[float]:
        """When the attempts at a prompt came."""
        return [at for at, _, body in self.calls if words in body["messages"][-1]["content"]]


def completion(text: str | None, finish_reason: str | None = "stop") -> dict[str, object]:
    """The body of an answer."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": finish_reason,
            }
        ],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }


def sends(status: int, content: object, **headers: str) -> Reply:
    """A reply with these bytes, or this as JSON."""
    data = content if isinstance(content, bytes) else json.dumps(content).encode()

    async def reply(connection: Connection, body: Body) -> None:
        await connection.send(status, data, Content_Type="application/json", **headers)

    return reply


def answer(text: str | None, finish_reason: str | None = "stop") -> Reply:
    return sends(200, completion(text, finish_reason))


def error(status: int, message: str, **headers: str) -> Reply:
    return sends(status, {"error": {"message": message, "code": None}}, **headers)


def takes(*rules: Callable[[Body], Reply | None], then: Reply | None = None) -> Reply:
    """A reply of a server with rules of its own: the first that a request breaks refuses it."""

    async def reply(connection: Connection, body: Body) -> None:
        refusals = (rule(body) for rule in rules)
        answers = next((refused for refused in refusals if refused), then or RIGHT)
        await answers(connection, body)

    return reply


def knows_no(name: str, message: str = "", status: int = 400, **more: object) -> Callable[..., Any]:
    """A rule: a field that the server does not know.

    Args:
        more: beside the message in the error, as in `param="seed"`.
    """
    said = {"message": message or f"Unknown field: {name}", **more}
    return lambda body: sends(status, {"error": said}) if name in body else None


def wants(name: str, value: object, message: str = "") -> Callable[..., Any]:
    """A rule: a field that must be missing or have this value."""
    said = message or f"{name} must be {value}"
    return lambda body: error(400, said) if body.get(name, value) != value else None


def no_role(role: str, message: str, status: int = 400) -> Callable[..., Any]:
    """A rule: a role that no message may have."""

    def rule(body: Any) -> Reply | None:
        roles = {one["role"] for one in body["messages"]}
        return error(status, message) if role in roles else None

    return rule


def slow(seconds: float, then: Reply) -> Reply:
    async def reply(connection: Connection, body: Body) -> None:
        await asyncio.sleep(seconds)
        await then(connection, body)

    return reply


def busy_until(seconds: float) -> Reply:
    """429 with an HTTP date so many seconds away; such a date has no fractions."""

    async def reply(connection: Connection, body: Body) -> None:
        date = email.utils.formatdate(time.time() + seconds, usegmt=True)
        await connection.send(429, b"", Retry_After=date)

    return reply


async def hangs(connection: Connection, body: Body) -> None:
    await asyncio.sleep(3600)


async def reset_before_headers(connection: Connection, body: Body) -> None:
    connection.reset()


async def reset_after_headers(connection: Connection, body: Body) -> None:
    connection.writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"choices": [')
    await connection.writer.drain()
    await asyncio.sleep(0.02)  # so that they arrive as two
    connection.reset()


async def endless(connection: Connection, body: Body) -> None:
    connection.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")
    while True:
        connection.writer.write(bytes(1 << 20))
        await connection.writer.drain()


async def closes(connection: Connection, body: Body) -> None:
    connection.writer.close()


async def no_http(connection: Connection, body: Body) -> None:
    connection.writer.write(b"this is no HTTP\r\n\r\n")
    connection.writer.close()


async def echoes_the_key(connection: Connection, body: Body) -> None:
    """401 with the key in the message, as careless servers do."""
    key = connection.headers.get("authorization", "no key")
    await error(401, f"Incorrect API key\nprovided: {key}")(connection, body)


RIGHT = answer("The answer is 4")
GARBAGE = sends(200, b"<html>Bad gateway \xff</html>")
CUT_JSON = sends(200, json.dumps(completion("The answer is 4")).encode()[:-40])
NO_CHOICES = sends(200, {"choices": []})
NO_BODY = sends(200, b"")
