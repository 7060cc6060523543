"""The sampling that a model's own files recommend."""

from __future__ import annotations

import json
from typing import Any

from ochat_eval.model.files import model_file
from ochat_eval.model.model import Model
from ochat_eval.model.weights import prepare
from ochat_eval.records import UserError

SAMPLING = (
    "temperature", "top_p", "top_k", "min_p", "repetition_penalty", "presence_penalty",
)  # fmt: skip
"""How an answer is drawn, by the names that generation_config.json and ours share."""
_FILE = "generation_config.json"


def recommended(model: Model) -> dict[str, Any]:
    """What a model's generation_config.json says of sampling.

    Returns:
        Those of `SAMPLING` that it names. `do_sample: false` is temperature 0; where it names
        others and no temperature, that is 1, as transformers has it. A `top_k` below 1 is none.

    Raises:
        UserError: there is no such file, it cannot be read, or it says nothing of sampling.
    """
    by_hand = "say how by hand: 'sampling={temperature: 0.7, top_p: 0.95}'"
    file = model_file(model, prepare(model), _FILE)
    if file is None:
        raise UserError(f"sampling=model: {model.name} has no {_FILE}; {by_hand}")
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        found = {name: values[name] for name in SAMPLING if values.get(name) is not None}
    except (OSError, ValueError, AttributeError) as e:
        raise UserError(f"sampling=model: {file} cannot be read: {e}; {by_hand}") from e
    if values.get("do_sample") is False:
        return {name: v for name, v in found.items() if name.endswith("penalty")} | {
            "temperature": 0.0
        }
    if not found:
        raise UserError(f"sampling=model: {file} says nothing of sampling; {by_hand}")
    found = {"temperature": 1.0, **found}
    if "top_k" in found and found["top_k"] < 1:
        del found["top_k"]
    return found
