"""fschat's registry of templates, for tokenizers without one."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

from ochat_eval.model.chat.ends import Ends, Write
from ochat_eval.model.tokenizer import special_ids
from ochat_eval.records import Message, UserError
from ochat_eval.terminal.words import first_line


def fastchat_writer(tokenizer: Any, name: str) -> tuple[Write, Ends]:
    """How a template of fschat's registry writes a conversation, and what it ends turns with.

    Raises:
        UserError: there is no such template, or its end is no special token of the tokenizer.
    """
    from fastchat.conversation import conv_templates

    if name not in conv_templates:
        near = difflib.get_close_matches(name, conv_templates, n=3, cutoff=0.3)
        raise UserError(
            f"model.chat=fastchat:{name}: there is no such template; the nearest are "
            f"{', '.join(near) or 'none'}"
        )
    template = conv_templates[name]
    texts = [template.stop_str] if isinstance(template.stop_str, str) else template.stop_str or []
    stop = special_ids(tokenizer, texts, f"the end of a turn in model.chat=fastchat:{name}")
    stop |= set(template.stop_token_ids or [])
    if max(stop, default=0) >= len(tokenizer):
        raise UserError(
            f"model.chat=fastchat:{name} ends turns with token {max(stop)}, but the tokenizer has "
            f"only {len(tokenizer)}: it is for another model"
        )

    def write(messages: Sequence[Message]) -> str:
        empty = "\ue000empty\ue000"  # fschat takes an empty message for a turn still open
        conversation = template.copy()
        roles = {"user": conversation.roles[0], "assistant": conversation.roles[1]}
        for message in messages:
            if message.role == "system":
                conversation.set_system_message(message.content)
            else:
                conversation.append_message(roles[message.role], message.content or empty)
        conversation.append_message(roles["assistant"], None)
        try:
            text: str = conversation.get_prompt()
        except ValueError as e:
            raise UserError(f"fschat's template {name} writes no text ({first_line(e)})") from e
        return text.replace(empty, "")

    return write, Ends(frozenset(stop))
