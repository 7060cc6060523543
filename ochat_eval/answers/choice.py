"""The choice that a response states, as a careful reader takes it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from string import ascii_letters

from ochat_eval.answers.labels import (
    LETTER,
    REFUTED,
    WRONG,
    Label,
    enclosed_labels,
    label_at,
    only_right,
    rivalled,
    whose_text,
)
from ochat_eval.answers.statements import (
    ELSEWHERE,
    ENDED,
    ITEM,
    LINKS,
    LONGEST,
    MARKUP,
    NOTHING,
    UNKNOWN,
    Statement,
    answer_part,
    last_lines,
    own_answers,
    sentence_end,
    sentence_start,
    statements,
    stating,
)
from ochat_eval.records import Reading

_FILLER = re.compile(
    r"(?:[\s*_:=,>—-]|\b(?:most|very|likely|probably|definitely|clearly|therefore|thus|hence|so|"
    r"indeed|actually|either|to|be|is|the|correct|best|right|final|answer|as|follows|given|by"
    r"|la|le|die|der|das|option|opción|opção|(?:a\s)?alternativa|lettre|letra|buchstabe|donc|also|daher|quindi|entonces|portanto)\b"
    r"|[应该就选择项是为]){0,40}+",
    re.IGNORECASE,
)
_CORRECT = (  # `B is correct`, `（B）项正确`
    r"\s?(?:is|(?:must|would|should|can only|has to|seems to|appears to) be)"
    r"(?:\s(?:therefore|thus|clearly|most likely))?(?:\sthe)?(?:\s(?:most|only))?\s"
    r"(?:(?:correct|right|accurate|appropriate)\b|(?:\w{1,12}est\s)?(?:answer|option|choice)\b)"
    r"|\s(?:fits|matches|works|suits|answers|describes)\b[^.;!?\n]{0,40}?\sbest\b"  # `D fits best`
    r"|\sis\sthe\s(?:only\s)?one\s(?:that|which)\s(?:best\s)?"  # `C is the one that follows`
    r"(?:follows|fits|matches|works|applies|agrees|makes\ssense|remains|is\s(?:correct|right|true))\b"
    r"|\sit\sis(?=[.!]|$)"  # `B it is.`
    r"|\s?(?:选?项)?是?正确"
)
_CHOSEN = stating(  # `the option is B`, `I choose B`, `B is correct`
    r"(?:(?<![a-z])|(?=[正而选選]))(?:"  # in mid-word none of them begins: looked at first
    r"(?<![a-z])(?:option|choice)\s(?:is|must be|should be|would be)\b"
    rf"|(?<![a-z])(?:correct|right|best)\s(?:option|choice|letter)[^.:;=!?\n()]{{0,40}}?{LINKS}"
    r"|(?<![a-z])(?:I|we)(?:['’](?:ll|d)|\s(?:will|would|must|should))?\s(?:therefore\s|thus\s)?"
    r"(?:choose|select|pick|(?:go|vote|opt)\s(?:with|for))\b"
    r"|(?<![a-z])I(?:['’](?:ll|d)|\s(?:will|would))\ssay(?:\s(?:that\s)?it(?:['’]s|\sis))?\b"
    r"|^[ \t]{0,8}going\s(?:with|for)\b|(?<![a-z])my\s(?:pick|vote)\s?(?:is\b|[:=])"
    # `I change my answer to (C)`
    r"|(?<![a-z])my\s(?:final\s)?answer\sto(?=\s(?:option\s)?[(\[*]{0,3}(?-i:[A-Z])(?![A-Za-z]))"
    r"|^[ \t#>*_-]{0,8}solution[*_]{0,3}\s?:"
    r"|(?<!\w)(?:bonne\soption|richtige\soption|opción\scorrecta|opção\scorreta"
    rf"|opzione\scorretta|правильный\sвариант){ELSEWHERE}"
    r"|正确(?:的|的?选项|的?说法)[是为]|而是|[选選](?![项項])|(?P<label>(?<![A-Za-z0-9'’-])[(\[*]{0,3}"
    rf"{LETTER}[)\]*]{{0,3}}(?={_CORRECT})))"
)
_NOT_SAID = re.compile(  # before `the answer is B`: it is not said that it is
    r"(?:\b(?:if|whether|suppose|assuming|incorrect|wrong|other|another|not|neither|nor|statement|"
    r"premise|assumption|conclusion|argument)|n't)[^\S\n]+"
    r"(?:(?:the|correct|option|choice)[^\S\n]+){0,2}$|不$",
    re.IGNORECASE,
)
_ONLY_IF = re.compile(  # `B if it rains`; not what its text says: `(B) Yes, if it rains`
    r"[,\s]*(?:but\s)?(?:only\s)?if\b(?!\sand\sonly)"
)
_RIGHT_IF = re.compile(r"[^.\n]{0,60}?(?<!even)\sif\b", re.IGNORECASE)  # `B is right if it rains`
_NONE_OF = re.compile(  # before the last of its labels: `none of A, B or C is correct`
    r"\b(?:none\sof|neither)(?:[\s()\[\]*,:]|\b(?:the|these|given|listed|options?|choices?|answers?"
    r"|statements?|and|or|nor|(?-i:[A-Z]))\b){1,60}\Z",
    re.IGNORECASE,
)
_ALONE = re.compile(r"[\W_]*+\Z")
_CONCLUDED = re.compile(  # right before the label that ends a response: `So it must be B.`
    r"\b(?:(?:option|choice|letter|go(?:ing)? with|therefore|thus|hence|so)\b|correct:"
    r"|(?:it|this)(?:['’]s|\s(?:is|must be|has to be|should be|would be))\b)[,:]?\s",
    re.IGNORECASE,
)
_POINTS = re.compile(  # before the label that a sentence concludes with: `The best fit is (B), as`
    r"(?:\b(?:is|are|be|was|recommend|suggest|prefer|choose|select|pick|conclude|match(?:es)?|fits?"
    r"|corresponds? (?:to|with)|leaves(?: us with)?|with)\b|:)"
    r"[\s*_:>-]{0,9}+(?:(?:likely|probably|clearly|therefore|thus|to be|that of|in)\s){0,2}"
    r"(?:(?:option|choice|statement|sentence|answer|letter)\s)?[\s*_:>-]{0,9}+(?=[A-Za-z(\[$\\\"'`])",
    re.IGNORECASE,
)
_CONCLUSIVE = re.compile(  # in a sentence that concludes with a bare label
    r"\b(?:most|best|correct|right|closest|likel\w+|appropriate|suitable|accurate|proper|therefore"
    r"|thus|so|hence|answer|choice|option|conclu\w+|overall|eliminat\w+|left)\b",
    re.IGNORECASE,
)
_DOUBTED = re.compile(  # in the same sentence: it is not said, or only talked about
    r"n['’]t\b|\b(?:not|cannot|neither|nor|except|if|whether|doubt|unlikely|wrong|incorrect|consider|"
    r"examine|evaluate|check|look|try|say|says|suppose|next|otherwise|unless|maybe|perhaps)\b",
    re.IGNORECASE,
)
_OPENS_CONCLUSION = re.compile(
    r"[\s*_#]*(?:therefore|thus|so|hence|overall|ultimately|(?:in )?conclusion|in summary)\b",
    re.IGNORECASE,
)
_LESSER = re.compile(r"\b(?:less|false|ruled|eliminat\w+|reject\w*|fails?)\b", re.IGNORECASE)
_ENUMERATED = re.compile(r"\b(?:first|second|third|fourth|another|other|example|begin)\b", re.I)
_SEPARATED = re.compile(  # between a bare label and its text
    r"[.:、]\*{0,2}\s|,(?<!I,)\s|\s[-—]\s|\s\(|\s(?:because|since)\b|(?<![AI])\s(?=(?-i:[A-Z0-9$-]))",
    re.IGNORECASE,
)
_LISTS = re.compile(  # a line above the options: none of them is stated by standing there
    r"\b(?:each|every|all|consider\w*|examin\w+|evaluat\w+|analy[sz]\w+|go through|look at"
    r"|in turn|one by one)\b(?!.{0,60}\b(?:best|correct|right|answer)\b)[^\n]{0,60}:[\s*_]*\Z",
    re.IGNORECASE,
)
_HEDGED = re.compile(r"\b(?:if|whether|otherwise|maybe|perhaps|consider)\b", re.IGNORECASE)
_NEXT_SENTENCE = re.compile(r"[.!?]\s+\S")


def robust_choice(text: str, labels: Sequence[str]) -> Reading:
    """The label that a response states as its answer, as a careful reader takes it.

    Statements (`the answer is B`, `Answer: b.`, a box, `option B is correct`, `选B`) come first:
    the last one that names a label counts, unless a later one says that there is none. One that
    names two (`(A) or (B)`), a label that a later one rules out, a condition (`if it rains, the
    answer is A`), a question and a list of the options are no answer. Without a statement: a label
    alone on the first or last line, or one that a sentence of the last lines concludes with (`it
    must be B.`, `the best fit is (B), as …`); else one in front of its text on the first or last
    line, if no line says otherwise; else the one label in brackets or bold on the last line. The
    article `A`, the pronoun `I`, labels behind `not` and letters that are not among the labels are
    passed over. An answer ends where the model goes on with a question of its own.

    Args:
        labels: as the benchmark writes them, `B` or `(B)`; the answer is one of these.

    Raises:
        ValueError: a label is not one letter.
    """
    letters = {label.strip("()").upper(): label for label in labels}
    if any(len(letter) != 1 or not letter.isalpha() for letter in letters):
        raise ValueError(f"labels that are not one letter: {labels!r}")
    for plain in own_answers(answer_part(text)):
        stated = _stated_choice(plain, letters)
        reading = stated if stated is not None else _reading(_unmarked(plain, letters), letters)
        if reading.matched:
            return reading
    return reading


def _reading(label: Label | None, letters: Mapping[str, str]) -> Reading:
    """The label as the benchmark writes it."""
    if label is None:
        return NOTHING
    return Reading(letters[label.letter], matched=True, span=(label.start, label.end))


def _stated_choice(plain: str, letters: Mapping[str, str]) -> Reading | None:
    """What the last statement that names a label says; None where none does."""
    ruled_out: set[str] = set()
    unnamed = ""  # what a later `Answer:` at the very end says, without a label
    for said in statements(plain, _CHOSEN):
        before = max(0, said.at - 40)
        if said.items or said.conditional or _NOT_SAID.search(plain, before, said.at):
            continue
        label, end = _named_at(plain, said)
        if label and label.letter not in letters:
            if plain[label.start].isupper():
                return NOTHING  # `the answer is E` where there are four
            continue
        if label is None:
            named, others = enclosed_labels(plain, said.start, end, letters)
            ruled_out |= others
            if len({one.letter for one in named}) > 1:
                return NOTHING
            if not named:
                if UNKNOWN.match(plain, said.start, end):
                    return NOTHING
                if said.named and not plain[end:].strip(MARKUP + "."):
                    unnamed = plain[said.start : end].strip(MARKUP + ".")
                continue
            label = named[0]
        elif said.denied or REFUTED.match(plain, label.close):
            ruled_out.add(label.letter)
            continue
        elif rivalled(plain, label, end, letters):
            return NOTHING
        if _is_bounded(plain, said, label, end):
            continue
        refuted = label.letter in ruled_out or not _same_choice(plain, label, end, unnamed)
        return _reading(None if refuted else label, letters)
    return None


def _named_at(plain: str, said: Statement) -> tuple[Label | None, int]:
    """The label that a statement begins with, if it does; where its sentence ends."""
    start = said.start
    if said.start != said.at and (filler := _FILLER.match(plain, start)):
        start = filler.end()
    label = label_at(plain, start, ascii_letters)
    if label and said.start == said.at:
        label = whose_text(plain, label, ascii_letters)
    if said.firm:
        return label, said.end
    return label, sentence_end(plain, label.end if label else start)


def _is_bounded(plain: str, said: Statement, label: Label, end: int) -> bool:
    """Whether it holds under a condition only, or `none of …` before the labels rules them out."""
    if said.start != said.at:
        return _ONLY_IF.match(plain, label.close, end) is not None
    if _RIGHT_IF.match(plain, label.close, end):
        return True
    return _NONE_OF.search(plain, max(0, said.at - 120), said.at) is not None


def _same_choice(plain: str, label: Label, end: int, unnamed: str) -> bool:
    """Whether a later answer without a label is this one's text: `B) lake … Answer: lake`."""
    if not unnamed or unnamed in plain[label.end : end]:
        return True
    text = re.compile(rf"{label.letter}[)\].:*\s]{{1,6}}{re.escape(unnamed)}", re.IGNORECASE)
    return len(unnamed) > 60 or text.search(plain) is not None


