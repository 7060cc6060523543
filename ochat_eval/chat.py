"""From a conversation to the token ids that a model is asked with.

Three kinds of format: OpenChat's own, which puts token ids together and not text; the chat
template that a model's tokenizer carries; and, for tokenizers without one, fschat's registry.
In all of them text that looks like a special token stays text.
"""

from __future__ import annotations

import difflib
import functools
import hashlib
import json
import os
import re
import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from ochat_eval.hub import hub_answers
from ochat_eval.models import Model, first_line, model_file, quiet_transformers, unreachable
from ochat_eval.records import Message, UserError

OPENCHAT_BOS, OPENCHAT_END = "<s>", "<|end_of_turn|>"
_OPENCHAT_ROLES = {"user": "User:", "assistant": "Assistant:"}
_PROBE = "  12é<|end_of_turn|>"
_PROBE_IDS = [2287, 28740, 28750, 28797, 28789, 28766, 416, 28730, 1009, 28730, 499, 28766, 28767]
_TEMPLATE_DATE = datetime(2024, 7, 26)
"""What `strftime_now` tells a template: a prompt must not change from day to day."""


class ChatFormat(Protocol):
    """How a model's conversations are written.

    Attributes:
        stop_token_ids: the tokens that end the model's turn; nothing else does.
        digest: identifies the format, 12 hex digits.
    """

    stop_token_ids: tuple[int, ...]
    digest: str

    def encode(self, messages: Sequence[Message], condition: str | None) -> list[int]:
        """The prompt of the assistant's next turn as token ids.

        Args:
            messages: `system` (first, if at all), then `user` and `assistant` in turn, `user` last.
            condition: the format's condition; None for the model's default.

        Raises:
            UserError: the condition is not one of the model's, or the format cannot write this.
            ValueError: no such conversation.
        """
        ...

    def clean(self, text: str) -> str:
        """The decoded answer, less the white space that belongs to the format and not to it."""
        ...


class Tokenizer(Protocol):
    """What OpenChat's format needs of a tokenizer."""

    def encode_plain(self, text: str) -> list[int]:
        """The text's token ids: nothing added, and special tokens' texts are plain text."""
        ...

    def special_id(self, text: str) -> int | None:
        """The id of the special token that is written so; None if there is none."""
        ...


class SentencePieceTokenizer:
    """A SentencePiece model and the tokens added to it: what the published evaluation used."""

    def __init__(self, file: Path, added: dict[str, int]):
        """Loads the model.

        Args:
            file: `tokenizer.model`.
            added: text -> id of the tokens that are not in it.
        """
        from sentencepiece import SentencePieceProcessor

        self._model = SentencePieceProcessor(model_file=str(file))
        self._added = added

    def encode_plain(self, text: str) -> list[int]:
        """As in `Tokenizer`."""
        return self._model.encode(text)  # type: ignore[no-any-return]

    def special_id(self, text: str) -> int | None:
        """As in `Tokenizer`."""
        if text in self._added:
            return self._added[text]
        found: int = self._model.piece_to_id(text)
        return found if self._model.is_control(found) else None


class HfTokenizer:
    """A `tokenizers.Tokenizer`: what a `tokenizer.json` or a fast transformers tokenizer holds."""

    def __init__(self, backend: Any):
        self._plain = _without_added_tokens(backend)
        self._special = {t.content: i for i, t in backend.get_added_tokens_decoder().items()}

    def encode_plain(self, text: str) -> list[int]:
        """As in `Tokenizer`."""
        ids: list[int] = self._plain.encode(text, add_special_tokens=False).ids
        return ids

    def special_id(self, text: str) -> int | None:
        """As in `Tokenizer`."""
        return self._special.get(text)


def _without_added_tokens(backend: Any) -> Any:
    """A copy of a `tokenizers.Tokenizer` that knows no special and no other added token."""
    from tokenizers import Tokenizer as Backend

    return Backend.from_str(json.dumps({**json.loads(backend.to_str()), "added_tokens": []}))


