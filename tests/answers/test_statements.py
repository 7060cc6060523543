"""Where answers are stated: what is looked for first passes over no mark."""

from hypothesis import example, given
from hypothesis import strategies as st

from ochat_eval.answers.choice import _CHOSEN
from ochat_eval.answers.statements import _STATED, _latest_marks, latest

# Beginnings, ends and neighbours of marks, in several scripts and cases.
FRAGMENTS = [
    "answer", "ANSWER", "anſ", " is", " ", ":", "\n", "\\boxed{", "\\FBOX {", "B", "(B)", "[B]",
    "**B**", "(", "*", "[", "#", "####", "<answer>", "<final answer>", "[answer] B [/", "【答案】",
    "[正确答案]", "答案", "答え", "正解", "정답", "답은", "réponse", "RÉPONSE est", "respuesta es", "ответ",
    "Ответ:", "antwort ist", "option is", "the correct choice", "best option is", "I choose",
    "we pick", "I'd say", "my pick is", "going with", "Solution:", "bonne option est", "richtige",
    "opción correcta es", "opção", "правильный вариант", "而是", "选", "選", "B is correct",
    "C it is.", "D fits best", "Mr.", "ſ", "K", "ı", "İ", "é", "x", "1", "'", "- ", "Choice: ",
    "**Final answer**", "_", "?", ". ", "。", ")", "the final result:", "| Answer |",
]  # fmt: skip


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=25).map("".join))
@example("о answer: B, оanswer: C, éoption is D")
def test_marks_are_found_as_if_they_were_tried_everywhere(text):
    for marks in (_STATED, _CHOSEN):
        found = [match.span() for match in _latest_marks(marks, text)]
        assert found == [match.span() for match in latest(marks, text)]
