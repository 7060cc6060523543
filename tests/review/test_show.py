"""What a person is shown of an answer: the end of the question, and always what was read."""

from __future__ import annotations

import pytest

from ochat_eval.records import Item, Response, Score
from ochat_eval.review.show import ANSWER, QUESTION, shown

ITEM = Item("t/main/0", "t", "main", 0, ("x" * 900 + "What is it?",), ("4", "5"))


def screen(text: str, published: object = None, robust: object = None, **more: object) -> str:
    scores = {
        rule: Score(ITEM.id, 0, rule, more.get("answer", "4"), True, 1.0, span and {"span": span})
        for rule, span in (("published", published), ("robust", robust))
    }
    return shown(ITEM, Response(ITEM.id, text), scores)


def test_the_end_of_a_long_question():
    said = screen("4")
    assert "What is it?" in said and "x" * (QUESTION - 11) in said and "x" * QUESTION not in said
    assert f"({911 - QUESTION} characters before)" in said and "TARGET  4 or 5" in said


@pytest.mark.parametrize(
    ("published", "robust", "line"),
    [
        ([0, 1], [0, 1], "⟦⟪a⟫⟧ b c"),
        ([2, 3], [0, 3], "⟪a ⟦b⟧⟫ c"),
        ([0, 3], [2, 5], "⟦a ⟪b⟧ c⟫"),
        ([4, 5], [0, 1], "⟪a⟫ b ⟦c⟧"),
        (None, [4, 5], "a b ⟪c⟫"),
        ([2, 9], [-1, 2], "a b c"),  # no part of the text
        ([3, 2], ["0", 1], "a b c"),
        ({"a": 1}, [True, 1], "a b c"),
    ],
)
def test_what_was_read_is_marked_where_the_span_can_be(published, robust, line):
    assert f"\n{line}\n" in screen("a b c", published, robust)


def test_a_models_own_signs_are_not_ours():
    assert "\n[a] [⟦b⟧]\n" in screen("⟦a⟧ ⟪b⟫", [5, 6])


@pytest.mark.parametrize("place", [0, 700, 5_000, 9_999])
def test_of_a_long_answer_what_was_read_is_shown(place):
    text = "." * place + "4" + "." * (10_000 - place)
    said = screen(text, [place, place + 1])
    assert "⟦4⟧" in said and len(said) < ANSWER + QUESTION + 400
    assert " characters) …" in said


def test_an_empty_answer_and_a_long_reading():
    assert "(empty)" in screen(" \n")
    assert "read nothing" in screen("a", answer=None)
    assert len(screen("a", answer="b" * 9_999)) < 2_000
