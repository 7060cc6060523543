"""Reading the answer in a response as a careful person would; nothing stated is no answer.

Pure functions that never raise on any text, as in `extract`, which exports them too.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from string import ascii_letters

from ochat_eval.records import Reading

_NOTHING = Reading(None, matched=False)

# --- Where an answer is stated ---------------------------------------------------------------

PLAIN = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | dict.fromkeys(
    (0x2212, 0x2013, 0xFE63), ord("-")
)
"""For `translate`: full-width forms and other minus signs, one character for one: spans hold."""
_BOX = r"\\(?:boxed|fbox)\s?\{"
_LINKS = r"(?:\b(?:is|are|was|be)\b|[:=])"
_ANSWER = (  # `The answer to this is`, `**Final answer**:`, `答案应该是`
    rf"(?<![a-z])ans(?:wer)?s?\b[^.:;=!?\n()]{{0,80}}?(?:{_LINKS}|\s[-—]\s)|答案[应该就]{{0,2}}[是为:]{{0,2}}|####"
)
_STATED = re.compile(f"{_ANSWER}|(?P<box>{_BOX})", re.IGNORECASE)
_NEGATED = re.compile(r"n't|not\b", re.IGNORECASE)  # `the answer cannot be 5`
_SENTENCE_END = re.compile(r"[.!?](?=[\s*)]|$)|[\n。;]|$")
# What is looked at, however long a model rambles; both keep the rules linear.
_LATEST = 100  # statements, the last ones
_LONGEST = 300  # characters of a sentence
_NOT = re.compile(  # before an answer: it is ruled out
    r"(?:\b(?:not|cannot|neither|nor|than|instead of|except|rule[sd]? out|eliminate[sd]?)"
    r"|n't|不是|不选|排除)\s*(?:(?:the|option|choice|answer|be)\s+){0,2}$",
    re.IGNORECASE,
)
_MARKUP = " \t\r\n*_`\"'“”‘’$"


def _statements(plain: str) -> Iterator[tuple[int, int]]:
    """Where the text states its answer, last first: the span of each box and `answer is …`."""
    for match in reversed(deque(_STATED.finditer(plain), maxlen=_LATEST)):
        start = match.end()
        limit = min(len(plain), start + _LONGEST)
        if _NEGATED.search(match[0]):
            continue
        if match["box"]:
            depth = 1
            for end in range(start, limit):
                depth += {"{": 1, "}": -1}.get(plain[end], 0)
                if depth == 0:
                    break
            else:
                end = limit
        else:
            while start < limit and plain[start] in _MARKUP + ":":
                start += 1
            end = _sentence_end(plain, start)
        yield start, end


def _sentence_end(plain: str, start: int) -> int:
    """The end of the sentence or line from `start` on, at most `_LONGEST` characters away."""
    match = _SENTENCE_END.search(plain, start, start + _LONGEST)
    return match.start() if match else min(len(plain), start + _LONGEST)


# --- Numbers ---------------------------------------------------------------------------------

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
    for start, end in _statements(plain):
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
                    return _NOTHING
                break
            chosen = number
        return Reading(chosen[0], matched=True, span=chosen[1])
    end = len(plain.rstrip())
    start = plain.rfind("\n", 0, end) + 1
    bold = [n for b in _BOLD.finditer(plain, start, end) for n in _numbers(plain, *b.span(1))]
    equals = plain.rfind("=", start, end)
    result = list(islice(_numbers(plain, equals, end), 1)) if equals >= 0 else []
    last = bold[-1:] or result or list(deque(_numbers(plain, 0, end), maxlen=1))
    return Reading(last[0][0], matched=True, span=last[0][1]) if last else _NOTHING


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


# --- Choices ---------------------------------------------------------------------------------

_OPEN = rf"(?:{_BOX}|\\(?:text|math)[a-z]{{0,4}}\s?\{{|\\[(\[]|[\s*_`\"'“‘「【$(\[{{])"
_CLOSE = r"[*_`\"'”’」】$)\]}\\]"
_LETTER = r"(?<![A-Za-z0-9])[A-Za-z](?![A-Za-z0-9]|['’-][A-Za-z])"
_LABEL = re.compile(
    rf"{_OPEN}{{0,12}}+(?:(?:option|choice|letter|answer)\b)?{_OPEN}{{0,4}}+"
    rf"(?P<letter>{_LETTER})(?P<close>{_CLOSE}{{0,6}}+)",
    re.IGNORECASE,
)
_ENCLOSED = re.compile(rf"(?<![A-Za-z0-9])(?:[(\[](?={_LETTER}[)\]])|\*\*(?={_LETTER}[.:]?\*\*))")
_FILLER = re.compile(
    r"(?:[\s*_:=,>—-]|\b(?:most|very|likely|probably|definitely|clearly|therefore|thus|hence|so|"
    r"indeed|actually|either|be|is|the|correct|best|right|final|answer|as|follows|given|by)\b"
    r"|[应该就选择项是为]){0,40}+",
    re.IGNORECASE,
)
_CORRECT = (  # `B is correct`, `（B）项正确`
    r"\s?(?:is|must be|would be|should be)(?:\s(?:therefore|thus|clearly|most likely))?(?:\sthe)?"
    r"(?:\s(?:most|only))?\s"
    r"(?:(?:correct|right|accurate|appropriate)\b|(?:best\s)?(?:answer|option|choice)\b)"
    r"|\s?(?:选?项)?是?正确"
)
_CHOSEN = re.compile(
    rf"{_ANSWER}|{_BOX}|(?<![a-z])(?:option|choice)\s(?:is|must be|should be|would be)\b"
    rf"|(?<![a-z])(?:correct|right|best)\s(?:option|choice|letter)[^.:;=!?\n()]{{0,40}}?{_LINKS}"
    r"|(?<![a-z])(?:I|we)(?:'ll|\s(?:will|would|must|should))?\s(?:choose|select|pick|go with)\b"
    r"|而是|[选選](?![项項])|(?P<label>(?<![A-Za-z0-9'’-])[(\[*]{0,3}"
    rf"{_LETTER}[)\]*]{{0,3}}(?={_CORRECT}))",
    re.IGNORECASE,
)
_NOT_SAID = re.compile(  # before `the answer is B`: it is not said that it is
    r"(?:\b(?:if|whether|suppose|assuming|incorrect|wrong|other|another|not|neither|nor|statement|"
    r"premise|assumption|conclusion|argument)|n't)\s+(?:(?:the|correct|option|choice)\s+){0,2}$|不$",
    re.IGNORECASE,
)
_WRONG = re.compile(  # behind a label: it is ruled out, or only talked about
    r"\s*(?:(?:is|are|was)\s+(?:\w+\s+)?(?:not|incorrect|wrong|false)\b|(?:is|are|ca|do|does)n't\b"
    r"|cannot|does\b|wrong|incorrect|不|错)",
    re.IGNORECASE,
)
_JOINT = re.compile(r"(?:\b(?:and|or)\b|[/&,和或与及、])\s?(?:or\b)?", re.IGNORECASE)
_ASIDE = re.compile(r"\b(?:because|since|as|while|whereas|but|not|rather|which|both)\b|;")
_ENDED = re.compile(r"\s*(?:$|[\n;!?。、]|[.,:](?![A-Za-z]))")
_ARTICLE = re.compile(  # behind a bare `A` or `I` that is a word, not a label
    r"\s+(?!(?:because|since|as|and|or|is|are|for|which|based|due|with|given|but|if|where|so|that|"
    r"in|on|from|to)\b)[a-z]"
)
_ALONE = re.compile(r"[\W_]*+\Z")
_CONCLUDED = re.compile(  # right before the label that ends a response: `So it must be B.`
    r"\b(?:(?:option|choice|letter|go(?:ing)? with|therefore|thus|hence|so)\b|correct:"
    r"|(?:it|this)(?:['’]s|\s(?:is|must be|has to be|should be|would be))\b)[,:]?\s",
    re.IGNORECASE,
)
_DOUBTED = re.compile(  # in the same sentence: it is not said, or only talked about
    r"n['’]t\b|\b(?:not|cannot|neither|nor|except|if|whether|doubt|unlikely|wrong|incorrect|consider|"
    r"examine|evaluate|check|look|try|say|says|suppose|next)\b",
    re.IGNORECASE,
)
_SEPARATED = re.compile(  # between a bare label and its text
    r"[.:、]\*{0,2}\s|,(?<!I,)\s|\s[-—]\s|\s(?:because|since)\b|(?<![AI])\s(?=(?-i:[A-Z0-9$-]))",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Label:
    """A label in the text: its letter in upper case, its span, where the marks behind it end."""

    letter: str
    start: int
    end: int
    close: int


def robust_choice(text: str, labels: Sequence[str]) -> Reading:
    """The label that a response states as its answer, as a careful reader takes it.

    Statements (`the answer is B`, `Answer: b.`, a box, `option B is correct`, `选B`) come first:
    the last one that names a label counts. One that names two (`(A) or (B)`), or a label that a
    later one rules out, is no answer. Without a statement: a label alone on the first or last
    line, or one that the last line concludes with (`it must be B.`); else one in front of its text
    there, if no line says otherwise; else the one label in brackets or bold on the last line. The
    article `A`, the pronoun `I`, labels behind `not` and letters that are not among the labels are
    passed over.

    Args:
        labels: as the benchmark writes them, `B` or `(B)`; the answer is one of these.

    Raises:
        ValueError: a label is not one letter.
    """
    letters = {label.strip("()").upper(): label for label in labels}
    if any(len(letter) != 1 or not letter.isalpha() for letter in letters):
        raise ValueError(f"labels that are not one letter: {labels!r}")
    plain = text.translate(PLAIN)
    # The last statement counts, and it is nearly always in the last paragraph.
    last = plain.rfind("\n\n", 0, len(plain.rstrip())) + 1
    stated = (last and _stated_choice(plain, last, letters)) or _stated_choice(plain, 0, letters)
    return stated if stated is not None else _reading(_label_of_lines(plain, letters), letters)


def _reading(label: _Label | None, letters: Mapping[str, str]) -> Reading:
    """The label as the benchmark writes it."""
    if label is None:
        return _NOTHING
    return Reading(letters[label.letter], matched=True, span=(label.start, label.end))


def _stated_choice(plain: str, begin: int, letters: Mapping[str, str]) -> Reading | None:
    """What the last statement from `begin` on that names a label says; None where none does."""
    ruled_out: set[str] = set()
    for match in reversed(deque(_CHOSEN.finditer(plain, begin), maxlen=_LATEST)):
        if _NOT_SAID.search(plain, max(0, match.start() - 40), match.start()):
            continue
        filler = _FILLER.match(plain, match.end())
        start = match.start() if match["label"] or not filler else filler.end()
        label = _label_at(plain, start, ascii_letters)
        if label and label.letter not in letters:
            if plain[label.start].isupper():
                return _NOTHING  # `the answer is E` where there are four
            continue
        end = _sentence_end(plain, label.end if label else start)
        if label is None:
            named, others = _enclosed_labels(plain, start, end, letters)
            ruled_out |= others
            if len({one.letter for one in named}) > 1:
                return _NOTHING
            if not named:
                continue
            label = named[0]
        elif _NEGATED.search(match[0]) or _WRONG.match(plain, label.close):
            ruled_out.add(label.letter)
            continue
        elif _rivalled(plain, label, end, letters):
            return _NOTHING
        return _reading(None if label.letter in ruled_out else label, letters)
    return None


def _label_at(plain: str, at: int, letters: Collection[str]) -> _Label | None:
    """The label that stands at `at`, whatever marks it up."""
    match = _LABEL.match(plain, at)
    if match is None or match["letter"].upper() not in letters:
        return None
    letter = match["letter"]
    if not match["close"]:
        if letter.islower() and not _ENDED.match(plain, match.end()):
            return None
        if letter in "AI" and _ARTICLE.match(plain, match.end()):
            return None
    return _Label(letter.upper(), match.start("letter"), match.end("letter"), match.end())


def _enclosed_labels(
    plain: str, start: int, end: int, letters: Collection[str]
) -> tuple[list[_Label], set[str]]:
    """The labels in brackets or bold from `start` to `end`; the letters of those ruled out."""
    named, ruled_out = [], set()
    for match in _ENCLOSED.finditer(plain, start, end):
        label = _label_at(plain, match.start(), letters)
        if label is None:
            continue
        if _NOT.search(plain, max(0, match.start() - 40), match.start()) or _WRONG.match(
            plain, label.close
        ):
            ruled_out.add(label.letter)
        else:
            named.append(label)
    return named, ruled_out


def _rivalled(plain: str, label: _Label, end: int, letters: Collection[str]) -> bool:
    """Whether the sentence joins another label to this one: `(A) or (B)`, `A, B`."""
    aside = _ASIDE.search(plain, label.close, end)
    for joint in _JOINT.finditer(plain, label.close, aside.start() if aside else end):
        other = _label_at(plain, joint.end(), letters)
        if other is None or other.letter == label.letter or _WRONG.match(plain, other.close):
            continue
        if other.close > other.end or joint.start() - label.close <= 2:
            return True
    return False


def _label_of_lines(plain: str, letters: Collection[str]) -> _Label | None:
    """The label that the first or last line is, or that the last ends with; else the one before
    its text, else in brackets."""
    lines = [match.span() for match in re.finditer(r"[^\n]+", plain) if not match[0].isspace()]
    if not lines:
        return None
    firsts = [_first_label(plain, *line, letters) for line in lines]
    edges = [(firsts[0], lines[0]), (firsts[-1], lines[-1])]
    alone = [
        label
        for label, (_, end) in edges
        if label
        and _ALONE.match(plain, label.close, end)
        and (plain[label.start].isupper() or label.close > label.end or len(lines) == 1)
    ]
    start, end = lines[-1]
    start = max(start, end - _LONGEST)
    alone += _concluded(plain, start, end, letters)
    heads = [
        _head(plain, label, line[1], letters) for label, line in zip(firsts, lines, strict=True)
    ]
    named = alone or [head for head in heads if head]
    if not named:
        named, _ = _enclosed_labels(plain, start, end, letters)
    elif not alone and not (heads[0] or heads[-1]):
        return None
    return named[-1] if len({label.letter for label in named}) == 1 else None


def _concluded(plain: str, start: int, end: int, letters: Collection[str]) -> list[_Label]:
    """The label that ends the line, if the words before it conclude: `It must be B.`"""
    for match in _CONCLUDED.finditer(plain, start, end):
        label = _label_at(plain, match.end(), letters)
        if label is None or not plain[label.start].isupper():
            continue
        marks = set(plain[label.end : end])
        complete = marks & set(".!*)]") and not marks & set("?:,")  # else it may have been cut off
        if complete and _ALONE.match(plain, label.close, end):
            stops = (plain.rfind(mark, start, match.start()) + 1 for mark in ".!?;")
            doubted = _DOUBTED.search(plain, max(start, *stops), match.end())
            return [] if doubted else [label]
    return []


def _first_label(plain: str, start: int, end: int, letters: Collection[str]) -> _Label | None:
    """The label at the start of a line, behind a bullet or the like."""
    while start < end and plain[start] in " \t#>-":
        start += 1
    label = _label_at(plain, start, letters)
    return label if label and label.end <= end else None


def _head(plain: str, label: _Label | None, end: int, letters: Collection[str]) -> _Label | None:
    """The label if it stands in front of its text: `(B) text`, `B. text`, in lower case `b)`.

    `A: text` is the `A:` of a dialogue.
    """
    if label is None:
        return None
    marks = plain[label.end : label.close]
    if plain[label.start].islower() and ")" not in marks:
        return None
    if label.letter == "A" and plain.startswith(":", label.close):
        return None
    if not (set(marks) & set(")]*") or _SEPARATED.match(plain, label.close)):
        return None
    ruled_out = _WRONG.match(plain, label.close) or _rivalled(plain, label, end, letters)
    return None if ruled_out else label


# --- Free text -------------------------------------------------------------------------------

_TEXT_MACRO = re.compile(r"\\(?:text|math)[a-z]{0,4}\s?\{([^{}]*)\}")
_TYPESET = str.maketrans("", "", "*_`\"'“”‘’$")


def robust_text(text: str, options: Sequence[str] = ()) -> Reading:
    """The text that a response states as its answer, as a careful reader takes it.

    Read is what stands in the last box or behind the last `answer is`, `answer:`, to the end of
    the sentence, less its markup and final stop; a response of one line without such a statement
    is all answer.

    Args:
        options: the answers there are (`Yes`, `No`), if they are few: the answer is one of these,
            as written here. Of a statement it is the option that it begins with, else the only one
            that occurs, as a word and not behind `not`. Without a statement it is the one that the
            first or last line begins with (`Yes, …`) or the last line ends with, if no other does.
    """
    plain = text.translate(PLAIN)
    lines = [match.span() for match in re.finditer(r"[^\n]+", plain) if not match[0].isspace()]
    if options:
        found = _stated_option(plain, lines, options)
        if found is None:
            return _NOTHING
        answer = next(option for option in options if option.lower() == found[0].lower())
        return Reading(answer, matched=True, span=found.span())
    for start, end in [*_statements(plain), *(lines if len(lines) == 1 else ())]:
        macro = _TEXT_MACRO.fullmatch(plain, start, end)
        start, end = macro.span(1) if macro else (start, end)  # noqa: PLW2901
        answer = text[start:end].rstrip(_MARKUP + ".。").strip(_MARKUP)
        if answer:
            start = text.index(answer, start)  # noqa: PLW2901
            return Reading(answer, matched=True, span=(start, start + len(answer)))
    return _NOTHING


def _stated_option(
    plain: str, lines: Sequence[tuple[int, int]], options: Sequence[str]
) -> re.Match[str] | None:
    """Where the option stands that is stated."""
    word = "|".join(re.escape(option) for option in options)
    pattern = re.compile(rf"(?<![A-Za-z0-9])(?:{word})(?![A-Za-z0-9])", re.IGNORECASE | re.ASCII)

    def named(start: int, end: int) -> list[re.Match[str]]:
        found = pattern.finditer(plain, start, end)
        return [m for m in found if not _NOT.search(plain, max(0, m.start() - 40), m.start())]

    for start, end in _statements(plain):
        found = named(start, end)
        if found and (found[0].start() == start or len({m[0].lower() for m in found}) == 1):
            return found[0]
    at_edges = []
    for start, end in (*lines[:1], *lines[-1:]):
        head = pattern.match(plain, end - len(plain[start:end].lstrip(_MARKUP)))
        if head and _ENDED.match(plain, head.end()):
            at_edges.append(head)
    for start, end in lines[-1:]:
        for tail in named(max(start, end - _LONGEST), end)[-1:]:
            if not plain[tail.end() : end].strip(_MARKUP + ".!。"):
                at_edges.append(tail)
    return at_edges[-1] if len({m[0].lower() for m in at_edges}) == 1 else None


def same_text(a: str, b: str) -> bool:
    """Whether two answers read the same: but for case, markup, quotes, final stop and commas.

    White space between words counts as one blank, none between brackets (`] ]` is `]]`).
    """
    return _canonical(a) == _canonical(b)


def _canonical(text: str) -> str:
    """The text as `same_text` compares it."""
    text = _TEXT_MACRO.sub(r"\1", text.translate(PLAIN)).translate(_TYPESET).casefold()
    words = text.strip().rstrip(".。").replace(",", " ").split()
    between = " " if any(character.isalnum() for character in text) else ""
    return between.join(words)
