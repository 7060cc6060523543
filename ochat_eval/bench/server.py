"""A chat server without a model, for measuring clients: as quick as Python can, or at a set pace.

At a pace it behaves as a saturated model server: with a finite rate of tokens it finishes so many
answers a second, however many requests wait, and a client that keeps it supplied cannot be faster.
Run as a program it takes the pace (answers a second; 0: at once) and prints its port.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator

from ochat_eval.terminal.say import tell

DELAY = 0.05
"""Seconds that every answer takes at least, where there is a pace."""
WORDS = 200
"""Length of an answer, some 1.2 kB of text; a token a word."""

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def _message(body: dict[str, object]) -> bytes:
    content = json.dumps(body).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(content)}"
    return f"{head}\r\n\r\n".encode() + content


MODELS = _message({"object": "list", "data": []})
ANSWER = _message(
    {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "reason " * (WORDS - 1) + "#### 7"},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 900, "completion_tokens": WORDS},
    }
)


class _Pace:
    """When the next answer is due, on the loop's clock."""

    def __init__(self, rate: float):
        self._rate = rate
        self._last = 0.0

    def due(self, now: float) -> float:
        if not self._rate:
            return now
        self._last = max(self._last + 1 / self._rate, now)
        return self._last + DELAY


class _Connection(asyncio.Protocol):
    """One client's connection, which has one request open at a time."""

    def __init__(self, pace: _Pace):
        self._pace = pace
        self._loop = asyncio.get_running_loop()
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not end or len(body) < int(length[1] if length else 0):
            return
        self._received = b""
        if b"/models" in head.split(b"\r\n", 1)[0]:
            self._transport.write(MODELS)
        elif (due := self._pace.due(now := self._loop.time())) > now:
            self._loop.call_at(due, self._transport.write, ANSWER)
        else:
            self._transport.write(ANSWER)


async def _serve(rate: float) -> None:
    pace, loop = _Pace(rate), asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(pace), "127.0.0.1", 0, backlog=1024)
    tell(str(server.sockets[0].getsockname()[1]), flush=True)
    await server.serve_forever()


@contextlib.contextmanager
def serving(rate: float) -> Iterator[str]:
    """The server in a process of its own; gives its address, up to and with `/v1`.

    Args:
        rate: answers a second; 0: each at once.
    """
    command = [sys.executable, "-m", "ochat_eval.bench.server", str(rate)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
        finally:
            process.terminate()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(float(sys.argv[1])))
