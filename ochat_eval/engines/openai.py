"""The engine that asks any OpenAI-compatible server."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, ClassVar, TypeVar

from ochat_eval.engines.address import ClientOptions
from ochat_eval.engines.answer import Completion
from ochat_eval.engines.client import Client
from ochat_eval.engines.engine import Engine, Failure, Session, Work
from ochat_eval.model.chat import recorded_thinking
from ochat_eval.model.model import Model
from ochat_eval.records import Request, Response, UserError
from ochat_eval.terminal.words import counted

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class OpenAi(ClientOptions, Engine):
    """A server with `/chat/completions`; it applies the chat format.

    Attributes:
        served_name: the name that the server knows the model by; empty: `model.name`.
    """

    where: ClassVar[str] = "engine"
    """The options' place in the configuration, for messages."""

    served_name: str = ""

    @property
    def label(self) -> str:
        """The engine's part in the run's default name."""
        return "openai"

    def identity(self, model: Model) -> dict[str, Any]:
        """Names, condition, and what is asked otherwise than usual.

        The address is transport, with headers and query; the chat format is the server's own.
        """
        self.check(self.where)
        return {
            "model": model.name,
            "served_name": self.served_name or model.name,
            "chat": "server",
            "condition": model.condition,
            **self.asked_otherwise(),
        }

    def check_options(self) -> None:
        """The address, and the numbers."""
        self.check(self.where)

    def start(self, work: Work) -> Session:
        """Connects to the server.

        Raises:
            UserError: an option that cannot work, or no server at the address.
        """
        if work.truncate_overlong:
            raise UserError(
                "overlong=truncate: a server does its own counting and cannot be told to cut "
                "prompts as published; leave it out, and what it refuses is listed as failed"
            )
        session = _ServerSession(self, work)
        try:
            session.connect()
        except UserError:
            session.close()
            raise
        return session


class _ServerSession(Session):
    """The client in the event loop of a thread of its own; a queue brings what has finished."""

    def __init__(self, options: OpenAi, work: Work):
        self._client = Client(options, options.where, work.say)
        self._served_name = options.served_name or work.model.name
        self._condition = work.model.condition  # where an item names none
        self._thinking = recorded_thinking(work.model)
        self._say = work.say
        self.window = 0  # until it is connected
        self._filtered = 0
        self._handed: deque[Request] = deque()
        self._finished: SimpleQueue[list[Response | Failure | BaseException]] = SimpleQueue()
        self._came: list[Response | Failure | BaseException] = []  # not yet in the queue
        self._error: BaseException | None = None
        self._tasks: set[asyncio.Task[Response | Failure]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def connect(self) -> None:
        """Raises UserError if nothing answers at the address."""
        self._run(self._client.connect())
        # The next wait at hand.
        self.window = self._client.concurrency + self._client.concurrency // 8 + 1

    def submit(self, request: Request) -> None:
        self._handed.append(request)
        if len(self._handed) == 1:  # else the loop has been told, and takes this one too
            self._loop.call_soon_threadsafe(self._begin)

    def _begin(self) -> None:
        while self._handed:
            task = self._loop.create_task(self._answer(self._handed.popleft()))
            self._tasks.add(task)
            task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[Response | Failure]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        if not self._came:
            self._loop.call_soon(self._hand_over)
        self._came.append(task.exception() or task.result())

    def _hand_over(self) -> None:
        """What came in one turn of the loop goes together: into one write of the journal."""
        self._finished.put(self._came)
        self._came = []

    async def _answer(self, request: Request) -> Response | Failure:
        condition = request.condition or self._condition
        fields = {"condition": condition} if condition is not None else {}
        outcome = await self._client.complete(
            self._served_name, request.messages, request.sampling, **fields
        )
        if not isinstance(outcome, Completion):
            return Failure(*request.key, outcome.reason, outcome.final)
        self._filtered += outcome.finish_reason == "content_filter"
        response = outcome.response(request)
        return self._thinking.of_text(response)  # of a server that leaves the marks in the text

    def learnt(self) -> dict[str, Any]:
        return self._client.learnt

    def collect(self) -> list[Response | Failure]:
        done: list[Response | Failure] = []
        while self._error is None and not (done and self._finished.empty()):
            for outcome in self._finished.get():
                if isinstance(outcome, BaseException):
                    self._error = outcome
                else:
                    done.append(outcome)
        if self._error is not None and not done:  # the answers that came first are to be kept
            raise self._error
        return done

    def close(self) -> None:
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        if repeated := self._client.repeated:
            reasons = ", ".join(f"{reason} {n:,} times" for reason, n in repeated.most_common())
            self._say(f"attempts that were repeated: {reasons}")
        if self._filtered:
            self._say(
                f"{counted(self._filtered, 'answer')} stopped by the server's content filter: kept "
                "as it is (finish_reason content_filter), and not asked for again"
            )

    async def _stop(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)  # cancelled; their ends are no news
        await self._client.aclose()
