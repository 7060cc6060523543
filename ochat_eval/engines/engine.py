"""The engines that answer requests; `conf/engine/<name>.yaml` chooses and describes one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ochat_eval.model.model import Model
from ochat_eval.records import Item, Request, Response, UserError


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that got no response, and why. It is asked again when the run goes on.

    Attributes:
        final: whether the same would come of asking again with the same options.
    """

    id: str
    sample: int
    turn: int
    reason: str
    final: bool = False


@dataclass(frozen=True, kw_only=True)
class Work:
    """What an engine is started for.

    Attributes:
        model: whose answers are wanted.
        items: reads all planned items anew at each call, so that none need be kept.
        seed: the run's seed.
        truncate_overlong: keep the last tokens of a prompt longer than the context instead of
            refusing it.
        say: prints a line for the user.
        note: adds a line to the run's `replicas.jsonl` (`ochat_eval.engines.ray` has its shape).
    """

    model: Model
    items: Callable[[], Iterable[Item]]
    seed: int
    truncate_overlong: bool
    say: Callable[[str], None]
    note: Callable[[Mapping[str, Any]], None] = lambda _: None


@dataclass(frozen=True, kw_only=True)
class Engine:
    """Base of the engines: a frozen dataclass of options that starts a `Session`."""

    takes_adapters: ClassVar[bool] = False
    """Whether it loads `model.adapters` beside the model and heeds a request's `adapter`."""

    def identity(self, model: Model) -> dict[str, Any]:
        """What of engine and model can change an answer; transport options are not in it."""
        raise NotImplementedError

    @property
    def label(self) -> str:
        """The engine's part in the run's default name."""
        raise NotImplementedError

    def check_options(self) -> None:
        """Refuses options that cannot work, whatever the machine; nothing heavy is imported.

        Raises:
            UserError: the first of them.
        """

    def check_model(self, model: Model) -> None:
        """Refuses a machine that has too little and a model that is not there, before a run.

        This one is for engines that ask a server with messages: it writes the prompts.

        Raises:
            UserError: as `check_options`, what is missing, or an option of the model that the
                engine cannot follow.
        """
        self.check_options()
        for name in ("template", "template_kwargs", "thinking_budget"):
            if name in model.changes():
                raise UserError(
                    f"model.{name}: engine={self.label} sends messages, and the server writes the "
                    "prompt; set it there"
                )

    def start(self, work: Work) -> Session:
        """Loads what there is to load.

        Raises:
            UserError: an option or an item that cannot work, before anything is generated.
        """
        raise NotImplementedError


class Session:
    """A started engine: requests go in one by one, responses come out as they finish.

    Attributes:
        window: how many requests it wants in flight to be busy.
        gpus: how many GPUs it holds, on all machines together.
    """

    window: int
    gpus: float = 0

    def submit(self, request: Request) -> None:
        """Takes a request; the response comes out of `collect`."""
        raise NotImplementedError

    def collect(self) -> list[Response | Failure]:
        """Waits until something submitted has finished, and returns all that has.

        Where nothing finishes for a while, it may return nothing, so that its caller can show
        that there is progress.

        Raises:
            UserError: the engine died; what it had in flight is lost, the journal is not.
        """
        raise NotImplementedError

    def unfinished_tokens(self) -> int:
        """Tokens written so far for what is in flight, where the session knows."""
        return 0

    def state(self) -> list[str]:
        """How it does, in a few words each: `cache 63 %`, `2 of 2 replicas`."""
        return []

    def learnt(self) -> dict[str, Any]:
        """Of a server, how it wants to be asked beyond the options: `{"leave_out": ["seed"]}`."""
        return {}

    def close(self) -> None:
        """Frees what the engine holds."""