def _unmarked(plain: str, letters: Collection[str]) -> Label | None:
    """The label that the first or last line is, or that the last ones conclude with; else the one
    before its text, else in brackets."""
    lines = last_lines(plain)
    if not lines:
        return None
    firsts = [_first_label(plain, *line, letters) for line in lines]
    edges = [(firsts[0], lines[0]), (firsts[-1], lines[-1])]
    alone = [
        label
        for label, (_, end) in edges
        if label
        and _ALONE.match(plain, label.close, end)
        and ":" not in plain[label.end : end]  # a heading
        and (plain[label.start].isupper() or label.close > label.end or len(lines) == 1)
    ]
    start, end = lines[-1]
    start = max(start, end - LONGEST)
    alone += _concluded(plain, start, end, letters) or _pointed(plain, lines, firsts, letters)
    if not alone and firsts[-1] is None and _OPENS_CONCLUSION.match(plain, start, end):
        alone = _enclosed_in(plain, start, end, letters)  # `Therefore, (B) is the odd one out.`
        if _DOUBTED.search(plain, start, end) or _LESSER.search(plain, start, end):
            alone = []
    alone = alone or only_right(plain, lines, firsts)
    several = len({label.letter for label in firsts if label}) > 1
    heads = [
        _head(plain, label, line[1], letters, several)
        for label, line in zip(firsts, lines, strict=True)
    ]
    named = alone or [head for head in heads if head]
    if not named:
        if firsts[-1] is None and not ITEM.match(plain, start):
            named = _enclosed_in(plain, start, end, letters)
    elif not alone and not (heads[0] or heads[-1]):
        return None
    elif not alone and len(named) == 1 and len(lines) > 1 and _LISTS.search(plain, *lines[-2]):
        return None  # the answer broke off in its list of options
    return named[-1] if len({label.letter for label in named}) == 1 else None


