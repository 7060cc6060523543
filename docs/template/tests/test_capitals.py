"""The benchmark through a whole run, without a model: answers are recorded ones."""

import json

from my_benchmarks.capitals import Capitals

import ochat_eval

ANSWERS = ["The answer is B.", "A", "It is Zagreb. Answer: D", "A, no, B"]


def test_a_run_is_asked_and_scored(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with open("answers.jsonl", "w") as file:
        for index, text in enumerate(ANSWERS):
            file.write(json.dumps({"id": f"capitals/europe/{index}", "text": text}) + "\n")
    run = ochat_eval.evaluate("capitals", engine="replay", options={"engine.path": "answers.jsonl"})
    assert "capital of Portugal" in run.items().turns[0][0]
    assert run.summary["tasks"]["capitals"]["robust"]["score"] == 75


def test_its_items():
    items = list(Capitals(name="capitals", politely=True).items())
    assert len(items) == 4
    assert all(item.turns[0].startswith("Good morning. ") for item in items)
    assert [item.target for item in items] == [("B",), ("A",), ("D",), ("C",)]
