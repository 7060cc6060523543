"""Which marks a model puts around what it thinks, and its responses without them.

This is the one place where a response is taken apart, whichever engine it is from: what was
thought goes to `Response.reasoning`, and `Response.text` is the answer alone.
"""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ochat_eval.answers.thinking import CHANNELS, KNOWN, Marks, answer_from, find_thought
from ochat_eval.records import Response, UserError

Decode = Callable[[Sequence[int], bool], str]
"""The text of token ids; special tokens are left out where the second argument is true."""


@dataclass(frozen=True)
class Thinking:
    """The marks that responses are taken apart by.

    Attributes:
        marks: tried in this order; none where responses are taken as they are.
        hidden: one of the marks is a special token, which decoded text leaves out.
    """

    marks: tuple[Marks, ...] = KNOWN
    hidden: bool = False

    @property
    def chosen(self) -> Marks | None:
        """The model's own marks; None where they are not known but only guessed at."""
        return self.marks[0] if self.marks and self.marks != KNOWN else None

    def of_text(self, response: Response) -> Response:
        """A response with what was thought apart; as it is where it has that already."""
        if response.reasoning is not None or response.unfinished:
            return response
        thought = find_thought(response.text, self.marks)
        if thought is None:
            return response
        return dataclasses.replace(
            response,
            text=answer_from(response.text, thought),
            reasoning=thought.reasoning,
            unfinished=thought.end is None,
        )

    def of_tokens(
        self, response: Response, ids: Sequence[int], decode: Decode, stop: str = ""
    ) -> Response:
        """The same of a response whose tokens are known: also marks that its text lacks are found,
        and the tokens of the thought are counted, its marks among them.

        Args:
            ids: what was generated, without the token that ended it.
            stop: the text that ended it, where that was no single token.
        """
        if not self.hidden and find_thought(response.text, self.marks) is None:
            return response
        skip = not self.hidden
        text = decode(ids, skip)
        thought = find_thought(text, self.marks)
        if thought is None:
            return response
        count, answer, reasoning = _tokens_to(thought.end, ids, decode, skip), "", thought.reasoning
        if thought.end is not None:
            # A token may hold the mark's end and the answer's beginning.
            rest = decode(ids[:count], skip)[thought.end :] + decode(ids[count:], True)
            answer = answer_from(rest, dataclasses.replace(thought, end=0))
        if stop:
            answer = answer.partition(stop)[0]
            reasoning = reasoning and reasoning.partition(stop)[0]
        return dataclasses.replace(
            response,
            text=answer,
            reasoning=reasoning,
            reasoning_tokens=None if reasoning is None else count,
            unfinished=thought.end is None,
        )

    def count(self, ids: Sequence[int], decode: Decode) -> int:
        """How many of a response's tokens are its thought, with its marks; 0 without one."""
        skip = not self.hidden
        thought = find_thought(decode(ids, skip), self.marks)
        if thought is None or thought.reasoning is None:
            return 0
        return _tokens_to(thought.end, ids, decode, skip)


GUESSED = Thinking()
"""Whatever known marks a response begins with."""


def _tokens_to(end: int | None, ids: Sequence[int], decode: Decode, skip: bool) -> int:
    """How many tokens it takes for so many characters; all where these are None."""
    if end is None:
        return len(ids)
    return 1 + bisect.bisect_left(
        range(len(ids)), end, key=lambda place: len(decode(ids[: place + 1], skip))
    )


def decoder(tokenizer: Any) -> Decode:
    """Decodes with a transformers tokenizer; nothing of the text is tidied up."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        return lambda ids, skip: backend.decode(list(ids), skip_special_tokens=skip)
    return lambda ids, skip: tokenizer.decode(
        list(ids), skip_special_tokens=skip, clean_up_tokenization_spaces=False
    )


def thinking_of(
    option: object, template: str = "", opening: str = "", added: Mapping[str, bool] | None = None
) -> Thinking:
    """The marks of a model.

    Args:
        option: `model.thinking`: `auto`, `none`, or the two marks.
        template: the text of its chat template.
        opening: what the template writes behind the last message, the assistant's turn opened.
        added: of each token that was added to the vocabulary the text, and whether it is special.

    Returns:
        With `auto` the known marks that template or vocabulary name; where they name none,
        whatever known marks a response itself begins with.

    Raises:
        UserError: the option is none of these.
    """
    added = added or {}
    if option == "none":
        return Thinking(())
    if option == "auto":
        named = (m for m in KNOWN if _named(m, template) or _opens(m, opening) or _known(m, added))
        found = tuple(named) or GUESSED.marks
    elif isinstance(option, list) and len(option) == 2 and all(map(_is_mark, option)):
        found = (Marks(*option),)
    else:
        raise UserError(
            f"model.thinking={option}: it is auto, none, or the two marks around a thought: "
            "'model.thinking=[<think>,</think>]'"
        )
    special = [text for text, is_special in added.items() if is_special]
    return Thinking(
        tuple(dataclasses.replace(m, opened=_opens(m, opening)) for m in found),
        any(text in mark for text in special for m in found for mark in (m.start, m.end)),
    )


def _is_mark(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _named(marks: Marks, template: str) -> bool:
    return marks.end in template or (marks == CHANNELS and f"{CHANNELS.start}analysis" in template)


def _known(marks: Marks, added: Mapping[str, bool]) -> bool:
    wanted = {"<|channel|>", "<|message|>"} if marks == CHANNELS else {marks.start, marks.end}
    return wanted <= added.keys()


def _opens(marks: Marks, opening: str) -> bool:
    """Whether the prompt ends within a thought; a channel's own mark follows in the answer."""
    return marks != CHANNELS and opening.rfind(marks.start) > opening.rfind(marks.end)
