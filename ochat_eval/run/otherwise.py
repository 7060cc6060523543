"""How a run was asked otherwise than the models of the published figures were."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ochat_eval.records import UserError
from ochat_eval.run.identity import LIVE, MODEL_OPTIONS, OWN_SAMPLING, STOP_LOOPS

_OF_MODEL = ("template", "template_kwargs", "system", "thinking_budget")
_NO_MATTER = ("n", "seed")
"""Fields of a request that a greedy answer does not hang on."""
_LONGEST_SHOWN = 60


@dataclass(frozen=True)
class Learnt:
    """How a server wanted to be asked: options of its client, with what it refused otherwise.

    Attributes:
        rename: fields by the names that it knows.
        leave_out: fields that it does not take.
        fold_system: whether it knows no system role.
    """

    rename: dict[str, str] = field(default_factory=dict)
    leave_out: list[str] = field(default_factory=list)
    fold_system: bool = False


def learnt_of(values: Mapping[str, Any], whose: str, where: object) -> Learnt:
    """How a server wanted to be asked beyond the options.

    Args:
        values: of a manifest, or `Facts.about`.
        whose: `engine` or `judge`.
        where: for the message.

    Raises:
        UserError: they are damaged there.
    """
    try:
        return msgspec.convert(values.get("learnt", {}), dict[str, Learnt])[whose]
    except KeyError:
        return Learnt()
    except msgspec.ValidationError as e:
        raise UserError(f"{where} is no manifest of a run: learnt: {e}") from e


def asked_otherwise(identity: Mapping[str, Any], learnt: Learnt) -> list[str]:
    """What of a run's model, engine and server is not of the published setting.

    Args:
        learnt: how its server wanted to be asked beyond the options.

    Returns:
        `option=value` each.

    Raises:
        UserError: the identity is damaged.
    """
    options = identity.get(MODEL_OPTIONS)
    found = [("model.chat", "raw")] if identity.get("chat") == "raw" else []
    if isinstance(options, Mapping):
        found += [(f"model.{name}", str(options[name])) for name in _OF_MODEL if name in options]
    if STOP_LOOPS in identity:
        found.append((f"engine.{STOP_LOOPS}", str(identity[STOP_LOOPS])))
    if LIVE in identity:
        found.append(("engine", f"{identity[LIVE]}, of a program: no command makes it again"))
    if OWN_SAMPLING in identity:
        found.append(("sampling", "the engine's own"))
    try:
        by_option = msgspec.convert(identity, Learnt)
    except msgspec.ValidationError as e:
        raise UserError(f"this is no identity of a run: {e}") from e
    of_server = {
        "extra_body": identity.get("extra_body"),
        "leave_out": sorted({*by_option.leave_out, *learnt.leave_out}.difference(_NO_MATTER)),
        "fold_system": by_option.fold_system or learnt.fold_system,
    }
    found += [(f"engine.{k}", json.dumps(value)) for k, value in of_server.items() if value]
    return [
        f"{name}={value if len(value) <= _LONGEST_SHOWN else value[:_LONGEST_SHOWN] + '…'}"
        for name, value in found
    ]
