"""Exports, each read by the tool that it is for; that tool is in `.venv-others`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import others, replays
from tests.conftest import door
from tests.fault_server import FaultServer, answer

pytestmark = pytest.mark.slow
RUN = Path("results/runs/r")
LETTERS = [
    *(f"mmlu/household_physics/{i}" for i in range(3)), *(f"mmlu/maps_and_compasses/{i}" for i in range(2)),
]  # fmt: skip
TURNS = {"writing/1": 2, "math/2": 2, "coding/3": 2, "humanities/4": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of numbers, two samples an item, and of judged conversations, and its exports."""
    others.ready()
    folder = tmp_path_factory.mktemp("others")
    numbers = replays.sample_answers(
        i1="no idea \ud800", i2="The answer is 7", i4="The answer is 1,500."
    )
    talks = [
        {"id": f"mt_bench/{name}", "turn": turn, "text": f"é{turn}"}
        for name, turns in TURNS.items() for turn in range(turns)
    ]  # fmt: skip
    replays.write(
        folder / "a.jsonl",
        *({**one, "finish_reason": "length", "prompt_tokens": 9, "completion_tokens": 3} for one in numbers),
        *({**one, "sample": 1, "reasoning": "Hm.", "text": "42"} for one in numbers),
        *talks,
        *({"id": item, "text": "The answer is (B)"} for item in LETTERS),
    )  # fmt: skip
    with FaultServer() as server:
        server.script = {"tomatoes": [answer("Hm.")]}
        server.default = answer("Rating: [[7]]")
        judge = ("judge=local", f"judge.base_url={server.url}", "judge.served_name=grader")
        asked = ("task=[gsm8k,mt_bench,mmlu]", *replays.REPLAY[1:], "tasks.gsm8k.n=2", *judge)
        done = door(*asked, folder=folder)
    assert done.returncode == 0, done.stderr
    for name in ("inspect", "lm_eval", "every_eval_ever"):
        done = door("export", name, "r", "-o", f"out/{name}", folder=folder)
        assert done.returncode == 0, done.stderr
        (folder / f"{name}.said").write_text(done.stdout)
    return folder


@pytest.fixture(scope="module")
def read(folder):
    """What the tools read."""
    script = Path(__file__).with_name("read_others.py")
    return json.loads(others.run(script, "out", folder=folder).splitlines()[-1])


@pytest.fixture(scope="module")
def told(folder):
    return json.loads((folder / RUN / "summary.json").read_text())["tasks"]


def test_subsets_are_tasks_of_a_group_in_lm_eval_and_figures_in_every_eval_ever(folder, read, told):
    rows = [[c.strip() for c in line.split("|")[1:-1]] for line in read["lm_eval"].splitlines()]
    names = [row[0].partition(" †")[0] for row in rows[2:] if row[0]]
    subsets = told["mmlu"]["robust"]["subsets"]
    assert names == ["gsm8k", "mmlu", *(f"- mmlu_{subset}" for subset in sorted(subsets))]
    files = {file.name.rpartition("_")[0] for file in (folder / "out/lm_eval").rglob("*.jsonl")}
    assert files == {"samples_gsm8k", *(f"samples_mmlu_{subset}" for subset in subsets)}
    aggregates = read["every_eval_ever"]["aggregates"]
    [log] = [one for one in aggregates if one["evaluation_id"].startswith("mmlu_robust/")]
    figures = {
        r["evaluation_result_id"]: r["score_details"]["score"] for r in log["evaluation_results"]
    }
    assert figures == {
        "mmlu:score": told["mmlu"]["robust"]["score"] / 100,
        **{f"mmlu:{name}:score": one["score"] / 100 for name, one in subsets.items()},
    }


def scores(folder, task, rule):
    every = (json.loads(line) for line in (folder / RUN / "scores.jsonl").open())
    return [s for s in every if s["rule"] == rule and s["id"].startswith(f"{task}/")]


