"""Engines over what a Python program holds: a function that answers, a server that it feeds.

Nobody can tell from outside which weights such an engine has, a trainer's change with each step.
So what it answered is a run of its own unless its `version` vouches for it; no other run takes its
answers; and no command line makes that run again, which reports say.
"""

from __future__ import annotations

import inspect
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ochat_eval.engines.answer import Completion
from ochat_eval.engines.engine import Engine, Failure, Session, Work
from ochat_eval.engines.openai import OpenAi
from ochat_eval.model.chat import recorded_thinking
from ochat_eval.model.model import Model
from ochat_eval.records import Request, Response, UserError
from ochat_eval.run.identity import LIVE, OWN_SAMPLING
from ochat_eval.terminal.words import counted

Chat = list[dict[str, str]]
"""The messages of a conversation, each with `role` and `content`; the last is the user's."""
Answers = Sequence[str | Completion]


def _unknown() -> str:
    return f"unknown {uuid.uuid4().hex[:12]}"


@dataclass(frozen=True, kw_only=True)
class Live(Engine):
    """Base of the engines over what a program holds.

    Attributes:
        version: what tells the weights from others, as `step 500`: a run of the same version goes
            on; None: nobody can tell, and each run is a new one.
    """

    kind: ClassVar[str]
    """What it is: `function`."""
    writes_prompts: ClassVar[bool] = False
    """Whether prompts are made here, so that the model's options for them can be followed."""

    version: str | None = None
    _of_this_run: str = field(default_factory=_unknown, repr=False)

    @property
    def label(self) -> str:
        """The engine's part in the run's default name."""
        return self.kind

    def identity(self, model: Model) -> dict[str, Any]:
        """The name, the kind, the version; and the options of the engine that change an answer."""
        version = self._of_this_run if self.version is None else self.version
        return {"model": model.name, LIVE: self.kind, "version": version}

    def check_model(self, model: Model) -> None:
        """As `Engine.check_model`."""
        if not self.writes_prompts:
            super().check_model(model)
            return
        self.check_options()
        if model.thinking_budget is not None:
            raise UserError("model.thinking_budget: engine=vllm alone can end a thought")


@dataclass(frozen=True, kw_only=True)
class Function(Live):
    """A function that answers conversations.

    Attributes:
        generate: gets a list of chats and, where it has a second parameter, a list of as many
            `Sampling`s; it returns a text, or a `Completion`, for each. Without the second
            parameter the sampling is its own, which reports say.
        batch_size: the most chats that it gets at a time.
    """

    kind: ClassVar[str] = "function"

    generate: Callable[..., Answers]
    batch_size: int = 64

    def check_options(self) -> None:
        """As `Engine.check_options`."""
        if self.batch_size < 1:
            raise UserError(f"batch_size is {self.batch_size}; it must be at least 1")

    @property
    def takes_sampling(self) -> bool:
        """Whether the function is told how answers are to be drawn."""
        try:
            given = inspect.signature(self.generate).parameters.values()
        except (TypeError, ValueError):  # of one that is not written in Python
            return False
        places = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        return sum(one.kind in places for one in given) > 1

    def identity(self, model: Model) -> dict[str, Any]:
        """As `Live.identity`, and whether the sampling is the benchmark's."""
        own = {} if self.takes_sampling else {OWN_SAMPLING: True}
        return {**super().identity(model), **own}

    def start(self, work: Work) -> Session:
        """Takes the function as it is.

        Raises:
            UserError: prompts are to be cut, which only a tokenizer can do.
        """
        if work.truncate_overlong:
            raise UserError("overlong=truncate: a function gets whole messages; leave it out")
        return _FunctionSession(self, work.model)


class _FunctionSession(Session):
    def __init__(self, engine: Function, model: Model):
        self._generate, self._sampled = engine.generate, engine.takes_sampling
        self._thinking = recorded_thinking(model)
        self._waiting: list[Request] = []
        self.window = engine.batch_size

    def submit(self, request: Request) -> None:
        self._waiting.append(request)

    def collect(self) -> list[Response | Failure]:
        asked, self._waiting = self._waiting, []
        chats: list[Chat] = [
            [{"role": m.role, "content": m.content} for m in request.messages] for request in asked
        ]
        if self._sampled:
            given = self._generate(chats, [request.sampling for request in asked])
        else:
            given = self._generate(chats)
        several = isinstance(given, Sequence) and not isinstance(given, str)
        if not several or len(given) != len(asked):
            what = counted(len(given), "answer") if several else f"a {type(given).__name__}"
            raise UserError(
                f"generate returned {what} to {counted(len(asked), 'chat')}: it gets a list of "
                "chats and returns a list with a text for each, in their order"
            )
        return [self._response(*pair) for pair in zip(asked, given, strict=True)]

    def _response(self, request: Request, given: str | Completion) -> Response:
        if not isinstance(given, str | Completion):
            raise UserError(f"generate returned {type(given).__name__} for an answer, not a text")
        one = Completion(given, None) if isinstance(given, str) else given
        return self._thinking.of_text(one.response(request))


@dataclass(frozen=True, kw_only=True)
class Server(Live):
    """An OpenAI-compatible server whose weights the program changes: as `engine=openai` otherwise.

    Attributes:
        base_url: its address: `http://127.0.0.1:8000/v1`.
        served_name: what it calls the model; empty: the run's name for it.
    """

    kind: ClassVar[str] = "server"

    base_url: str
    served_name: str = ""

    def _client(self) -> OpenAi:
        return OpenAi(base_url=self.base_url, served_name=self.served_name)

    def identity(self, model: Model) -> dict[str, Any]:
        """As `Live.identity`, and what is the client's."""
        return {**self._client().identity(model), **super().identity(model)}

    def check_options(self) -> None:
        """As `Engine.check_options`."""
        self._client().check_options()

    def start(self, work: Work) -> Session:
        """As `OpenAi.start`."""
        return self._client().start(work)
