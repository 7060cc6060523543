"""Why the two rules' scores differ: the causes of every benchmark, and that they add up."""

from __future__ import annotations

import dataclasses
import json
import random

import pytest

from ochat_eval.benchmark.task import Answered, ScoringOptions, Task, make_item
from ochat_eval.config.load import job
from ochat_eval.records import Item, Response, Score
from ochat_eval.report.summary import summarise_task
from ochat_eval.report.why import OTHER_COUNT, Differences, markdown
from tests.conftest import CHECKOUT, lines
from tests.replays import REPLAY, RUN, sample_answers, write

LETTERS = ("(A)", "(B)", "(C)", "(D)")
OPTIONS = ScoringOptions("bwrap", 1)


def made(name: str, *options: str) -> Task:
    [task] = job([f"task={name}", "data=sample", *options]).tasks.values()
    return task


def differences(task: Task, judged: list) -> dict:
    seen = Differences(task)
    summary = summarise_task(task, seen.watch(judged), len(judged), len(judged))
    return seen.result(summary)


def cause(name: str, target: str, text: str, choices: tuple[str, ...] | None) -> list[str]:
    """The causes found for one answer to one item."""
    task = made(name)
    one = Answered(make_item(task, "main", 0, "q", target, choices), (Response("", text),))
    one = Answered(one.item, (Response(one.item.id, text),))
    found = differences(task, [(one, list(task.score([one], OPTIONS)))])
    return [entry["cause"] for entry in found["causes"]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "target", "text", "choices", "expected"),
    [
        ("mmlu", "(C)", "no idea", LETTERS, "default (C): no marker"),
        ("mmlu", "(C)", "The answer is hard to tell.", LETTERS, "default (C): no label behind the marker"),
        ("mmlu", "(B)", "The answer is (B), not (A).", LETTERS, "two answers behind the marker"),
        ("gsm8k", "1,200", "The answer is 1,200.", None, "comma"),
        ("gsm8k", "1200", "The answer is 1,200.", None, "comma"),
        ("gsm8k", "-5", "The answer is -5.", None, "sign"),
        ("gsm8k", "12", "The answer is 12.0.", None, "decimals"),
        ("gsm8k", "12", "The answer is 12. Check: 3 * 4 = 12, from 2 facts.", None, "another number comes last"),
        ("truthfulqa", "B", "A careful look: the answer is B.", ("A", "B", "C"), "another letter comes first"),
        ("agieval", "B", "Because of this the answer is C.", ("A", "B", "C"), "the letter of a word"),
        ("bbh_cot", "(B)", "It is option (B).", ("(A)", "(B)"), "no marker"),
        ("bbh_cot", "valid", "So the answer is **valid**.", None, "case, quotes, commas or stop"),
        ("bbh_cot", "valid", "So the answer is valid because it is so.", None, "more text beside the answer"),
        ("math", "3", "We get $\\boxed{3}$ and 4 others, which makes $x = 3$.", None, None),
        ("math", "\\frac{1}{2}", "The answer is $0.5$.", None, None),
        ("math", "7", "Hence, with all of it, we find that x is 7", None, "no marker and no box"),
        ("math", "(1,2)", "The answer is $1,2$.", None, "brackets"),
    ],
)  # fmt: skip
def test_the_cause_of_one_answer(name, target, text, choices, expected):
    assert cause(name, target, text, choices) == ([expected] if expected else [])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "by_2024", "by_2023"),
    [
        ("```py\nWHOLE\n```", None, "a fence's name for Python"),
        ("```Python\nWHOLE\n```", None, "a fence's name for Python"),
        ("```py\nWHOLE", "unclosed fence", "unclosed fence"),
        ("```\nWHOLE", "unclosed fence", None),
        ("Here you are:\n\nWHOLE\n\nIt works.", "code without a fence", "code without a fence"),
        ("```python\ndef count_vowels(*a): pass\n```\nor\n```python\nWHOLE\n```", *2 * ["what stands in the fences"]),
        ("```python\nBODY\n```", None, "a body without its function"),
        ("```python\nWHOLE\n```", None, None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("code_rule", ["2024-01", "2023-11"])
def test_the_cause_of_a_program(text, by_2024, by_2023, code_rule):
    """Real executions, where the published rule takes other code than the robust one."""
    expected = by_2024 if code_rule == "2024-01" else by_2023
    task = dataclasses.replace(made("humaneval"), code_rule=code_rule)
    item, *_ = task.items()
    row, *_ = lines(CHECKOUT / "tasks/samples/humaneval.jsonl")
    body = row["canonical_solution"].rstrip()
    text = text.replace("WHOLE", row["prompt"] + body).replace("BODY", body)
    one = Answered(item, (Response(item.id, text),))
    causes = differences(task, [(one, list(task.score([one], OPTIONS)))])["causes"]
    assert [entry["cause"] for entry in causes] == ([expected] if expected else [])


@pytest.mark.parametrize(("samples", "turns"), [(1, 1), (3, 1), (1, 2), (3, 2)])
@pytest.mark.parametrize("unread", [False, True])
def test_the_points_add_up_to_the_difference(samples, turns, unread):
    """Any verdicts, several samples and turns, verdicts that only one rule could read."""
    rng = random.Random(f"{samples}{turns}{unread}")
    task = made("gsm8k", f"tasks.gsm8k.n={samples}")
    judged, wrong = [], 0
    for index in range(200):
        id_ = f"gsm8k/main/{index}"
        item = Item(id_, "gsm8k", "main", index, ("q",) * turns, ("1",))
        scores, responses = [], []
        for sample in range(samples):
            for turn in range(turns):
                responses.append(Response(id_, f"{rng.random()}", sample, turn, "stop"))
                values = [float(rng.random() < p) for p in (0.4, 0.6)]
                gone = rng.randrange(2) if unread and rng.random() < 0.1 else None
                read = [None if k == gone else v for k, v in enumerate(values)]
                wrong += read[0] != read[1]
                scores += [
                    Score(id_, sample, rule, rng.choice(("1,0", "-1", "2.0", None)), True, v, None, turn)
                    for rule, v in zip(("published", "robust"), read, strict=True)
                ]  # fmt: skip
        judged.append((Answered(item, tuple(responses)), scores))
    found = differences(task, judged)
    assert found["difference"] == pytest.approx(found["robust"] - found["published"])
    assert sum(c["points"] for c in found["causes"]) == pytest.approx(found["difference"], abs=1e-9)
    assert sum(c["answers"] for c in found["causes"]) == wrong
    assert found["answers"] == 200 * samples * turns
    every = [id_ for c in found["causes"] for id_ in c["ids"]]
    assert len(every) == len(set(every)) == wrong and len(found["causes"]) >= 3
    assert (OTHER_COUNT in {c["cause"] for c in found["causes"]}) <= unread


@pytest.mark.slow
def test_what_the_quirks_take_away(real_data):
    def mmlu_with(*options: str) -> Task:
        return job(["task=mmlu", *options]).tasks["mmlu"]

    mmlu = mmlu_with("model=openchat_3.5_0106")
    quirks = mmlu.quirks()
    assert next(iter(quirks.values())) == 57 == 14042 - mmlu.expected_items()
    whole = mmlu_with("tasks.mmlu.first_row_lost=false")
    shown = [item for item in whole.items() if " nan" in item.turns[0].rpartition("\nQ: ")[2]]
    plain = mmlu_with("tasks.mmlu.first_row_lost=false", "tasks.mmlu.none_as_nan=false")
    changed = sum(a.turns != b.turns for a, b in zip(whole.items(), plain.items(), strict=True))
    assert list(quirks.values())[1] == changed <= len(shown)
    assert plain.quirks() == {} and "none_as_nan" in "".join(whole.quirks())


def test_a_run_says_why(cli, tmp_path):
    write(tmp_path / "a.jsonl", *sample_answers(i0="It is 41."))
    done = cli(*REPLAY)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / RUN / "why.json").read_text())["gsm8k"]
    assert found["difference"] == pytest.approx(100 * 2 / 12)
    causes = {c["cause"]: c for c in found["causes"]}
    assert set(causes) == {"comma", "sign"}
    targets = {x["id"]: x["target"][0] for x in lines(tmp_path / RUN / "items.jsonl")}
    assert [targets[i] for i in causes["comma"]["ids"]] == ["1,500"]
    assert [targets[i] for i in causes["sign"]["ids"]] == ["-8"]
    text = (tmp_path / RUN / "why.md").read_text()
    assert "in all: 75.00 → 91.67" in text and causes["comma"]["ids"][0] in text


def test_markup_in_ids_stays_in_its_cell():
    entry = {
        "cause": "c|d",
        "answers": 1,
        "gained": 1,
        "lost": 0,
        "points": 1.0,
        "ids": ["a|b\x1b[2J"],
    }
    task = {
        "published": 1.0,
        "robust": 2.0,
        "difference": 1.0,
        "causes": [entry],
        "quirks": {},
        "rule": {},
    }
    text = markdown({"t": task})
    assert "a\\|b" in text and "\x1b" not in text
