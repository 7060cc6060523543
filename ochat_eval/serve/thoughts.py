"""The seam in vLLM's server for what is thought aloud: told from the answer by `model.thinking`.

vLLM's own reasoning parsers are not used: each knows one model's marks by token ids, of which its
user must know the name, and a stream of theirs may give out other text than a whole answer.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

from vllm.entrypoints.generate.base.protocol import DeltaMessage
from vllm.parser.abstract_parser import Parser

from ochat_eval.answers.thought_stream import ThoughtStream
from ochat_eval.model.chat.format import ChatFormat
from ochat_eval.model.chat.thinking import decoder


class MarksShown:
    """The engine, asked to write the marks out where they are special tokens."""

    def __init__(self, engine: Any):
        """Takes vLLM's engine client."""
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def generate(self, prompt: Any, params: Any, *rest: Any, **named: Any) -> Any:
        """As the engine's."""
        params.skip_special_tokens = False
        return self._engine.generate(prompt, params, *rest, **named)


class ThoughtParser(Parser):  # type: ignore[misc]
    """Takes one answer apart, streamed or whole; both give the same."""

    def __init__(self, tokenizer: Any, chat: ChatFormat, plain: bool):
        """Takes the chat format of the request.

        Args:
            tokenizer: vLLM's, a transformers tokenizer.
            plain: whether the answer is to be without special tokens.
        """
        super().__init__(tokenizer)
        self._thinking, self._ends = chat.thinking, set(chat.stop_token_ids)
        self._stream = ThoughtStream(chat.thinking.marks)
        added = tokenizer.added_tokens_decoder if plain and chat.thinking.hidden else {}
        special = {i: token.content for i, token in added.items() if token.special}
        self._special_ids = set(special)
        self._special = re.compile("|".join(map(re.escape, special.values())) or r"(?!)")
        self._count: int | None = None

    def parse_delta(
        self,
        delta_text: str,
        delta_token_ids: list[int],
        request: Any,
        prompt_token_ids: list[int] | None = None,
        *,
        finished: bool,
    ) -> DeltaMessage | None:
        """What a piece of a stream adds to thought and answer; None where that is nothing yet."""
        thought, answer = self._feed(delta_text, delta_token_ids, finished)
        given: dict[str, str] = {"content": answer} if answer else {}
        if thought and request.include_reasoning:
            given |= _reasoning(thought)
        return DeltaMessage(**given) if given else None

    def parse(
        self,
        model_output: str,
        request: Any,
        enable_auto_tools: bool = False,
        model_output_token_ids: Sequence[int] = (),
    ) -> tuple[str | None, str, None]:
        """A whole answer's thought (None without one) and answer."""
        thought, answer = self._feed(model_output, model_output_token_ids, True)
        return thought or None, answer, None

    def _feed(self, text: str, ids: Sequence[int], last: bool) -> tuple[str, str]:
        thought, answer = self._stream.feed(text, last)
        if not self._special_ids.isdisjoint(ids):
            answer = self._special.sub("", answer)
        return thought, answer

    def count_reasoning_tokens(self, token_ids: Sequence[int]) -> int:
        """How many tokens the thought has taken so far, its marks among them."""
        if self._stream.marks is None or not self._stream.has_thought:
            return 0
        ended = bool(token_ids) and token_ids[-1] in self._ends
        ids = token_ids[: len(token_ids) - ended]
        if not self._stream.ended:
            return len(ids)
        if self._count is None:  # it does not change any more
            found = dataclasses.replace(self._thinking, marks=(self._stream.marks,))
            self._count = found.count(ids, decoder(self.model_tokenizer))
        return self._count


def with_reasoning_content(message: Any) -> Any:
    """A whole answer's message with the thought under the name that most clients know, too."""
    for name, value in _reasoning(message.reasoning).items() if message.reasoning else ():
        setattr(message, name, value)
    return message


def _reasoning(thought: str) -> dict[str, str]:
    """By vLLM's name and by DeepSeek's, which most clients know."""
    return {"reasoning": thought, "reasoning_content": thought}
