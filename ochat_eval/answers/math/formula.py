"""Reading model-written formulas with sympy, as the published MATH grader does, but guarded.

sympy's parser ends in `eval`. The published limit of two letters shuts out most of Python
already; `_parsed` shuts out the rest, and cannot change the verdict on a formula.
"""

from __future__ import annotations

import re
from functools import cache
from io import StringIO
from itertools import pairwise
from token import COMMENT, ENDMARKER, ERRORTOKEN, NAME, NEWLINE, NL, NUMBER, OP
from tokenize import TokenInfo, generate_tokens
from typing import Any

# Comments are Python's for `#`, which the published rule lets through.
_TOKENS = {NAME, NUMBER, OP, COMMENT, NEWLINE, NL, ENDMARKER}
# The names of sympy's and Python's that two letters can spell, so that the published rule can
# meet them, and those that the parser itself writes.
_SYMPY_NAMES = (
    "csc eye ff fft frac fu gff hn1 hn2 im jn li ln nan ntt oo pi re rf sqrt yn zoo "
    "Float Function I Integer Lambda Number Rational Symbol factorial factorial2"
)
_BUILTINS = {"all": all, "id": id}


def equal(a: str, b: str) -> bool:
    """Whether sympy simplifies the difference of two formulas to 0.

    By the published rule what it cannot read is not equal, nor is what may take it too long: an
    exponent of two digits or in brackets, or more than two letters in both formulas together.

    Raises:
        MemoryError: sympy ran out of memory.
    """
    difference = f"({a})-({b})"
    if letters(difference) > 2 or re.search(r"\^(?:[{(]|[0-9]+\^|[0-9][0-9])", difference):
        return False
    try:
        import sympy

        parsed = _parsed(difference.replace("^", "**"))
        return not _far_from_zero(parsed) and bool(sympy.simplify(parsed) == 0)
    except MemoryError:
        raise
    # Any error of sympy's, or of Python's in reading the text, is "not equal" by the rule.
    except Exception:
        return False


_POINT = 0.7391
_NEAR = 1e-6


def some_point(*formulas: Any) -> dict[Any, float]:
    """A value for each symbol of some formulas; nothing in them makes these special."""
    names = sorted({name for one in formulas for name in one.free_symbols}, key=str)
    return {name: _POINT + place for place, name in enumerate(names)}


def _far_from_zero(parsed: Any) -> bool:
    """Whether a formula is not near 0 at some point: then nothing simplifies it to 0, and
    `simplify` need not try, which takes many times as long."""
    import sympy

    if not isinstance(parsed, sympy.Expr):
        return False
    try:
        value = complex(parsed.evalf(15, subs=some_point(parsed)))
    except MemoryError:
        raise
    except Exception:  # whatever sympy raises for what is no number
        return False
    return _NEAR < abs(value) < 1 / _NEAR


def letters(text: str) -> int:
    """How many different letters the text has, those of `sqrt` and `frac` left out."""
    return len({c for c in text.replace("sqrt", "").replace("frac", "") if c.isalpha()})


def _parsed(expression: str) -> Any:
    """The expression, with implicit multiplication, as sympy makes of it.

    Raises:
        ValueError: holds an attribute access or text in quotes.
        Exception: anything that sympy or Python raise on a text that is not a formula.
    """
    from sympy.parsing import sympy_parser as parser

    tokens = list(generate_tokens(StringIO(expression.strip()).readline))
    for token, following in pairwise(tokens):
        if not _harmless(token, following):
            raise ValueError(f"{token.string!r} is not part of a formula")
    return parser.parse_expr(
        expression,
        transformations=(
            *parser.standard_transformations,
            parser.implicit_multiplication_application,
        ),
        global_dict=_namespace(),
    )


def _harmless(token: TokenInfo, following: TokenInfo) -> bool:
    """Whether a token may stand in a formula: no quotes, no attribute's dot.

    `!` is factorial, an error token to Python before 3.12; `0.[3]` is a repeating decimal.
    """
    if token.type == ERRORTOKEN:
        return token.string == "!"
    if token.string == ".":
        return following.string == "["
    return token.type in _TOKENS


@cache
def _namespace() -> dict[str, Any]:
    """All that the code made of a formula can reach."""
    import sympy

    names = {name: getattr(sympy, name) for name in _SYMPY_NAMES.split()}
    return {**names, **_BUILTINS, "__builtins__": {}}
