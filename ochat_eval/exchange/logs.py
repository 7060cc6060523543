"""What the logs of other evaluation tools have in common: an answer with its score, and names."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ochat_eval.benchmark.task import Task
from ochat_eval.exchange import Recorded
from ochat_eval.records import Item, Response, Rule, Score


@dataclass(frozen=True)
class Scored:
    """One answer with a rule's score of it.

    Attributes:
        responses: the answer, after those that stand before it in its conversation.
    """

    item: Item
    responses: tuple[Response, ...]
    score: Score

    @property
    def text(self) -> str:
        """The answer itself."""
        return self.responses[-1].text


def messages(item: Item, responses: Sequence[Response]) -> list[dict[str, str]]:
    """A conversation: worked examples, then the turns with their answers; `role` and `content`."""
    said = [text for pair in item.examples for text in pair]
    for response in responses:
        said += [item.turns[response.turn], response.text]
    roles = ("user", "assistant")
    return [{"role": roles[at % 2], "content": text} for at, text in enumerate(said)]


def scored(
    task: Task, item: Item, responses: Sequence[Response], scores: Sequence[Score], rule: Rule
) -> Iterator[Scored]:
    """An item's answers that the rule has scored: those of a judged conversation one by one, any
    other conversation as one."""
    for score in scores:
        if score.rule == rule:
            own = [one for one in responses if one.sample == score.sample]
            if task.judged:
                own = [one for one in own if one.turn <= score.turn]
            if own:
                yield Scored(item, tuple(sorted(own, key=lambda one: one.turn)), score)


def as_line(value: Any) -> str:
    """Strict JSON on one line with its end; lone surrogates of model text become `?`.

    Raises:
        ValueError: a number that JSON has not (infinite, or none).
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return text.encode(errors="replace").decode() + "\n"


def digest_of(run: Recorded, *names: str) -> bytes:
    """A digest of what the run is and of names: the same whenever it is asked for."""
    identity = json.dumps([run.manifest["identity"], run.created.isoformat(), *names])
    return hashlib.sha256(identity.encode()).digest()


def model_of(run: Recorded) -> str:
    """The model's id on the hub where its weights came from there, else its name."""
    found = re.fullmatch(r"hub:(.+)@[^@]*", str(run.manifest["identity"].get("weights")))
    return found[1] if found else str(run.manifest["identity"]["model"])


def file_name(text: str) -> str:
    """A text as one part of a path: it leads nowhere else."""
    return re.sub(r"[^\w.+-]", "_", text).strip(".") or "_"


def file_time(when: datetime) -> str:
    """A time as it can stand in a file's name: `2026-11-26T21-33-00+00-00`."""
    return when.isoformat(timespec="seconds").replace(":", "-")
