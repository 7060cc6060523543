"""vLLM loaded once for several runs to be timed; to be used in a process of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ochat_eval.config import Config, build_engine
from ochat_eval.engines import Engine, Failure, Session, Work
from ochat_eval.models import Model
from ochat_eval.progress import say
from ochat_eval.records import Request, Response


@dataclass(frozen=True, kw_only=True)
class Loaded(Engine):
    """An engine that starts with a session at hand, and leaves it open.

    Attributes:
        session: vLLM's.
    """

    session: Session

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
        return _Kept(self.session)

    @property
    def llm(self) -> Any:
        """The `vllm.LLM` of the session."""
        return self.session._llm  # type: ignore[attr-defined]


class _Kept(Session):
    """A session that outlives its run."""

    def __init__(self, session: Session):
        self._session = session
        self.window = session.window

    def submit(self, request: Request) -> None:
        self._session.submit(request)

    def collect(self) -> list[Response | Failure]:
        return self._session.collect()

    def unfinished_tokens(self) -> int:
        return self._session.unfinished_tokens()

    def close(self) -> None:
        """Nothing: the next run goes on with it."""


@contextlib.contextmanager
def loaded(config: Config) -> Iterator[Loaded]:
    """The configured engine, started once; start and first requests are in no measurement."""
    work = Work(
        model=config.model, items=lambda: (), seed=config.seed, truncate_overlong=False, say=say
    )
    session = build_engine(config).start(work)
    try:
        yield Loaded(session=session)
    finally:
        session.close()
