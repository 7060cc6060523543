"""The published MATH rule: what it reads in a response, and PRM800K's grader."""

from __future__ import annotations

import logging
import re
from functools import cache
from typing import Any

from ochat_eval.answers.code import strip_span
from ochat_eval.answers.math.formula import equal
from ochat_eval.records import Reading

_MARKER = "answer is"


def published_answer(response: str) -> Reading:
    r"""The answer in a response to a MATH problem, by the published rule.

    What follows the last `answer is` (any case), less a leading `:` and a final `.`; of that, or
    of the whole response where there is no marker, the content of the last box if it has any.

    Returns:
        The text to be graded; unmatched if there is neither a marker nor a box, where the
        published rule graded the whole response. Never raises; linear time.
    """
    start, end = strip_span(response, 0, len(response))
    # As published, the place is looked up in the lowered text: `İ` becomes two characters there.
    at = response[start:end].lower().rfind(_MARKER)
    if at >= 0:
        start, end = strip_span(response, min(start + at + len(_MARKER), end), end)
        start += response.startswith(":", start, end)
        end -= response.endswith(".", start, end)
    box = last_boxed(response[start:end])
    boxed = box is not None and box[0] < box[1]
    if box is not None and boxed:
        start, end = start + box[0], start + box[1]
    return Reading(response[start:end], matched=at >= 0 or boxed, span=(start, end))


def last_boxed(text: str) -> tuple[int, int] | None:
    r"""Where the content of the last `\boxed{…}` stands, `\fbox{…}` if there is no `\boxed`.

    The published rule, which also gives a MATH solution its label: from the first `{` after the
    command, wherever it stands, to its partner. Only the last command counts, also if it is cut
    off, and escaped braces count as braces.

    Returns:
        The span `[start, end)`, less white space at both ends; None if there is no box, or none
        that is closed. Linear time.
    """
    at = text.rfind(r"\boxed")
    if at < 0:
        at = text.rfind(r"\fbox")
    if at < 0:
        return None
    start, depth = None, 0
    for brace in re.compile("[{}]").finditer(text, at):
        if brace[0] == "{":
            depth += 1
            if start is None:
                start = brace.end()
        else:
            depth -= 1
            if depth == 0 and start is not None:
                return strip_span(text, start, brace.start())
    return None


# More digits than 15 are rounded, as published.
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,14}")


def grade(answer: str, gold: str) -> bool:
    """Whether the published MATH grader calls the answer right.

    In this order: the same text after light clean-up; the same after the strong one; else as
    many elements (of a tuple or an interval, with the same brackets), each one equal.

    Raises:
        MemoryError: sympy ran out of memory. Nothing else, whatever the two texts are.
    """
    verdict = grade_plainly(answer, gold)
    if verdict is not None:
        return verdict
    given, wanted = _strong(answer), _strong(gold)
    if given == wanted:
        return True
    if not given:
        return False
    elements, partners = _elements(wanted), _elements(given)
    if len(elements) != len(partners):
        return False
    if len(elements) > 1 and (wanted[0] != given[0] or wanted[-1] != given[-1]):
        return False
    return all(map(_equal_elements, elements, partners))


def grade_plainly(answer: str, gold: str) -> bool | None:
    """The same where texts or whole numbers decide it: in microseconds, without a library."""
    if light(answer) == light(gold):
        return True
    return False if _WHOLE.fullmatch(answer) and _WHOLE.fullmatch(gold) else None


def _unwrapped(text: str) -> str:
    r"""The text out of a `\text{…}` around all of it (around `\text{a} \text{b}` too)."""
    match = re.match(r"\\text\{(.+?)\}$", text)
    return match[1] if match else text


_LIGHT = (
    ("\n", ""),
    (r"\!", ""),
    (r"\\", "\\"),
    ("tfrac", "frac"),
    ("dfrac", "frac"),
    (r"\left", ""),
    (r"\right", ""),
    (r"^{\circ}", ""),
    (r"^\circ", ""),
    (r"\$", ""),
)


def light(text: str) -> str:
    """The answer after the light clean-up: Hendrycks' for MATH, one spelling for each thing.

    A text that it cannot read (see `_braced_roots`) stays as it was.
    """
    text = text.strip()
    inner = _unwrapped(text)
    if inner != text:
        text = inner.strip()
    try:
        return _lightly_cleaned(text)
    except ValueError:
        return text


def _lightly_cleaned(text: str) -> str:
    """The clean-up of `light`; raises ValueError where the published one broke off."""
    for old, new in _LIGHT:
        text = text.replace(old, new)
    text, *units = text.split(r"\text{ ")
    if len(units) > 1:
        raise ValueError("units in two places")
    for old, new in ((r"\%", ""), (" .", " 0."), ("{.", "{0.")):
        text = text.replace(old, new)
    if text.startswith("."):
        text = "0" + text
    name, *values = text.split("=")
    if len(values) == 1 and len(name) <= 2:
        text = values[0]
    text = _braced_fractions(_braced_roots(text).replace(" ", ""))
    if text == "0.5":
        return r"\frac{1}{2}"
    return re.sub(r"\A(0|-?[1-9][0-9]*)/(0|-?[1-9][0-9]*)\Z", r"\\frac{\1}{\2}", text)


