"""A client for OpenAI-compatible chat servers; knows neither engines nor benchmarks."""

from __future__ import annotations

import asyncio
import email.utils
import json
import random
import re
import time
import urllib.request
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any

from ochat_eval.data import unpack
from ochat_eval.engines.address import ClientOptions
from ochat_eval.records import Message, Sampling, UserError
from ochat_eval.terminal.words import counted

if TYPE_CHECKING:
    import aiohttp

_PROBE_SECONDS = 5.0
_CONNECT_SECONDS = 30.0
_LONGEST_BACKOFF = 60.0
_LONGEST_RETRY_AFTER = 600.0
_LONGEST_ANSWER = 16 << 20
"""Bytes of an answer's body; a server that never ends one must not fill the memory."""
_TEXT_CHARACTERS = 300
"""How much of a server's error text a reason quotes."""
_WRONG_ADDRESS = {301, 302, 307, 308, 403, 404, 405}
"""A wrong model name or address: every request would get it."""
_WRONG_KEY = {401, 402}
"""One that is refused or not paid for; in mid-run it was revoked."""
_QUOTA = b"insufficient_quota"
"""What OpenAI calls an account with nothing left; its status, 429, is that of passing crowds."""
_RETRIED = {408, 409, 429}
"""Passing conditions; so is every 5xx."""


@dataclass(frozen=True, slots=True)
class Completion:
    """An answer.

    Attributes:
        text: what the model wrote, perhaps nothing.
        finish_reason: `stop` (the model ended its turn) or `length` (cut off).
        prompt_tokens, completion_tokens: counts, None where the server does not say.
    """

    text: str
    finish_reason: str
    prompt_tokens: int | None
    completion_tokens: int | None


@dataclass(frozen=True, slots=True)
class NoCompletion:
    """A request that got no answer, and why, in one line without the API key."""

    reason: str


@dataclass(frozen=True, slots=True)
class _Again:
    """An attempt that failed in a way that may pass.

    Attributes:
        kind: short, for counting: `HTTP 429`.
        reason: `kind`, and what else is known.
        after: seconds that the server asks to wait; None if it does not.
    """

    kind: str
    reason: str
    after: float | None = None


class Client:
    """Chat completions from one server; to be used within one event loop.

    Attributes:
        repeated: why attempts were repeated, and how often.
    """

    def __init__(self, options: ClientOptions, where: str):
        """Checks the options and reads the environment; nothing is sent.

        Args:
            where: the options' place in the configuration, for messages: `engine`.

        Raises:
            UserError: an option that cannot work, no address, or no key where one is named.
        """
        self._base, self._key = options.reach(where)
        self.repeated: Counter[str] = Counter()
        self._options = options
        self._where = where
        self._answers = 0  # HTTP answers so far
        self._completed = False  # whether one of them was a chat completion
        self._down = False
        self._slots = asyncio.Semaphore(options.concurrency)
        self._http: aiohttp.ClientSession | None = None

    async def connect(self) -> None:
        """Opens the client and sees whether anything answers at the address.

        Raises:
            UserError: nothing does.
        """
        import aiohttp

        self._http = aiohttp.ClientSession(
            # Servers drop connections that idle for 5 s (uvicorn): ours are dropped before.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=2),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={
                "Accept-Encoding": "identity",
                **({"Authorization": f"Bearer {self._key}"} if self._key else {}),
            },
            auto_decompress=False,  # what is packed all the same is unpacked to a limit
            proxy=_proxy(self._base),
        )
        limits = aiohttp.ClientTimeout(total=2 * _PROBE_SECONDS, sock_connect=_PROBE_SECONDS)
        try:
            async with self._http.get(
                f"{self._base}/models", timeout=limits, allow_redirects=False
            ):
                pass  # any answer will do: not every server lists its models
        except (aiohttp.ClientError, OSError, ValueError) as e:  # ValueError: an unusable proxy
            raise UserError(
                f"no server answers at {self._base} ({self._quote(str(e) or type(e).__name__)}); "
                f"start it, or set {self._where}.base_url to where it is"
            ) from e

    async def aclose(self) -> None:
        """Closes the connections."""
        if self._http is not None:
            await self._http.close()

    async def complete(
        self, model: str, messages: Sequence[Message], sampling: Sampling, **fields: Any
    ) -> Completion | NoCompletion:
        """Asks for one answer; waits while `concurrency` requests are in flight.

        HTTP 408, 409, 429 and 5xx, lost connections, time-outs and answers that are no chat
        completion are tried again. Once a request has failed to reach the server in all its
        attempts, and nobody else was answered meanwhile, the server counts as down, and until it
        answers again each request has one attempt: a dead server ends a long run quickly.

        Args:
            model: the name that the server knows the model by.
            fields: more fields of the request's body.

        Raises:
            UserError: the address or the model's name is refused before there was any answer, or
                the key is, or its account has no quota left, at any time.
        """
        body = json.dumps(
            {
                "model": model,
                "messages": [{"role": m.role, "content": m.content} for m in messages],
                "n": 1,
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                **({} if sampling.max_tokens is None else {"max_tokens": sampling.max_tokens}),
                **({} if sampling.seed is None else {"seed": sampling.seed}),
                **fields,
            }
        ).encode()
        async with self._slots:
            answers, attempt = self._answers, 0
            last = 1 if self._down else self._options.attempts
            while True:
                attempt += 1
                outcome = await self._ask(body)
                if not isinstance(outcome, _Again):
                    return outcome
                if attempt >= last or (outcome.after or 0) > _LONGEST_RETRY_AFTER:
                    break
                self.repeated[outcome.kind] += 1
                await asyncio.sleep(self._pause(attempt, outcome.after))
            self._down = self._down or self._answers == answers
            return NoCompletion(f"{outcome.reason} ({counted(attempt, 'attempt')})")

    def _pause(self, attempt: int, after: float | None) -> float:
        """Seconds to wait after an attempt, counted from 1; never less than the server asks."""
        backoff = min(self._options.backoff_seconds * 2.0 ** (attempt - 1), _LONGEST_BACKOFF)
        if after is not None:  # and not all at the same moment
            return after + random.uniform(0, self._options.backoff_seconds)
        return backoff * random.uniform(0.5, 1)

    async def _ask(self, body: bytes) -> Completion | NoCompletion | _Again:
        """One attempt."""
        import aiohttp

        assert self._http is not None, "connect() comes first"
        seconds = self._options.timeout_seconds
        try:
            async with self._http.post(
                f"{self._base}/chat/completions",
                data=body,
                headers={"Content-Type": "application/json"},
                timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=_CONNECT_SECONDS),
                allow_redirects=False,
            ) as response:
                content = await _body(response)
        except TimeoutError as e:  # some of aiohttp's are ClientErrors too
            reason = self._quote(str(e)) or f"no answer within {seconds:g} s"
            return _Again("timed out", reason)
        except (aiohttp.ClientError, OSError) as e:
            reason = f"connection lost: {self._quote(str(e) or type(e).__name__)}"
            return _Again("connection lost", reason)
        self._answers += 1
        self._down = False
        try:
            content = _plain_body(content, response.headers.get("Content-Encoding", ""))
        except ValueError as e:
            return _Again("unreadable answer", str(e))
        if response.status == 200:
            return self._read(content)
        reason = f"HTTP {response.status}: {self._quote(_error_text(content))}".removesuffix(": ")
        spent = response.status == 429 and _QUOTA in content
        wrong = response.status in _WRONG_ADDRESS and not self._completed
        if wrong or spent or response.status in _WRONG_KEY:
            raise UserError(
                f"{self._base}/chat/completions refuses: {reason}; check the address, the model's "
                f"name there and the key in {self._options.api_key_env}"
            )
        if response.status in _RETRIED or response.status >= 500:
            after = retry_after(response.headers.get("Retry-After"), time.time())
            return _Again(f"HTTP {response.status}", reason, after)
        return NoCompletion(reason)

    def _read(self, content: bytes) -> Completion | NoCompletion | _Again:
        """What an answer with status 200 says."""
        try:
            answer = json.loads(content)
            [choice] = answer["choices"]
            text, finish = choice["message"]["content"], choice["finish_reason"]
            usage = answer.get("usage") or {}
            counts = usage.get("prompt_tokens"), usage.get("completion_tokens")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            reason = f"no chat completion but {self._quote(_error_text(content)) or 'nothing'}"
            return _Again("unreadable answer", reason)
        if not isinstance(text, str | None) or not all(map(_is_count, counts)):
            return _Again("unreadable answer", "a chat completion with fields of a wrong type")
        self._completed = True
        if finish not in ("stop", "length"):
            return NoCompletion(
                f"the server ended it with finish_reason {self._quote(repr(finish))}"
            )
        return Completion(text or "", finish, *counts)  # null: the model wrote nothing

    def _quote(self, text: str) -> str:
        """A server's or library's words as one short line, without the key or a password."""
        if self._key:
            text = text.replace(self._key, "[key]")
        text = re.sub(r"://[^/@\s]*@", "://", text)
        line = " ".join(text.split())
        return line if len(line) <= _TEXT_CHARACTERS else line[:_TEXT_CHARACTERS] + "…"


