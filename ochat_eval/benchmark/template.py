"""Prompts from a template and the fields of a row."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any

from ochat_eval.records import UserError
from ochat_eval.terminal.words import nearest, one_line

_FIELD = re.compile(r"\{(\w+)\}")
_PROMPT_CHARACTERS = 4_000_000
"""The longest prompt that a template may make; a loop in it can make one without end."""


def named_fields(template: str, option: str) -> list[str]:
    """The fields of a row that a template names, in their order of appearance; of Jinja's those
    that it takes from the row.

    Args:
        option: the option's full name, for messages.

    Raises:
        UserError: it is no template.
    """
    if not _is_jinja(template):
        return list(dict.fromkeys(_FIELD.findall(template)))
    import jinja2.meta

    try:
        found = jinja2.meta.find_undeclared_variables(jinja2.Environment().parse(template))
    except jinja2.TemplateError as error:
        raise UserError(f"{option}: {one_line(error)}") from error
    return sorted(found, key=template.index)


def _is_jinja(template: str) -> bool:
    return "{{" in template or "{%" in template


@functools.lru_cache(maxsize=64)
def compiled(template: str, option: str) -> Callable[[Mapping[str, Any]], str]:
    """What fills a template with the fields of a row.

    A template with `{{` or `{%` is Jinja's and runs in its sandbox: it may come from a
    configuration that somebody else wrote. In any other, `{field}` stands for a field.

    Args:
        option: the option's full name, for messages.

    Returns:
        A function from the fields to the prompt; it raises UserError where the template names a
        field that the row lacks, or fails.

    Raises:
        UserError: it is no template.
    """
    if _is_jinja(template):
        return _jinja(template, option)
    names = _FIELD.findall(template)
    if not names:
        raise UserError(f"{option}: it names no field of the rows; write {{question}}, say")

    def filled(row: Mapping[str, Any]) -> str:
        for name in names:
            if name not in row:
                raise UserError(
                    f"{option}: the row has no field {name!r}{nearest(name, list(row))}"
                )
        return _FIELD.sub(lambda found: str(row[found[1]]), template)

    return filled


def _jinja(template: str, option: str) -> Callable[[Mapping[str, Any]], str]:
    import jinja2
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    try:
        made = environment.from_string(template)
    except jinja2.TemplateError as error:
        raise UserError(f"{option}: {one_line(error)}") from error

    def filled(row: Mapping[str, Any]) -> str:
        text, size = [], 0
        try:
            for piece in made.generate(**row):
                text.append(piece)
                size += len(piece)
                if size > _PROMPT_CHARACTERS:
                    raise UserError(
                        f"{option}: a prompt has over {_PROMPT_CHARACTERS:,} characters"
                    )
        # A template can raise whatever Python can.
        except Exception as error:
            if isinstance(error, UserError):
                raise
            raise UserError(f"{option}: {one_line(error)}") from error
        return "".join(text)

    return filled
