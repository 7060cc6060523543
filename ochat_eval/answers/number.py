"""The number that a response states, as a careful reader takes it."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice

from ochat_eval.answers.statements import NOTHING, PLAIN, statements
from ochat_eval.records import Reading

_NUMBER = re.compile(
    r"""(?<![A-Za-z0-9_^])(?<![0-9][.,:/])
    (?P<sign>(?<![)\]}])-|negative[ ])?
    (?:\\?[$€£¥₹][ ]?|(?:USD|EUR|GBP|Rs\.?)[ ]?)?(?P<sign2>-)?
    (?:\\[dt]?frac\{(?P<over>[0-9]{1,99})\}\{(?P<under>[0-9]{1,99})\}
    |(?P<whole>[0-9]{1,9}[ ](?=[0-9]{1,9}/[0-9]))?
     (?P<digits>(?:(?<!\.)\.)?[0-9](?:[0-9]|[.,:/](?=[0-9]))*+)
     (?:e(?P<e>[+-]?[0-9]{1,9})(?![A-Za-z0-9])
     |[ ]?(?:x|×|\*|\\times|\\cdot)[ ]?10[ ]?\^[ ]?\{?(?P<power>[+-]?[0-9]{1,9})\}?)?
     (?![ ]?\^))""",
    re.VERBOSE | re.IGNORECASE,
)
_DECIMAL = (
    r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]{1,2}(?:,[0-9]{2})+,[0-9]{3}|[0-9]*\.?[0-9]+"
)
_VALUE = re.compile(rf"(?:{_DECIMAL})(?:/(?:{_DECIMAL}))?")
_BOLD = re.compile(r"\*\*([^*\n]{1,80})\*\*")


def robust_number(text: str) -> Reading:
    """The number that a response states as its answer, as a careful reader takes it.

    What stands in the last box or behind the last `answer is`, `answer:`, `####`, `答案` counts:
    there the first number, or the result where an equation follows it; `3 or 4` and `3 + 4` are no
    answer. Without one: on the last line the last bold number, or else
    the one behind the last `=`; else the last number of all. Times,
    dates, versions, powers and the digits in a name (`x2`) are no numbers.

    Returns:
        The number in plain ASCII: `-1200.50`, `1/2`, `2 1/2`, `1.2e3`; without thousands commas,
        currency and unit (`50%` reads `50`).
    """
    plain = text.translate(PLAIN)
    for start, end in statements(plain):
        found = list(_numbers(plain, start, end))
        if not found:
            continue
        chosen, equals = found[0], plain.rfind("=", start, end)
        for number in found[1:]:
            between = plain[chosen[1][1] : number[1][0]]
            if re.search(r"[(;]|, |\b(?:because|since|as|for)\b", between):
                break
            if number[1][0] > equals and re.search(r"[=≈]", between) is None:
                if re.fullmatch(r"[*\s]*(?:or|to|[-+*/×÷x])[*\s]*", between):
                    return NOTHING
                break
            chosen = number
        return Reading(chosen[0], matched=True, span=chosen[1])
    end = len(plain.rstrip())
    start = plain.rfind("\n", 0, end) + 1
    bold = [n for b in _BOLD.finditer(plain, start, end) for n in _numbers(plain, *b.span(1))]
    equals = plain.rfind("=", start, end)
    result = list(islice(_numbers(plain, equals, end), 1)) if equals >= 0 else []
    last = bold[-1:] or result or list(deque(_numbers(plain, 0, end), maxlen=1))
    return Reading(last[0][0], matched=True, span=last[0][1]) if last else NOTHING


def _numbers(plain: str, start: int, end: int) -> Iterator[tuple[str, tuple[int, int]]]:
    """The numbers from `start` to `end` not behind `not`, each written plainly, with its span."""
    for match in _NUMBER.finditer(plain, start, end):
        value = (match["over"] and f"{match['over']}/{match['under']}") or match["digits"]
        if _VALUE.fullmatch(value) and not plain.endswith("not ", 0, match.start()):
            sign = "-" if match["sign"] or match["sign2"] else ""
            power = match["e"] or match["power"]
            value = (match["whole"] or "") + value.replace(",", "") + (f"e{power}" if power else "")
            yield sign + value, match.span()


def same_number(a: str, b: str) -> bool:
    """Whether two texts are the same number, exactly: `1,200` and `1200.0`, `1/2` and `0.5`.

    A text that is no number is the same as itself only; so is one of more than 400 digits.
    """
    if a.strip() == b.strip():
        return True
    x, y = _fraction(a), _fraction(b)
    return x is not None and x == y


def _fraction(text: str) -> Fraction | None:
    """The value of a text that is one number, None where it is not or is too long."""
    text = text.translate(PLAIN).strip()
    found = list(_numbers(text, 0, len(text))) if len(text) <= 400 else []
    if len(found) != 1 or found[0][1] != (0, len(text)):
        return None
    value = found[0][0]
    sign, value = (-1, value[1:]) if value[0] == "-" else (1, value)
    value, _, power = value.partition("e")
    if abs(int(power or 0)) > 400:
        return None
    whole, _, rest = value.rpartition(" ")
    over, _, under = rest.partition("/")
    if under and not Fraction(under):
        return None
    amount = Fraction(whole or 0) + Fraction(over) / Fraction(under or 1)
    return sign * amount * Fraction(10) ** int(power or 0)