def _enclosed_in(plain: str, start: int, end: int, letters: Collection[str]) -> list[Label]:
    """The labels in brackets or bold on a line, in sentences that say something."""
    named, _ = enclosed_labels(plain, start, end, letters)
    for label in named:
        begin = max(start, sentence_start(plain, label.start))
        stop = sentence_end(plain, label.close)
        if plain.startswith("?", stop) or _HEDGED.search(plain, begin, stop):
            return []
    return named


def _concluded(plain: str, start: int, end: int, letters: Collection[str]) -> list[Label]:
    """The label that ends the line, if the words before it conclude: `It must be B.`"""
    for match in _CONCLUDED.finditer(plain, start, end):
        label = label_at(plain, match.end(), letters)
        if label is None or not plain[label.start].isupper():
            continue
        marks = set(plain[label.end : end])
        complete = marks & set(".!*)]") and not marks & set("?:,")  # else it may have been cut off
        if complete and _ALONE.match(plain, label.close, end):
            stops = (plain.rfind(mark, start, match.start()) + 1 for mark in ".!?;")
            doubted = _DOUBTED.search(plain, max(start, *stops), match.end())
            return [] if doubted else [label]
    return []


def _pointed(
    plain: str,
    lines: Sequence[tuple[int, int]],
    firsts: Sequence[Label | None],
    letters: Collection[str],
) -> list[Label]:
    """The labels that sentences of the last three lines conclude with: `The best fit is (B), as …`.

    A sentence that begins a line with a label talks of that option. Those without end, or with two
    labels, a doubt or a denial, conclude nothing.
    """
    found = []
    for number in range(max(0, len(lines) - 3), len(lines)):
        (start, end), first = lines[number], firsts[number]
        listed = [label for label in firsts[number + 1 : number + 3] if label]
        start = max(start, end - LONGEST)
        for match in _POINTS.finditer(plain, start, min(len(plain), end + 20)):
            label = label_at(plain, match.end(), letters)
            if label is None or (label.start > end and len(listed) > 1):
                continue
            if first and sentence_start(plain, match.start()) <= first.end:
                continue
            if plain[label.start].isupper() and _is_conclusion(plain, start, match, label, letters):
                found.append(label)
    return found


