"""A client for OpenAI-compatible chat servers; knows neither engines nor benchmarks.

The requests are the `openai` package's (`wire`). Here is what it does not do: how many are in
flight, which failure counts as what and is worth another attempt, what a refusal teaches.
"""

from __future__ import annotations

import asyncio
import email.utils
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any

from ochat_eval.engines import answer
from ochat_eval.engines.address import ClientOptions
from ochat_eval.engines.answer import Completion
from ochat_eval.engines.descriptors import connections
from ochat_eval.engines.form import Asked, Form, error_text
from ochat_eval.engines.reply import Lost, Reply, Unreadable
from ochat_eval.records import Message, Sampling, UserError
from ochat_eval.terminal.words import counted

if TYPE_CHECKING:
    from ochat_eval.engines.wire import Wire

_MODELS = "/models"
_CHAT = "/chat/completions"
_PROBE_SECONDS = 10.0
_LONGEST_BACKOFF = 60.0
_TEXT_CHARACTERS = 300
"""How much of a server's error text a reason quotes."""
_SAID_AGAIN = 600.0
"""Seconds between two lines that say that the server is busy."""
_WRONG_ADDRESS = {301, 302, 307, 308, 403, 404, 405}
"""A wrong model name or address: every request would get it."""
_WRONG_KEY = {401, 402, 407}
"""One that is refused or not paid for; in mid-run it was revoked. 407 is a proxy's."""
_QUOTA = b"insufficient_quota"
"""What OpenAI calls an account with nothing left; its status, 429, is that of passing crowds."""
_RETRIED = {408, 409, 429}
"""Passing conditions; so is every 5xx."""
_NEVER = {501, 505}
"""But these."""


@dataclass(frozen=True, slots=True)
class NoCompletion:
    """A request that got no answer, and why, in one line without the API key.

    Attributes:
        final: whether the server would say the same again.
    """

    reason: str
    final: bool = False


@dataclass(frozen=True, slots=True)
class _Refusal:
    """A request that the server does not take."""

    reason: str
    status: int
    content: bytes


@dataclass(frozen=True, slots=True)
class _Again:
    """An attempt that failed in a way that may pass.

    Attributes:
        kind: short, for counting: `HTTP 429`.
        reason: `kind`, and what else is known.
        after: seconds that the server asks to wait; None if it does not.
        busy: the server is there and asks for patience.
        refusal: what it may be in truth: a template's error comes as HTTP 500 from some.
    """

    kind: str
    reason: str
    after: float | None = None
    busy: bool = False
    refusal: _Refusal | None = None


