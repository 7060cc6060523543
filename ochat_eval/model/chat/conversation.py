"""The messages that an item is asked with."""

from __future__ import annotations

from ochat_eval.records import Item, Message


def before_first(item: Item, system: str | None) -> tuple[Message, ...]:
    """What stands in front of an item's first turn: a system message, worked examples.

    Args:
        system: the model's own message; an item that has one is asked with its own instead.
    """
    said = item.system or system
    messages = [Message("system", said)] if said else []
    for question, answer in item.examples:
        messages += [Message("user", question), Message("assistant", answer)]
    return tuple(messages)


def first_prompt(item: Item, system: str | None) -> tuple[Message, ...]:
    """All that an item's first answer is asked with."""
    return (*before_first(item, system), Message("user", item.turns[0]))