def _is_conclusion(
    plain: str, start: int, match: re.Match[str], label: Label, letters: Collection[str]
) -> bool:
    """Whether a sentence of the line from `start` on says that the label behind a mark is it."""
    begin = max(start, sentence_start(plain, match.start()))
    stop = sentence_end(plain, label.close)
    conclusive = _CONCLUSIVE.search(plain, begin, match.end())
    bare = label.close == label.end
    if not conclusive and (
        bare or "\n" in match[0] or _ENUMERATED.search(plain, begin, match.start())
    ):
        return False
    if bare and not (ENDED.match(plain, label.end) or _SEPARATED.match(plain, label.end)):
        return False
    return not (
        _DOUBTED.search(plain, begin, label.start)
        or WRONG.match(plain, label.close)
        or _ONLY_IF.match(plain, label.close, stop)
        or rivalled(plain, label, stop, letters)
        or plain.startswith("?", stop)
    )


def _first_label(plain: str, start: int, end: int, letters: Collection[str]) -> Label | None:
    """The label at the start of a line, behind a bullet or the like."""
    while start < end and plain[start] in " \t#>-=→⇒✅✓✔":
        start += 1
    dialogue = re.compile(r"A:\s?(?=\S)").match(plain, start, end)
    spoken = dialogue and label_at(plain, dialogue.end(), letters)  # `A: (C)`
    label = spoken or label_at(plain, start, letters)
    return label if label and label.end <= end else None


def _head(
    plain: str, label: Label | None, end: int, letters: Collection[str], several: bool
) -> Label | None:
    """The label if it stands in front of its text: `(B) text`, `B. text`, in lower case `b)`.

    `A: text` is the `A:` of a dialogue, unless lines begin with other labels too (`several`). A
    lower-case one before several sentences numbers a step of the working.
    """
    if label is None:
        return None
    marks = plain[label.end : label.close]
    if plain[label.start].islower() and (
        ")" not in marks or _NEXT_SENTENCE.search(plain, label.close, end)
    ):
        return None
    if label.letter == "A" and not marks and not several and plain.startswith(":", label.close):
        return None
    if not (set(marks) & set(")]*") or _SEPARATED.match(plain, label.close)):
        return None
    ruled_out = WRONG.match(plain, label.close) or rivalled(plain, label, end, letters)
    return None if ruled_out else label
