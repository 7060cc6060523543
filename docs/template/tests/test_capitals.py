"""The benchmark through a whole run, without a model: a function answers."""

from my_benchmarks.capitals import Capitals

import ochat_eval

ANSWERS = {"Portugal": "The answer is B.", "Finland": "A", "Croatia": "It is Zagreb. Answer: D"}


def answers(chats):
    """What a model would say; of Poland it knows nothing."""
    questions = [chat[-1]["content"] for chat in chats]
    return [next((ANSWERS[c] for c in ANSWERS if c in q), "I do not know.") for q in questions]


def test_a_run_is_asked_and_scored(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = ochat_eval.evaluate("capitals", generate=answers, name="three of four")
    assert "capital of Portugal" in run.items().turns[0][0]
    assert run.summary["tasks"]["capitals"]["robust"]["score"] == 75


def test_its_items():
    items = list(Capitals(name="capitals", politely=True).items())
    assert len(items) == 4
    assert all(item.turns[0].startswith("Good morning. ") for item in items)
    assert [item.target for item in items] == [("B",), ("A",), ("D",), ("C",)]