def _braced_roots(text: str) -> str:
    r"""`\sqrt3` as `\sqrt{3}`; raises ValueError for a root of nothing."""
    head, *pieces = text.split(r"\sqrt")
    if "" in pieces:
        raise ValueError("a root of nothing")
    return head + "".join(
        r"\sqrt" + (piece if piece[0] == "{" else f"{{{piece[0]}}}{piece[1:]}") for piece in pieces
    )


def _braced_fractions(text: str) -> str:
    r"""`\frac12` and `\frac1{2}` as `\frac{1}{2}`; raises ValueError for a `\frac` of nothing.

    All stay as they are if one has a numerator without braces and no denominator.
    """
    head, *pieces = text.split(r"\frac")
    parts = [head]
    for piece in pieces:
        if not piece:
            raise ValueError("a fraction of nothing")
        if piece[0] == "{":
            parts.append(r"\frac" + piece)
        elif len(piece) == 1:
            return text
        else:
            below = piece[1:] if piece[1] == "{" else f"{{{piece[1]}}}{piece[2:]}"
            parts.append(rf"\frac{{{piece[0]}}}{below}")
    return "".join(parts)


_STRONG = (
    (r"\%", "%"),
    (r"\$", "$"),
    ("$", ""),
    ("%", ""),
    (" or ", " , "),
    (" and ", " , "),
    ("million", "*10^6"),
    ("billion", "*10^9"),
    ("trillion", "*10^12"),
)
_UNITS = (
    "degree cm centimeter meter mile second minute hour day week month year foot feet inch yard"
)
_UNIT_WORDS = [re.compile(rf"{unit}(?:es)?s? *(?:\^[0-9]+)?") for unit in _UNITS.split()]


def _strong(text: str) -> str:
    """The answer after PRM800K's normalisation: plain, lower-case text that sympy may read."""
    text = _unwrapped(text)
    for old, new in _STRONG:
        text = text.replace(old, new)
    for unit in _UNIT_WORDS:  # one after the other: taking one out may make the next
        text = unit.sub("", text)
    text = re.sub(r"\^ *\\circ", "", text)
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1]
    text = re.sub(r",\\! *", "", text)
    value = _near_integer(text)
    if value is not None:
        text = str(round(value))
    if "\\" in text:
        text = _without_latex(text)
    text = re.sub("- *", "-", text)
    text = re.sub("([0-9]) +([0-9])", r"\1+\2", text)  # a mixed number: 7 3/4 is 7+3/4
    text = re.sub("[ {}]", "", text).lower()
    value = _near_integer(_without_thousands(text))
    return text if value is None else str(int(value))


_PLAIN = (("√", "sqrt"), ("π", "pi"), ("∞", "inf"), ("∪", "U"), ("·", "*"), ("×", "*"))


def _without_latex(text: str) -> str:
    """LaTeX as plain text, by pylatexenc; as it was where that fails."""
    plain = text.replace(r"\tfrac", r"\frac").replace(r"\dfrac", r"\frac")
    plain = plain.replace(r"\frac", r" \frac")  # the blank makes 7\frac34 a mixed number
    try:
        plain = _latex_converter().latex_to_text(plain)
    except MemoryError:
        raise
    # Whatever the library meets in a broken text, the published rule goes on with it unread.
    except Exception:
        return text
    for old, new in _PLAIN:
        plain = plain.replace(old, new)
    return str(plain.strip())


@cache
def _latex_converter() -> Any:
    r"""The LaTeX converter; it opens no file: to it `\input{…}` is empty."""
    from pylatexenc.latex2text import LatexNodes2Text

    logging.getLogger("pylatexenc").setLevel(logging.CRITICAL)  # broken LaTeX is not our news
    return LatexNodes2Text()


def _near_integer(text: str) -> float | None:
    """The number that the text is for Python (`1e3`, `1_0` too), if within 1e-7 of an integer."""
    try:
        value = float(text)
        return value if abs(value - round(value)) <= 1e-7 else None
    except (ValueError, OverflowError):  # no number; nan; infinite
        return None


def _without_thousands(text: str) -> str:
    """The text less commas in front of exactly three digits."""
    while True:
        less = re.sub(r"(\d),(\d\d\d)($|\D)", r"\1\2\3", text)
        if less == text:
            return text
        text = less


def _elements(text: str) -> list[str]:
    """The elements of a tuple or interval, in brackets that hold no others; else the whole."""
    text = _without_thousands(text)
    if len(text) > 2 and text[0] in "()[]" and text[-1] in "()[]":
        inner = text[1:-1]
        if not re.search(r"[()\[\]]", inner):
            return [element.strip() for element in inner.split(",")]
    return [text] if text else []


def _equal_elements(wanted: str, given: str) -> bool:
    """Whether two elements are equal: fractions as written, integers only to integers."""
    fraction = re.compile(r"-?[0-9]+.?/0*[1-9][0-9]*.?$")
    if fraction.match(wanted) and fraction.match(given):
        return wanted == given
    integers = [_near_integer(_without_thousands(text)) is not None for text in (wanted, given)]
    if integers[0] != integers[1]:
        return False
    return equal(wanted, given)
