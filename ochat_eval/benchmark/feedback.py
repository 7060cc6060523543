"""The feedback evaluator's prompt: a model writes feedback on a response and rates it, 1 to 5.

The model card's experimental evaluator: given an instruction, a response, a reference answer that
is worth 5 and a rubric with a description of each score, a model answers
`Feedback: … [RESULT] n`, which `answers.feedback` reads.
"""

from __future__ import annotations

from collections.abc import Sequence

from ochat_eval.answers.feedback import SCORES

_TEMPLATE = """\
You are a strict and fair grader. Below are an instruction, a response to it, a reference answer \
that deserves the full score of 5, and a rubric: one criterion, and what a response is like that \
earns each score from 1 to 5.

Instruction:
{instruction}

Response to grade:
{response}

Reference answer (score 5):
{reference}

Criterion:
{criteria}
{descriptions}

Judge the response by this criterion alone, and not by how good it is in other ways. First write \
feedback that says how far it meets the criterion and where it falls short; then choose the score \
whose description fits best. Answer in one line of exactly this form, the score being one of the \
integers 1, 2, 3, 4 and 5, and write nothing behind it:
Feedback: <your feedback> [RESULT] <score>"""


def feedback_prompt(
    instruction: str, response: str, reference: str, criteria: str, descriptions: Sequence[str]
) -> str:
    """What the evaluator is asked.

    Args:
        instruction, response: what was asked, and the answer that is to be rated.
        reference: an answer that is worth 5.
        criteria: what the rating is about.
        descriptions: what a response is like that earns 1, 2, 3, 4 and 5, in this order.

    Raises:
        ValueError: not five descriptions.
    """
    levels = zip(SCORES, descriptions, strict=True)
    return _TEMPLATE.format(
        instruction=instruction,
        response=response,
        reference=reference,
        criteria=criteria,
        descriptions="\n".join(f"Score {score}: {text}" for score, text in levels),
    )
