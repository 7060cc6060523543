"""A fast model of ours behind the Ray engine, for the queue and for deaths.

No configuration can name it: it lies outside the packages that one may name classes of.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ochat_eval.engines.engine import Session, Work
from ochat_eval.engines.ray import Ray
from ochat_eval.model.model import Model
from ochat_eval.records import Request, Response

POISON = "POISON"
"""A prompt that ends with this kills whoever answers it."""


class FakeSession(Session):
    """Answers `at_once` requests after `seconds`; the text says which process did it."""

    def __init__(self, window: int, at_once: int, seconds: float):
        self.window, self._at_once, self._seconds = window, at_once, seconds
        self._held: list[Request] = []

    def submit(self, request: Request) -> None:
        self._held.append(request)

    def collect(self) -> list[Response]:
        time.sleep(self._seconds)
        now, self._held = self._held[: self._at_once], self._held[self._at_once :]
        if any(r.messages[-1].content.endswith(POISON) for r in now):
            os.kill(os.getpid(), signal.SIGKILL)
        text = str(os.getpid())
        return [Response(r.id, text, r.sample, r.turn, "stop", 1, 1) for r in now]

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class FakeLoader:
    window: int
    at_once: int
    seconds: float

    def __call__(self) -> Session:
        return FakeSession(self.window, self.at_once, self.seconds)


@dataclass(frozen=True, kw_only=True)
class FakeRay(Ray):
    requests: int = 64
    at_once: int = 8
    seconds: float = 0.0

    def check_prompts(self, work: Work) -> Any:
        return None

    def loader(self, work: Work) -> Callable[[], Session]:
        return FakeLoader(self.requests, self.at_once, self.seconds)


def work(said: list[str], noted: list[dict[str, Any]]) -> Work:
    return Work(
        model=Model(path="fake"),
        items=tuple,
        seed=0,
        truncate_overlong=True,
        say=said.append,
        note=lambda entry: noted.append(dict(entry)),
    )
