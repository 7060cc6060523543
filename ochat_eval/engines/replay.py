"""The engine that answers from recorded responses: rescoring, tests, other people's outputs."""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ochat_eval.engines.engine import Engine, Failure, Session, Work
from ochat_eval.model.chat import recorded_thinking
from ochat_eval.model.chat.thinking import Thinking
from ochat_eval.model.model import Model
from ochat_eval.records import Request, Response, UserError
from ochat_eval.run.index import Index
from ochat_eval.terminal.words import counted


@dataclass(frozen=True, kw_only=True)
class Replay(Engine):
    """Answers from a file.

    Attributes:
        path: a `responses.jsonl`; only `id` and `text` are required in a line.
        ignore_unknown: pass over responses to items that the run does not ask.
    """

    path: str = ""
    ignore_unknown: bool = False

    @property
    def label(self) -> str:
        """The engine's part in the run's default name."""
        return "replay"

    def _file(self) -> Path:
        if not self.path:
            raise UserError("engine.path is not set: write engine.path=FILE, a responses.jsonl")
        return Path(self.path).expanduser()

    def identity(self, model: Model) -> dict[str, Any]:
        """The recorded file's digest; the model only by its name."""
        try:
            with self._file().open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as e:
            raise UserError(f"engine.path: cannot read {self.path}: {e.strerror}") from e
        return {"model": model.name, "replay": digest}

    def check_model(self, model: Model) -> None:
        """As `Engine.check_model`: whatever the answers were asked with, they are there."""
        self.check_options()

    def start(self, work: Work) -> Session:
        """Reads the file.

        Raises:
            UserError: a broken line, a response recorded twice, or one to an unknown item.
        """
        recorded = Index(self._file(), Response)
        unknown = recorded.unknown(item.id for item in work.items())
        if unknown and not self.ignore_unknown:
            raise UserError(
                f"{self.path} answers {counted(len(unknown), 'item')} that this run does not ask, "
                f"the first {unknown[0]!r}; leave them out with engine.ignore_unknown=true"
            )
        return _ReplaySession(recorded, recorded_thinking(work.model))


class _ReplaySession(Session):
    window = 1024

    def __init__(self, recorded: Index[Response], thinking: Thinking):
        self._recorded = recorded
        self._thinking = thinking
        self._ready: deque[Response | Failure] = deque()

    def submit(self, request: Request) -> None:
        found = {r.key: r for r in self._recorded.of(request.id)}
        response = found.get(request.key)
        self._ready.append(
            self._thinking.of_text(replace(response, reused_from=None))
            if response
            else Failure(*request.key, "no recorded response")
        )

    def collect(self) -> list[Response | Failure]:
        ready = list(self._ready)
        self._ready.clear()
        return ready

    def close(self) -> None:
        self._recorded.close()
