"""Prompts that leave no room for an answer."""

from __future__ import annotations

from ochat_eval.engines.engine import Work
from ochat_eval.model.chat.conversation import first_prompt
from ochat_eval.model.chat.format import ChatFormat
from ochat_eval.records import UserError
from ochat_eval.terminal.words import counted

_PIECE_TOKENS = 64
"""More than any chat format adds around a message, in tokens."""


def refuse_overlong(work: Work, chat: ChatFormat, context: int) -> None:
    """Refuses a run that has first prompts longer than the context, before the model loads.

    A token is at least one byte, so only prompts of more bytes than the context has tokens are
    tokenised.
    """
    found: list[tuple[int, str]] = []
    for item in work.items():
        messages = first_prompt(item, work.model.system)
        size = sum(len(m.content.encode(errors="replace")) + _PIECE_TOKENS for m in messages)
        if size >= context:
            tokens = len(chat.encode(messages, item.condition))
            if tokens >= context:
                found.append((tokens, item.id))
    if found:
        tokens, longest = max(found)
        raise UserError(
            f"{counted(len(found), 'prompt leaves', 'prompts leave')} no room in the context of "
            f"{context:,} tokens (longest: {longest}, {tokens:,}); raise engine.max_model_len, or "
            "keep their last tokens as the published evaluation did with overlong=truncate"
        )
