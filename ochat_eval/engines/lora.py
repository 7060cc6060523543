"""LoRA adapters in vLLM: what the engine must know of them, and loading them."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ochat_eval.engines.vllm_build import one_line
from ochat_eval.model.adapter import adapters_of, check_base, check_chat
from ochat_eval.model.chat.format import ChatFormat
from ochat_eval.model.chat.template import TemplateFormat
from ochat_eval.model.chat.writer import chosen_template
from ochat_eval.model.files import model_file
from ochat_eval.model.model import Model
from ochat_eval.records import UserError

_AT_ONCE = 8
"""Adapters that one batch may have, where there are so many; each takes memory beside the model."""


def check_adapters(model: Model, path: str, chat: ChatFormat) -> None:
    """Refuses adapters that the base cannot have, before anything is loaded.

    Args:
        path: the base's folder or hub id; of the latter the shapes are compared once it is there.
        chat: its chat format.

    Raises:
        UserError: one cannot be read, is of another base, or is asked otherwise than its base.
    """
    adapters = adapters_of(model)
    if adapters and isinstance(chat, TemplateFormat):
        by_tokenizer = model.chat == "template" and model.template is None
        template = chosen_template(chat.tokenizer, model, path) if by_tokenizer else None
        vocabulary = chat.tokenizer.get_vocab()
        for adapter in adapters:
            check_chat(adapter, template, vocabulary)
    if Path(path).is_dir():
        for adapter in adapters:
            check_base(adapter, model, Path(path))


def lora_arguments(model: Model) -> dict[str, Any]:
    """What `vllm.LLM` must know to hold the model's adapters; empty without any.

    Raises:
        UserError: an adapter cannot be read, or its rank is above what vLLM takes.
    """
    adapters = adapters_of(model)
    if not adapters:
        return {}
    from vllm.config.lora import MaxLoRARanks

    largest = max(adapters, key=lambda one: one.rank)
    ranks = sorted(rank for rank in typing.get_args(MaxLoRARanks) if rank >= largest.rank)
    if not ranks:
        most = max(typing.get_args(MaxLoRARanks))
        raise UserError(f"adapter {largest.name} has rank {largest.rank}; the most is {most}")
    return {
        "enable_lora": True,
        "max_loras": min(len(adapters), _AT_ONCE),
        "max_cpu_loras": len(adapters),
        "max_lora_rank": ranks[0],
    }


def load_adapters(llm: Any, model: Model, path: str) -> Mapping[str, Any]:
    """Loads the model's adapters into a `vllm.LLM`, so that a broken one is refused at once.

    Args:
        path: as for `check_adapters`; by now the files of a model of the hub are in its cache.

    Returns:
        By name, what a request that is for the adapter gives as `lora_request`.

    Raises:
        UserError: one is of another base, or vLLM refuses it.
    """
    adapters = adapters_of(model)
    if not adapters:
        return {}
    from vllm.lora.request import LoRARequest

    hub = not Path(path).is_dir()  # a folder's shapes were compared before
    if hub and (config := model_file(model, path, "config.json")) is not None:
        for adapter in adapters:
            check_base(adapter, model, config.parent)
    found = {}
    for number, adapter in enumerate(adapters, 1):
        request = LoRARequest(adapter.name, number, str(adapter.path))
        try:
            llm.llm_engine.add_lora(request)
        except Exception as e:  # from its own process it is a plain Exception
            raise UserError(f"vLLM cannot load adapter {adapter.name}: {one_line(e)}") from e
        found[adapter.name] = request
    return found
