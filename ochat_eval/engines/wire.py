"""The requests themselves: made by the `openai` package, sent by aiohttp.

The package makes one request of a kind, with address, query, key, organisation and headers as its
makers keep them up; it is sent again and again with other bodies. Each through the package takes
1.2 ms of a processor against 0.3 ms, and so it did not keep up with 500 answers a second at 256 in
flight (docs/verified.md).

To be imported where it is used: the package takes a second.
"""

from __future__ import annotations

import errno
import ipaddress
import logging
import re
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import httpx2
import openai

from ochat_eval.data import unpack
from ochat_eval.engines.address import Reached
from ochat_eval.engines.reply import Lost, Reply, Unreadable

_CONNECT_SECONDS = 30.0
_LONGEST_ANSWER = 16 << 20
"""Bytes of an answer's body; a server that never ends one must not fill the memory."""
_ITS_OWN = ("host", "content-length", "connection", "x-stainless-retry-count")
"""Headers that belong to one request."""

for name in ("openai", "httpx2"):  # at the level of OPENAI_LOG they write addresses and bodies down
    logging.getLogger(name).setLevel(logging.WARNING)


@dataclass(frozen=True)
class _Made:
    """Where the package's requests go, and their headers."""

    url: str
    headers: Mapping[str, str]


class _Taking(httpx2.AsyncBaseTransport):
    """Takes requests of the package down instead of sending them."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        headers = {k: v for k, v in request.headers.items() if k not in _ITS_OWN}
        self.made = _Made(str(request.url), headers)
        return httpx2.Response(200, request=request)


class Wire:
    """Connections to one server; to be used within one event loop.

    Attributes:
        proxy: the proxy that requests go through, without a password; None: none.
    """

    def __init__(self, reached: Reached, connections: int):
        """Opens nothing yet.

        Args:
            connections: the most at a time.
        """
        self._address = proxy_for(reached.base)
        self.proxy = self._address and re.sub(r"://[^/@\s]*@", "://", self._address)
        self._reached = reached
        self._made: dict[str, _Made] = {}
        self._http = aiohttp.ClientSession(
            # Servers drop connections that idle for 5 s (uvicorn): ours are dropped before.
            connector=aiohttp.TCPConnector(limit=connections, keepalive_timeout=2),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # what is packed all the same is unpacked to a limit
            proxy=self._address,
        )

    async def make(self, *paths: str) -> None:
        """Has the package make a request to each of these paths; only these can be asked."""
        keyless = self._reached.key is None and not any(
            header.lower() == "authorization" for header in self._reached.headers
        )
        # Without a key the package wants it said that there is none.
        options: Any = {"headers": {"Authorization": openai.Omit()}} if keyless else {}
        taking = _Taking()
        async with openai.AsyncOpenAI(
            api_key=self._reached.key or "",
            admin_api_key="",  # the environment's is for other things
            base_url=self._reached.base,
            default_headers={"Accept-Encoding": "identity", **self._reached.headers},
            default_query=self._reached.query,
            http_client=httpx2.AsyncClient(transport=taking, trust_env=False),
        ) as client:
            for path in paths:
                await client.post(path, body={}, cast_to=httpx2.Response, options=options)
                self._made[path] = taking.made

    async def get(self, path: str, seconds: float) -> Reply:
        """An answer to GET; as `post`."""
        return await self._send("GET", self._made[path], None, seconds)

    async def post(self, path: str, body: bytes, seconds: float) -> Reply:
        """An answer to POST.

        Args:
            path: one of `make`.
            body: JSON.
            seconds: the longest wait for all of it.

        Raises:
            Unreadable, Lost: there is none.
        """
        return await self._send("POST", self._made[path], body, seconds)

    async def _send(self, method: str, made: _Made, body: bytes | None, seconds: float) -> Reply:
        limits = aiohttp.ClientTimeout(total=seconds, sock_connect=min(seconds, _CONNECT_SECONDS))
        try:
            async with self._http.request(
                method,
                made.url,
                data=body,
                headers=made.headers,
                timeout=limits,
                allow_redirects=False,
            ) as response:
                content = await _body(response)
        except TimeoutError as e:  # some of aiohttp's are ClientErrors too
            raise Lost("timed out", str(e) or f"no answer within {seconds:g} s") from e
        except (aiohttp.ClientError, OSError, ValueError) as e:  # ValueError: an unusable proxy
            raise _lost(e) from e
        return Reply(response.status, response.headers, content)

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._http.close()


async def _body(response: aiohttp.ClientResponse) -> bytes:
    """An answer's body, unpacked. The connection is closed where it is too long."""
    content = bytearray()
    async for part in response.content.iter_any():
        content += part
        if len(content) > _LONGEST_ANSWER:
            raise Unreadable(f"an answer of more than {_LONGEST_ANSWER >> 20} MiB")
    try:
        packed = response.headers.get("Content-Encoding", "")
        return unpack.body(bytes(content), packed, _LONGEST_ANSWER)
    except ValueError as e:
        raise Unreadable(f"an answer that cannot be read: {e}") from e


def _lost(error: Exception) -> Lost:
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        return Lost(
            "no file descriptor",
            "this process has as many files and connections open as it may (ulimit -n); raise the "
            "limit, or lower concurrency",
        )
    return Lost("connection lost", f"connection lost: {str(error) or type(error).__name__}")


def proxy_for(base: str) -> str | None:
    """The proxy that the environment names for an address; none for the machine's own.

    Asked once: aiohttp's own `trust_env` reads the environment and a netrc file per request.
    """
    parts = urllib.parse.urlsplit(base)
    host = parts.hostname or ""
    try:
        own = ipaddress.ip_address(host).is_loopback
    except ValueError:
        own = host == "localhost" or host.endswith(".localhost")
    if own or urllib.request.proxy_bypass(parts.netloc):
        return None
    return urllib.request.getproxies().get(parts.scheme)
