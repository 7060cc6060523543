"""How much one request may ask for; read from the body, before vLLM sees it.

Counts must be numbers here: vLLM would take "16" for 16, and a cap must see what vLLM does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ochat_eval.serve.refusal import Refused

_GRAMMARS = ("response_format", "structured_outputs")
_OBJECTS = (*_GRAMMARS, "stream_options")  # vLLM looks into them before it checks what they are
_SIZES = ("maxItems", "minItems", "maxLength", "minLength", "maxProperties", "minProperties")
_COMPLETION_TOKENS = 16  # what /v1/completions gives where max_tokens is not named
_HALF = re.compile(rb"\\u[dD][89a-fA-F]|[\xed][\xa0-\xbf]")  # may be whole, as for an emoji
_ENDLESS = 64
_OPEN, _CLOSE = "([{", ")]}"


@dataclass(frozen=True)
class Limits:
    """The caps; conf/serve.yaml has the options of these names.

    Attributes:
        context: the model's tokens; what a chat may take where it names no `max_tokens`.
    """

    max_body_bytes: int
    read_timeout_seconds: float
    max_choices: int
    max_new_tokens: int | None
    max_stops: int
    max_stop_length: int
    max_logprobs: int
    max_grammar_length: int
    max_grammar_depth: int
    context: int

    def choices(self, body: bytes) -> int:
        """How many answers a request asks for; of one that generates nothing, 1.

        Raises:
            Refused: it is beyond a cap, which is named.
        """
        if not body:
            return 1
        try:
            request = json.loads(body)
            if _HALF.search(body):
                json.dumps(request, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            raise Refused(400, "the body cannot be read as JSON in UTF-8") from None
        if not isinstance(request, dict):
            raise Refused(400, "the body must be a JSON object")
        choices = self._choices(request)
        self._tokens(request, choices)
        self._stops(request)
        self._logprobs(request)
        for name, value in request.items():
            if name in _OBJECTS and not isinstance(value, dict | None):
                raise Refused(400, f"{name} must be an object", name)
            if name.startswith("guided_") and value is not None:
                raise Refused(400, f"{name} is not supported; structured_outputs is", name)
            if name in _GRAMMARS and value is not None:
                self._grammar(name, value)
        return choices

    def _choices(self, request: dict[str, Any]) -> int:
        n = max(_whole(request, "n") or 1, 1)
        if _whole(request, "best_of") not in (None, n):
            raise Refused(400, "best_of is not supported; n is", "best_of")
        prompts = max(_prompts(request.get("prompt")), _prompts(request.get("prompt_embeds")))
        _cap("n", n, self.max_choices, "answers to a prompt", "max_choices")
        choices = n * prompts
        _cap("prompt", choices, self.max_choices, "answers (n times the prompts)", "max_choices")
        return choices

    def _tokens(self, request: dict[str, Any], choices: int) -> None:
        named = [_whole(request, name) for name in ("max_tokens", "max_completion_tokens")]
        given = [value for value in named if value is not None]
        if self.max_new_tokens is None:
            return
        each = self.context if "messages" in request else _COMPLETION_TOKENS
        total = choices * max(given, default=each)
        if total > self.max_new_tokens:
            most = self.max_new_tokens // choices
            said = f"name at most {most}" if given else f"it must be named, at most {most}"
            raise Refused(
                400,
                f"max_tokens: {said} for each of {choices} answers; a request may ask for "
                f"{self.max_new_tokens} tokens (max_new_tokens)",
                "max_tokens",
            )

    def _stops(self, request: dict[str, Any]) -> None:
        for name in ("stop", "stop_token_ids", "bad_words"):
            given = request.get(name)
            texts = given if isinstance(given, list) else [given]
            _cap(name, len(texts), self.max_stops, "entries", "max_stops")
            longest = max((len(text) for text in texts if isinstance(text, str)), default=0)
            _cap(name, longest, self.max_stop_length, "characters in one", "max_stop_length")

    def _logprobs(self, request: dict[str, Any]) -> None:
        for name in ("logprobs", "top_logprobs", "prompt_logprobs"):
            if (given := request.get(name)) is None or isinstance(given, bool):
                continue
            count = _whole(request, name) or 0
            if count < 0:
                raise Refused(400, f"{name}={count}: it must be at least 0", name)
            _cap(name, count, self.max_logprobs, "tokens for each token", "max_logprobs")

    def _grammar(self, name: str, value: Any) -> None:
        depth, length = 0, 0
        for text, level in _texts(value):
            length += max(len(text), 1)
            if length > self.max_grammar_length:
                break  # however long it is, it costs no more to refuse it
            depth = max(depth, level + _brackets(text))
            length += max(_written_out(text) - len(text), 0)
        _cap(name, depth, self.max_grammar_depth, "levels deep", "max_grammar_depth")
        _cap(
            name, length, self.max_grammar_length, "characters, repeats counted",
            "max_grammar_length",
        )  # fmt: skip


def _cap(name: str, given: int, most: int, what: str, option: str) -> None:
    if given > most:
        raise Refused(400, f"{name}: {given} {what}; at most {most} ({option})", name)


def _whole(request: dict[str, Any], name: str) -> int | None:
    value = request.get(name)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise Refused(400, f"{name} must be a whole number", name)


def _prompts(prompt: Any) -> int:
    """How many prompts there are: a list of numbers is one, of tokens."""
    if not isinstance(prompt, list) or all(isinstance(part, int) for part in prompt):
        return 1
    return len(prompt)


def _texts(value: Any) -> Iterator[tuple[str, int]]:
    """All texts in a JSON value with how deep they are; a size in a schema counts as so long.

    Without recursion: what is nested too deep is to be refused, not to end this.
    """
    left = [(value, 1)]
    while left:
        one, level = left.pop()
        if isinstance(one, dict | list):
            yield "", level
        if isinstance(one, dict):
            for key, inner in one.items():
                yield key, level
                sized = key in _SIZES and isinstance(inner, int | float)
                left.append((f".{{{min(int(inner), 10**9)}}}" if sized else inner, level + 1))
        elif isinstance(one, list):
            left += [(inner, level + 1) for inner in one]
        else:
            yield one if isinstance(one, str) else "1", level


def _brackets(text: str) -> int:
    """How deep brackets are in a regex, a grammar, or a schema that is given as a text."""
    deepest = depth = 0
    for c in text:
        if c in _OPEN:
            depth += 1
            deepest = max(deepest, depth)
        elif c in _CLOSE:
            depth = max(depth - 1, 0)
    return deepest


def _written_out(text: str) -> int:
    """A text's length as if each `{m,n}` behind an atom or a group were written out.

    `*` and `+` count as 64 characters: what xgrammar takes for them grows with their square, 0.9 s
    for 200 of `(.*)`, 12 s for 800.
    """
    groups, last, at = [0], 0, 0
    while at < len(text):
        c = text[at]
        at += 2 if c == "\\" else 1
        if c == "(":
            groups.append(0)
            last = 0
            continue
        if c == ")" and len(groups) > 1:
            last = groups.pop() + 2
        elif c == "{" and (times := _times(text, at)) is not None:
            groups[-1] += last * max(times - 1, 0)
            last *= max(times, 1)
            continue
        else:
            last = _ENDLESS if c in "*+" else 1
        groups[-1] += last
    return sum(groups)


def _times(text: str, at: int) -> int | None:
    """The greater number of `m}`, `m,}` or `m,n}` at a place; None if there is no such."""
    end = text.find("}", at, at + 40)
    numbers = [part.strip() for part in text[at:end].split(",")] if end > 0 else []
    if not 1 <= len(numbers) <= 2 or not all(n.isdecimal() for n in numbers if n):
        return None
    return max((int(n) for n in numbers if n), default=None)
