"""A conversation written as one text, by whatever writes it, and tokenised at once."""

from __future__ import annotations

import copy
import functools
import re
import threading
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from ochat_eval.model.chat.ends import Ends
from ochat_eval.model.chat.format import check_conversation, digest
from ochat_eval.model.chat.thinking import Thinking, decoder
from ochat_eval.model.starts import SharedStarts, TextIds, cuts_at_lines
from ochat_eval.model.tokenizer import backend_ids, without_added_tokens
from ochat_eval.records import Message, UserError


class TemplateFormat:
    """A conversation written as one text and tokenised at once.

    BOS: the ids must not begin with two. Where the tokenizer puts a BOS in front of plain text and
    the written conversation has none, one is put in front; where it does not (SmolLM2, Qwen), the
    text is taken as it is. A BOS further on (Llama 2 writes one a turn) is the format's own.

    Attributes (besides `ChatFormat`'s):
        tokenizer: the transformers tokenizer.
    """

    def __init__(
        self,
        tokenizer: Any,
        write: Callable[[Sequence[Message]], str],
        identity: str,
        ends: Ends,
        thinking: Thinking,
        strip: bool = False,
    ):
        """Takes a way of writing conversations.

        Args:
            tokenizer: a transformers tokenizer; without a `tokenizers` backend, messages must not
                hold a special token's text.
            write: the text of a conversation, the assistant's turn opened.
            identity: tells this way of writing from others.
            ends: what ends a turn.
            thinking: the marks around a thought.
            strip: whether answers lose the white space around them.
        """
        self.tokenizer = tokenizer
        self._backend = getattr(tokenizer, "backend_tokenizer", None)
        self._one_at_a_time = threading.Lock()  # for a slow tokenizer, which is Python
        self._text_ids: TextIds = self._ids
        self._write = write
        self._strip = strip
        self._special: dict[str, int] = {
            token.content: i for i, token in tokenizer.added_tokens_decoder.items() if token.special
        }
        longest_first = sorted(self._special, key=len, reverse=True)
        self._special_text = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        self._bos: list[int] = [i for i in (tokenizer.bos_token_id,) if i is not None]
        self._adds_bos = (
            bool(self._bos) and self._ids("a", add_special_tokens=True)[:1] == self._bos
        )
        self._nonce = uuid.uuid4().hex
        self.thinking = thinking
        self.stop_token_ids = tuple(sorted(ends.ids))
        self.stop_texts = ends.texts
        self.digest = digest(identity, self._adds_bos, self.stop_token_ids)

    def _ids(self, text: str, *, add_special_tokens: bool = False) -> list[int]:
        if self._backend is None:
            with self._one_at_a_time:
                return list(self.tokenizer.encode(text, add_special_tokens=add_special_tokens))
        return backend_ids(self._backend, text, add_special_tokens=add_special_tokens)

    @functools.cached_property
    def _cuts(self) -> bool:
        return self._backend is not None and cuts_at_lines(self._backend)

    def sharing(self, tell: Callable[[str], None]) -> TemplateFormat:
        """As in `ChatFormat`."""
        same = copy.copy(self)
        if self._cuts:
            same._text_ids = SharedStarts(self._ids, tell)
        return same

    def encode(self, messages: Sequence[Message], condition: str | None) -> list[int]:
        """As in `ChatFormat`."""
        check_conversation(messages)
        if condition is not None:
            raise UserError(
                f"the model has no conditions, but {condition!r} was asked for; "
                "conditions are for model.chat=openchat"
            )
        text = self._write(messages)
        if any(self._special_text.search(m.content) for m in messages):
            ids = self._encode_protected(messages, text)
        else:
            ids = self._text_ids(text)
        if self._adds_bos and ids[:1] != self._bos:
            ids = self._bos + ids
        if not ids or (self._bos and ids[:2] == self._bos * 2):
            raise UserError(
                f"the chat format begins a prompt with {'two BOS tokens' if ids else 'nothing'}; "
                "mend the chat_template in the model's tokenizer files"
            )
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """As in `ChatFormat`."""
        return decoder(self.tokenizer)(ids, False)

    def clean(self, text: str) -> str:
        """As in `ChatFormat`."""
        return text.strip() if self._strip else text

    def _encode_protected(self, messages: Sequence[Message], text: str) -> list[int]:
        """Token ids where a content holds a special token's text, which must stay text.

        The conversation is written with placeholders for its contents; in what is then the
        format's own text, special tokens get secret names, which a copy of the tokenizer knows
        them by. So the copy splits and joins text as the tokenizer itself would.
        """
        if self._backend is None:
            raise UserError(
                "a message holds a special token's text, and this slow tokenizer cannot write that "
                "as plain text; leave the item out"
            )
        marked = [Message(m.role, f"{self._nonce}m{i}m") for i, m in enumerate(messages)]
        pieces = re.split(f"{self._nonce}m([0-9]+)m", self._write(marked))  # text, index, … text
        for contents in ([m.content for m in messages], [m.content.strip() for m in messages]):
            filled = [contents[int(p)] if i % 2 else p for i, p in enumerate(pieces)]
            if "".join(filled) == text:
                break
        else:
            raise UserError(
                "a message holds a special token's text, and the chat template changes messages "
                "in a way that hides where they are: it cannot be asked safely; leave it out"
            )
        private, names, ids_of = self._private
        expected = []
        for i in range(0, len(filled), 2):
            expected += [self._special[t] for t in self._special_text.findall(filled[i])]
            filled[i] = self._special_text.sub(lambda m: names[m[0]], filled[i])
        ids = [
            ids_of.get(i, i) for i in private.encode("".join(filled), add_special_tokens=False).ids
        ]
        special = set(self._special.values())
        if [i for i in ids if i in special] != expected:
            raise UserError(
                "a message holds a special token's text, and this tokenizer cannot write that as "
                "plain text; leave the item out"
            )
        return ids

    @functools.cached_property
    def _private(self) -> tuple[Any, dict[str, str], dict[int, int]]:
        """The copy of the tokenizer, the special tokens' secret names, and its ids -> ours."""
        from tokenizers import AddedToken

        copy = without_added_tokens(self._backend)
        names = {text: f"{self._nonce}-{i}-" for text, i in self._special.items()}
        ids_of = {}
        for i, token in sorted(self.tokenizer.added_tokens_decoder.items()):
            name = names.get(token.content, token.content)
            flags = ("single_word", "lstrip", "rstrip", "normalized", "special")
            copy.add_tokens([AddedToken(name, **{f: getattr(token, f) for f in flags})])
            ids_of[copy.token_to_id(name)] = i
        return copy, names, ids_of
