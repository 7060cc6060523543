"""A chat template's variables that a request sets for itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from ochat_eval.model.chat import with_variables
from ochat_eval.model.chat.format import ChatFormat
from ochat_eval.model.model import Model
from ochat_eval.records import UserError

FIELDS = ("chat_template_kwargs", "template_kwargs")
"""The fields of a request that may hold them: vLLM's, and ours."""
_KEPT = 64


class Variants:
    """The model's chat format with the variables of a request, made once for each of their values.

    Attributes:
        usual: without any.
    """

    def __init__(self, usual: ChatFormat, model: Model, path: str | Path, allowed: Sequence[str]):
        """Takes the format that `load_format` made of model and path, and the names allowed."""
        self.usual = usual
        self._allowed = tuple(allowed)

        @lru_cache(_KEPT)
        def made(values: str) -> ChatFormat:
            return with_variables(usual, model, path, json.loads(values))

        self._made = made

    def of(self, given: Sequence[Any]) -> ChatFormat:
        """The format for a request.

        Args:
            given: what it has in `FIELDS`; a later one goes over an earlier.

        Raises:
            UserError: a variable that is not allowed or that the template knows not, a value that
                is neither text, number nor truth value, or a template that fails with it.
        """
        variables: dict[str, Any] = {}
        for found in given:
            if found is not None and not isinstance(found, Mapping):
                raise UserError(f"{FIELDS[0]} must be an object")
            variables |= found or {}
        for name, value in variables.items():
            if name not in self._allowed:
                known = f"only {', '.join(self._allowed)}" if self._allowed else "none"
                raise UserError(
                    f"{FIELDS[0]}.{name} is not allowed here: {known} (template_kwargs)"
                )
            if not isinstance(value, str | int | float | bool | None):
                raise UserError(f"{FIELDS[0]}.{name} must be a text, a number or a truth value")
        return self._made(json.dumps(variables, sort_keys=True)) if variables else self.usual