def test_inspect_reads_both_rules_and_every_answer(folder, read, told):
    log, talk = read["inspect"]["gsm8k"], read["inspect"]["mt-bench"]
    assert [log["tags"][0], log["tags"][-1]] == [
        "† sample items, not the benchmark", "† not the published setting: n=2",
    ]  # fmt: skip
    for rule in ("published", "robust"):
        assert log["metrics"][rule]["accuracy"] == told["gsm8k"][rule]["score"] / 100
        assert log["metrics"][rule]["ci95_upper"] == told["gsm8k"][rule]["ci95"][1] / 100
        assert log["metrics"][rule]["unmatched"] == told["gsm8k"][rule]["unmatched"]
        assert talk["metrics"][rule]["rating"] == told["mt_bench"][rule]["score"]
        values = {(i, epoch): found[rule] for i, epoch, found in log["values"]}
        assert values == {
            (s["id"], s["sample"] + 1): s["value"] for s in scores(folder, "gsm8k", rule)
        }
    assert "no idea ?" in log["completions"] and log["stops"] == ["max_tokens", "unknown"]
    assert [role for role, _ in talk["conversation"]] == ["user", "assistant"]
    by_id = {i: found for i, _, found in talk["values"]}
    assert by_id["mt_bench/math/2"] == {
        "published": 7, "published turn 2": 7, "robust": 7, "robust turn 2": 7,
    }  # fmt: skip
    assert by_id["mt_bench/writing/1"] == {}  # the judge's verdicts could not be read


def test_lm_eval_reads_rules_as_filters_and_we_read_its_samples_back(folder, read, told):
    assert "4 left out, a conversation: mt_bench/" in (folder / "lm_eval.said").read_text()
    rows = [[c.strip() for c in line.split("|")[1:-1]] for line in read["lm_eval"].splitlines()]
    assert rows[2][0].startswith("gsm8k † sample items, not the benchmark")
    end = next(at for at, row in enumerate(rows) if row[0].startswith("mmlu"))
    figures = {(row[2], row[4]): row[6] for row in rows[2:end]}
    rounded = {
        rule: f"{told['gsm8k'][rule]['score'] / 100:.4f}" for rule in ("published", "robust")
    }
    assert {rule: figures[rule, "acc"] for rule in rounded} == rounded
    assert ("published", "maj@2") in figures
    assert read["converted"]["lm_eval"]["gsm8k/robust"] is not None
    own: dict[str, list[float]] = {}
    for s in scores(folder, "gsm8k", "robust"):
        own.setdefault(s["id"].rpartition("/")[2], []).append(s["value"])
    assert {i: v for name, i, v in read["converted"]["rows"] if name == "task/robust"} == {
        i: sum(v) / 2 for i, v in own.items()
    }
    [samples] = (folder / "out/lm_eval").glob("*/samples_gsm8k_*.jsonl")
    back = ("import", "lm_eval", str(samples), "--task", "gsm8k", "data=sample", "-o", "back.jsonl")
    assert door(*back, folder=folder).returncode == 0
    texts = [
        {(r["id"], r.get("sample", 0)): r["text"].replace("\ud800", "?")
         for line in (folder / name).open() if (r := json.loads(line))["id"].startswith("gsm8k")}
        for name in ("a.jsonl", "back.jsonl")
    ]  # fmt: skip
    assert texts[0] == texts[1]


def test_every_eval_ever_passes_its_own_schemas_and_check(folder, read, told):
    found = read["every_eval_ever"]
    assert found["problems"] == []
    logs = {one["evaluation_id"].split("/")[0]: one for one in found["aggregates"]}
    assert set(logs) == {
        f"{t}_{r}" for t in ("gsm8k", "mt_bench", "mmlu") for r in ("published", "robust")
    }
    for name, log in logs.items():
        task, _, rule = name.rpartition("_")
        [whole] = [
            r for r in log["evaluation_results"] if r["evaluation_result_id"] == f"{task}:score"
        ]
        scale = 1 if task == "mt_bench" else 100
        details = whole["score_details"]
        assert details["score"] == told[task][rule]["score"] / scale
        assert details["details"]["mark"].startswith("† sample items, not the benchmark")
        interval = details["uncertainty"]["confidence_interval"]
        assert [interval["lower"], interval["upper"]] == [
            e / scale for e in told[task][rule]["ci95"]
        ]
        unread = told[task][rule].get("unread", 0)
        assert details["details"].get("null_verdicts", "0") == str(unread)
        assert log["detailed_evaluation_results"]["total_rows"] == (
            len(scores(folder, task, rule)) - unread
        )
    assert told["mt_bench"]["published"]["unread"] == 2
    before = {f.name: f.read_bytes() for f in (folder / "out/every_eval_ever").rglob("*.json*")}
    again = ("export", "every_eval_ever", "r", "-o", "out/again", "--rule", "robust")
    assert door(*again, folder=folder).returncode == 0
    after = {f.name: f.read_bytes() for f in (folder / "out/again").rglob("*.json*")}
    assert len(after) == 6 and after.items() <= before.items()
