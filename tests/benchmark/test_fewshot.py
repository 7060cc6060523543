"""Example blocks: found in published prompts, and shortened."""

import pytest

from ochat_eval.benchmark.fewshot import first_examples, shared_block
from ochat_eval.records import UserError

BLOCK = "Header.\n\nQ: one\nA: 1\n\nQ: two\n\nwith a blank line\nA: 2\n\n"


def test_the_shared_block_ends_before_the_questions_even_if_they_begin_alike():
    prompts = [BLOCK + "Q: what is a pear?", BLOCK + "Q: what is a plum?"]
    assert shared_block(prompts) == BLOCK


def test_prompts_that_share_nothing_are_an_error():
    with pytest.raises(ValueError, match="share no example block"):
        shared_block(["Q: a", "Q: b"])


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (None, BLOCK),
        (2, BLOCK),
        (1, "Header.\n\nQ: one\nA: 1\n\n"),
        (0, "Header.\n\n"),
    ],
)
def test_examples_are_dropped_from_the_end(count, expected):
    assert first_examples(BLOCK, "Q: ", count, "tasks.t.num_fewshot") == expected


def test_a_block_without_a_header_shrinks_to_nothing():
    assert first_examples("Q: a\n\nQ: b\n\n", "Q: ", 0, "x") == ""
    assert first_examples("Q: a\n\nQ: b\n\n", "Q: ", 1, "x") == "Q: a\n\n"


@pytest.mark.parametrize("count", [-1, 3])
def test_a_count_that_is_not_there_is_refused(count):
    with pytest.raises(UserError, match=r"tasks\.t\.num_fewshot is -?\d; it must be from 0 to 2"):
        first_examples(BLOCK, "Q: ", count, "tasks.t.num_fewshot")
