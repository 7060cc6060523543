"""A series of checkpoints from the command line to its table and its page."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ochat_eval.records import UserError
from ochat_eval.series.child import Ended
from ochat_eval.series.find import checkpoints
from ochat_eval.series.series import Series, run_series
from tests.conftest import door, lines
from tests.lora import adapter
from tests.replays import write
from tests.report.test_page import opened  # noqa: F401 (a fixture)
from tests.series.folders import checkpoint

ASKED = ("task=gsm8k,mmlu", "data=sample", "engine=replay", "engine.path=a.jsonl")
RIGHT = {100: 0, 200: 12, 300: 11}
"""By step, how many of GSM8K's twelve items are answered right, so far as the rule can see it."""


class Trained:
    """Checkpoints in a folder, and a run of each within this process: its answers are replayed."""

    def __init__(self, folder: Path):
        self.folder, self.links = folder, []
        for step in RIGHT:
            checkpoint(folder / "out" / f"checkpoint-{step}")
        checkpoint(folder / "out" / "checkpoint-500", cut=3)
        write(folder / "a.jsonl")
        door("run", *ASKED, "stage=plan", "run=plan", folder=folder)
        self.items = lines(folder / "results/runs/plan/items.jsonl")

    def alone(self, options: Sequence[str]) -> Ended:
        """Runs the checkpoint that the link leads to; the last one's run fails."""
        [link] = [o.partition("=")[2].strip("'") for o in options if o.startswith("model.path=")]
        [one] = checkpoints([str((self.folder / link).resolve())])
        self.links.append((link, one.step))
        right = RIGHT[int(one.step or 0)]
        answers = []
        for item in self.items:
            good = item["task"] == "mmlu" or item["index"] < right
            text = f"The answer is {item['target'][0]}" if good else "I cannot tell"
            end = "stop" if good else "length"
            answers.append({"id": item["id"], "text": text, "finish_reason": end,
                            "prompt_tokens": 9, "completion_tokens": len(text)})  # fmt: skip
        write(self.folder / "a.jsonl", *answers)
        done = door("run", *options, folder=self.folder)
        page = Path(done.stdout.strip().splitlines()[-1])
        return Ended(done.returncode, (self.folder / page.parent,))


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Trained:
    """A series that has been run."""
    made = Trained(tmp_path_factory.mktemp("trained"))
    asked = Series(
        name="out", places=["out"], options=[*ASKED, "model=hf"], base=False, runs=Path("results/runs"),
        watch=None,
    )  # fmt: skip
    with contextlib.chdir(made.folder):
        assert run_series(asked, made.alone) == 2, "one checkpoint is cut off"
    return made


@pytest.mark.slow
def test_each_checkpoint_is_run_under_one_path_and_none_is_left(trained):
    assert trained.links == [("results/series/.out.checkpoint", step) for step in RIGHT]
    assert not list((trained.folder / "results/series").glob(".out.checkpoint"))
    runs = sorted(path.name for path in (trained.folder / "results/runs").iterdir())
    assert [re.sub("-[^-]*$", "", name) for name in runs if name != "plan"] == [
        f"checkpoint-{step}-replay" for step in RIGHT
    ]
    told = (trained.folder / "results/runs").glob("checkpoint-*/manifest.json")
    assert {json.loads(file.read_text())["step"] for file in told} == set(RIGHT)


@pytest.mark.slow
def test_the_table_says_what_moved_and_which_may_be_the_best(trained):
    table = (trained.folder / "results/series/out.md").read_text()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()
            if line.startswith("| ")]  # fmt: skip
    assert rows[0] == ["task", "step", "score", "95 % CI", "change", "best?"]
    assert [[row[i] for i in (0, 1, 2, 4, 5)] for row in rows[1:4]] == [
        ["gsm8k", "100", "0.00†", "–", ""],
        ["gsm8k", "200", "83.33†", "+83.33▲", "best"],
        ["gsm8k", "300", "75.00†", "-8.33", "as good"],
    ]
    assert [row[2] for row in rows[4:7]] == ["100.00†"] * 3 and rows[5][4] == "+0.00"
    average = rows[7:10]
    assert [row[:1] + row[2:3] for row in average] == [
        ["average", "50.00"], ["average", "91.67"], ["average", "87.50"]
    ]  # fmt: skip
    assert average[1][4].endswith("▲") and [row[5] for row in average] == ["", "best", "as good"]
    assert rows[10] == ["task", "step", "unmatched", "truncated", "unfinished", "tokens"]
    assert rows[11] == ["gsm8k", "100", "100.0%", "100.0%", "0.0%", "13"]
    assert "- step 500: model.safetensors has" in table
    assert "- † gsm8k: … % truncated (step 100, step 300)" in table
    assert "- gsm8k: compared on 12 items that all answered" in table


