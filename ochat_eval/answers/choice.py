"""The choice that a response states, as a careful reader takes it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_letters

from ochat_eval.answers.statements import (
    ANSWER,
    BOX,
    ENDED,
    LINKS,
    LONGEST,
    NEGATED,
    NOT,
    NOTHING,
    PLAIN,
    latest,
    lines_of,
    sentence_end,
)
from ochat_eval.records import Reading

_OPEN = rf"(?:{BOX}|\\(?:text|math)[a-z]{{0,4}}\s?\{{|\\[(\[]|[\s*_`\"'“‘「【$(\[{{])"
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
    rf"{ANSWER}|{BOX}|(?<![a-z])(?:option|choice)\s(?:is|must be|should be|would be)\b"
    rf"|(?<![a-z])(?:correct|right|best)\s(?:option|choice|letter)[^.:;=!?\n()]{{0,40}}?{LINKS}"
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
        return NOTHING
    return Reading(letters[label.letter], matched=True, span=(label.start, label.end))


def _stated_choice(plain: str, begin: int, letters: Mapping[str, str]) -> Reading | None:
    """What the last statement from `begin` on that names a label says; None where none does."""
    ruled_out: set[str] = set()
    for match in latest(_CHOSEN, plain, begin):
        if _NOT_SAID.search(plain, max(0, match.start() - 40), match.start()):
            continue
        filler = _FILLER.match(plain, match.end())
        start = match.start() if match["label"] or not filler else filler.end()
        label = _label_at(plain, start, ascii_letters)
        if label and label.letter not in letters:
            if plain[label.start].isupper():
                return NOTHING  # `the answer is E` where there are four
            continue
        end = sentence_end(plain, label.end if label else start)
        if label is None:
            named, others = _enclosed_labels(plain, start, end, letters)
            ruled_out |= others
            if len({one.letter for one in named}) > 1:
                return NOTHING
            if not named:
                continue
            label = named[0]
        elif NEGATED.search(match[0]) or _WRONG.match(plain, label.close):
            ruled_out.add(label.letter)
            continue
        elif _rivalled(plain, label, end, letters):
            return NOTHING
        return _reading(None if label.letter in ruled_out else label, letters)
    return None


def _label_at(plain: str, at: int, letters: Collection[str]) -> _Label | None:
    """The label that stands at `at`, whatever marks it up."""
    match = _LABEL.match(plain, at)
    if match is None or match["letter"].upper() not in letters:
        return None
    letter = match["letter"]
    if not match["close"]:
        if letter.islower() and not ENDED.match(plain, match.end()):
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
        if NOT.search(plain, max(0, match.start() - 40), match.start()) or _WRONG.match(
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
    lines = lines_of(plain)
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
    start = max(start, end - LONGEST)
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