def _check_conversation(messages: Sequence[Message]) -> None:
    talk = messages[1:] if messages and messages[0].role == "system" else messages
    roles = [m.role for m in talk]
    if roles != ["user", "assistant"] * (len(roles) // 2) + ["user"]:
        raise ValueError(
            "a conversation is an optional system message, then user and assistant in turn, the "
            f"user last; this one is {[m.role for m in messages]}"
        )


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


class OpenChatFormat:
    """OpenChat 3.5's format: `<s>`, and of each message its role, content and end of turn.

    Role (`GPT4 Correct User:`) and content are tokenised each for itself, so that a content's
    tokens do not depend on what stands before it; a system message has no role. As in
    openchat's `ochat/config/conversation_template.py`, an empty system message is left out.
    """

    def __init__(self, tokenizer: Tokenizer, conditions: Sequence[str], default: str):
        """Raises ValueError where the tokenizer lacks `<s>` or `<|end_of_turn|>`."""
        if default not in conditions:
            raise ValueError(f"the default condition {default!r} is not one of {list(conditions)}")
        bos, end = (tokenizer.special_id(t) for t in (OPENCHAT_BOS, OPENCHAT_END))
        if bos is None or end is None:
            raise ValueError(f"no special token {OPENCHAT_END if bos else OPENCHAT_BOS}")
        self._tokenizer = tokenizer
        self._bos, self._end = bos, end
        self._default = default
        self._prefixes = {
            condition: {
                role: tokenizer.encode_plain(f"{condition} {text}")
                for role, text in _OPENCHAT_ROLES.items()
            }
            for condition in conditions
        }
        self.stop_token_ids: tuple[int, ...] = (end,)
        self.digest = _digest("openchat", bos, end, default, self._prefixes)

    def encode(self, messages: Sequence[Message], condition: str | None) -> list[int]:
        """As in `ChatFormat`."""
        _check_conversation(messages)
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
            ids += self._tokenizer.encode_plain(message.content)
            ids.append(self._end)
        return ids + prefixes["assistant"]

    def clean(self, text: str) -> str:
        """Drops the one blank that tokenising a content for itself puts in front of it."""
        return text.removeprefix(" ")


class TemplateFormat:
    """A conversation written as one text and tokenised at once.

    BOS: the ids must not begin with two. Where the tokenizer puts a BOS in front of plain text and
    the written conversation has none, one is put in front; where it does not (SmolLM2, Qwen), the
    text is taken as it is. A BOS further on (Llama 2 writes one a turn) is the format's own.
    """

    def __init__(
        self,
        tokenizer: Any,
        write: Callable[[Sequence[Message]], str],
        identity: str,
        stop_token_ids: Iterable[int] = (),
        strip: bool = False,
    ):
        """Takes a way of writing conversations.

        Args:
            tokenizer: a transformers tokenizer with a `tokenizers` backend.
            write: the text of a conversation, the assistant's turn opened.
            identity: tells this way of writing from others.
            stop_token_ids: end a turn, besides the special token that `write` puts behind one.
            strip: whether answers lose the white space around them.
        """
        self._backend = tokenizer.backend_tokenizer
        self._write = write
        self._strip = strip
        self._special: dict[str, int] = {
            token.content: i
            for i, token in self._backend.get_added_tokens_decoder().items()
            if token.special
        }
        longest_first = sorted(self._special, key=len, reverse=True)
        self._special_text = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        self._bos: list[int] = [i for i in (tokenizer.bos_token_id,) if i is not None]
        self._adds_bos = bool(self._bos) and self._backend.encode("a").ids[:1] == self._bos
        self._nonce = uuid.uuid4().hex
        self.stop_token_ids = tuple(sorted({*stop_token_ids, *self._end_of_turn()}))
        self.digest = _digest(identity, self._adds_bos, self.stop_token_ids)

    def encode(self, messages: Sequence[Message], condition: str | None) -> list[int]:
        """As in `ChatFormat`."""
        _check_conversation(messages)
        if condition is not None:
            raise UserError(
                f"the model has no conditions, but {condition!r} was asked for; "
                "conditions are for model.chat=openchat"
            )
        text = self._write(messages)
        if any(self._special_text.search(m.content) for m in messages):
            ids = self._encode_protected(messages, text)
        else:
            ids = list(self._backend.encode(text, add_special_tokens=False).ids)
        if self._adds_bos and ids[:1] != self._bos:
            ids = self._bos + ids
        if not ids or (self._bos and ids[:2] == self._bos * 2):
            raise UserError(
                f"the chat format begins a prompt with {'two BOS tokens' if ids else 'nothing'}; "
                "mend the chat_template in the model's tokenizer files"
            )
        return ids

    def clean(self, text: str) -> str:
        """As in `ChatFormat`."""
        return text.strip() if self._strip else text

    def _end_of_turn(self) -> set[int]:
        """The special token that follows an assistant's turn, if one does."""
        text = self._write([Message(r, self._nonce) for r in ("user", "assistant", "user")])
        found = self._special_text.match(text.split(self._nonce, 2)[-1].lstrip())
        return {self._special[found[0]]} if found else set()

    def _encode_protected(self, messages: Sequence[Message], text: str) -> list[int]:
        """Token ids where a content holds a special token's text, which must stay text.

        The conversation is written with placeholders for its contents; in what is then the
        format's own text, special tokens get secret names, which a copy of the tokenizer knows
        them by. So the copy splits and joins text as the tokenizer itself would.
        """
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

        copy = _without_added_tokens(self._backend)
        names = {text: f"{self._nonce}-{i}-" for text, i in self._special.items()}
        ids_of = {}
        for i, token in sorted(self._backend.get_added_tokens_decoder().items()):
            name = names.get(token.content, token.content)
            flags = ("single_word", "lstrip", "rstrip", "normalized", "special")
            copy.add_tokens([AddedToken(name, **{f: getattr(token, f) for f in flags})])
            ids_of[copy.token_to_id(name)] = i
        return copy, names, ids_of


def load_format(model: Model, path: str | Path) -> ChatFormat:
    """The chat format that `model.chat` names.

    Args:
        model: its `chat`, `condition`, `conditions`, `stop` and `revision` count here.
        path: the model's folder or hub id, as `models.prepare` returns it.

    Raises:
        UserError: no such format; a tokenizer missing, broken or unfit for it.
    """
    if not Path(path).is_dir() and not hub_answers():
        os.environ["HF_HUB_OFFLINE"] = "1"  # what was downloaded before is all there is
    if model.chat == "openchat":
        return _load_openchat(model, path)
    if model.chat != "template" and not model.chat.startswith("fastchat:"):
        raise UserError(
            f"model.chat={model.chat}: there is no such format; there are openchat, template and "
            "fastchat:NAME"
        )
    tokenizer = _load_tokenizer(model, path)
    stop = _special_ids(tokenizer, model.stop, "model.stop") | _ends_in_files(model, path)
    if tokenizer.eos_token_id is not None:
        stop.add(tokenizer.eos_token_id)
    if model.chat == "template":
        write, text = _template(tokenizer, path)
        chat = TemplateFormat(tokenizer, write, f"template:{text}", stop)
    else:
        chat = _fastchat_format(tokenizer, model.chat.removeprefix("fastchat:"), stop)
    if not chat.stop_token_ids:
        raise UserError(f"nothing ends a turn of {path}: name the special token in model.stop")
    if max(chat.stop_token_ids) >= len(tokenizer):
        raise UserError(
            f"{model.chat} ends turns with token {max(chat.stop_token_ids)}, but the tokenizer of "
            f"{path} has only {len(tokenizer)}: it is for another model"
        )
    return chat


def _load_openchat(model: Model, path: str | Path) -> OpenChatFormat:
    """OpenChat's format over `tokenizer.json`, or `tokenizer.model` and `added_tokens.json`."""
    if model.condition is None:
        raise UserError("model.chat=openchat needs model.condition; OpenChat's is 'GPT4 Correct'")
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
        chat = OpenChatFormat(tokenizer, model.conditions, model.condition)
    except ValueError as e:
        raise UserError(f"model.chat=openchat does not fit {path}: {e}") from e
    if tokenizer.encode_plain(_PROBE) != _PROBE_IDS:
        raise UserError(
            f"the tokenizer of {path} is not OpenChat 3.5's; set model.chat=template for a model "
            "with its own chat template"
        )
    return chat


def _load_tokenizer(model: Model, path: str | Path) -> Any:
    """The transformers tokenizer; no code that comes with a model is run."""
    transformers = quiet_transformers()
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            str(path), revision=model.revision, trust_remote_code=False
        )
    except Exception as e:  # transformers and tokenizers raise many kinds; it is reported
        raise UserError(unreachable(path, e)) from e
    if getattr(tokenizer, "backend_tokenizer", None) is None:
        raise UserError(f"{path} has no fast tokenizer; save it with a tokenizer.json")
    return tokenizer


