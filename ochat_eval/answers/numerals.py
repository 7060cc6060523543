"""Numbers as people write them: finding them in a text, writing them plainly, comparing them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple
from unicodedata import normalize

from ochat_eval.answers.statements import PLAIN

_THOUSANDS = r"(?:[ \u00a0\u2009\u202f]|\\,|\{,\}|,\\!|\\[ ])"
_VULGAR = "[½¼¾⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞]"
_NUMBER = re.compile(
    rf"""(?<![A-Za-z0-9_^])(?<![0-9][.,:/])(?<!\^[{{])(?<!\{{,\}})
    (?P<sign>(?<![)\]}}])-|negative[ ])?
    (?:\\?[$€£¥₹][ ]?|(?:USD|EUR|GBP|Rs\.?)[ ]?)?(?P<sign2>-)?
    (?:\\[dt]?frac\{{(?P<over>[0-9]{{1,99}})\}}\{{(?P<under>[0-9]{{1,99}})\}}
    |(?P<whole>[0-9]{{1,9}}[ ](?=[0-9]{{1,9}}/[0-9]))?
     (?:(?P<digits>[0-9]{{1,3}}(?:{_THOUSANDS}[0-9]{{3}})++(?:\.[0-9]++)?(?![0-9]|[.,:/][0-9]|-[A-Za-z])
      |(?:(?<!\.)\.)?[0-9](?:[0-9]|[.,:/](?=[0-9]))*+)(?:[ ]?(?P<part>{_VULGAR}))?
      |(?P<alone>{_VULGAR}))
     (?:e(?P<e>[+-]?[0-9]{{1,9}})(?![A-Za-z0-9])
     |[ ]?(?:x|×|\*|\\times|\\cdot)[ ]?10[ ]?\^[ ]?\{{?(?P<power>[+-]?[0-9]{{1,9}})\}}?)?
     (?![ ]?\^(?!\s?\{{?\\circ)))""",
    re.VERBOSE | re.IGNORECASE,
)
_DECIMAL = (
    r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]{1,2}(?:,[0-9]{2})+,[0-9]{3}|[0-9]*\.?[0-9]+"
)
_VALUE = re.compile(rf"(?:{_DECIMAL})(?:/(?:{_DECIMAL}))?")
_GROUPS = re.compile(_THOUSANDS)
_FULL_HOUR = re.compile(r"([0-9]{1,2}):00")  # `2:00 PM`; a time that is none has no value
_DECIMAL_COMMA = re.compile(  # `20,00 €`; without a currency it may be two numbers
    r"[$€£]\s?([0-9]{1,3}),([0-9]{2})|([0-9]{1,3}),([0-9]{2})(?=\s?(?:[$€£]|EUR\b|euros?\b))",
    re.IGNORECASE,
)
_LETTER = r"(?<![A-Za-z\\])(?!x\s?\d)[A-Za-z](?![A-Za-z'’])"
ALGEBRA = re.compile(  # an answer that is no number: `R + 6`, `6 - 2n`, `\frac{d}{6}`, `2\sqrt{3}`
    rf"{_LETTER}\s?[-+*^]\s?[\d(]|(?<!\d)(?<!\d\s){_LETTER}\s?/\s?\d|[\d)]\s?[-+*]\s?\d{{0,9}}{_LETTER}"
    rf"|\\[dt]?frac\{{[^{{}}]{{0,20}}(?<![A-Za-z\\])[A-Za-z](?![A-Za-z])[^{{}}]{{0,20}}\}}"
    rf"|\\[dt]?frac\{{[^{{}}]{{0,20}}\}}\{{[^{{}}]{{0,20}}(?<![A-Za-z\\])[A-Za-z](?![A-Za-z])"
    r"|\\(?:sqrt|pi|theta|infty|log|ln|sin|cos|tan)\b|[√π∞]|\d[xyzn](?![A-Za-z])"
)


class Numeral(NamedTuple):
    """A number in a text: plainly written, and its span."""

    value: str
    start: int
    end: int


def numerals(plain: str, start: int, end: int) -> Iterator[Numeral]:
    """The numbers from `start` to `end` not behind `not`, each written plainly."""
    for match in _NUMBER.finditer(plain, start, end):
        vulgar = normalize("NFKC", match["part"] or match["alone"] or "").replace("⁄", "/")
        value = (match["over"] and f"{match['over']}/{match['under']}") or match["digits"] or vulgar
        value = _GROUPS.sub("", value)
        if hour := _FULL_HOUR.fullmatch(value):
            value = hour[1]
        comma = _DECIMAL_COMMA.match(plain, match.start()) if "," in value else None
        if comma and comma.end() == match.end():
            value = value.replace(",", ".")
        if _VALUE.fullmatch(value) and not plain.endswith("not ", 0, match.start()):
            sign = "-" if match["sign"] or match["sign2"] else ""
            power = match["e"] or match["power"]
            if match["part"] and (power or match["whole"] or not value.replace(",", "").isdigit()):
                continue  # `1 1/2½`
            value = (match["whole"] or "") + value.replace(",", "") + (f"e{power}" if power else "")
            value += f" {vulgar}" if match["part"] else ""
            yield Numeral(sign + value, *match.span())


def same_number(a: str, b: str) -> bool:
    """Whether two texts are the same number, exactly: `1,200` and `1200.0`, `1/2` and `0.5`.

    A text that is no number is the same as itself only; so is one of more than 400 digits.
    """
    if a.strip() == b.strip():
        return True
    x, y = value_of(a), value_of(b)
    return x is not None and x == y


def value_of(text: str) -> Fraction | None:
    """The value of a text that is one number, None where it is not or is too long."""
    text = text.translate(PLAIN).strip()
    found = list(numerals(text, 0, len(text))) if len(text) <= 400 else []
    if len(found) != 1 or (found[0].start, found[0].end) != (0, len(text)):
        return None
    value = found[0].value
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
