"""The requests themselves: the `openai` package's client, over aiohttp.

Address, key, headers, query and error types are the package's. Ours is that a body is read and
unpacked up to a limit, that errors are told apart by what was raised first (the package calls a
lost connection a time-out), and that the environment's proxy is looked up once.

To be imported where it is used: the package takes a second.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import re
import ssl
import urllib.parse
import urllib.request
from collections.abc import Mapping
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
_PLAIN = {"Accept-Encoding": "identity"}

for name in ("openai", "httpx2"):  # at the level of OPENAI_LOG they write addresses and bodies down
    logging.getLogger(name).setLevel(logging.WARNING)


class _Http(openai.DefaultAioHttpClient):
    """The package's client over aiohttp, with bodies up to a limit."""

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """As the package's; the response is read, and unpacked."""
        response = await super().send(request, **{**options, "stream": True})
        try:
            content = await _body(response)
        finally:
            await response.aclose()
        headers = [(k, v) for k, v in response.headers.items() if k != "content-encoding"]
        return httpx2.Response(
            response.status_code, headers=headers, content=content, request=request
        )


async def _body(response: httpx2.Response) -> bytes:
    content = bytearray()
    async for part in response.aiter_raw():
        content += part
        if len(content) > _LONGEST_ANSWER:
            raise Unreadable(f"an answer of more than {_LONGEST_ANSWER >> 20} MiB")
    try:
        packed = response.headers.get("content-encoding", "")
        return unpack.body(bytes(content), packed, _LONGEST_ANSWER)
    except ValueError as e:
        raise Unreadable(f"an answer that cannot be read: {e}") from e


class Wire:
    """Connections to one server; to be used within one event loop.

    Attributes:
        proxy: the proxy that requests go through, without a password; None: none.
    """

    def __init__(self, reached: Reached, connections: int):
        """Opens nothing yet.

        Args:
            connections: the most at a time.

        Raises:
            ValueError: the environment's proxy has no address that could be one.
        """
        address = proxy_for(reached.base)
        self.proxy = None if address is None else re.sub(r"://[^/@\s]*@", "://", address)
        http = _Http(
            # Servers drop connections that idle for 5 s (uvicorn): ours are dropped before.
            limits=httpx2.Limits(
                max_connections=connections, max_keepalive_connections=None, keepalive_expiry=2
            ),
            timeout=httpx2.Timeout(None, connect=_CONNECT_SECONDS),
            proxy=address,
            verify=ssl.create_default_context(),
            trust_env=False,
            follow_redirects=False,
        )
        keyless = reached.key is None and "authorization" not in map(str.lower, reached.headers)
        self._without_key: Any = {"headers": {"Authorization": openai.Omit()}} if keyless else {}
        self._client = openai.AsyncOpenAI(
            api_key=reached.key or "",
            admin_api_key="",  # the environment's is for other things
            base_url=reached.base,
            default_headers={**_PLAIN, **reached.headers},
            default_query=reached.query,
            max_retries=0,
            http_client=http,
        )

    async def get(self, path: str, seconds: float) -> Reply:
        """An answer to GET; as `post`."""
        asked = self._client.get(path, cast_to=httpx2.Response, options=self._without_key)
        return await self._answer(asked, seconds)

    async def post(self, path: str, body: Mapping[str, Any], seconds: float) -> Reply:
        """An answer to POST.

        Args:
            seconds: the longest wait for all of it.

        Raises:
            Unreadable, Lost: there is none.
        """
        asked = self._client.post(
            path, body=body, cast_to=httpx2.Response, options=self._without_key
        )
        return await self._answer(asked, seconds)

    async def _answer(self, asked: Any, seconds: float) -> Reply:
        try:
            async with asyncio.timeout(seconds):
                response = await asked
        except openai.APIStatusError as e:
            response = e.response
        except TimeoutError as e:
            raise Lost("timed out", f"no answer within {seconds:g} s") from e
        except (openai.APIConnectionError, aiohttp.ClientError, OSError, ValueError) as e:
            raise _lost(e) from e
        return Reply(response.status_code, response.headers, response.content)

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._client.close()


def _lost(error: BaseException) -> Lost:
    """What went wrong first."""
    first = error
    while first.__cause__ is not None:
        first = first.__cause__
    chain = (first, getattr(first, "os_error", None))
    if any(getattr(one, "errno", None) in (errno.EMFILE, errno.ENFILE) for one in chain):
        return Lost(
            "no file descriptor",
            "this process has as many files and connections open as it may (ulimit -n); raise the "
            "limit, or lower concurrency",
        )
    text = str(first) or type(first).__name__
    if isinstance(first, TimeoutError):  # of the connecting
        return Lost("timed out", text)
    return Lost("connection lost", f"connection lost: {text}")


def proxy_for(base: str) -> str | None:
    """The proxy that the environment names for an address; none for the machine's own."""
    parts = urllib.parse.urlsplit(base)
    host = parts.hostname or ""
    try:
        own = ipaddress.ip_address(host).is_loopback
    except ValueError:
        own = host == "localhost" or host.endswith(".localhost")
    if own or urllib.request.proxy_bypass(parts.netloc):
        return None
    return urllib.request.getproxies().get(parts.scheme)
