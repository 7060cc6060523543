"""What a chat format must provide."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Protocol

from ochat_eval.model.chat.thinking import Thinking
from ochat_eval.records import Message


class ChatFormat(Protocol):
    """How a model's conversations are written.

    Attributes:
        stop_token_ids: the tokens that end the model's turn.
        stop_texts: texts that end it, too; nothing else does.
        thinking: the marks around what the model thinks aloud.
        digest: identifies the format, 12 hex digits.
    """

    stop_token_ids: tuple[int, ...]
    stop_texts: tuple[str, ...]
    thinking: Thinking
    digest: str

    def encode(self, messages: Sequence[Message], condition: str | None) -> list[int]:
        """The prompt of the assistant's next turn as token ids.

        Args:
            messages: `system` (first, if at all), then `user` and `assistant` in turn, `user` last.
            condition: the format's condition; None for the model's default.

        Raises:
            UserError: the condition is not one of the model's, or the format cannot write this.
            ValueError: no such conversation.
        """
        ...

    def sharing(self, tell: Callable[[str], None]) -> ChatFormat:
        """The same format for one thread that asks many prompts, one after another.

        What prompts begin with in common is tokenised once, where the tokenizer allows it
        (`ochat_eval.model.starts`); `tell` takes a line for the user.
        """
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Token ids as text, special tokens written out; for people."""
        ...

    def clean(self, text: str) -> str:
        """The decoded answer, less the white space that belongs to the format and not to it."""
        ...


def check_conversation(messages: Sequence[Message]) -> None:
    """Raises ValueError for what is no conversation that an assistant has to go on with."""
    talk = messages[1:] if messages and messages[0].role == "system" else messages
    roles = [m.role for m in talk]
    if roles != ["user", "assistant"] * (len(roles) // 2) + ["user"]:
        raise ValueError(
            "a conversation is an optional system message, then user and assistant in turn, the "
            f"user last; this one is {[m.role for m in messages]}"
        )


def digest(*parts: object) -> str:
    """Twelve hexadecimal digits that tell a format from others."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]
