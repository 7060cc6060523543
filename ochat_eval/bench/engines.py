"""Which engine is loaded while measurements ask for one after another."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

from ochat_eval.bench.costs import NewProcess
from ochat_eval.bench.loaded import Loaded, loaded
from ochat_eval.config.job import Job
from ochat_eval.config.load import job
from ochat_eval.engines.engine import Engine
from ochat_eval.engines.vllm import Vllm
from ochat_eval.records import UserError

T = TypeVar("T")


def _without_loops(engine: Engine) -> Engine:
    """The engine without what each request says for itself."""
    return replace(engine, stop_loops=None) if isinstance(engine, Vllm) else engine


def _loads(asked: Job) -> tuple[Any, ...]:
    """What is the same for jobs that one loaded engine can do."""
    return asked.model, _without_loops(asked.engine), asked.seed


class Engines:
    """Engines, one at a time: it stays loaded while the same one is asked for."""

    def __init__(self) -> None:
        self._loads: tuple[Any, ...] | None = None
        self._open = contextlib.ExitStack()

    @contextlib.contextmanager
    def load(self, asked: Job) -> Iterator[Loaded]:
        """Within it, the engine of a job; it is loaded if it is not, and stays."""
        if self._loads != (loads := _loads(asked)):
            self.close()
            plain = replace(asked, engine=_without_loops(asked.engine))
            self._engine = self._open.enter_context(loaded(plain))
            self._loads = loads
        loops = asked.engine.stop_loops if isinstance(asked.engine, Vllm) else None
        yield self._engine if loops is None else self._engine.ending_loops(loops)

    def run(self, arguments: list[str], function: Callable[..., T], *more: Any) -> T:
        """What a function returns that gets the engine of a command line, that line, and more."""
        with self.load(job(arguments)) as engine:
            return function(engine, arguments, *more)

    def close(self) -> None:
        """Closes the engine that is loaded."""
        self._loads = None
        self._open.close()


class EnginesApart(Engines):
    """The same, each engine in a fresh Python, so that nothing of another is left."""

    def run(self, arguments: list[str], function: Callable[..., T], *more: Any) -> T:
        """As of `Engines`; function and `more` are pickled, and so is what it returns.

        Raises:
            UserError: as the function; or its process died.
        """
        if self._loads != (loads := _loads(job(arguments))):
            self.close()
            self._process = self._open.enter_context(contextlib.closing(NewProcess()))
            self._open.callback(_close_in, self._process)
            self._loads = loads
        try:
            found: T = self._process.call(_run_here, arguments, function, *more)
        except BaseException:
            self.close()
            raise
        return found


_here = Engines()
"""Of a process of `EnginesApart`."""


def _run_here(arguments: list[str], function: Callable[..., T], *more: Any) -> T:
    return _here.run(arguments, function, *more)


def _close_here() -> None:
    _here.close()


def _close_in(process: NewProcess) -> None:
    with contextlib.suppress(UserError):  # it may have died
        process.call(_close_here)
