"""Guessing ahead: what is asked of vLLM, and what is refused. `tests/bench` has it guess for real."""

from __future__ import annotations

import pytest

from ochat_eval.engines.speculation import (
    check_speculation,
    not_to_be_guessed,
    speculation_arguments,
)
from ochat_eval.engines.vllm import Vllm
from ochat_eval.records import Sampling, UserError


def test_nothing_is_guessed_unless_it_is_asked_for():
    assert speculation_arguments(None) == {} == speculation_arguments(Vllm().speculate)
    check_speculation(None, {"speculative_config": {}})


def test_guessing_ends_where_more_answers_are_written():
    asked = speculation_arguments(8)["speculative_config"]
    assert asked["num_speculative_tokens_per_batch_size"] == [(1, 8, 8), (9, 9, 0)]


@pytest.mark.parametrize(
    ("tokens", "arguments", "complaint"),
    [
        (0, {}, "engine.speculate is 0; it must be at least 1"),
        (8, {"speculative_config": {}}, "give one of the two"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(tokens, arguments, complaint):
    with pytest.raises(UserError, match=complaint):
        Vllm(speculate=tokens, arguments=arguments).check_options()


@pytest.mark.parametrize(
    ("sampling", "cpu", "reason"),
    [
        (Sampling(), True, None),
        (Sampling(repetition_penalty=1.2), True, None),
        (Sampling(temperature=0.7), False, None),
        (Sampling(temperature=0.7), True, "draws wrong tokens on the CPU"),
        (Sampling(temperature=0.7, min_p=0.1), False, "a min_p is drawn with"),
    ],
)
def test_what_vllm_would_draw_wrongly_is_not_asked(sampling, cpu, reason):
    found = not_to_be_guessed(sampling, cpu)
    assert found is None if reason is None else reason in found
