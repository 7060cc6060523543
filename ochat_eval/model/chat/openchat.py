"""OpenChat's own format, which puts token ids together and not text."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

from ochat_eval.model.chat.format import check_conversation, digest
from ochat_eval.model.chat.thinking import GUESSED, Thinking, thinking_of
from ochat_eval.model.files import model_file
from ochat_eval.model.model import Model
from ochat_eval.model.starts import SharedStarts
from ochat_eval.model.tokenizer import HfTokenizer, SentencePieceTokenizer, Tokenizer
from ochat_eval.records import Message, UserError
from ochat_eval.terminal.words import first_line

OPENCHAT_BOS, OPENCHAT_END = "<s>", "<|end_of_turn|>"
_OPENCHAT_ROLES = {"user": "User:", "assistant": "Assistant:"}
_PROBE = "  12é<|end_of_turn|>"
_PROBE_IDS = [2287, 28740, 28750, 28797, 28789, 28766, 416, 28730, 1009, 28730, 499, 28766, 28767]


class OpenChatFormat:
    """OpenChat 3.5's format: `<s>`, and of each message its role, content and end of turn.

    Role (`GPT4 Correct User:`) and content are tokenised each for itself, so that a content's
    tokens do not depend on what stands before it; a system message has no role. As in
    openchat's `ochat/config/conversation_template.py`, an empty system message is left out.
    """

    stop_texts: tuple[str, ...] = ()

    def __init__(
        self,
        tokenizer: Tokenizer,
        conditions: Sequence[str],
        default: str,
        thinking: Thinking = GUESSED,
    ):
        """Raises ValueError where the tokenizer lacks `<s>` or `<|end_of_turn|>`."""
        if default not in conditions:
            raise ValueError(f"the default condition {default!r} is not one of {list(conditions)}")
        bos, end = (tokenizer.special_id(t) for t in (OPENCHAT_BOS, OPENCHAT_END))
        if bos is None or end is None:
            raise ValueError(f"no special token {OPENCHAT_END if bos else OPENCHAT_BOS}")
        self._tokenizer = tokenizer
        self._content_ids = tokenizer.encode_plain
        self._bos, self._end = bos, end
        self._default = default
        self.thinking = thinking
        self._prefixes = {
            condition: {
                role: tokenizer.encode_plain(f"{condition} {text}")
                for role, text in _OPENCHAT_ROLES.items()
            }
            for condition in conditions
        }
        self.stop_token_ids: tuple[int, ...] = (end,)
        self.digest = digest("openchat", bos, end, default, self._prefixes)

    def encode(self, messages: Sequence[Message], condition: str | None) -> list[int]:
        """As in `ChatFormat`."""
        check_conversation(messages)
        prefixes = self._prefixes.get(self._default if condition is None else condition)
        if prefixes is None:
            raise UserError(
                f"the model has no condition {condition!r}; its conditions are "
                f"{', '.join(self._prefixes)} (model.conditions)"
            )
        ids = [self._bos]
        for message in messages:
            if message.role == "system" and not message.content:
                continue
            ids += prefixes.get(message.role, [])
            ids += self._content_ids(message.content)
            ids.append(self._end)
        return ids + prefixes["assistant"]

    def sharing(self, tell: Callable[[str], None]) -> OpenChatFormat:
        """As in `ChatFormat`."""
        same = copy.copy(self)
        if self._tokenizer.cuts_at_lines:
            same._content_ids = SharedStarts(self._tokenizer.encode_plain, tell)
        return same

    def decode(self, ids: Sequence[int]) -> str:
        """As in `ChatFormat`."""
        special = {self._bos: OPENCHAT_BOS, self._end: OPENCHAT_END}
        return "".join(
            special[group[0]] if is_special else self._tokenizer.decode_plain(group)
            for is_special, found in groupby(ids, special.__contains__)
            for group in ([[i] for i in found] if is_special else [list(found)])
        )

    def clean(self, text: str) -> str:
        """Drops the one blank that tokenising a content for itself puts in front of it."""
        return text.removeprefix(" ")


def load_openchat(model: Model, path: str | Path) -> OpenChatFormat:
    """OpenChat's format over `tokenizer.json`, or `tokenizer.model` and `added_tokens.json`."""
    if model.condition is None:
        raise UserError("model.chat=openchat needs model.condition; OpenChat's is 'GPT4 Correct'")
    if model.template is not None or model.template_kwargs:
        raise UserError("model.chat=openchat has no template: leave model.template… away")
    if model.stop:
        raise UserError(f"model.stop: with model.chat=openchat only {OPENCHAT_END} ends a turn")
    file = model_file(model, path, "tokenizer.json") or model_file(model, path, "tokenizer.model")
    if file is None:
        raise UserError(f"{path} has neither tokenizer.json nor tokenizer.model (OpenChat's)")
    tokenizer: Tokenizer
    try:
        if file.suffix == ".json":
            from tokenizers import Tokenizer as Backend

            tokenizer = HfTokenizer(Backend.from_file(str(file)))
        else:
            added = model_file(model, path, "added_tokens.json")
            tokenizer = SentencePieceTokenizer(file, json.loads(added.read_text()) if added else {})
    except Exception as e:  # tokenizers raises nothing narrower; it is reported
        raise UserError(f"{file} cannot be read ({first_line(e)}); copy it again") from e
    try:
        thinking = thinking_of(model.thinking)
        chat = OpenChatFormat(tokenizer, model.conditions, model.condition, thinking)
    except ValueError as e:
        raise UserError(f"model.chat=openchat does not fit {path}: {e}") from e
    if tokenizer.encode_plain(_PROBE) != _PROBE_IDS:
        raise UserError(
            f"the tokenizer of {path} is not OpenChat 3.5's; set model.chat=template for a model "
            "with its own chat template"
        )
    return chat
