"""How many tokens a prompt and its answer may have together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ochat_eval.model.files import model_file
from ochat_eval.model.model import Model
from ochat_eval.model.weights import prepare
from ochat_eval.records import UserError
from ochat_eval.terminal.words import first_line

_LENGTHS = (
    "max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "model_max_length",
    "max_sequence_length", "max_seq_length", "seq_len",
)  # fmt: skip
_ALREADY_SCALED = {"su", "longrope", "llama3", "yarn", "deepseek_yarn", "deepseek_llama_scaling"}
"""The keys of a length, of which the least counts, and the RoPE scalings whose factor is in it
already: as vLLM 0.32 reads config.json (`vllm/config/model.py`, `_get_and_verify_max_len`)."""


def context_of(model: Model) -> int:
    """The context of a run: `model.context`, or the model's own up to `model.max_context`.

    Raises:
        UserError: the model's own is not known, or is less than what was asked for.
    """
    path = prepare(model)
    own = _own_context(model, path)
    if model.context is None:
        if own is None:
            raise UserError(f"{path} does not say how long its context is: set model.context=N")
        return min(own, model.max_context)
    if own is not None and model.context > own:
        raise UserError(
            f"model.context is {model.context:,}; the model's own is {own:,} tokens: set "
            f"model.context={own}, or null for the model's own"
        )
    return model.context


def _own_context(model: Model, path: str | Path) -> int | None:
    """What config.json says, in tokens; None where it says nothing."""
    file = model_file(model, path, "config.json")
    try:
        values: dict[str, Any] = json.loads(file.read_text()) if file else {}
    except ValueError as e:
        raise UserError(f"{file} is no JSON ({first_line(e)}); copy it again") from e
    text = values.get("text_config")
    config = {**values, **text} if isinstance(text, dict) else values
    lengths = [config[key] for key in _LENGTHS if isinstance(config.get(key), int)]
    if not lengths:
        return None
    own = int(min(lengths))
    if "gemma3" in str(config.get("model_type")):
        return own
    scaling = config.get("rope_parameters") or config.get("rope_scaling") or {}
    every = [v for v in scaling.values() if isinstance(v, dict)] or [scaling]
    factors = [
        float(one.get("factor") or 1)
        for one in every
        if (one.get("rope_type") or one.get("type")) not in _ALREADY_SCALED
    ]
    return int(own * max(factors, default=1.0))
