"""What `evaluate(generate=…)` takes, as an engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from ochat_eval.engines.live import Answers, Chat, Function, Live, Server
from ochat_eval.engines.live_vllm import LiveVllm
from ochat_eval.records import Sampling, UserError


class Llm(Protocol):
    """A `vllm.LLM`, for type checkers."""

    llm_engine: Any


Generate = (
    Callable[[list[Chat]], Answers]
    | Callable[[list[Chat], list[Sampling]], Answers]
    | Live
    | Llm
    | str
)
"""A function, an engine over what a program holds, a `vllm.LLM`, or a server's address."""


def live_engine(generate: Generate) -> Live:
    """The engine that `generate` stands for.

    Raises:
        UserError: it is nothing that answers.
    """
    if isinstance(generate, Live):
        return generate
    if isinstance(generate, str):
        return Server(base_url=generate)
    if hasattr(generate, "llm_engine"):
        return LiveVllm(llm=generate)
    if callable(generate):
        return Function(generate=generate)
    raise UserError(
        f"generate is of the type {type(generate).__name__}: give a function from a list of chats "
        "to a list of texts, a vllm.LLM, or a server's address"
    )
