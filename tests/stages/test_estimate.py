"""What stage=plan tells of tokens and time: from earlier runs, and nothing where there is none."""

from __future__ import annotations

import json
import re

import pytest

from ochat_eval.stages.estimate import Earlier, answer_tokens, earlier_runs, rate, recorded_runs
from tests.conftest import CHECKOUT
from tests.fault_server import FaultServer

ASKED = ("task=[gsm8k,mt_bench]", "data=sample", "model=smollm2_135m")
OURS = Earlier("a", "m", {"t": 100.0}, 50.0, "2 CPU cores")
OTHERS = Earlier("b", "other", {"t": 300.0, "u": 10.0}, 900.0, "1 x card")


def test_the_latest_run_of_the_model_counts_before_any_other():
    assert answer_tokens("t", 7, None, "m", [OTHERS, OURS]).tokens == 700
    assert answer_tokens("t", 7, None, "m", [OTHERS, OURS]).source == "a"
    assert answer_tokens("u", 7, None, "m", [OTHERS, OURS]).source == "b (other)"
    assert answer_tokens("t", 7, 20, "m", [OURS]).tokens == 140, "no longer than max_tokens"
    assert answer_tokens("v", 7, None, "m", [OTHERS, OURS]).tokens is None


def test_an_answer_that_was_cut_sooner_than_it_will_be_is_told_of():
    cut = Earlier("c", "m", {"t": 100.0}, None, "", {"t": 256})
    assert answer_tokens("t", 7, None, "m", [cut]).source == "c, cut at 256"
    assert answer_tokens("t", 7, 512, "m", [cut]).source == "c, cut at 256"
    assert answer_tokens("t", 7, 256, "m", [cut]).source == "c"


def test_recorded_runs_tell_how_long_answers_are(tmp_path, monkeypatch):
    ours = next(one for one in recorded_runs() if one.name == "smollm2_135m-cpu")
    lines = (CHECKOUT / "results/recorded/smollm2_135m-cpu/items.jsonl").read_text().splitlines()
    items = [item for item in map(json.loads, lines) if item["id"].startswith("gsm8k/")]
    written = [end[2] for item in items for end in item["ends"]]
    assert ours.answers["gsm8k"] == pytest.approx(sum(written) / len(written))
    assert (ours.model, ours.rate, ours.limits["gsm8k"]) == ("smollm2_135m", None, 256)
    damaged = tmp_path / "results/recorded/bad/recorded.json"
    damaged.parent.mkdir(parents=True)
    damaged.write_text('{"version": 1, "tasks": 3}')
    monkeypatch.chdir(tmp_path)
    assert "bad" not in [one.name for one in recorded_runs()]


def test_a_rate_is_given_or_measured_with_the_same_model():
    assert rate("m", None, [OTHERS, OURS]) == (50.0, "a on 2 CPU cores")
    assert rate("m", 12.5, [OURS]) == (12.5, "tokens_per_second")
    assert rate("new", None, [OURS, OTHERS]) == (None, "")


@pytest.mark.slow
def test_plan_tells_tokens_and_time_from_an_earlier_run(cli, tmp_path):
    first = cli(*ASKED, "stage=plan")
    assert first.returncode == 0, first.stderr
    assert "no earlier run" in first.stdout and "time: unknown" in first.stdout
    ids = [json.loads(x) for x in next(tmp_path.glob("results/runs/*/items.jsonl")).open()]
    with (tmp_path / "answers.jsonl").open("w") as file:
        for item in ids:
            for turn in range(len(item["turns"])):
                line = {"id": item["id"], "turn": turn, "text": "x", "prompt_tokens": 5,
                        "completion_tokens": 40 if item["task"] == "gsm8k" else 25}  # fmt: skip
                file.write(json.dumps(line) + "\n")
    replay = cli(*ASKED, "engine=replay", "engine.path=answers.jsonl", "run=before")
    assert replay.returncode == 0, replay.stderr
    [known] = earlier_runs(tmp_path / "results/runs")
    assert known.answers == {"gsm8k": 40.0, "mt_bench": 25.0}
    assert known.rate is None, "a replay says nothing of the time"
    again = cli(*ASKED, "stage=plan", "tokens_per_second=10")
    assert again.returncode == 0, again.stderr
    gsm8k = sum(item["task"] == "gsm8k" for item in ids)
    tokens = 40 * gsm8k + 25 * 2 * (len(ids) - gsm8k)
    assert re.search(rf"all .*{tokens:,}", again.stdout)
    minutes = tokens / 10 / 60
    assert f"time: about {minutes:.1f} minutes at 10 tokens of answers a second" in again.stdout


def test_a_rate_of_a_server_is_not_said_to_be_this_machines(cli, tmp_path):
    with FaultServer() as server:
        asked = ("task=gsm8k", "data=sample", "model=ORG/NAME")
        done = cli(*asked, "engine=openai", f"engine.base_url={server.url}", "run=served")
        assert done.returncode == 0, done.stderr
    plan = cli(*asked, "stage=plan").stdout
    assert "time: less than a minute at" in plan and "(served on a server)" in plan


@pytest.mark.parametrize("damage", ["", "[]", "{}", '{"tasks": 3, "model": 1}'])
def test_a_damaged_earlier_run_is_passed_over(tmp_path, damage):
    run = tmp_path / "r"
    run.mkdir()
    (run / "summary.json").write_text(damage)
    (run / "manifest.json").write_text("{}")
    assert earlier_runs(tmp_path) == []
