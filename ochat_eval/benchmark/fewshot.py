"""Few-shot example blocks: found in published prompts, shortened, taken apart into turns."""

from __future__ import annotations

from collections.abc import Sequence

from ochat_eval.records import UserError


def shared_block(prompts: Sequence[str]) -> str:
    """The example block of published prompts: what all share, up to the last blank line.

    Args:
        prompts: the prompts of one subject, which differ in their last question.

    Raises:
        ValueError: they share no block that ends in a blank line.
    """
    first, last = min(prompts), max(prompts)  # what these two share, all share
    length = 0
    for one, other in zip(first, last, strict=False):
        if one != other:
            break
        length += 1
    common = first[:length]
    end = common.rfind("\n\n")
    if end < 0:
        raise ValueError("the prompts share no example block")
    return common[: end + 2]


def example_turns(
    block: str, start: str, question_end: str, option: str
) -> tuple[str, list[tuple[str, str]]]:
    """A block of examples as the turns of a conversation.

    Args:
        block: text before the first example, then the examples.
        start: what each example begins with, at the start of a line after a blank one.
        question_end: the last words of each example's question; its answer stands behind them.
        option: the option's full name, for the message.

    Returns:
        The text before the first example, and of each example question and answer.

    Raises:
        UserError: an example has no such words.
    """
    heading, *pieces = ("\n\n" + block).split("\n\n" + start)
    pairs = []
    for piece in pieces:
        question, end, answer = piece.partition(question_end)
        if not end:
            raise UserError(
                f"{option}=turns: an example does not say where its answer begins; take text"
            )
        pairs.append((f"{start}{question}{end}", answer.strip()))
    return heading.removeprefix("\n\n"), pairs


def first_examples(block: str, start: str, count: int | None, option: str) -> str:
    """The block with only its first `count` examples; examples are dropped from the end.

    Args:
        block: text before the first example (kept), then the examples.
        start: what each example begins with, at the start of a line after a blank one.
        count: 0 up to the number of examples; None keeps all.
        option: the option's full name, for the message.

    Raises:
        UserError: `count` is negative or more than there are.
    """
    if count is None:
        return block
    pieces = ("\n\n" + block).split("\n\n" + start)
    if not 0 <= count <= len(pieces) - 1:
        raise UserError(f"{option} is {count}; it must be from 0 to {len(pieces) - 1}")
    if count == len(pieces) - 1:
        return block
    kept = ("\n\n" + start).join(pieces[: count + 1])[2:]
    return kept + "\n\n" if kept else ""
