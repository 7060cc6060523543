"""What runs in a Ray actor: one vLLM session, loaded once for the whole run."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from ochat_eval.engines.engine import Failure, Session, Work
from ochat_eval.engines.vllm import Vllm
from ochat_eval.records import Request, Response

Report = tuple[list[Response | Failure], int]
"""What a replica has finished, and the tokens it has written for what it has not."""
_GATHER_SECONDS = 0.05
"""How long a replica gathers answers once it has one: fewer messages, and no one sees it."""


class Replica:
    """The actor: a session, loaded once for the whole run."""

    def __init__(self, load: Callable[[], Session]):
        self._load = load
        self._open = 0

    def load(self) -> tuple[int, str, int]:
        """Loads the model: requests it wants in flight, host, process id."""
        self._session = self._load()
        return self._session.window, socket.gethostname(), os.getpid()

    def exchange(self, requests: list[Request]) -> Report:
        """Takes requests and returns what has finished, maybe of earlier ones."""
        for request in requests:
            self._session.submit(request)
        self._open += len(requests)
        done: list[Response | Failure] = []
        until = time.monotonic() + _GATHER_SECONDS
        while self._open and (not done or time.monotonic() < until):
            new = self._session.collect()
            self._open -= len(new)
            done += new
            if not done:  # nothing for a while: the driver wants to show that there is progress
                break
        return done, self._session.unfinished_tokens()

    def close(self) -> None:
        """Frees what the engine holds."""
        self._session.close()


@dataclass(frozen=True)
class Loader:
    """Loads the model in an actor; a class, so that it can be sent there."""

    vllm: Vllm
    work: Work

    def __call__(self) -> Session:
        """The session, loaded here."""
        """The session, loaded here."""
        # Replicas of one machine must not all be bound to the same cores; Ray has set
        # OMP_NUM_THREADS to the replica's share of them.
        os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
        session = self.vllm.start(self.work)
        if self.vllm.window is None:
            session.window = session.window * 5 // 8
        return session
