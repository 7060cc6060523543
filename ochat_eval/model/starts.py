"""A beginning that many prompts share is tokenised once, where that gives the very same tokens.

Prompts are cut behind line ends, between one and an ASCII letter, and each part is tokenised for
itself. That is exact for byte-pair encoding (`cuts_at_lines`): tokens are made by
merging neighbours, and what no token of the vocabulary straddles is never merged, whatever stands
on either side. It is checked on the way against whole encodings all the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Set
from dataclasses import dataclass
from string import ascii_letters
from typing import Any

TextIds = Callable[[str], list[int]]
Tell = Callable[[str], None]

_LEAST = 200
"""Characters that are worth a cut."""
_LONGER = 0.25
"""By what share of itself a known beginning must be longer to be worth another: each costs a check
of a whole prompt, and two questions may begin alike by chance."""
_CHECKED = 128
"""The first prompt behind each beginning is compared with its whole encoding, and so is every
128th further one."""
_STRADDLES = re.compile(r"\n[A-Za-z]")
_LOOKS_AROUND = re.compile(r"\(\?<?[=!]")
_SPACE_BEFORE_WORD = r"(?!\S)"
"""The one look-ahead of public patterns: letters are alike to it."""
_CHANGE = {
    "Sequence", "NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Prepend", "Replace",
}  # fmt: skip
_TAKE_APART = {"Sequence", "ByteLevel", "Split", "Digits", "Metaspace", "Punctuation"}
"""The normalizers and pre-tokenizers that see no further than a line end and the word behind it."""
_LINE_ENDS = {"\n": "\n", "Ċ": "Ċ", "<0x0A>": "\n"}
"""How vocabularies name a line end by itself: how it is written within other tokens of theirs."""


def cuts_at_lines(backend: Any) -> bool:
    """Whether a `tokenizers.Tokenizer` makes the same tokens of a text that is cut as said above.

    It must be byte-pair encoding without chance; no token, an added one neither, may have a line
    end in front of a letter, nor an added one swallow the line end before it; what
    changes a text or takes it apart must be of a known kind. False for what is not.
    """
    settings = json.loads(backend.to_str())
    model = settings["model"]
    if model.get("type") != "BPE" or model.get("dropout"):
        return False
    if settings["truncation"] or settings["padding"]:
        return False
    for token in settings["added_tokens"]:
        text = token["content"]
        if (text.strip("\n") and "\n" in text) or (token["lstrip"] and text[:1].isalpha()):
            return False
    parts = (settings["normalizer"], _CHANGE, "normalizers", _is_text), (
        settings["pre_tokenizer"], _TAKE_APART, "pretokenizers", _looks_only_ahead,
    )  # fmt: skip
    if not all(_is_known(*part) for part in parts):
        return False
    lead = backend.encode("\na", add_special_tokens=False).tokens
    return len(lead) > 1 and lead[-1] == "a" and lines_apart(lead[-2], set(model["vocab"]))


def lines_apart(line_end: str, vocabulary: Set[str]) -> bool:
    """Whether each ASCII letter is a token of a vocabulary, and none has a line end before one.

    Args:
        line_end: the token that a line end by itself is; False where it is none known.
    """
    written = _LINE_ENDS.get(line_end)
    if written is None or not set(ascii_letters) <= vocabulary:
        return False
    return not any(
        _STRADDLES.search(token.replace(written, "\n")) for token in vocabulary if written in token
    )


def _is_known(
    part: dict[str, Any] | None, kinds: set[str], within: str, allowed: Callable[[Any], bool]
) -> bool:
    """Whether a part of a tokenizer, and all that it is made of (`within`), is of these kinds."""
    if part is None:
        return True
    known = part["type"] in kinds and allowed(part.get("pattern", {}))
    return known and all(_is_known(one, kinds, within, allowed) for one in part.get(within, ()))


def _is_text(pattern: dict[str, str]) -> bool:
    return "Regex" not in pattern


def _looks_only_ahead(pattern: dict[str, str]) -> bool:
    return not _LOOKS_AROUND.search(pattern.get("Regex", "").replace(_SPACE_BEFORE_WORD, ""))


@dataclass
class _Start:
    """A beginning, and how many texts were begun with it.

    Attributes:
        text: its text and the letter behind it.
        cut: how long it is.
        ids: its tokens where that letter follows.
    """

    text: str
    cut: int
    ids: list[int]
    uses: int = 0


class SharedStarts:
    """Token ids of one text after another, as the tokenizer gives them for each as a whole.

    To be used by one thread. What it keeps is the last text and its beginnings.
    """

    def __init__(self, whole: TextIds, tell: Tell):
        """Takes a tokenizer for which `cuts_at_lines` holds.

        Args:
            whole: the token ids of a text, nothing added.
            tell: takes a line for the user, should a check ever fail.
        """
        self._whole = whole
        self._tell = tell
        self._lead = whole("\na")[:-1]
        self._last = ""
        self._starts: list[_Start] = []  # each is a beginning of the next
        self._fails = False

    def __call__(self, text: str) -> list[int]:
        """The token ids of a text."""
        if self._fails:
            return self._whole(text)
        known = self._start_of(text)
        self._last = text
        if known is None:
            return self._whole(text)
        ids = known.ids + self._behind(text[known.cut :])
        known.uses += 1
        if known.uses % _CHECKED == 1 and ids != (whole := self._whole(text)):
            self._fails = True
            self._tell(
                "this tokenizer does not make the same of prompts in two parts: each is tokenised "
                "as a whole from here on"
            )
            return whole
        return ids

    def _start_of(self, text: str) -> _Start | None:
        """The longest beginning that is known, one in common with the last text learnt first."""
        while self._starts and not text.startswith(self._starts[-1].text):
            self._starts.pop()
        known = self._starts[-1] if self._starts else _Start("", 0, [])
        cut = _cut(text, _common(text, self._last))
        if cut - known.cut >= max(_LEAST, known.cut * _LONGER):
            # with the letter, for some tokenizers take line ends at the end of a text otherwise
            more = text[known.cut : cut + 1]
            ids = self._behind(more) if known.cut else self._whole(more)
            self._starts.append(_Start(text[: cut + 1], cut, known.ids + ids[:-1]))
        return self._starts[-1] if self._starts else None

    def _behind(self, text: str) -> list[int]:
        """The tokens of a text that stands behind a line end."""
        return self._whole("\n" + text)[len(self._lead) :]


def _common(a: str, b: str) -> int:
    """How many characters two texts begin with in common."""
    least, most = 0, min(len(a), len(b))
    while least < most:
        middle = (least + most + 1) // 2
        if a[least:middle] == b[least:middle]:
            least = middle
        else:
            most = middle - 1
    return least


def _cut(text: str, end: int) -> int:
    """The last place before `end` where a text may be cut; 0 if there is none.

    It is behind line ends that stand behind a visible ASCII character, and before an ASCII letter
    that lies before `end` itself.
    """
    at = end
    while (at := text.rfind("\n", 0, at)) > 0:
        if at + 1 < end and text[at + 1].isascii() and text[at + 1].isalpha():
            before = text[: at + 1].rstrip("\n")[-1:]
            if "!" <= before <= "~":
                return at + 1
    return 0
