"""What a chat server's answer says: OpenAI's chat completion, as it is and as others write it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ochat_eval.records import Request, Response

_ENDS = {
    "stop": "stop", "eos": "stop", "eos_token": "stop", "end_turn": "stop", "end": "stop",
    "stop_sequence": "stop", "stop_token": "stop", "complete": "stop", "completed": "stop",
    "length": "length", "max_tokens": "length", "model_length": "length", "max_length": "length",
    "max_output_tokens": "length", "max_new_tokens": "length",
    "content_filter": "content_filter", "content_filtered": "content_filter",
    "safety": "content_filter", "recitation": "content_filter", "blocklist": "content_filter",
    "prohibited_content": "content_filter", "refusal": "content_filter",
}  # fmt: skip
"""How servers write the end of an answer, in small letters, and what it is here."""
_CALLS = ("tool_calls", "function_call", "tool_use")
"""Ends of what is no answer, and would be none if it were asked again."""
_TEXTS = {"text": "text", "output_text": "text", "refusal": "refusal"}
_THOUGHTS = {
    "thinking": "thinking", "reasoning": "reasoning", "reasoning_content": "reasoning_content",
}  # fmt: skip
"""Kinds of parts, and the field that has the text."""


@dataclass(frozen=True, slots=True)
class Completion:
    """An answer.

    Attributes:
        text: what the model wrote, perhaps nothing, without what it thought.
        finish_reason: `stop` (the model ended its turn), `length` (cut off), `content_filter` (the
            server would not let it answer, or go on), or None (the server does not say).
        prompt_tokens, completion_tokens: counts, None where the server does not say.
        reasoning: what it thought; None where the server tells of none.
        reasoning_tokens: of `completion_tokens`, those of the thought.
    """

    text: str
    finish_reason: str | None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    reasoning: str | None = None
    reasoning_tokens: int | None = None

    @property
    def unfinished(self) -> bool:
        """Whether it was cut off while it thought."""
        return self.finish_reason == "length" and self.reasoning is not None and not self.text

    def response(self, request: Request) -> Response:
        """The response that it is to a request."""
        return Response(
            request.id,
            self.text,
            request.sample,
            request.turn,
            self.finish_reason,
            self.prompt_tokens,
            self.completion_tokens,
            self.reasoning,
            self.reasoning_tokens,
            unfinished=self.unfinished,
        )


FILTERED = Completion("", "content_filter")
"""What a request is answered with whose prompt a content filter refused."""


@dataclass(frozen=True, slots=True)
class Refused:
    """An answer that is none, and why; `final` where asking again would bring it again."""

    reason: str
    final: bool


def read(content: bytes) -> Completion | Refused | None:
    """What an answer with status 200 says; None where it is no chat completion at all.

    Of several choices the one with the least index counts. A count that is no number of tokens is
    passed over.
    """
    try:
        answer = json.loads(content)
        choice = min(answer["choices"], key=lambda one: one.get("index") or 0)
        message, end = choice["message"], choice.get("finish_reason")
        content_, usage = message.get("content"), answer.get("usage")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    if end is None and not message:
        return None
    try:
        text, thought = _parts(content_)
        apart = message.get("reasoning_content") or message.get("reasoning") or ""
        if content_ is None and message.get("refusal"):
            text, _ = _parts(message["refusal"])
        thought = _parts(apart)[0] + thought
    except (TypeError, RecursionError) as e:
        return Refused(f"a chat completion with fields of a wrong type: {e}", final=True)
    if not isinstance(end, str | None):
        return Refused(f"the server ended it with finish_reason {end!r}", final=True)
    known = _ENDS.get(end.lower()) if end else None
    if end and known is None:
        return Refused(
            f"the server ended it with finish_reason {end!r}", final=end.lower() in _CALLS
        )
    usage = usage if isinstance(usage, dict) else {}
    details = usage.get("completion_tokens_details")
    return Completion(
        text,
        known,
        _count(usage.get("prompt_tokens")),
        _count(usage.get("completion_tokens")),
        thought or None,
        _count(details.get("reasoning_tokens")) if thought and isinstance(details, dict) else None,
    )


def _parts(content: Any) -> tuple[str, str]:
    """The text and the thought of a message's content: text, nothing, or parts of both.

    Raises:
        TypeError: it is none of these; says what it is.
    """
    if content is None or isinstance(content, str):
        return content or "", ""
    if not isinstance(content, list):
        raise TypeError(f"content is {type(content).__name__}")
    texts, thoughts = [], []
    for part in content:
        if isinstance(part, str):
            texts.append(part)
            continue
        kind = part.get("type", "text") if isinstance(part, Mapping) else None
        if not isinstance(kind, str):
            raise TypeError(f"a part of the content is {type(kind or part).__name__}")
        if kind in _TEXTS:
            texts.append(_parts(part.get(_TEXTS[kind]))[0])
        elif kind in _THOUGHTS:
            thoughts.append(_parts(part.get(_THOUGHTS[kind]))[0])
        else:
            raise TypeError(f"a part of the content is {kind[:40]!r}")
    return "".join(texts), "".join(thoughts)


def _count(value: object) -> int | None:
    """A number of tokens; None for what cannot be one, as `true` and `10**400`."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value < 2**53 else None


def is_filtered(content: bytes) -> bool:
    """Whether a refusal (HTTP 400) is a content filter's, as Azure's and OpenAI's are."""
    try:
        error = json.loads(content)["error"]
        codes = (error.get("code"), error.get("type"), (error.get("innererror") or {}).get("code"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False
    return any(code in ("content_filter", "ResponsibleAIPolicyViolation") for code in codes)