@pytest.mark.slow
def test_the_page_shows_curves_marks_and_flips_of_any_two(trained, opened):  # noqa: F811
    page = opened(trained.folder / "results/series/out.html")
    assert page.title() == "out: 3 checkpoints"
    assert "step 500 is not here: model.safetensors has" in page.inner_text("#left")
    cards = page.locator("#curves .card")
    assert [cards.nth(i).locator("h3").inner_text() for i in range(3)] == [
        "average", "gsm8k", "mmlu"
    ]  # fmt: skip
    gsm8k = cards.nth(1)
    assert gsm8k.locator("text.up").all_text_contents() == ["▲"]
    assert gsm8k.locator("circle.dot.open").count() == 1
    assert "best: step 200; cannot be told from it: step 300" in (gsm8k.inner_text())
    assert "truncated" in page.inner_text("#rates").lower()
    assert "83.33 †" in page.inner_text("#figures"), "as in the table"
    page.select_option("#a", "1")
    page.select_option("#b", "0")
    row = page.locator("#differences tbody tr").nth(0).locator("td").all_inner_texts()
    assert row[:4] == ["gsm8k", "83.33", "0.00", "-83.33▼"] and row[6:] == ["0", "10"]
    page.click("#flips summary >> nth=0")
    assert page.locator("#flips li").count() == 10
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


MISTAKES = [
    ("task=gsm8k", "no checkpoint is named"),
    ("out stage=plan", "stage=…: a checkpoint goes through all; a dry run takes one"),
    ("out run=x", "run=…: each checkpoint is a run of its own"),
    ("out model.path=x", "model.path=…: each checkpoint is a run"),
    ("out task=gsm8", "task=gsm8: there is no such task; did you mean gsm8k?"),
    ("nowhere", "nowhere: there is no such folder; a pattern has a * in it"),
    ("out --name a/b", "--name a/b: a name of a file, without a folder"),
    ("out --until 0", "argument --until: 0 is not above 0"),
    ("out --for nan", "argument --for: nan is no number of hours"),
]


@pytest.mark.parametrize(("line", "complaint"), MISTAKES)
def test_a_mistake_is_one_line(cli, tmp_path, line, complaint):
    (tmp_path / "out").mkdir()
    done = cli("series", *line.split())
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.startswith(f"ochat-eval series: {complaint}"), done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_empty_folder_is_no_success(cli, tmp_path):
    (tmp_path / "out").mkdir()
    done = cli("series", "out", "task=gsm8k")
    assert done.returncode == 2
    assert done.stderr == "ochat-eval series: there is no checkpoint in out\n"


def test_adapters_are_run_together_and_if_that_fails_each_by_itself(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for step in (10, 20):
        adapter(tmp_path / f"out/checkpoint-{step}")
    asked: list[list[str]] = []

    def alone(options: Sequence[str]) -> Ended:
        [given] = [one for one in options if one.startswith("model.adapters=")]
        asked.append(re.findall(r"checkpoint-\d+(?==)", given))
        return Ended(2)

    series = Series(
        name="out", places=["out"], options=["task=gsm8k", "model=b"], base=True,
        runs=Path("results/runs"), watch=None,
    )  # fmt: skip
    assert run_series(series, alone) == 2
    both = ["checkpoint-10", "checkpoint-20"]
    assert asked == [both, both[:1], both[1:]]
    with pytest.raises(UserError, match="checkpoint-10 is an adapter: name its base with model="):
        run_series(replace(series, base=False), alone)
