"""Reading the answer in a response: pure functions; this face exports every reader.

Every reader goes from the response's text to a `Reading`. It never raises on any text, takes time
linear in it, and gives the span of what it read. The published rules (`published`, `code`,
`rating`, `math.grader`) keep every quirk of the evaluations that they are from. The `robust_…`
rules read what a careful person would, and refuse to guess: where nothing is stated the answer is
None, unmatched. What a model thought aloud is told from the answer before (`thinking`).
"""

from ochat_eval.answers.choice import robust_choice
from ochat_eval.answers.code import code_block, code_block_2023, robust_code
from ochat_eval.answers.feedback import feedback_rating
from ochat_eval.answers.number import robust_number
from ochat_eval.answers.numerals import same_number
from ochat_eval.answers.published import (
    choice_after_marker,
    first_letter,
    last_number,
    text_after_marker,
)
from ochat_eval.answers.rating import published_rating, robust_rating
from ochat_eval.answers.text import robust_text, same_text
from ochat_eval.answers.thinking import find_thought
from ochat_eval.answers.winner import winner

__all__ = [
    "choice_after_marker",
    "code_block",
    "code_block_2023",
    "feedback_rating",
    "find_thought",
    "first_letter",
    "last_number",
    "published_rating",
    "robust_choice",
    "robust_code",
    "robust_number",
    "robust_rating",
    "robust_text",
    "same_number",
    "same_text",
    "text_after_marker",
    "winner",
]
