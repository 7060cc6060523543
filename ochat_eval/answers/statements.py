"""Where a response states its answer, as a careful reader sees it: shared by the robust readers."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from ochat_eval.records import Reading

NOTHING = Reading(None, matched=False)
PLAIN = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | dict.fromkeys(
    (0x2212, 0x2013, 0xFE63), ord("-")
)
"""For `translate`: full-width forms and other minus signs, one character for one: spans hold."""
BOX = r"\\(?:boxed|fbox)\s?\{"
LINKS = r"(?:\b(?:is|are|was|be)\b|[:=→⇒])"
_TAG = (  # `<answer>B</answer>`, `[ANSWER] B [/ANSWER]`
    r"<(?:final[_ -]?)?(?:answer|final|result|choice)>|\[answer\](?=[^\[\n]{1,80}\[/)"
)
ELSEWHERE = (  # behind such a word of another language: `La réponse est`, `Ответ:`, `정답은`
    r"(?:(?!\b(?:no|non|não|nicht|не|ne)\b|n['’])[^.:;=!?\n()]){0,40}?"
    r"(?:\b(?:est|es|ist|lautet|è|é)\b(?!\s(?:pas|nicht)\b)|[:=→⇒]|\s[-—]\s|[은는이가は])"
)
ANSWER = (  # `The answer to this is`, `**Final answer** (in m):`, `答案应该是`, `【答案】`
    r"(?<![a-z])ans(?:wer)?s?\b[^.:;=!?\n()]{0,80}?"
    r"(?:\((?![A-Za-z]\))[^()\n]{1,60}\)[^.:;=!?\n()]{0,40}?)?"  # but not a label's brackets
    rf"(?:{LINKS}|\s[-—]\s)|[【\[](?:正确|参考)?答案[】\]]\s?[:是为]?"
    rf"|答案[应该就]{{0,2}}[是为:]{{0,2}}|(?<!#)####(?!#)|{_TAG}"
    r"|(?:(?<!\w)(?:réponse|respuesta|resposta|risposta|antwort|ответ|정답|답)|答え|正解)"
    rf"{ELSEWHERE}"
    # A line that is only a name: `Choice: C`, `**Final answer**` above the answer.
    r"|^[ \t#>*_-]{0,8}(?:(?:the|my|final|correct|best|selected|chosen)\s){0,3}"
    r"(?:choice|selection|final|result|verdict)[*_]{0,3}\s?[:=]"
    r"|^[ \t]{0,3}(?:#{1,6}\s|\*\*|__)[ \t*_]{0,4}(?:(?:the|my|final"
    r"|correct)\s){0,3}answer[ \t*_]{0,4}$"
    r"|^[ \t]{0,3}\|[ \t*_]{0,4}(?:final\s)?answer[ \t*_]{0,4}\|"  # of a table: `| Answer | B |`
)
_STATED = re.compile(f"(?P<box>{BOX})|{ANSWER}", re.IGNORECASE | re.MULTILINE)
# Where a mark of any kind can begin: at such a character, or right behind it. It is looked for
# first, for to try all marks everywhere is slow; a new mark's beginning belongs in here. Cases are
# spelt out, with what else is taken for a letter (`ſ`, `K`, `ı`, `İ`): to ignore them is slow, too.
_BARE = r"[A-Za-zſKıİ](?![A-Za-z0-9])"
_BEGINS = re.compile(
    r"[^A-Za-z](?:[aA][nN][sSſtT]|[bB](?:[eE][sSſ]|[oO][nN])|[cC](?:[hH][oO]|[oO][rR])|[mM][yY]"
    rf"|[oO][pP]|[rR](?:[eE][sSſ]|[iIıİ]|(?=[éÉ]))|[wW][eE]|{_BARE}|(?=[оОᲂпП])"
    rf"|(?<=[\n【答정답正而选選])|(?<=[\\<#(\[*])(?=[aAbBcCfFrR答正参]|###|[(\[*]{{0,2}}{_BARE}))"
)
NEGATED = re.compile(r"n't|not\b", re.IGNORECASE)  # `the answer cannot be 5`
_TITLED = r"(?<!\bMr\.)(?<!\bMrs\.)(?<!\bMs\.)(?<!\bDr\.)"  # behind a full stop: it ends a sentence
_SENTENCE_END = re.compile(rf"[.!?\n。;](?:(?<=[\n。;])|{_TITLED}(?=[\s*)]|$))")
_STOP = re.compile(  # between two sentences
    rf"[.!?\n。;](?:(?<=[\n。;])|{_TITLED}[)*\"”]{{0,3}}\s)"
)
# What is looked at, however long a model rambles; both keep the rules linear.
_LATEST = 100  # statements, the last ones
LONGEST = 300  # characters of a sentence
_RUN_ONS = 5  # made-up next questions
NOT = re.compile(  # before an answer: it is ruled out
    r"(?:\b(?:not|cannot|neither|nor|than|instead of|except|rule[sd]? out|eliminate[sd]?)"
    r"|n't|不是|不选|排除)\s*(?:(?:the|option|choice|answer|be)\s+){0,2}$",
    re.IGNORECASE,
)
MARKUP = " \t\r\n*_`\"'“”‘’$"
ENDED = re.compile(r"\s*(?:$|[\n;!?。、]|[.,:](?![A-Za-z]))")
UNKNOWN = re.compile(  # stated in place of an answer
    r"[^.\n]{0,60}?\b(?:(?:can(?:not|'t|’t)|could(?: not|n't)|unable|impossible"
    r"|not possible)\b.{0,40}?"
    r"\b(?:determin|know|calculat|tell|find|say|answer|solv|comput|establish)"
    r"|unknown|undetermined|indetermina|not (?:enough|sufficient|given|known|stated|specified|"
    r"provided|determinable|listed|among)|insufficient|undefined|inconclusive|unclear|none\b"
    r"|no (?:solution|answer|such|correct|valid|option|choice)|does not exist|missing"
    r"|N/A\b|infinite"
    r"|unspecified|ambiguous|neither of|(?:more|further|additional) (?:information|details|data))",
    re.IGNORECASE,
)
OPEN = re.compile(  # stated, but not which: `either 5 or 6`, `between 5 and 6.`
    r"[\s*_:]{0,9}(?:(?:likely|probably|therefore|thus|somewhere)\s)?(?:either\b[^.\n]{1,120}?\bor\b"
    r"|between\s\S{1,20}\sand\s\S{1,20}?[.*]{0,3}\s*$)",
    re.IGNORECASE,
)
_IF = (
    r"\b(?:if(?!\s(?:we|you|I|one|needed)\b)|whether|suppose|supposing|assuming|unless|otherwise)\b"
)
_CONDITION = re.compile(_IF, re.IGNORECASE)  # `If the bar is red, the answer is 5`
_SUPPOSED = re.compile(  # `Had cents been meant, the answer would be 5`
    r"\b(?:if|had|were|instead|suppos\w+|assuming|unless|otherwise)\b", re.IGNORECASE
)
_WOULD = re.compile(r"\b(?:would|could|might)\b", re.IGNORECASE)
_ASKS = re.compile(
    r"(?i)[\s*_]*(?:(?:but|so|and|then|or)\s)?(?:is|are|was|can|could|would|should|might|do|does|did"
    r"|why|how|what|which|when|where|who|if|whether)\b"
)
_ITS_TEXT = re.compile(  # behind a mark: `(B) Why not?`, an option that is itself a question
    r"[\s*_:$]{0,9}(?:\([A-Z]\)|[A-Z][).:])[\s*_]{1,5}\w[^\s?]*\s\w"
)
_DOUBT = re.compile(r"\b(?:maybe|perhaps|possibly|(?:might|may|could)\sbe)\b", re.IGNORECASE)
_TALKED_ABOUT = re.compile(  # before `answer … :`, no answer follows: `To check our answer:`
    r"\b(?:(?:double-?)?check\w*|verif\w+|explain\w*|recap\w*|summar\w+|review\w*"
    r"|justif\w+|support\w*|confirm\w*|validat\w+|possible"
    r"|potential|candidate|each|every|other|look\w*|consider\w*|compare|evaluat\w+|why|how|wrong"
    r"|incorrect)\b",
    re.IGNORECASE,
)
_NO_ANSWER = re.compile(  # between `answer` and the colon: `answer choices:`, `answer key:`
    r"\b(?:choices?|options?|key|keys|by|using|via|let|let's|steps?|explanation|format)\b",
    re.IGNORECASE,
)
_HEADING = re.compile(  # behind `####`: a heading, not GSM8K's mark
    r"[\s*_]*(?:(?:step|part|option|choice|section|case|question|problem|method|phase|solution"
    r"|analysis|explanation|conclusion|reasoning|example|note|statement)\b"
    r"|\(?\d{1,3}[.):](?=\s|\*)\s*+\S|.*:[\s*_]*$)",
    re.IGNORECASE,
)
_BRACKETS = re.compile(rf"{BOX}(?:\\text\w{{0,4}}\{{)?[^\w\n\\]{{0,99}}\}}")
_VALUE = re.compile(r"[\s*_$\\(\[]*(?:[-+.€£¥]{0,2}\d|[A-Za-z][)\].*]{0,3}\s*$)")
ITEM = re.compile(  # of a list: its number, bullet or letter
    r"[ \t]*(?:(?P<number>\d{1,3}[.)])|(?P<bullet>[-*•+])"
    r"|(?P<letter>\*{0,2}\(?[A-Za-z][.):]))\*{0,2}\s"
)
_RUN_ON = re.compile(  # a model that goes on with a question of its own, or with the other role
    r"^[ \t#*_>]*(?:(?:(?:next|new|another)\s)?(?:question|problem|exercise"
    r"|q)\b\s?\d{0,3}[*_]{0,3}\s?:"
    r"|(?:user|human|instruction)\s?[*_]{0,3}:|#{2,4}\s?(?:instruction|question|input)\b"
    r"|(?:问题|题目|问)\s?\d{0,3}:)|<\|[a-z_]{3,20}\|>|</?s>|\[INST\]",
    re.IGNORECASE | re.MULTILINE,
)
_INTRODUCED = re.compile(  # before a question that is only restated
    r"(?:\b(?:problem|question|restat\w+|solve|given)\b.*|:[\s*_]*)\Z", re.IGNORECASE
)
_IN_MACRO = re.compile(r"\\(?:text|math)[a-z]{0,4}\s?\{[^{}\n]*$")  # `\text{Answer: } C`
BROKEN_OFF = re.compile(  # a text that ends in mid-sentence: `Then he has 5 and`
    r"(?:\b(?:and|or|the|an?|of|then|that|is|are|with|for|to|so|because|where|which)|,"
    r"|[=×÷+](?:\s*[$€£])?)\s*\Z"
)
_UNDERSCORED = re.compile(r"(?<![\w_])__(?=[^\s_])([^_\n]{1,200})__(?![\w_])")  # `__42__` is bold
_THOUGHT = re.compile(r"<(?P<end>/?)(?:think|thinking|thought)>", re.IGNORECASE)
_BLOCK_MARK = re.compile(r"\s*+(?:\\[\[\]()]|\$\$|`{3,}\w*|~{3,}\w*)\s*+")  # a line of no text
_REMARK = re.compile(  # a last line that speaks to the reader, not of the answer, or checks it
    r"(?<![^\n])[\s*_#>(]{0,9}(?:note|check|verification|proof)\b[*_]{0,3}\s?:"
    r"|\b(?:let me know|(?:I )?hope (?:this|that|it)|feel free|do you (?:have|want|need)"
    r"|if you (?:have|need|want|would)|happy to|glad to|anything else|is there anything|good luck"
    r"|any (?:other|more|further) (?:questions|help)|thank(?: you|s) for|would you like)\b",
    re.IGNORECASE,
)


class Statement(NamedTuple):
    """A place where the text states its answer.

    Attributes:
        start, end: the span of what is stated, to the end of the sentence or the box.
        at: where the mark before it begins.
        firm: a box, or a tag: not part of a sentence.
        whole: false where the box is not closed.
        conditional: it holds under a condition only: `If it rains, the answer is 5`.
        named: the mark is a name at the start of a line: `Answer:`.
        denied: the mark says that it is not: `the answer cannot be 5`.
        items: the spans of the items, where a list follows.
    """

    start: int
    end: int
    at: int
    firm: bool = False
    whole: bool = True
    conditional: bool = False
    named: bool = False
    denied: bool = False
    items: tuple[tuple[int, int], ...] = ()


def latest(pattern: re.Pattern[str], plain: str, begin: int = 0) -> Iterator[re.Match[str]]:
    """The matches of a pattern from `begin` on, last first; so many that a rule stays linear."""
    return reversed(deque(pattern.finditer(plain, begin), maxlen=_LATEST))


def _latest_marks(marks: re.Pattern[str], plain: str) -> Iterator[re.Match[str]]:
    """`latest` of marks of statements, which are tried only where one can begin."""
    found, free = deque[re.Match[str]](maxlen=_LATEST), 0
    for at in _begins(plain):
        if at >= free and (match := marks.match(plain, at)):
            found.append(match)
            free = match.end()
    return reversed(found)


def _begins(plain: str) -> Iterator[int]:
    """The places where a mark can begin, and others; in order."""
    yield 0
    for near in _BEGINS.finditer(plain):
        if not plain[near.start()].isspace():
            yield near.start()
        yield near.start() + 1


def lines_of(plain: str) -> list[tuple[int, int]]:
    """The spans of the lines that are not blank."""
    return [match.span() for match in re.finditer(r"[^\n]+", plain) if not match[0].isspace()]


def last_lines(plain: str) -> list[tuple[int, int]]:
    """The same, less closing remarks (`Let me know if …`) and marks of a block (fences, `\\]`)."""
    lines = [
        (start, end)
        for start, end in lines_of(plain)
        if not _BLOCK_MARK.fullmatch(plain, start, end)
    ]
    while len(lines) > 1 and _is_remark(plain, lines[-1][0]):
        lines.pop()
    return lines


def without_remarks(plain: str) -> str:
    """The text less its closing remarks and the white space at its end."""
    lines = lines_of(plain)
    while len(lines) > 1 and _is_remark(plain, lines[-1][0]):
        lines.pop()
    return plain[: lines[-1][1]].rstrip() if lines else ""


def _is_remark(plain: str, start: int) -> bool:
    """Whether a line from `start` on speaks to the reader, not of the answer."""
    return _REMARK.search(plain, start, sentence_end(plain, start)) is not None


def answer_part(text: str) -> str:
    """The text for reading, as long as it was: plain characters, what is thought aloud blanked."""
    plain = text.translate(PLAIN)
    if "__" in plain:
        plain = _UNDERSCORED.sub(r"**\1**", plain)
    begin, end = 0, len(plain)
    for tag in _THOUGHT.finditer(plain):
        begin, end = (tag.end(), len(plain)) if tag["end"] else (begin, min(end, tag.start()))
    return "\n" * begin + plain[begin:end] + "\n" * (len(plain) - end) if begin <= end else plain


def own_answers(plain: str) -> Iterator[str]:
    """What stands before each next question that the model made up, then all of the text.

    The first of them in which an answer is read counts: the rest answers another question.
    """
    for count, mark in enumerate(_RUN_ON.finditer(plain)):
        if count == _RUN_ONS:
            break
        before = plain[: mark.start()].rstrip()
        line = before.rfind("\n") + 1
        if before and not _INTRODUCED.search(before, max(line, len(before) - LONGEST)):
            yield before
    yield plain


def stating(more: str) -> re.Pattern[str]:
    """The marks of statements, and more of them; the group `label` is of what is itself stated."""
    return re.compile(f"{_STATED.pattern}|{more}", _STATED.flags)


def statements(plain: str, marks: re.Pattern[str] = _STATED) -> Iterator[Statement]:
    """Where the text states its answer, last first: each box, tag and `answer is …`.

    Denials (`the answer is not …`) come only where other marks are asked for, flagged.

    Left out is what only looks like one: a question, a doubt in mid-text, what would be
    the answer to something else, a heading, `To check the answer:`, `answer choices:`.
    """
    for match in _latest_marks(marks, plain):
        found = _boxed(plain, match) if match["box"] else _said(plain, match)
        if found is not None and not (found.denied and marks is _STATED):
            yield found


def _boxed(plain: str, match: re.Match[str]) -> Statement:
    """The content of a box."""
    start = match.end()
    limit = min(len(plain), start + LONGEST)
    depth = 1
    for end in range(start, limit):
        if plain[end - 1] != "\\":
            depth += {"{": 1, "}": -1}.get(plain[end], 0)
        if depth == 0:
            whole = _own_braces(plain, match.start(), end)
            return Statement(start, whole, match.start(), firm=True)
    return Statement(start, limit, match.start(), firm=True, whole=False)


def _own_braces(plain: str, at: int, end: int) -> int:
    """Where a box really ends if what is in it are brackets, braces among them: `{} ) >}`."""
    brackets = _BRACKETS.match(plain, at)
    line = plain[max(0, at - LONGEST) : brackets.end() if brackets else at].rpartition("\n")[2]
    return brackets.end() - 1 if brackets and line.count("}") > line.count("{") else end


def _said(plain: str, match: re.Match[str]) -> Statement | None:
    """What follows a mark, None where it is no statement."""
    mark, start = match[0], match.end()
    label = match.re.groupindex.get("label") and match["label"]
    limit = min(len(plain), start + LONGEST)
    items = list_items(plain, start) if mark[-1] not in ">#" else ()
    start = _past_markup(plain, start, limit)
    if plain.startswith("}", start) and _IN_MACRO.search(plain, max(0, match.start() - 99), start):
        start = _past_markup(plain, start + 1, limit)
    if mark.casefold().startswith(("<", "[answer]")):
        end = plain.find(mark[0], start, limit)
        return Statement(start, end if end >= 0 else limit, match.start(), firm=True)
    if label:
        start = match.start()
    end = sentence_end(plain, start if not label else match.end())
    if mark.endswith('":') and plain.startswith('"', start - 1):  # JSON: `"answer": "B"`
        quote = plain.find('"', start, limit)
        end = quote if quote >= 0 else end
    if mark == "####":
        return None if _is_heading(plain, match.end()) else Statement(start, end, match.start())
    begin = sentence_start(plain, match.start())
    if mark[-1] in ":=-—" and (
        _TALKED_ABOUT.search(plain, begin, match.start()) or _NO_ANSWER.search(mark)
    ):
        return None
    denied = NEGATED.search(mark) is not None
    if denied and UNKNOWN.match(plain, match.start(), end):  # `the answer cannot be determined`
        return Statement(match.start(), end, match.start())
    if unsaid(plain, begin, match.end(), end):
        return None
    return Statement(
        start,
        end,
        match.start(),
        conditional=_CONDITION.search(plain, begin, match.start()) is not None,
        named=mark[-1] in ":】]" and not plain[begin : match.start()].strip(MARKUP + "#>-A:"),
        denied=denied,
        items=items,
    )


def unsaid(plain: str, begin: int, at: int, end: int) -> bool:
    """Whether a sentence from `begin` to `end`, its mark before `at`, does not say its answer.

    It is a question, a doubt in mid-text, or the answer to something that was not asked.
    """
    if plain.startswith("?", end) and (
        _ASKS.match(plain, begin) or not _ITS_TEXT.match(plain, at, end)
    ):
        return True
    if _DOUBT.search(plain, begin, at) and plain[end : end + LONGEST].strip(MARKUP + ".)"):
        return True
    supposed = _SUPPOSED.search(plain, begin, at) or re.search(r"\sif\b", plain[at:end])
    return supposed is not None and _WOULD.search(plain, begin, at) is not None


def _past_markup(plain: str, start: int, limit: int) -> int:
    """Where the text begins behind marks that only set it off."""
    while start < limit and plain[start] in MARKUP + ":":
        start += 1
    return start


def _is_heading(plain: str, at: int) -> bool:
    """Whether `####` before `at` opens a heading."""
    end = plain.find("\n", at, at + LONGEST)
    end = min(len(plain), at + LONGEST) if end < 0 else end
    if _HEADING.match(plain, at, end):
        return True
    last = not plain[end : end + LONGEST].strip()
    return not last and not _VALUE.match(plain, at, end)


def list_items(plain: str, at: int) -> tuple[tuple[int, int], ...]:
    """The spans of the items, less their marks, of a list of at least two below `at`."""
    gap = re.compile(r"[ \t\r*_:]{0,20}\n\s{0,40}").match(plain, at)
    if gap is None:
        return ()
    found: list[tuple[int, int]] = []
    style, start = None, plain.rfind("\n", 0, gap.end()) + 1
    while len(found) < 30 and (item := ITEM.match(plain, start)):
        if style not in (None, item.lastgroup):
            break
        style = item.lastgroup
        end = plain.find("\n", item.end(), item.end() + LONGEST)
        end = min(len(plain), item.end() + LONGEST) if end < 0 else end
        found.append((item.end(), end))
        blank = re.compile(r"\n(?:[ \t\r]{0,40}\n)?").match(plain, end)
        if blank is None:
            break
        start = blank.end()
    return tuple(found) if len(found) > 1 else ()


def sentence_start(plain: str, at: int) -> int:
    """Where the sentence or line that holds `at` begins, at most `LONGEST` characters before."""
    begin = max(0, at - LONGEST)
    for stop in _STOP.finditer(plain, begin, at):
        begin = stop.end()
    return begin


def sentence_end(plain: str, start: int) -> int:
    """The end of the sentence or line from `start` on, at most `LONGEST` characters away."""
    match = _SENTENCE_END.search(plain, start, start + LONGEST)
    return match.start() if match else min(len(plain), start + LONGEST)