def _special_ids(tokenizer: Any, texts: Iterable[str], where: str) -> set[int]:
    """The ids of special tokens; a plain piece may be written with other tokens, so is none."""
    known = {t.content: i for i, t in tokenizer.added_tokens_decoder.items()}
    for text in texts:
        if text not in known:
            raise UserError(f"{where}: {text!r} is no special token of this model's tokenizer")
    return {known[text] for text in texts}


def _ends_in_files(model: Model, path: str | Path) -> set[int]:
    """The end-of-sequence ids in generation_config.json, else in config.json."""
    for name in ("generation_config.json", "config.json"):
        file = model_file(model, path, name)
        try:
            ends = json.loads(file.read_text()).get("eos_token_id") if file else None
        except ValueError as e:
            raise UserError(f"{file} is no JSON ({first_line(e)}); copy it again") from e
        if ends is not None:
            return set(ends) if isinstance(ends, list) else {ends}
    return set()


def _template(tokenizer: Any, path: str | Path) -> tuple[Callable[[Sequence[Message]], str], str]:
    """Writes conversations by the tokenizer's template, and that template.

    The template is the model's, so not trusted: transformers renders it in Jinja's sandbox.
    """
    try:
        template: str = tokenizer.get_chat_template()
    except ValueError as e:
        raise UserError(
            f"the tokenizer of {path} has no chat template; name one of fschat's registry: "
            "model.chat=fastchat:NAME"
        ) from e

    def write(messages: Sequence[Message]) -> str:
        turns = [{"role": m.role, "content": m.content} for m in messages]
        try:
            return tokenizer.apply_chat_template(  # type: ignore[no-any-return]
                turns,
                chat_template=template,
                tokenize=False,
                add_generation_prompt=True,
                strftime_now=_TEMPLATE_DATE.strftime,
            )
        except Exception as e:  # a template can raise anything; it is reported
            raise UserError(f"the chat template of {path} fails ({first_line(e)})") from e

    return write, template


def _fastchat_format(tokenizer: Any, name: str, stop: set[int]) -> TemplateFormat:
    """A template of fschat's registry; its answers are stripped, as fschat's own loops do."""
    from fastchat.conversation import conv_templates

    if name not in conv_templates:
        near = difflib.get_close_matches(name, conv_templates, n=3, cutoff=0.3)
        raise UserError(
            f"model.chat=fastchat:{name}: there is no such template; the nearest are "
            f"{', '.join(near) or 'none'}"
        )
    template = conv_templates[name]
    texts = [template.stop_str] if isinstance(template.stop_str, str) else template.stop_str or []
    stop |= _special_ids(tokenizer, texts, f"the end of a turn in model.chat=fastchat:{name}")

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

    identity = f"fastchat:{name} {write([Message('user', 'a')])}"
    return TemplateFormat(
        tokenizer, write, identity, stop | set(template.stop_token_ids or []), True
    )
