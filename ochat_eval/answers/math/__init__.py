r"""Grading free-form mathematical answers: the published MATH rule, and a careful reader's.

`published_answer` and `grade` are the published rule, quirk for quirk: what openchat's evaluation
of January 2024 read in a response (`ochat/evaluation/match_answer.py`), and the grader it used,
which is PRM800K's (`grading/grader.py`, `grading/math_normalize.py`). `verify` is the robust
rule: the stated answer, compared by the library math-verify.

A grade is pure, but a hostile answer (`9**9**9**9`) may keep sympy busy for ever or eat the
memory: run `grade` and `verify` through `ochat_eval.sandbox.workers.run_jobs`. Libraries are
imported only for answers that need them: a worker's first such grade takes a second or two.
"""

from ochat_eval.answers.math.grader import grade, grade_plainly, last_boxed, published_answer
from ochat_eval.answers.math.verify import verify, verify_plainly

__all__ = [
    "grade",
    "grade_plainly",
    "last_boxed",
    "published_answer",
    "verify",
    "verify_plainly",
]
