"""Ending answers that repeat themselves: vLLM's repetition detection."""

from __future__ import annotations

from typing import Any

_TOKENS = 64
"""The longest piece of an answer that is looked for again and again."""


def loops_parameters(times: int | None) -> dict[str, Any]:
    """What vLLM's sampling parameters get.

    Args:
        times: that a piece comes in a row at the end of an answer which is ended; None: none is.
    """
    if times is None:
        return {}
    from vllm.sampling_params import RepetitionDetectionParams

    return {"repetition_detection": RepetitionDetectionParams(_TOKENS, min_count=times)}
