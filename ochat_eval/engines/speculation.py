"""Guessing ahead while few answers are left: vLLM's n-gram speculation.

A guess is what followed the answer's last tokens where they stood before, in its prompt or in
itself (prompt lookup, https://github.com/apoorvumang/prompt-lookup-decoding). The model checks all
guessed tokens in one step and keeps those that it would have written itself. An answer that repeats
itself is guessed well, and such answers are what a run ends with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ochat_eval.records import Sampling, UserError

FEW = 8
"""While more answers than these are being written, nothing is guessed: a full batch has no time to
spare for tokens that are thrown away."""
_SHORTEST, _LONGEST = 3, 8
"""How many last tokens must have stood before, and how many of them are looked for at most."""


def check_speculation(tokens: int | None, arguments: Mapping[str, Any]) -> None:
    """Refuses what cannot be asked for.

    Args:
        tokens: to be guessed; None for none.
        arguments: other arguments of `vllm.LLM` that were given.

    Raises:
        UserError: fewer than one, or guessing is configured twice.
    """
    if tokens is None:
        return
    if tokens < 1:
        raise UserError(f"engine.speculate is {tokens}; it must be at least 1")
    if "speculative_config" in arguments:
        raise UserError("engine.speculate sets engine.speculative_config: give one of the two")


def speculation_arguments(tokens: int | None) -> dict[str, Any]:
    """What `vllm.LLM` gets to guess up to so many tokens a step; None: nothing."""
    if tokens is None:
        return {}
    by_answers = [(1, FEW, tokens), (FEW + 1, FEW + 1, 0)]  # what the last says holds beyond, too
    return {
        "speculative_config": {
            "method": "ngram",
            "num_speculative_tokens": tokens,
            "prompt_lookup_min": _SHORTEST,
            "prompt_lookup_max": _LONGEST,
            "num_speculative_tokens_per_batch_size": by_answers,
        }
    }


def not_to_be_guessed(sampling: Sampling, cpu: bool) -> str | None:
    """Why an engine that guesses ahead cannot be asked so; None where it can.

    Measured with vLLM 0.32.0: of 240 tokens that it drew at temperature 0.8 on the CPU while it
    guessed, 10 were ones that the model gives less than one in 160,000 (e^-12); of as many drawn
    without guessing, none. The likeliest tokens came out the same, with penalties, too.

    Args:
        sampling: of the request.
        cpu: whether vLLM computes on the CPU.
    """
    if sampling.min_p:
        return "vLLM cannot guess ahead (engine.speculate) where a min_p is drawn with"
    if cpu and sampling.temperature:
        return (
            "vLLM draws wrong tokens on the CPU while it guesses ahead (engine.speculate): ask for "
            "answers of a temperature in a run without it"
        )
    return None
