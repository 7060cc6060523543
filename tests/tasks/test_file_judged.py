"""Free answers from a file of one's own, rated or compared by a judge: real servers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ochat_eval.answers import published_rating, robust_rating
from ochat_eval.records import UserError
from ochat_eval.tasks.file import FromFile
from tests.conftest import lines
from tests.fault_server import Body, Connection, FaultServer, answer
from tests.stages.test_judge import judge

RUNS = Path("results/runs")
ROWS = [
    {"question": "Why is the sky blue?", "answer": "Short waves scatter more."},
    {"question": "Write a greeting.", "subset": "mail"},
    {"turns": ["Name a fruit.", "And its colour?"], "answer": ["yellow", "green"]},
]
ANSWERS = ["Because of scattering.", "Hello {reference}!", "A lemon.", "Yellow."]


@pytest.mark.parametrize(
    ("text", "lowest", "highest", "published", "robust"),
    [
        ("[[5]]", 1, 5, "5", "5"),
        ("[[6]]", 1, 5, None, None),
        ("[[0]]", 0, 1, "0", "0"),
        ("[[4/5]]", 1, 5, None, "4"),
        ("Rating: 4 out of 5", 1, 5, None, "4"),
        ("Rating: 4/10", 1, 5, None, None),
        ("[[100]]", 0, 100, "100", "100"),
        ("Score: 87/100", 0, 100, None, "87"),
        ("[[100]]", 1, 10, None, None),
    ],
)
def test_ratings_on_another_scale(text, lowest, highest, published, robust):
    assert published_rating(text, lowest, highest).answer == published
    assert robust_rating(text, lowest, highest).answer == robust


def write(folder: Path, texts: list[str]) -> tuple[str, ...]:
    """The rows, and answers to them; the command line of a run."""
    (folder / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    names = [("main/0", 0), ("mail/1", 0), ("main/2", 0), ("main/2", 1)]
    said = [
        {"id": f"file/{name}", "turn": turn, "text": text}
        for (name, turn), text in zip(names, texts, strict=True)
    ]
    (folder / "answers.jsonl").write_text("".join(json.dumps(one) + "\n" for one in said))
    options = ("tasks.file.path=mine.jsonl", "tasks.file.answer=judge")
    return ("task=file", *options, "engine=replay", "engine.path=answers.jsonl")


def test_answers_are_rated_by_a_rubric_of_ones_own(cli, tmp_path):
    command = (
        *write(tmp_path, ANSWERS), "run=r", "tasks.file.ratings=[1,5]",
        "tasks.file.rubric=Polite, and {short}.",
    )  # fmt: skip
    with FaultServer(script={"sky": [answer("[[5]]")]}, default=answer("Rating: 2/5")) as server:
        done = cli(*command, *judge(server))
        assert done.returncode == 0, done.stderr
        asked = [body["messages"][0]["content"] for _, _, body in server.calls]
    assert len(asked) == 3  # of a conversation the last answer
    sky, mail, fruit = (next(a for a in asked if w in a) for w in ("sky", "greeting", "fruit"))
    assert "Rubric:\nPolite, and {short}.\n" in sky and "from 1 (worst) to 5 (best)" in sky
    assert "as good as can be:\nShort waves scatter more." in sky
    assert "reference" not in mail.replace("{reference}", "")
    assert "Answer to rate:\nHello {reference}!\n[end" in mail  # an answer is no template
    assert "[the response was]\nA lemon.\n\n[and then was asked]\nAnd its colour?" in fruit
    assert "yellow\n\nor:\ngreen" in fruit and "Answer to rate:\nYellow." in fruit
    summary = json.loads((tmp_path / RUNS / "r/summary.json").read_text())["tasks"]["file"]
    assert (summary["metric"], summary["bounds"], summary["scale"]) == ("rating", [1, 5], 1)
    assert summary["robust"]["score"] == 3 and summary["robust"]["subsets"]["mail"]["score"] == 2
    assert summary["published"]["unparsed"] == pytest.approx(2 / 3)
    assert summary["published"]["if_best"]["score"] == 5
    assert "judge: grader (graded), 1 to 5" in done.stdout and "2 unread" in done.stdout
    other = cli(*command[:-1], "tasks.file.rubric=Short.", *judge(server))
    assert other.returncode == 2 and "rubric" in other.stderr  # other work


async def prefers_hello(connection: Connection, body: Body) -> None:
    prompt = body["messages"][-1]["content"]
    first, second = prompt.split("||")[1:3]
    await answer(f"[[{'A' if 'Hello' in first else 'B' if 'Hello' in second else 'C'}]]")(
        connection, body
    )


def test_answers_are_compared_with_those_of_another_run(cli, tmp_path):
    assert cli(*write(tmp_path, ANSWERS), "run=old").returncode == 0
    command = write(tmp_path, ["Hello, scattering.", "x", "A lemon.", "Yellow."])
    whole = "{question} (like: {reference})\n||{answer_a}||{answer_b}||\n{system}"
    pairs = ("tasks.file.against=old", f"tasks.file.rubric={whole}")
    with FaultServer(default=prefers_hello) as server:
        done = cli(*command, "run=new", *pairs, *judge(server))
        assert done.returncode == 0, done.stderr
        assert len(server.calls) == 6
    scores = [s for s in lines(tmp_path / RUNS / "new/scores.jsonl") if s["rule"] == "robust"]
    assert [s["answer"] for s in scores] == ["win", "loss", "tie"]
    assert "wins against old, judge: grader (pairwise), 0.0% of the verdicts turned" in done.stdout
    assert "50.00" in done.stdout


BAD: list[tuple[dict[str, Any], str]] = [
    ({"answer": "text", "rubric": "x"}, r"tasks\.file\.rubric is for answers that a judge rates"),
    ({"answer": "text", "against": "r"}, r"tasks\.file\.against is for answers that a judge"),
    ({"answer": "judge", "ratings": [5]}, "write the worst rating and the best"),
    ({"answer": "judge", "ratings": [5, 1]}, "write the worst rating and the best"),
    ({"answer": "judge", "ratings": [-1, 5]}, "write the worst rating and the best"),
    ({"answer": "judge", "against": "r", "rubric": "{answer}"}, "where answer_a stands"),
    ({"answer": "judge", "rubric": "{% if %}{answer}"}, r"tasks\.file\.rubric: Expected"),
    ({"answer": "judge", "rubric": "{answer_a} {answer_b}"}, "does not say where answer stands"),
]


@pytest.mark.parametrize(("options", "complaint"), BAD)
def test_options_of_a_judge_that_cannot_work(options, complaint):
    with pytest.raises(UserError, match=complaint):
        FromFile(name="file", **options)
