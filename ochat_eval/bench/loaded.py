"""vLLM loaded once for several runs to be timed; to be used in a process of its own."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ochat_eval.config.job import Job
from ochat_eval.engines.engine import Engine, Failure, Session, Work
from ochat_eval.engines.vllm_session import with_loops_ended
from ochat_eval.model.model import Model
from ochat_eval.records import Request, Response, UserError
from ochat_eval.terminal.say import say


@dataclass(frozen=True, kw_only=True)
class Loaded(Engine):
    """An engine that starts with a session at hand, and leaves it open.

    Attributes:
        session: vLLM's.
        start_seconds: what its start took.
        flow: by `time.monotonic()`, how many requests were in flight; runs add to it.
    """

    session: Session
    start_seconds: float = 0.0
    flow: list[tuple[float, int]] = field(default_factory=list)

    @property
    def label(self) -> str:
        """The engine's part in a run's name."""
        return "loaded"

    def identity(self, model: Model) -> dict[str, Any]:
        """Nothing: a measured run is never gone on with."""
        return {"model": model.name}

    def start(self, work: Work) -> Session:
        """The session; nothing of earlier runs is left in its prefix cache."""
        del work
        self.llm.reset_prefix_cache()
        return _Kept(self.session, self.flow)

    def ending_loops(self, times: int) -> Loaded:
        """The same engine; answers that repeat themselves so often are ended (`stop_loops`)."""
        return replace(self, session=with_loops_ended(self.session, times))

    @property
    def llm(self) -> Any:
        """The `vllm.LLM` of the session."""
        return self.session._llm  # type: ignore[attr-defined]


class _Kept(Session):
    """A session that outlives its run."""

    def __init__(self, session: Session, flow: list[tuple[float, int]]):
        self._session = session
        self._flow, self._in_flight = flow, 0
        self.window = session.window

    def submit(self, request: Request) -> None:
        self._session.submit(request)
        self._note(1)

    def collect(self) -> list[Response | Failure]:
        found = self._session.collect()
        self._note(-len(found))
        return found

    def _note(self, change: int) -> None:
        self._in_flight += change
        self._flow.append((time.monotonic(), self._in_flight))

    def unfinished_tokens(self) -> int:
        return self._session.unfinished_tokens()

    def close(self) -> None:
        """Nothing: the next run goes on with it."""


@contextlib.contextmanager
def loaded(asked: Job) -> Iterator[Loaded]:
    """The configured engine, started once; start and first requests are in no measurement."""
    work = Work(
        model=asked.model, items=lambda: (), seed=asked.seed, truncate_overlong=False, say=say
    )
    begun = time.monotonic()
    session = asked.engine.start(work)
    try:
        yield Loaded(session=session, start_seconds=time.monotonic() - begun)
    finally:
        session.close()


def tail(flow: Sequence[tuple[float, int]], few: int) -> float:
    """The seconds at the end of a run in which at most so many requests were in flight.

    Args:
        flow: as of `Loaded`.
    """
    if not flow:
        raise UserError("nothing was in flight")
    busy = [at for at, in_flight in flow if in_flight > few]
    # the entry after the last busy one is when it came down to a few
    begun = next((at for at, _ in flow if busy and at > busy[-1]), flow[0][0])
    return flow[-1][0] - begun
