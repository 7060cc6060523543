"""Whole prompts, as the model gets them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ochat_eval.model.chat.conversation import first_prompt
from ochat_eval.model.chat.format import ChatFormat
from ochat_eval.model.model import Model
from ochat_eval.records import Item
from ochat_eval.stages.plan import Plan


def shown_prompts(planned: Plan, model: Model, chat: ChatFormat | None, count: int) -> str:
    """The first prompts of each task, with the marks and special tokens that the model reads.

    Args:
        chat: the model's format; None where it is not at hand: then the messages are shown.
        count: prompts of each task.
    """
    return "\n\n".join(
        f"--- {item.id}, {_prompt(item, model, chat)}" for item in _first(planned, count)
    )


def _first(planned: Plan, count: int) -> Iterator[Item]:
    seen = Counter[str]()
    for item in planned.items():
        seen[item.task] += 1
        if seen[item.task] <= count:
            yield item


def _prompt(item: Item, model: Model, chat: ChatFormat | None) -> str:
    messages = first_prompt(item, model.system)
    if chat is None:
        said = "\n".join(f"[{message.role}]\n{message.content}" for message in messages)
        return f"messages, for want of a tokenizer:\n{said}"
    ids = chat.encode(messages, item.condition)
    return f"{len(ids):,} tokens:\n{chat.decode(ids)}"
