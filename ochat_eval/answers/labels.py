"""The labels of a multiple choice in a text: how they are marked up, joined and ruled out."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ochat_eval.answers.statements import BOX, ENDED, NOT, sentence_start

_OPEN = rf"(?:{BOX}|\\(?:text|math)[a-z]{{0,4}}\s?\{{|\\[(\[]|[\s*_`\"'“‘「【$(\[{{])"
_CLOSE = r"[*_`\"'”’」】$)\]}\\]"
# What makes a letter part of a longer name: `D∞h`, `A₂`, `B_2`, `Cα`; Chinese does not.
_JOINED = r"A-Za-z0-9\u00b2\u00b3\u00b9\u00c0-\u1fff\u2032-\u2037\u2070-\u209f\u2200-\u22ff"
LETTER = rf"(?<![{_JOINED}])[A-Za-z](?![{_JOINED}]|['’-][A-Za-z]|_[0-9A-Za-z{{]|\^)"
_LABEL = re.compile(
    rf"{_OPEN}{{0,12}}+(?:(?:option|choice|letter|answer)\b)?{_OPEN}{{0,4}}+"
    rf"(?P<letter>{LETTER})(?P<close>{_CLOSE}{{0,6}}+)",
    re.IGNORECASE,
)
_ENCLOSED = re.compile(rf"(?<![A-Za-z0-9])(?:[(\[](?={LETTER}[)\]])|\*\*(?={LETTER}[.:)]?\*\*))")
WRONG = re.compile(  # behind a label: it is ruled out, or only talked about; not `wrong, wrong`
    r"\s*(?:(?:is|are|was)\s+(?:\w+\s+)?(?:not|incorrect|wrong|false)\b|(?:is|are|ca|do|does)n't\b"
    r"|cannot|does\b|(?:wrong|incorrect)(?!,\s(?:not\s)?(?:wrong|incorrect)\b)|不|错)",
    re.IGNORECASE,
)
REFUTED = re.compile(  # behind the label that a sentence states: `does not change` is its text
    r"\s*(?:(?:is|was)\s+(?:\w+\s+)?(?:incorrect|wrong|false)\b"
    r"|(?:(?:is|was)(?:\s+\w+)?\s+not|isn['’]t|wasn['’]t|cannot\sbe|can['’]t\sbe)\s+(?:the\s+)?"
    r"(?:correct|right|true|answer|best|it)\b|不(?:对|正确|是|选|成立)|错)",
    re.IGNORECASE,
)
_JOINT = re.compile(r"(?:\b(?:and|or)\b|[/&,和或与及、])\s?(?:or\b)?", re.IGNORECASE)
_JOINED_TO = re.compile(rf"\s?(?:{_JOINT.pattern})", re.IGNORECASE)
_ASIDE = re.compile(
    r"\b(?:because|since|as|while|whereas|but|not|rather|which|both|either|neither)\b|;",
    re.IGNORECASE,
)
_ARTICLE = re.compile(  # behind a bare `A` or `I` that is a word, not a label
    r"[^\S\n]+(?!(?:because|since|as|and|or|is|are|for|which|based|due|with|given|but|if|where|so|"
    r"that|in|on|from|to|rather|not|instead|it|fits|matches|must|seems|appears)\b)[a-z]"
)


_OPTION = re.compile(r"\b(?:option|choice|answer)\s+(?=[(\[*])", re.IGNORECASE)
_PARTED = re.compile(
    r"[,;:]|\b(?:and|or|but|while|so|because|since|that|is|are|says|than)\b", re.IGNORECASE
)


_RIGHT = r"(?:(?P<right>correct\b|[✅✓✔])|incorrect\b|[❌✗✘])"
# Behind the label that a line begins with, `B. Correct, as`, or at its end, `B. 5 - Correct`.
_VERDICT = re.compile(rf"[\s.:)\]*_–—-]{{1,8}}{_RIGHT}", re.IGNORECASE)
_LAST_VERDICT = re.compile(
    rf"(?:(?:[-–—:(→]|\bis\b)[\s*_]{{0,5}}|(?=[✅✓✔❌✗✘])){_RIGHT}[\s*_).!]{{0,9}}\Z", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Label:
    """A label in the text: its letter in upper case, its span, where the marks behind it end."""

    letter: str
    start: int
    end: int
    close: int


def label_at(plain: str, at: int, letters: Collection[str]) -> Label | None:
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
    return Label(letter.upper(), match.start("letter"), match.end("letter"), match.end())


def enclosed_labels(
    plain: str, start: int, end: int, letters: Collection[str]
) -> tuple[list[Label], set[str]]:
    """The labels in brackets or bold from `start` to `end`; the letters of those ruled out."""
    named, ruled_out = [], set()
    for match in _ENCLOSED.finditer(plain, start, end):
        label = label_at(plain, match.start(), letters)
        if label is None:
            continue
        if NOT.search(plain, max(0, match.start() - 40), match.start()) or WRONG.match(
            plain, label.close
        ):
            ruled_out.add(label.letter)
        else:
            named.append(label)
    return named, ruled_out


def rivalled(plain: str, label: Label, end: int, letters: Collection[str]) -> bool:
    """Whether the sentence joins another label to this one: `(A) or (B)`, `A, B`, `A B`."""
    other = label_at(plain, label.close, letters)
    if other is not None and other.end <= end and other.letter != label.letter:
        if label.close > label.end and _JOINED_TO.match(plain, other.close, end):
            return False  # `(D) A and B`: its text
        alone = other.close > other.end and other.start - label.close < 4
        if (alone or ENDED.match(plain, other.close)) and not WRONG.match(plain, other.close):
            return True
    aside = _ASIDE.search(plain, label.close, end)
    for joint in _JOINT.finditer(plain, label.close, aside.start() if aside else end):
        near = joint.start() - label.close <= 2
        if joint[0][0] == "/" and not near:  # of a unit: `N / C`
            continue
        other = label_at(plain, joint.end(), letters)
        if other is None or other.letter == label.letter or WRONG.match(plain, other.close):
            continue
        if other.close > other.end or near:
            return True
    return False


def whose_text(plain: str, label: Label, letters: Collection[str]) -> Label:
    """The label itself; or the one whose text ends with it: `option (D) hepatitis C is correct`."""
    if label.close > label.end:
        return label
    for match in _OPTION.finditer(plain, sentence_start(plain, label.start), label.start):
        owner = label_at(plain, match.end(), letters)
        if owner and owner.close < label.start:
            between = plain[owner.close : label.start]
            if between.strip() and not _PARTED.search(between):
                return owner
    return label


def only_right(
    plain: str, lines: Sequence[tuple[int, int]], firsts: Sequence[Label | None]
) -> list[Label]:
    """The one label of which its line says that it is correct, where others' say the contrary."""
    found = [
        (label, verdict["right"])
        for label, (_, end) in zip(firsts, lines, strict=True)
        if label and (verdict := _verdict(plain, label, end))
    ]
    right = [label for label, is_right in found if is_right]
    return right if len(right) == 1 < len(found) else []


def _verdict(plain: str, label: Label, end: int) -> re.Match[str] | None:
    """What its line says of a label, right behind it or at the end."""
    at = _VERDICT.match(plain, label.end, end)
    return at or _LAST_VERDICT.search(plain, max(label.end, end - 40), end)
