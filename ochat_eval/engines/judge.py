"""A judge model: an engine that is asked about answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ochat_eval.engines.engine import Work
from ochat_eval.engines.openai import OpenAi
from ochat_eval.model.model import Model
from ochat_eval.terminal.say import say


@dataclass(frozen=True, kw_only=True)
class Judge(OpenAi):
    """A judge model behind an OpenAI-compatible server.

    Attributes:
        style: how it is asked; the benchmark knows which styles there are.
        beside: whether other judges' verdicts on the same answers stay, and count too.
        temperature, max_tokens: sampling of a verdict; greedy as published.
        prompt_price, completion_price: dollars for a million tokens; None: unknown.
    """

    where: ClassVar[str] = "judge"

    style: str = "graded"
    beside: bool = False
    temperature: float = 0.0
    max_tokens: int = 2048
    prompt_price: float | None = None
    completion_price: float | None = None

    def work(self) -> Work:
        """What its session is started for."""
        model = Model(path=self.served_name, name=self.served_name)
        return Work(model=model, items=tuple, seed=0, truncate_overlong=False, say=say)
