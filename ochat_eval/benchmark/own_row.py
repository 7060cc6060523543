"""One row of a user's own questions: which fields it may have, each in one form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from string import ascii_uppercase
from typing import Any

from ochat_eval.data.rows import Row
from ochat_eval.records import UserError


@dataclass(frozen=True)
class OwnRow:
    """One question, checked.

    Attributes:
        turns: the user's messages in their order; the last is the question.
        answers: texts of which each is right; labels where there are choices.
        choices: the texts to choose from, labelled `A`, `B`, …; None where the answer is free.
        subset: the part of the benchmark, `main` where the row names none.
        system, cluster, stratum: as in `records.Item`.
        fields: what a template can name: all fields of the row, `question`, and `choices` a line
            each.
    """

    turns: tuple[str, ...]
    answers: tuple[str, ...]
    choices: tuple[str, ...] | None
    subset: str
    system: str | None
    cluster: str | None
    stratum: str | None
    fields: Mapping[str, Any]

    @property
    def letters(self) -> str | None:
        """The labels of the choices."""
        return None if self.choices is None else ascii_uppercase[: len(self.choices)]


def own_row(row: Row, where: str, *, needs_answer: bool = True) -> OwnRow:
    """What a row says.

    Args:
        row: `question`, or `turns` (a list); `answer` or `target`, one or a list; `choices`, a
            list, or columns `A`, `B`, …; `subset`, `system`, `cluster`, `stratum`; any others.
            What a CSV file can only say as text may be a JSON list.
        where: the row's place, for messages.
        needs_answer: whether a row without an answer is refused.

    Raises:
        UserError: it cannot be asked, or has no answer.
    """
    turns = _turns(row, where)
    choices = _choices(row, where)
    answer = row.get("answer", row.get("target"))
    answers = [] if answer in (None, "") else answer if isinstance(answer, list) else [answer]
    if choices is not None:
        answers = [_label(one, choices, where) for one in answers]
    if (needs_answer and not answers) or not all(str(one).strip() for one in answers):
        raise UserError(
            f"{where}: it has no answer (a field `answer` or `target`), which only "
            "answer=judge and answer=code do without"
        )
    subset = str(row.get("subset") or "main")
    if not subset.replace("-", "").replace("_", "").replace(".", "").isalnum():
        raise UserError(f"{where}: the subset {subset!r} is no name of letters and digits")
    lines = [f"{a}. {text}" for a, text in zip(ascii_uppercase, choices or (), strict=False)]
    shown = {"choices": "\n".join(lines)} if lines else {}
    return OwnRow(
        turns=turns,
        answers=tuple(map(str, answers)),
        choices=None if choices is None else tuple(choices),
        subset=subset,
        system=_text(row, "system", where),
        cluster=_text(row, "cluster", where),
        stratum=_text(row, "stratum", where),
        fields={**row, "question": turns[-1], **shown},
    )


def _text(row: Row, name: str, where: str) -> str | None:
    """A field that is a text or a number; None where it is empty or not there."""
    value = row.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise UserError(f"{where}: its {name} is no text")
    return str(value)


def _turns(row: Row, where: str) -> tuple[str, ...]:
    question, turns = row.get("question"), _listed(row.get("turns"))
    if turns is not None and question not in (None, ""):
        raise UserError(f"{where}: it has question and turns; the last turn is the question")
    every = turns if turns is not None else [question]
    if not isinstance(every, list) or not every:
        raise UserError(f"{where}: its turns are no list of texts")
    if not all(isinstance(one, str) and one.strip() for one in every):
        one = "it has no question" if turns is None else "a turn of it is no text, or empty"
        raise UserError(f"{where}: {one}")
    return tuple(every)


def _listed(value: Any) -> Any:
    """A list as it is or as JSON's text; None where there is nothing; else the value."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _choices(row: Row, where: str) -> list[str] | None:
    """Its field, or its columns named by letters; None where it has none."""
    given = _listed(row.get("choices"))
    if given is None:
        columns = list(takewhile(lambda letter: row.get(letter) not in (None, ""), ascii_uppercase))
        given = [row[letter] for letter in columns] or None
    if given is None:
        return None
    if not isinstance(given, list) or not 2 <= len(given) <= len(ascii_uppercase):
        raise UserError(f"{where}: its choices are no list of 2 to 26")
    return [str(one) for one in given]


def _label(answer: Any, choices: list[str], where: str) -> str:
    """The letter of a right choice: given as a letter, as its text, or as a place from 0."""
    letters, text = ascii_uppercase[: len(choices)], str(answer).strip()
    meant = {letters[n] for n, choice in enumerate(choices) if choice == text}
    if isinstance(answer, int) and 0 <= answer < len(choices):
        meant.add(letters[answer])
    if len(text) == 1 and text.upper() in letters:
        meant.add(text.upper())
    if len(meant) == 1:
        return meant.pop()
    if meant:
        both = " and ".join(sorted(meant))
        raise UserError(f"{where}: the answer {text!r} may mean {both}; write the letter")
    raise UserError(f"{where}: the answer {text!r} is no letter up to {letters[-1]} and no choice")