def _is_count(value: object) -> bool:
    """Whether it can be a number of tokens, or says nothing; `true` and `10**400` cannot."""
    return value is None or (type(value) is int and 0 <= value < 2**53)


def _proxy(base: str) -> str | None:
    """The proxy that the environment names for an address.

    Asked once: aiohttp's own `trust_env` reads the environment and a netrc file per request.
    """
    parts = urllib.parse.urlsplit(base)
    if urllib.request.proxy_bypass(parts.netloc):
        return None
    return urllib.request.getproxies().get(parts.scheme)


async def _body(response: aiohttp.ClientResponse) -> bytes | None:
    """An answer's body; None where it is too long. The connection is then closed."""
    content = bytearray()
    async for part in response.content.iter_any():
        content += part
        if len(content) > _LONGEST_ANSWER:
            return None
    return bytes(content)


def _plain_body(content: bytes | None, encoding: str) -> bytes:
    """A body unpacked; ValueError where it is too long or cannot be."""
    if content is None:
        raise ValueError(f"an answer of more than {_LONGEST_ANSWER >> 20} MiB")
    try:
        return unpack.body(content, encoding, _LONGEST_ANSWER)
    except ValueError as e:
        raise ValueError(f"an answer that cannot be read: {e}") from e


def _error_text(content: bytes) -> str:
    """What a body says: the message of the usual JSON shapes of errors, else all of it."""
    text = content.decode(errors="replace")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return text
    for name in ("error", "message", "detail"):
        if isinstance(body, dict) and body.get(name):
            body = body[name]
    return body if isinstance(body, str) else text


def retry_after(value: str | None, now: float) -> float | None:
    """The seconds that a `Retry-After` header asks to wait (RFC 9110, 10.2.3).

    Args:
        value: a number of seconds or an HTTP date; None: there is no such header.
        now: Unix time.

    Returns:
        Seconds, at least 0; None where the header is missing or unreadable.
    """
    if value is None:
        return None
    if re.fullmatch(r"\s*\d+(\.\d+)?\s*", value):
        return float(value)
    try:
        date = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    if date.tzinfo is None:  # HTTP dates are GMT
        date = date.replace(tzinfo=UTC)
    return max(0.0, date.timestamp() - now)
