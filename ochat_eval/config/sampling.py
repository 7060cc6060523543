"""The run's option `sampling`: as published, as the model's files recommend, or by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ochat_eval.model.model import Model
from ochat_eval.model.recommended import SAMPLING, recommended
from ochat_eval.records import UserError
from ochat_eval.terminal.words import nearest


def chosen_sampling(option: Any, model: Model) -> dict[str, Any]:
    """Options of a benchmark that draw its answers so; nothing where it is as published.

    Args:
        option: `published`, `model`, or a mapping of `SAMPLING`.

    Raises:
        UserError: it is none of these, or the model recommends nothing.
    """
    if option == "published":
        return {}
    if option == "model":
        return _checked(recommended(model), f"sampling=model: {model.name}")
    if isinstance(option, Mapping) and option:
        return _checked(dict(option), "sampling")
    raise UserError(
        f"sampling={option}: it is published, model, or by hand: "
        "'sampling={temperature: 0.7, top_p: 0.95, top_k: 20}'"
    )


def _checked(values: dict[str, Any], where: str) -> dict[str, Any]:
    """The values, once each is a number that the option can have."""
    for name, value in values.items():
        if name not in SAMPLING:
            raise UserError(f"{where}: {name}: there is no such option{nearest(name, SAMPLING)}")
        kinds = int if name == "top_k" else int | float
        if not isinstance(value, kinds) or isinstance(value, bool):
            what = "a whole number" if name == "top_k" else "a number"
            raise UserError(f"{where}: {name} is {value!r}; it must be {what}")
    return {name: v if name == "top_k" else float(v) for name, v in values.items()}