class Client:
    """Chat completions from one server; to be used within one event loop.

    Attributes:
        concurrency: requests in flight; fewer than asked for where there are no more file
            descriptors. Known once `connect` has returned.
        repeated: why attempts were repeated, and how often.
    """

    def __init__(
        self, options: ClientOptions, where: str, say: Callable[[str], None] = lambda _: None
    ):
        """Checks the options and reads the environment; nothing is sent.

        Args:
            where: the options' place in the configuration, for messages: `engine`.
            say: prints a line for the user.

        Raises:
            UserError: an option that cannot work, no address, or no key where one is named.
        """
        self._reached = options.reach(where)
        self.repeated: Counter[str] = Counter()
        self.concurrency = options.concurrency
        self._options = options
        self._where = where
        self._say = say
        self._usual = Form(
            self._reached.body, options.rename, frozenset(options.leave_out), options.fold_system
        )
        self._form = self._usual  # with what was learnt
        self._taken: set[str] = set()
        self._answers = 0  # HTTP answers so far
        self._completed = False  # whether one of them was a chat completion
        self._down = False
        self._busy_said = -_SAID_AGAIN
        self._slots = asyncio.Semaphore(options.concurrency)
        self._wire: Wire | None = None

    @property
    def learnt(self) -> dict[str, Any]:
        """How the server wants to be asked beyond the options: `rename`, `leave_out`, …"""
        return self._form.beyond(self._usual)

    async def connect(self) -> None:
        """Opens the client and sees whether anything answers at the address.

        Raises:
            UserError: nothing does, or there is no file descriptor left for a connection.
        """
        from ochat_eval.engines.wire import Wire

        room = connections(self.concurrency, self._where)
        if room < self.concurrency:
            self._say(
                f"{self._where}.concurrency is {self.concurrency}, but this process may open so "
                f"few files that {counted(room, 'request')} can be in flight (ulimit -n)"
            )
            self.concurrency, self._slots = room, asyncio.Semaphore(room)
        try:
            self._wire = Wire(self._reached, room)
            await self._wire.make(_MODELS, _CHAT)
            reply = await self._wire.get(_MODELS, _PROBE_SECONDS)
        except Lost as e:
            raise UserError(
                f"no server answers at {self._reached.base}{self._through()} "
                f"({self._quote(str(e))}); "
                f"start it, or set {self._where}.base_url to where it is"
            ) from e
        except Unreadable:
            return  # any answer will do: not every server lists its models
        if reply.status == 407:
            raise UserError(f"{self._refuses(reply)}; check the environment's proxy")

    async def aclose(self) -> None:
        """Closes the connections."""
        if self._wire is not None:
            await self._wire.aclose()

    async def complete(
        self, model: str, messages: Sequence[Message], sampling: Sampling, **fields: Any
    ) -> Completion | NoCompletion:
        """Asks for one answer; waits while `concurrency` requests are in flight.

        HTTP 408, 409, 5xx, lost connections, time-outs and answers that are no chat completion are
        tried again. Once a request has failed to reach the server in all its attempts, and nobody
        else was answered meanwhile, the server counts as down, and until it answers again each
        request has one attempt: a dead server ends a long run quickly. A busy server (429, or
        `Retry-After`) is waited for.

        A refusal that names a field which no answered request had is tried once more without it
        or with its other name; if that is answered, all later requests are made so.

        Args:
            model: the name that the server knows the model by.
            fields: more fields of the request's body.

        Raises:
            UserError: the address or the model's name is refused before there was any answer, or
                the key is, or its account has no quota left, at any time.
        """
        asked = Asked(model, messages, sampling, fields)
        async with self._slots:
            form, first = self._form, ""
            while True:
                outcome = await self._patiently(form, asked)
                if isinstance(outcome, Completion):
                    self._adopt(form, asked)
                if not isinstance(outcome, _Refusal):
                    return outcome
                first = first or outcome.reason
                better = self._better(form, outcome.status, outcome, asked)
                if better is None:
                    return NoCompletion(first, final=True)
                form = better

    def _better(self, form: Form, status: int, refusal: _Refusal, asked: Asked) -> Form | None:
        """The form to try after a refusal: as it teaches, or as others have learnt meanwhile."""
        taught = form.after(status, refusal.content, asked, self._taken)
        known = form.joined(self._form)
        return taught if taught is not None or known == form else known

    def _adopt(self, form: Form, asked: Asked) -> None:
        """Takes note of what the server has answered; from now on it is asked so."""
        self._taken |= form.taken(asked)
        if form is self._form:
            return
        known = self._form
        self._form = known.joined(form)
        for option, value in self._form.beyond(known).items():
            self._say(
                f"the server refused a request and answered it with {self._where}.{option}="
                f"{_written(value)}: all are asked so from now on, and the manifest says so"
            )

    async def _patiently(self, form: Form, asked: Asked) -> Completion | NoCompletion | _Refusal:
        """One request, until it is answered, refused, or has failed too often."""
        body, begun = form.written(asked), time.monotonic()
        answers, failed, sent = self._answers, 0, 0
        last = 1 if self._down else self._options.attempts
        while True:
            outcome = await self._ask(body)
            sent += 1
            if not isinstance(outcome, _Again):
                return outcome
            if outcome.refusal and self._better(form, 500, outcome.refusal, asked):
                return outcome.refusal
            failed += not outcome.busy
            pause = self._pause(sent if outcome.busy else failed, outcome.after)
            waited = time.monotonic() - begun + pause
            if failed >= last or (outcome.busy and waited > self._options.wait_seconds):
                break
            if outcome.busy and sent >= self._options.attempts:
                self._say_busy(outcome.reason)
            self.repeated[outcome.kind] += 1
            await asyncio.sleep(pause)
        self._down = self._down or self._answers == answers
        return NoCompletion(f"{outcome.reason} ({counted(sent, 'attempt')})")

    def _pause(self, attempt: int, after: float | None) -> float:
        """Seconds to wait after an attempt, counted from 1; never less than the server asks."""
        doubled = self._options.backoff_seconds * 2.0 ** min(attempt - 1, 60)
        if after is not None:  # and not all at the same moment
            return after + random.uniform(0, self._options.backoff_seconds)
        return min(doubled, _LONGEST_BACKOFF) * random.uniform(0.5, 1)

    def _say_busy(self, reason: str) -> None:
        if time.monotonic() - self._busy_said >= _SAID_AGAIN:
            self._busy_said = time.monotonic()
            limit = f"{self._options.wait_seconds:g}"
            self._say(
                f"the server is busy ({reason}): waiting on, each request up to {limit} s "
                f"({self._where}.wait_seconds)"
            )

    async def _ask(self, body: bytes) -> Completion | NoCompletion | _Refusal | _Again:
        """One attempt."""
        assert self._wire is not None, "connect() comes first"
        try:
            reply = await self._wire.post(_CHAT, body, self._options.timeout_seconds)
        except Lost as e:
            return _Again(e.kind, f"{self._quote(str(e))}{self._through()}")
        except Unreadable as e:
            self._answers, self._down = self._answers + 1, False
            return _Again("unreadable answer", str(e))
        self._answers, self._down = self._answers + 1, False
        if reply.status == 200:
            return self._read(reply.content)
        return self._failure(reply)

    def _failure(self, reply: Reply) -> Completion | NoCompletion | _Refusal | _Again:
        """What an answer with another status than 200 counts as."""
        status = reply.status
        reason = f"HTTP {status}: {self._quote(error_text(reply.content))}".removesuffix(": ")
        if status in (407, 502, 503, 504):
            reason += self._through()
        spent = status == 429 and _QUOTA in reply.content
        wrong = status in _WRONG_ADDRESS and not self._completed
        if wrong or spent or status in _WRONG_KEY:
            raise UserError(
                f"{self._refuses(reply)}; check the address, the model's name there and the key "
                f"in {self._options.api_key_env}"
            )
        refusal = _Refusal(reason, status, reply.content)
        if status in _RETRIED or (status >= 500 and status not in _NEVER):
            after = retry_after(reply.headers.get("Retry-After"), time.time())
            busy = status == 429 or after is not None
            return _Again(f"HTTP {status}", reason, after, busy, refusal if status == 500 else None)
        if status == 400 and answer.is_filtered(reply.content):
            return answer.FILTERED
        return refusal

    def _refuses(self, reply: Reply) -> str:
        reason = f"HTTP {reply.status}: {self._quote(error_text(reply.content))}".removesuffix(": ")
        return f"{self._reached.base}{_CHAT} refuses: {reason}{self._through()}"

    def _read(self, content: bytes) -> Completion | NoCompletion | _Again:
        """What an answer with status 200 says."""
        found = answer.read(content)
        if found is None:
            reason = f"no chat completion but {self._quote(error_text(content)) or 'nothing'}"
            return _Again("unreadable answer", reason)
        self._completed = True
        if isinstance(found, Completion):
            return found
        return NoCompletion(self._quote(found.reason), found.final)

    def _through(self) -> str:
        """The proxy, for a message about what may be its failure."""
        proxy = None if self._wire is None else self._wire.proxy
        return "" if proxy is None else f" through the environment's proxy {proxy}"

    def _quote(self, text: str) -> str:
        """A server's or library's words as one short line, without the key or a password."""
        for secret in self._reached.secrets:
            text = text.replace(secret, "[key]")
        text = re.sub(r"://[^/@\s]*@", "://", text)
        line = " ".join(text.split())
        return line if len(line) <= _TEXT_CHARACTERS else line[:_TEXT_CHARACTERS] + "…"


def _written(value: Any) -> str:
    """An option's value as the command line takes it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {inner}" for key, inner in value.items()) + "}"
    return f"[{', '.join(value)}]" if isinstance(value, list) else str(value).lower()


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
