"""At which step of a training a model was written, by its name."""

from __future__ import annotations

import re

_STEP = re.compile(r"(?:^|[-_.])(?:checkpoint|ckpt|steps?|iter(?:ation)?)[-_=]?(\d{1,15})(?!\d)")
_EPOCH = re.compile(r"(?:^|[-_.])epoch[-_=]?(\d{1,15}(?:\.\d+)?)(?!\d)")


def named_step(name: str) -> tuple[float, str] | None:
    """The step that a checkpoint's name tells: `checkpoint-100`, `step_200`, `epoch-3`.

    Returns:
        The number, and what it counts: `step` or `epoch`; None where the name tells none.
    """
    for pattern, unit in (_STEP, "step"), (_EPOCH, "epoch"):
        if told := pattern.findall(name.lower()):
            return float(told[-1]), unit
    return None
