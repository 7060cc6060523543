"""From a conversation to the token ids that a model is asked with.

Kinds of format: OpenChat's own, which puts token ids together and not text; the chat template that
a model's tokenizer carries, or another; for tokenizers without one, fschat's registry; and the
texts as they are, for base models. In all of them text that looks like a special token stays text.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ochat_eval.data.mirrors import go_offline, hub_answers
from ochat_eval.model.chat.ends import Ends, TurnShape, Write, ends_of, turn_shape
from ochat_eval.model.chat.fastchat import fastchat_writer
from ochat_eval.model.chat.format import ChatFormat
from ochat_eval.model.chat.openchat import load_openchat
from ochat_eval.model.chat.template import TemplateFormat
from ochat_eval.model.chat.thinking import Thinking, thinking_of
from ochat_eval.model.chat.writer import TemplateWriter, chosen_template, knows, write_raw
from ochat_eval.model.model import Model
from ochat_eval.model.tokenizer import load_tokenizer
from ochat_eval.records import Message, UserError
from ochat_eval.terminal.say import say

_FASTCHAT = "fastchat:"
_TEMPLATE_FILES = ("chat_template.jinja", "tokenizer_config.json", "tokenizer.json")


def load_format(model: Model, path: str | Path, tell: Callable[[str], None] = say) -> ChatFormat:
    """The chat format that `model.chat` names.

    Args:
        model: its options but the weights' count here.
        path: the model's folder or hub id, as `weights.prepare` returns it.
        tell: takes a line for the user.

    Raises:
        UserError: no such format; a tokenizer missing, broken or unfit for it.
    """
    if not Path(path).is_dir() and not hub_answers():
        go_offline()
    if model.chat == "openchat":
        return load_openchat(model, path)
    if model.chat not in ("template", "raw") and not model.chat.startswith(_FASTCHAT):
        raise UserError(
            f"model.chat={model.chat}: there is no such format; there are openchat, template, raw "
            "and fastchat:NAME"
        )
    if model.chat != "template" and (model.template is not None or model.template_kwargs):
        raise UserError(
            f"model.chat={model.chat} has no template of its own to choose or to set: "
            "model.template and model.template_kwargs are for model.chat=template"
        )
    tokenizer = load_tokenizer(model, path)
    return _with_tokenizer(model, path, tokenizer, tell)


def _with_tokenizer(
    model: Model, path: str | Path, tokenizer: Any, tell: Callable[[str], None]
) -> TemplateFormat:
    added = {token.content: token.special for token in tokenizer.added_tokens_decoder.values()}
    more, template = Ends(), ""
    write: Write
    if model.chat == "template":
        write = TemplateWriter(tokenizer, model, path, tell)
        template, shape = write.template, turn_shape(write, added)
        identity = f"template:{template}"
    elif model.chat == "raw":
        write, shape, identity = write_raw, TurnShape("", None, False), "raw"
    else:
        write, more = fastchat_writer(tokenizer, model.chat.removeprefix(_FASTCHAT))
        shape = turn_shape(write, added)
        identity = f"{model.chat} {write([Message('user', 'a')])}"
    return TemplateFormat(
        tokenizer,
        write,
        identity,
        ends_of(model, tokenizer, path, shape, tell) | more,
        thinking_of(model.thinking, template, shape.opening, added),
        strip=model.chat.startswith(_FASTCHAT),
    )


def with_variables(
    chat: ChatFormat, model: Model, path: str | Path, variables: Mapping[str, Any]
) -> ChatFormat:
    """A chat format with more of its template's variables set.

    Args:
        chat: as `load_format` made it of the model and the path.
        variables: over `model.template_kwargs`.

    Raises:
        UserError: the format has no template, or this knows no such variable.
    """
    if not isinstance(chat, TemplateFormat) or model.chat != "template":
        raise UserError("the model's chat format has no template whose variables could be set")
    template = chosen_template(chat.tokenizer, model, path)
    for name in variables:
        if not knows(template, name):
            raise UserError(f"the model's chat template knows no variable {name}")
    asked = dataclasses.replace(model, template_kwargs={**model.template_kwargs, **variables})
    return _with_tokenizer(asked, path, chat.tokenizer, lambda line: None)


def recorded_thinking(model: Model) -> Thinking:
    """The marks around thoughts in answers that are on record, by all that is at hand.

    A model's folder is asked only where its template or tokenizer names known marks, for loading
    a tokenizer takes seconds; without one, known marks that a response begins with are taken.

    Raises:
        UserError: `model.thinking` is none of its values.
    """
    usual = thinking_of(model.thinking)
    folder = Path(model.path).expanduser()
    if model.thinking == "none" or model.chat != "template" or not folder.is_dir():
        return usual
    texts = [f.read_text(errors="replace") for n in _TEMPLATE_FILES if (f := folder / n).is_file()]
    if not any(marks.end in text or marks.start in text for text in texts for marks in usual.marks):
        return usual
    return load_format(model, folder, tell=lambda line: None).thinking
