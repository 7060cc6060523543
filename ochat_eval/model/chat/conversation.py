"""The messages that an item is asked with."""

from __future__ import annotations

from ochat_eval.model.model import Model
from ochat_eval.records import Item, Message


def before_first(item: Item, model: Model) -> tuple[Message, ...]:
    """What stands in front of an item's first turn: a system message, worked examples."""
    messages = [Message("system", model.system)] if model.system else []
    for question, answer in item.examples:
        messages += [Message("user", question), Message("assistant", answer)]
    return tuple(messages)


def first_prompt(item: Item, model: Model) -> tuple[Message, ...]:
    """All that an item's first answer is asked with."""
    return (*before_first(item, model), Message("user", item.turns[0]))
