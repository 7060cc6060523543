"""The order and content of requests: follow-ups with the model's own answer, seeds, resume."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ochat_eval.benchmark.task import Task, make_item
from ochat_eval.config.load import job
from ochat_eval.records import Item, Message, Request, Response
from ochat_eval.run.reuse import Signature
from ochat_eval.stages.generate import Queue
from ochat_eval.stages.plan import plan


@dataclass(frozen=True, kw_only=True)
class Talk(Task):
    examples: tuple[tuple[str, str], ...] = ()

    def items(self) -> Iterator[Item]:
        for index in range(2):
            item = make_item(self, "main", index, (f"first {index}", f"second {index}"), ())
            yield replace(item, examples=self.examples)


class Planned:
    """What `Queue` uses of a `Plan`."""

    def __init__(self, task: Task):
        self.tasks = {task.name: task}

    def as_asked(self) -> Iterator[Item]:
        return self.tasks["talk"].items()


def queue(done: dict | None = None, system: str | None = None, **options: object) -> Queue:
    recorded = [
        Response(id_, text, sample, turn) for (id_, sample, turn), text in (done or {}).items()
    ]
    return Queue(
        Planned(Talk(name="talk", **options)),
        7,
        lambda id_: [r for r in recorded if r.id == id_],
        system=system,
        signature=Signature({"overlong": "error"}),
    )


def drain(waiting: Queue) -> list[Request]:
    return list(iter(waiting.next, None))


def test_turn_two_comes_next_and_holds_the_models_own_answer():
    waiting = queue()
    first = waiting.next()
    assert (first.id, first.turn) == ("talk/main/0", 0)
    waiting.answered(Response("talk/main/0", "mine", 0, 0))
    second = waiting.next()
    assert second.key == ("talk/main/0", 0, 1)
    assert second.messages == (
        Message("user", "first 0"),
        Message("assistant", "mine"),
        Message("user", "second 0"),
    )
    waiting.answered(Response("talk/main/0", "done", 0, 1))
    assert [r.key for r in drain(waiting)] == [("talk/main/1", 0, 0)]


def test_a_system_message_and_worked_examples_stand_before_every_turn():
    waiting = queue(system="Be brief.", examples=(("2 + 2?", "4"),))
    lead = (
        Message("system", "Be brief."),
        Message("user", "2 + 2?"),
        Message("assistant", "4"),
        Message("user", "first 0"),
    )
    assert waiting.next().messages == lead
    waiting.answered(Response("talk/main/0", "mine", 0, 0, reasoning="a thought"))
    later = (Message("assistant", "mine"), Message("user", "second 0"))
    assert waiting.next().messages == (*lead, *later), "what was thought is not said again"


def test_nothing_waits_but_an_answer_brings_more():
    waiting = queue()
    asked = drain(waiting)
    assert [r.turn for r in asked] == [0, 0]
    waiting.answered(Response("talk/main/1", "late", 0, 0))
    assert [r.key for r in drain(waiting)] == [("talk/main/1", 0, 1)]


def test_resume_between_turns_uses_the_recorded_answer():
    waiting = queue({("talk/main/0", 0, 0): "recorded", ("talk/main/1", 0, 0): "x",
                     ("talk/main/1", 0, 1): "y"})  # fmt: skip
    [only] = drain(waiting)
    assert only.key == ("talk/main/0", 0, 1)
    assert only.messages[1] == Message("assistant", "recorded")


def test_samples_of_an_item_stay_together_and_have_seeds_of_their_own():
    drawn = drain(queue(n=3, temperature=0.7))
    assert [(r.id[-1], r.sample) for r in drawn] == [(i, s) for i in "01" for s in range(3)]
    seeds = [r.sampling.seed for r in drawn]
    assert len(set(seeds)) == 6 and all(0 <= seed < 2**31 for seed in seeds)
    resumed = queue({("talk/main/0", 0, 0): "a"}, n=3, temperature=0.7)
    assert {r.key: r.sampling.seed for r in drain(resumed) if r.turn == 0}.items() <= {
        r.key: r.sampling.seed for r in drawn
    }.items()


def test_greedy_requests_have_no_seed():
    assert all(r.sampling.seed is None for r in drain(queue()))


def test_benchmarks_of_several_turns_are_asked_first(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    server = ["engine=openai", "engine.base_url=http://127.0.0.1:9/v1"]
    names = "task=[gsm8k,mt_bench,truthfulqa]"
    asked = job([names, "data=sample", "limit=2", *server])
    planned = plan(asked)
    order = [item.id.split("/")[0] for item in planned.as_asked()]
    assert order == 2 * ["mt_bench"] + 2 * ["gsm8k"] + 2 * ["truthfulqa"]
    assert sorted(i.id for i in planned.as_asked()) == sorted(i.id for i in planned.items())
    assert next(item.task for item in planned.items()) == "gsm8k"
