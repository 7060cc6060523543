"""A pair of answer rules of one's own: what a file of questions, or a class, is read with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ochat_eval.benchmark.task import Task
from ochat_eval.records import Item, Reading, Rule, UserError


@dataclass(frozen=True, kw_only=True)
class Reader(Task):
    """How answers are read and compared: a subclass has at least `robust`.

    It stands in `tasks.file.answer`, or as a shape in a benchmark's class: `class Mine(RowTask,
    Reader)`.

    Attributes:
        prompt: of `task=file`: the template where none is given (`benchmark.template`).
        states: how a model that obeys the prompt states an answer, `{}`: so few-shot examples are
            written, and so `plan` sees whether both rules read the right answers back.
    """

    prompt: ClassVar[str] = "{question}"
    states: ClassVar[str] = "{}"

    def __post_init__(self) -> None:
        """As `Task`; and refuses a class that reads nothing."""
        super().__post_init__()
        if type(self).robust is Reader.robust:
            raise UserError(f"{type(self).__qualname__} has no method robust(self, text, item)")

    def robust(self, text: str, item: Item) -> str | Reading | None:
        """The answer that a careful reader finds in a response; None where there is none.

        Args:
            text: the response.
            item: what was asked: `turns`, `target`, `choices`.

        Returns:
            The answer as it is compared with the target, or a `Reading`, which says where it
            stands: the page marks it.
        """
        raise NotImplementedError

    def published(self, text: str, item: Item) -> str | Reading | None:
        """As `robust`, by a rule that others have published, with its faults; the same rule where
        there is none."""
        return self.robust(text, item)

    def same(self, answer: str, target: str) -> bool:
        """Whether an answer that was read is the right one."""
        return answer == target

    def read(self, item: Item, text: str, rule: Rule) -> Reading:
        """What the rule of this name returns.

        Raises:
            UserError: it returned something else than a text, a `Reading` or None.
        """
        found = (self.published if rule == "published" else self.robust)(text, item)
        if isinstance(found, Reading):
            return found
        if found is not None and not isinstance(found, str):
            raise UserError(
                f"{type(self).__qualname__}.{rule} returned {found!r} for {item.id}: return the "
                "answer as a text, a Reading, or None"
            )
        return Reading(found, matched=found is not None)

    def right(self, item: Item, answer: str, rule: Rule) -> bool:
        """Whether it is the same as one of the right answers."""
        return any(self.same(answer, target) for target in item.target)

    def stated(self, item: Item) -> str:
        """As the class says that answers are stated."""
        return self.states.format(item.target[0])
