"""From a conversation to the token ids that a model is asked with.

Three kinds of format: OpenChat's own, which puts token ids together and not text; the chat
template that a model's tokenizer carries; and, for tokenizers without one, fschat's registry.
In all of them text that looks like a special token stays text.
"""

from __future__ import annotations

import os
from pathlib import Path

from ochat_eval.data.mirrors import hub_answers
from ochat_eval.model.chat.fastchat import fastchat_format
from ochat_eval.model.chat.format import ChatFormat
from ochat_eval.model.chat.openchat import load_openchat
from ochat_eval.model.chat.template import TemplateFormat, template_writer
from ochat_eval.model.model import Model
from ochat_eval.model.tokenizer import ends_in_files, load_tokenizer, special_ids
from ochat_eval.records import UserError


def load_format(model: Model, path: str | Path) -> ChatFormat:
    """The chat format that `model.chat` names.

    Args:
        model: its `chat`, `condition`, `conditions`, `stop` and `revision` count here.
        path: the model's folder or hub id, as `weights.prepare` returns it.

    Raises:
        UserError: no such format; a tokenizer missing, broken or unfit for it.
    """
    if not Path(path).is_dir() and not hub_answers():
        os.environ["HF_HUB_OFFLINE"] = "1"  # what was downloaded before is all there is
    if model.chat == "openchat":
        return load_openchat(model, path)
    if model.chat != "template" and not model.chat.startswith("fastchat:"):
        raise UserError(
            f"model.chat={model.chat}: there is no such format; there are openchat, template and "
            "fastchat:NAME"
        )
    tokenizer = load_tokenizer(model, path)
    stop = special_ids(tokenizer, model.stop, "model.stop") | ends_in_files(model, path)
    if tokenizer.eos_token_id is not None:
        stop.add(tokenizer.eos_token_id)
    if model.chat == "template":
        write, text = template_writer(tokenizer, path)
        chat = TemplateFormat(tokenizer, write, f"template:{text}", stop)
    else:
        chat = fastchat_format(tokenizer, model.chat.removeprefix("fastchat:"), stop)
    if not chat.stop_token_ids:
        raise UserError(f"nothing ends a turn of {path}: name the special token in model.stop")
    if max(chat.stop_token_ids) >= len(tokenizer):
        raise UserError(
            f"{model.chat} ends turns with token {max(chat.stop_token_ids)}, but the tokenizer of "
            f"{path} has only {len(tokenizer)}: it is for another model"
        )
    return chat
