"""Connections that never finish what they began, on uvicorn as it is served."""

from __future__ import annotations

import asyncio
import time

import pytest
import uvicorn

from ochat_eval.serve.patience import impatient
from tests.conftest import lines
from tests.serve.gate import CHAT, Engine, gate

pytestmark = pytest.mark.slow  # patience is waited for

SECONDS = 0.6
POST = f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\n"


class Flood(Engine):
    """Answers with more than a socket takes, piece by piece."""

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "lifespan":
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        gone = asyncio.ensure_future(self.watch(receive))
        try:
            for _ in range(10_000):
                await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
                if gone.done():
                    return
        finally:
            gone.cancel()

    async def watch(self, receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass


def served(app, play) -> None:
    """Runs `play(port)` while the application is served."""

    async def run() -> None:
        config = uvicorn.Config(
            app, http=impatient(SECONDS), proxy_headers=False, lifespan="off", log_level="error",
            timeout_keep_alive=1, port=0,
        )  # fmt: skip
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        try:
            await play(port)
        finally:
            server.should_exit = True
            await task

    asyncio.run(run())


async def until_closed(port: int, sent: bytes, drip: bytes = b"") -> tuple[float, bytes]:
    """How long a connection lives that sends something and then only drips, and what it gets."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    begun = time.monotonic()
    writer.write(sent)

    async def dripping() -> None:
        while drip:
            await asyncio.sleep(0.1)
            writer.write(drip)

    drops = asyncio.create_task(dripping())
    got = b""
    try:
        while piece := await asyncio.wait_for(reader.read(65536), 10):
            got += piece
    except ConnectionResetError:
        pass
    finally:
        drops.cancel()
        writer.close()
    return time.monotonic() - begun, got


NEVER_ENDS = [
    ("", "", b""),
    ("GET /", "a", b""),
    ("GET / HTTP/1.1\r\n", "", b""),
    ("GET / HTTP/1.1\r\n", "X-A: b\r\n", b""),
    (f"{POST}Content-Length: 100\r\n\r\n", "", b"408"),
    (f"{POST}Content-Length: 100\r\n\r\n{{", " ", b"408"),
    (f"{POST}Transfer-Encoding: chunked\r\n\r\n", "1\r\n \r\n", b"408"),
    ("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "", b"200"),
    ("GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET /", "a", b"200"),
    (f"{POST}Content-Length: 9999999\r\n\r\n", " " * 9, b"413"),
]
"""What is sent at once, what then drips, and the status of the answer, if there is one."""


def test_what_never_ends_is_ended():
    app = gate(Engine(held=False), read_timeout_seconds=SECONDS)

    async def play(port: int) -> None:
        ends = (until_closed(port, sent.encode(), drip.encode()) for sent, drip, _ in NEVER_ENDS)
        for (sent, drip, answer), (seconds, got) in zip(
            NEVER_ENDS, await asyncio.gather(*ends), strict=True
        ):
            assert SECONDS / 2 < seconds < 5 * SECONDS, (sent, drip)
            assert got[9:12] == answer, (sent, drip)
        assert app._shares.waiting == 0, "no place is kept"

    served(app, play)


def test_headers_without_end_are_cut():
    async def play(port: int) -> None:
        seconds, got = await until_closed(port, b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 100_000)
        assert seconds < SECONDS and not got.startswith(b"HTTP/1.1 200")

    served(gate(Engine(held=False)), play)


def test_an_answer_may_take_longer_than_a_request():
    engine = Engine()

    async def play(port: int) -> None:
        body = b'{"n": 1}'
        request = f"{POST}Content-Length: {len(body)}\r\n\r\n".encode() + body
        waiting = asyncio.create_task(until_closed(port, request))
        await asyncio.sleep(3 * SECONDS)
        engine.free.release()
        _, got = await waiting
        assert got.startswith(b"HTTP/1.1 200") and b"done" in got

    served(gate(engine, read_timeout_seconds=SECONDS), play)


def test_an_answer_that_is_not_taken_is_given_up(tmp_path):
    app = gate(Flood(), log=tmp_path / "log", read_timeout_seconds=SECONDS)

    async def play(port: int) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(f"{POST}Content-Length: 2\r\n\r\n{{}}".encode())
        await asyncio.sleep(SECONDS / 2)
        assert app._shares.in_flight == 1
        until = time.monotonic() + 20 * SECONDS
        while app._shares.in_flight and time.monotonic() < until:
            await asyncio.sleep(0.05)
        assert app._shares.in_flight == 0
        writer.transport.abort()

    served(app, play)
    [entry] = lines(tmp_path / "log")
    assert entry["disconnected"] is True and entry["status"] == 200


def test_whoever_goes_while_it_waits_is_noticed():
    engine = Engine()
    app = gate(engine, shares=(1, 1, 5))

    async def play(port: int) -> None:
        request = f"{POST}Content-Length: 2\r\n\r\n{{}}".encode()
        _, first = await asyncio.open_connection("127.0.0.1", port)
        first.write(request)
        await asyncio.sleep(0.2)
        _, second = await asyncio.open_connection("127.0.0.1", port)
        second.write(request)
        await asyncio.sleep(0.2)
        assert (app._shares.in_flight, app._shares.waiting) == (1, 1)
        second.transport.abort()
        await asyncio.sleep(0.2)
        assert (app._shares.in_flight, app._shares.waiting) == (1, 0)
        engine.free.release()
        await asyncio.sleep(0.2)
        assert (app._shares.in_flight, len(engine.begun)) == (0, 1)
        first.transport.abort()

    served(app, play)
