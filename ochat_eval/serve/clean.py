"""Requests as conversations, and streamed answers cleaned as the harness cleans whole ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from ochat_eval.records import Message
from ochat_eval.terminal.words import nearest

_ALREADY = "x"


class StreamCleaner:
    """`ChatFormat.clean` on a text that comes in pieces.

    White space that may turn out to be the text's end is held back until more comes, so that the
    pieces put together are what `clean` makes of the whole.
    """

    def __init__(self, clean: Callable[[str], str]):
        """Takes a `clean` that only drops white space at a text's ends."""
        self._clean = clean
        self._held = ""
        self._begun = False

    def feed(self, piece: str) -> str:
        """What can be given out now that `piece` has come."""
        text = self._held + piece
        # Behind a letter nothing is a beginning any more: what is dropped then is the end's.
        kept = self._clean(_ALREADY + text)[len(_ALREADY) :]
        given = kept if self._begun else self._clean(text)
        if given:
            self._begun = True
        self._held = text[len(kept) :] if self._begun else text
        return given


_THOUGHTS = ("reasoning", "reasoning_content")


def to_messages(messages: Iterable[Any]) -> list[Message]:
    """OpenAI's messages as the harness's.

    A content in parts is their texts, a line each, as vLLM joins them. What an earlier answer was
    thought out with is left behind. `developer` is OpenAI's newer name for `system`. Messages of
    one role that follow each other are one, a blank line between, but for the assistant's.

    Raises:
        ValueError: a message with anything but text in it; it would be passed over in silence.
    """
    found: list[Message] = []
    for message in messages:
        given = {k: v for k, v in dict(message).items() if v}
        role = str(given.pop("role", None))
        content = given.pop("content", "")
        if role == "assistant":
            given = {name: value for name, value in given.items() if name not in _THOUGHTS}
        if given:
            raise ValueError(f"messages: {next(iter(given))!r} is not supported, only text is")
        if not isinstance(content, str):
            content = "\n".join(_part_text(part) for part in content)
        role = "system" if role == "developer" else role
        if found and role == found[-1].role != "assistant":
            content = "\n\n".join(filter(None, (found.pop().content, content)))
        found.append(Message(role, content))
    return found


def without_empty_tools(body: bytes) -> bytes:
    """A request's body, a JSON object, without a list of tools that is empty, nor what says how to
    use them: client libraries send these, and vLLM refuses them."""
    if b'"tools"' not in body:
        return body
    request = json.loads(body)
    choice = request.get("tool_choice")
    if request.get("tools") != [] or choice not in (None, "auto", "none"):
        return body
    of_tools = ("tools", "tool_choice", "parallel_tool_calls")
    return json.dumps({k: v for k, v in request.items() if k not in of_tools}).encode()


def _part_text(part: Any) -> str:
    if isinstance(part, str):
        return part
    fields = dict(part)
    if fields.get("type") != "text" or not isinstance(fields.get("text"), str):
        raise ValueError(f"messages: a part of type {fields.get('type')!r} is not supported")
    return str(fields["text"])


def condition_of(extra: dict[str, Any] | None) -> str | None:
    """The condition among a request's unknown fields; None for the model's default.

    Raises:
        ValueError: it is no text, or a field's name is nearly `condition`.
    """
    given = extra or {}
    for name in given:
        if name != "condition" and "did you mean" in nearest(name.lower(), ["condition"]):
            raise ValueError(f"{name!r} is no field of a request; did you mean condition?")
    condition = given.get("condition")
    if condition is not None and not isinstance(condition, str):
        raise ValueError(f"condition must be a text, not {condition!r}")
    return condition
