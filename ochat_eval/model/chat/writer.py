"""Conversations written out by a chat template: which template, with which variables, and checked.

A template is the model's, so not trusted: transformers renders it in Jinja's sandbox.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from ochat_eval.model.model import Model
from ochat_eval.records import Message, UserError
from ochat_eval.terminal.words import first_line, nearest

_TEMPLATE_DATE = datetime(2024, 7, 26)
"""What `strftime_now` tells a template: a prompt must not change from day to day."""
_OURS = {
    "messages", "conversation", "chat_template", "tokenize", "add_generation_prompt",
    "continue_final_message", "strftime_now", "padding", "truncation", "max_length",
    "return_tensors", "return_dict", "return_assistant_tokens_mask", "tokenizer_kwargs",
}  # fmt: skip
"""Arguments of `apply_chat_template` that are no variables of a template, or that we set."""

Render = Callable[[Sequence[Message]], str]


class TemplateWriter:
    """Writes conversations by a model's template, as text.

    A template that takes contents only in parts gets them so. One that refuses a system message
    gets its text in front of the first user's, a blank line between; that is told once. A
    rendering that lacks a message's text is refused, for the model would be asked something else.

    Attributes:
        template: its text.
    """

    def __init__(self, tokenizer: Any, model: Model, path: str | Path, tell: Callable[[str], None]):
        """Takes the template that the model's options choose.

        Raises:
            UserError: there is none, or it writes no message's text.
        """
        self.template = chosen_template(tokenizer, model, path)
        if reserved := sorted(_OURS & model.template_kwargs.keys()):
            raise UserError(
                f"model.template_kwargs.{reserved[0]} is no variable of a template: leave it out"
            )
        self._tokenizer, self._where = tokenizer, f"the chat template of {path}"
        self._variables = model.template_kwargs
        for name in self._variables:
            if not knows(self.template, name):
                tell(f"{self._where} knows no {name}: model.template_kwargs.{name} changes nothing")
        self._tell = tell
        self._takes_system: bool | None = None
        self._parts = self._wants_parts()

    def __call__(self, messages: Sequence[Message]) -> str:
        """The conversation's text, the assistant's turn opened.

        Raises:
            UserError: the template fails, or leaves a message's text out.
        """
        text = self._render(self._with_system_placed(messages))
        for message in messages:
            if message.content not in text and message.content.strip() not in text:
                raise UserError(
                    f"{self._where} leaves the {message.role} message's text out of the prompt; "
                    "choose another with model.template=FILE"
                )
        return text

    def _wants_parts(self) -> bool:
        """Whether contents must come in parts: by a probe, a string first."""
        probe = [Message("user", uuid.uuid4().hex)]
        failure: UserError | None = None
        for parts in (False, True):
            self._parts = parts
            try:
                if probe[0].content in self._render(probe):
                    return parts
            except UserError as e:
                failure = failure or e
        raise failure or UserError(
            f"{self._where} writes no message's text, so that nothing would be asked; choose "
            "another with model.template=FILE"
        )

    def _with_system_placed(self, messages: Sequence[Message]) -> Sequence[Message]:
        if messages[0].role != "system" or self._system_is_taken():
            return messages
        system, user, *rest = messages
        return [Message("user", f"{system.content}\n\n{user.content}"), *rest]

    def _system_is_taken(self) -> bool:
        if self._takes_system is None:
            try:
                self._render([Message("system", "a"), Message("user", "b")])
                self._takes_system = True
            except UserError:
                self._takes_system = False
                self._tell(
                    f"{self._where} takes no system message: its text goes in front of the first "
                    "user message"
                )
        return self._takes_system

    def _render(self, messages: Sequence[Message]) -> str:
        turns: list[dict[str, Any]] = [
            {
                "role": m.role,
                "content": [{"type": "text", "text": m.content}] if self._parts else m.content,
            }
            for m in messages
        ]
        try:
            return self._tokenizer.apply_chat_template(  # type: ignore[no-any-return]
                turns,
                chat_template=self.template,
                tokenize=False,
                add_generation_prompt=True,
                strftime_now=_TEMPLATE_DATE.strftime,
                **self._variables,
            )
        except Exception as e:  # a template can raise anything; it is reported
            raise UserError(f"{self._where} fails ({first_line(e)})") from e


def chosen_template(tokenizer: Any, model: Model, path: str | Path) -> str:
    """The text of the chat template: the tokenizer's, one of it by name, or a file's.

    Raises:
        UserError: there is no such template, or no choice was made among several.
    """
    carried = tokenizer.chat_template
    named: dict[str, str] = carried if isinstance(carried, dict) else {}
    if not named and carried:
        named = {"default": carried}
    wanted = model.template
    if wanted is None:
        if "default" in named:
            return named["default"]
        if named:
            there = ", ".join(sorted(named))
            raise UserError(
                f"the tokenizer of {path} has the chat templates {there}, none called default: "
                "choose one with model.template=NAME"
            )
        raise UserError(
            f"the tokenizer of {path} has no chat template; give one with model.template=FILE, "
            "name one of fschat's registry with model.chat=fastchat:NAME, or ask a base model "
            "with model.chat=raw"
        )
    if wanted in named:
        return named[wanted]
    file = Path(wanted).expanduser()
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, ValueError) as e:
        raise UserError(
            f"model.template={wanted}: neither a file that can be read ({first_line(e)}) nor the "
            f"name of a template in the tokenizer of {path}{nearest(wanted, named)}"
        ) from e


def knows(template: str, variable: str) -> bool:
    """Whether a template's text names a variable."""
    return re.search(rf"\b{re.escape(variable)}\b", template) is not None


def write_raw(messages: Sequence[Message]) -> str:
    """The texts alone, a blank line between two: how a base model is asked."""
    return "\n\n".join(message.content for message in messages)
