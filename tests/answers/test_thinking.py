"""What was thought aloud is told from the answer, in a time linear in the text."""

import pytest

from ochat_eval.answers.thinking import KNOWN, Marks, answer_from, find_thought
from tests.conftest import table
from tests.scaling import check_linear


@pytest.mark.parametrize("case", table("thinking.jsonl"), ids=lambda case: case["text"][:40])
def test_a_thought_is_told_from_its_answer(case):
    opened = Marks("<think>", "</think>", opened=True)
    thought = find_thought(case["text"], (opened,) if case.get("opened") else KNOWN)
    if case["answer"] is None:
        assert thought is None
        return
    assert thought is not None
    assert answer_from(case["text"], thought) == case["answer"]
    assert thought.reasoning == case["reasoning"]
    assert (thought.end is None) == case.get("unfinished", False)


HOSTILE = [
    "<think>", "</think>", "<think></think>", "<", "<|channel|>", "<|channel|>final", " ", "\n",
    "<|channel|>analysis<|message|>", "<|end|>", "analysis", "assistantfinal", "[THINK]", "a ",
]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
@pytest.mark.parametrize("begin", ["", "<think>", "<|channel|>", "<think></think>"])
def test_hostile_texts_take_linear_time(piece, begin):
    def look(text):
        thought = find_thought(text)
        return thought and answer_from(text, thought)

    check_linear(look, piece, begin)
