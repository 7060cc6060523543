"""Where a response states its answer, as a careful reader sees it: shared by the robust readers."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator

from ochat_eval.records import Reading

NOTHING = Reading(None, matched=False)
PLAIN = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | dict.fromkeys(
    (0x2212, 0x2013, 0xFE63), ord("-")
)
"""For `translate`: full-width forms and other minus signs, one character for one: spans hold."""
BOX = r"\\(?:boxed|fbox)\s?\{"
LINKS = r"(?:\b(?:is|are|was|be)\b|[:=])"
ANSWER = (  # `The answer to this is`, `**Final answer**:`, `答案应该是`
    rf"(?<![a-z])ans(?:wer)?s?\b[^.:;=!?\n()]{{0,80}}?(?:{LINKS}|\s[-—]\s)|答案[应该就]{{0,2}}[是为:]{{0,2}}|####"
)
_STATED = re.compile(f"{ANSWER}|(?P<box>{BOX})", re.IGNORECASE)
NEGATED = re.compile(r"n't|not\b", re.IGNORECASE)  # `the answer cannot be 5`
_SENTENCE_END = re.compile(r"[.!?](?=[\s*)]|$)|[\n。;]|$")
# What is looked at, however long a model rambles; both keep the rules linear.
_LATEST = 100  # statements, the last ones
LONGEST = 300  # characters of a sentence
NOT = re.compile(  # before an answer: it is ruled out
    r"(?:\b(?:not|cannot|neither|nor|than|instead of|except|rule[sd]? out|eliminate[sd]?)"
    r"|n't|不是|不选|排除)\s*(?:(?:the|option|choice|answer|be)\s+){0,2}$",
    re.IGNORECASE,
)
MARKUP = " \t\r\n*_`\"'“”‘’$"
ENDED = re.compile(r"\s*(?:$|[\n;!?。、]|[.,:](?![A-Za-z]))")


def latest(pattern: re.Pattern[str], plain: str, begin: int = 0) -> Iterator[re.Match[str]]:
    """The matches of a pattern from `begin` on, last first; so many that a rule stays linear."""
    return reversed(deque(pattern.finditer(plain, begin), maxlen=_LATEST))


def lines_of(plain: str) -> list[tuple[int, int]]:
    """The spans of the lines that are not blank."""
    return [match.span() for match in re.finditer(r"[^\n]+", plain) if not match[0].isspace()]


def statements(plain: str) -> Iterator[tuple[int, int]]:
    """Where the text states its answer, last first: the span of each box and `answer is …`."""
    for match in latest(_STATED, plain):
        start = match.end()
        limit = min(len(plain), start + LONGEST)
        if NEGATED.search(match[0]):
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
            while start < limit and plain[start] in MARKUP + ":":
                start += 1
            end = sentence_end(plain, start)
        yield start, end


def sentence_end(plain: str, start: int) -> int:
    """The end of the sentence or line from `start` on, at most `LONGEST` characters away."""
    match = _SENTENCE_END.search(plain, start, start + LONGEST)
    return match.start() if match else min(len(plain), start + LONGEST)
