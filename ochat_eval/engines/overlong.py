"""Prompts as token ids, and those that leave no room for an answer."""

from __future__ import annotations

from ochat_eval.engines.engine import Failure, Work
from ochat_eval.model.chat.conversation import first_prompt
from ochat_eval.model.chat.format import ChatFormat
from ochat_eval.records import Request, Response, UserError
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


def prompt_ids(request: Request, chat: ChatFormat, context: int) -> list[int] | Response | Failure:
    """The token ids to ask with; or what has come of a request that cannot be asked.

    Raises:
        UserError: a first prompt that the chat format cannot write.
    """
    try:
        ids = chat.encode(request.messages, request.condition)
    except UserError as e:
        if request.turn == 0:
            raise
        return Failure(*request.key, str(e))  # the model's own words are in it
    if len(ids) >= context:  # as published: its last tokens are kept, and none is left to answer in
        return Response(request.id, "", request.sample, request.turn, "length", context, 0)
    return ids
