"""What ends a model's turn: by its files, by its chat template, or as its user says."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ochat_eval.answers.thinking import CHANNELS, KNOWN
from ochat_eval.model.model import Model
from ochat_eval.model.tokenizer import ends_in_files
from ochat_eval.records import Message, UserError

Write = Callable[[Sequence[Message]], str]
_MARK = re.compile(r"<[^<>\s]+>|\[[^\[\]\s]+\]")
"""What looks like a token of a chat format."""


@dataclass(frozen=True, slots=True)
class Ends:
    """What ends a turn: token ids, and texts that are no single token."""

    ids: frozenset[int] = frozenset()
    texts: tuple[str, ...] = ()

    def __or__(self, other: Ends) -> Ends:
        """Both."""
        return Ends(self.ids | other.ids, tuple(dict.fromkeys(self.texts + other.texts)))

    def __bool__(self) -> bool:
        """Whether anything ends a turn."""
        return bool(self.ids or self.texts)


@dataclass(frozen=True, slots=True)
class TurnShape:
    """How a template writes the turns of an assistant.

    Attributes:
        opening: what a prompt has behind the last message.
        end: the mark behind an assistant's message; None where it has none.
        in_parts: what stands in front of an answer in the template has marks that a prompt has
            not: the model writes them, so that its turn may have several parts, and `end` closes
            one of them and not the turn.
    """

    opening: str
    end: str | None
    in_parts: bool


def turn_shape(write: Write, added: Iterable[str]) -> TurnShape:
    """The shape of a template's turns, by what it makes of contents that can be told again.

    Args:
        added: the texts of the tokens that were added to the vocabulary.
    """
    nonce = uuid.uuid4().hex
    said = [Message(role, nonce) for role in ("user", "assistant", "user")]
    opening = write(said[:1]).rpartition(nonce)[2]
    _, before, after, *_ = [*write(said).split(nonce), "", ""]
    token = re.compile("|".join(map(re.escape, sorted(added, key=len, reverse=True))) or r"(?!)")
    tail = after.lstrip()
    found = token.match(tail) or _MARK.match(tail)
    more = before.removeprefix(opening) if before.startswith(opening) else ""
    for marks in (m for m in KNOWN if m != CHANNELS):  # a thought is no part of an answer
        more = more.replace(marks.start, "").replace(marks.end, "")
    return TurnShape(opening, found[0] if found else None, bool(token.search(more)))


def ends_of(
    model: Model, tokenizer: Any, path: str | Path, shape: TurnShape, tell: Callable[[str], None]
) -> Ends:
    """What ends a turn of the model.

    The ends that its files name (`eos_token_id` in generation_config.json or config.json, and the
    tokenizer's), and those of `model.stop`. Where the files name others than the template's own
    end of turn, that counts, too, as in fine-tunes whose files still name the base model's end;
    but not where it only closes a part of an answer, nor where `model.stop` says what counts.
    Either is told in a line.

    Raises:
        UserError: nothing ends a turn, or an entry of `model.stop` is no end.
    """
    added = {token.content: i for i, token in tokenizer.added_tokens_decoder.items()}
    named = ends_in_files(model, path)
    if tokenizer.eos_token_id is not None:
        named.add(tokenizer.eos_token_id)
    known = frozenset(i for i in named if 0 <= i < len(tokenizer))
    given = _given(model, added)
    own = _own(shape, added)
    result = Ends(known) | given
    if own and not (own.ids <= result.ids and set(own.texts) <= set(result.texts)):
        files = ", ".join(tokenizer.convert_ids_to_tokens(sorted(known)))
        if not known or not (model.stop or shape.in_parts):
            result |= own
        if known:
            tell(f"{path}: {_disagreement(model, shape, files)}")
    if strange := sorted(named - known):
        size = f"the tokenizer of {path} has only {len(tokenizer)} tokens"
        if not result:
            raise UserError(
                f"its files end turns with token {strange[-1]}, but {size}: it is for another "
                "model; name the end in model.stop"
            )
        tell(f"{size}, its files name the end {strange[-1]}: passed over")
    if not result:
        raise UserError(f"nothing ends a turn of {path}: name its end in model.stop")
    return result


def _disagreement(model: Model, shape: TurnShape, files: str) -> str:
    """What to say where template and files name different ends."""
    if model.stop:
        return f"{shape.end} of the chat template ends no turn, as model.stop decides"
    if shape.in_parts:
        return (
            f"{shape.end} of the chat template only closes a part of an answer; a turn ends with "
            f"{files}, as the files say (model.stop=['{shape.end}'] makes it an end)"
        )
    return (
        f"the chat template ends a turn with {shape.end}, the model's files name {files}: either "
        f"ends one (model.stop=['{files}'] leaves the other out)"
    )


def _own(shape: TurnShape, added: Mapping[str, int]) -> Ends:
    if shape.end is None:
        return Ends()
    if shape.end in added:
        return Ends(frozenset({added[shape.end]}))
    return Ends(texts=(shape.end,))


def _given(model: Model, added: Mapping[str, int]) -> Ends:
    """The ends of `model.stop`: tokens that were added to the vocabulary, or any other text."""
    # A command line has no line ends; nobody ends an answer at a backslash.
    texts = tuple(text.replace("\\n", "\n") for text in model.stop if text not in added)
    for text in texts:
        if not text or (model.chat != "raw" and _MARK.fullmatch(text)):
            raise UserError(f"model.stop: {text!r} is no special token of this model's tokenizer")
    return Ends(frozenset(added[text] for text in model.stop if text in added), texts)
