"""FastChat's files there and back, and verdicts that are rescored without a judge."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ochat_eval.__main__ import main
from ochat_eval.pipeline import run as replay
from tests.conftest import lines
from tests.fault_server import FaultServer, answer

ASKED = ("task=mt_bench", "data=sample", "engine=replay", "engine.path=answers.jsonl")
QUESTIONS = {1: "writing", 2: "math", 3: "coding", 4: "humanities"}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Path("answers.jsonl").open("w") as file:
        for number, category in QUESTIONS.items():
            for turn in (0, 1):
                line = {"id": f"mt_bench/{category}/{number}", "turn": turn, "text": f"é{turn}\n"}
                file.write(json.dumps(line) + "\n")


def judged(run: str) -> None:
    with FaultServer() as server:
        server.script = {"coding": [answer("?")], "tomatoes": [answer("Hm.")]}
        server.default = answer("Rating: [[7]]")
        where = (f"judge.base_url={server.url}", "judge.served_name=grader")
        replay([*ASKED, f"run={run}", "judge=local", *where])


def figures(run: str) -> dict:
    summary = json.loads(Path(f"results/runs/{run}/summary.json").read_text())
    return summary["tasks"]["mt_bench"]["published"]


def test_answers_come_back_unchanged_and_the_file_has_fastchats_fields(capsys):
    replay([*ASKED, "run=a"])
    assert main(["export", "fastchat_answer", "a", "-o", "model_answer.jsonl"]) == 0
    rows = lines(Path("model_answer.jsonl"))
    assert [row["question_id"] for row in rows] == list(QUESTIONS)
    for row in rows:
        assert set(row) == {"question_id", "answer_id", "model_id", "choices", "tstamp"}
        assert row["choices"] == [{"index": 0, "turns": ["é0\n", "é1\n"]}]
        assert row["model_id"] == "smollm2_135m" and row["tstamp"] > 1.7e9
    asked = ["--task", "mt_bench", "data=sample"]
    back = ["import", "fastchat_answer", "model_answer.jsonl", *asked, "-o", "back.jsonl"]
    assert main(back) == 0
    replay([*ASKED[:-1], "engine.path=back.jsonl", "run=b"])
    assert main(["export", "fastchat_answer", "b", "-o", "again.jsonl"]) == 0
    for old, new in zip(rows, lines(Path("again.jsonl")), strict=True):
        assert {k: v for k, v in old.items() if k != "tstamp"} == {
            k: v for k, v in new.items() if k != "tstamp"
        }


def test_verdicts_come_back_unchanged_and_are_rescored_without_a_judge(capsys):
    judged("a")
    assert main(["export", "fastchat_judgment", "a", "-o", "model_judgment.jsonl"]) == 0
    rows = lines(Path("model_judgment.jsonl"))
    assert sorted((row["question_id"], row["turn"]) for row in rows) == [
        (number, turn) for number in QUESTIONS for turn in (1, 2)
    ]
    for row in rows:
        math = QUESTIONS[row["question_id"]] in ("math", "coding")
        name = ("single-math-v1" if math else "single-v1") + "-multi-turn" * (row["turn"] == 2)
        assert row["judge"] == ["grader", name] and row["model"] == "smollm2_135m"
        assert row["score"] == (-1 if row["judgment"] == "Hm." else 7)
        assert "é0" in row["user_prompt"]
    replay([*ASKED, "run=b"])
    others = [
        {**rows[0], "model": "other", "user_prompt": "elsewhere"},
        {**rows[0], "question_id": 99},
        {**rows[0], "question_id": [1]},
    ]
    with Path("model_judgment.jsonl").open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in others)
    path = "results/runs/b/judgments.jsonl"
    assert (
        main(["import", "fastchat_judgment", "model_judgment.jsonl", "--run", "b", "-o", path]) == 0
    )
    said = capsys.readouterr().out
    assert "8 responses to 4 of 4 items" in said
    assert "1 not imported, on another answer than the run's: line 9, other" in said
    assert "2 not imported, the run asks no such question_id and turn: line 10; line 11" in said
    replay(["stage=score", "run=b"])
    assert figures("b") == figures("a")
    assert figures("a")["unread"] == 2
    assert main(["export", "fastchat_judgment", "b", "-o", "again.jsonl"]) == 0
    for old, new in zip(rows, lines(Path("again.jsonl")), strict=True):
        assert {**old, "tstamp": 0} == {**new, "tstamp": 0}


@pytest.mark.slow
def test_fastchats_own_command_reads_the_verdicts_and_finds_our_scores():
    judged("a")
    assert main(["export", "fastchat_judgment", "a", "-o", "model_judgment.jsonl"]) == 0
    [folder] = importlib.util.find_spec("fastchat").submodule_search_locations
    show = [sys.executable, f"{folder}/llm_judge/show_result.py", "--input-file"]
    done = subprocess.run(
        [*show, "model_judgment.jsonl"], check=True, capture_output=True, text=True
    )
    theirs = [float(n) for n in re.findall(r"^smollm2_135m .* ([\d.]+)$", done.stdout, re.M)]
    ours = figures("a")
    assert theirs == [one["score"] for one in (ours["turn_1"], ours["turn_2"], ours)]


def test_a_runs_own_verdicts_are_not_overwritten(capsys):
    judged("a")
    assert main(["export", "fastchat_judgment", "a", "-o", "model_judgment.jsonl"]) == 0
    own = Path("results/runs/a/judgments.jsonl")
    before = own.read_bytes()
    asked = ["import", "fastchat_judgment", "model_judgment.jsonl", "--run", "a", "-o", str(own)]
    assert main(asked) == 2
    assert "the run has this file; move it away first" in capsys.readouterr().err
    assert own.read_bytes() == before


def test_what_failed_at_fastchat_is_missing_and_not_an_answer_or_a_verdict(capsys):
    rows = [
        {"question_id": 1, "choices": [{"turns": ["a", "$ERROR$"]}]},
        {"question_id": 2, "choices": [{"turns": ["$ERROR$", "b"]}]},
    ]
    Path("model_answer.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = ["--task", "mt_bench", "data=sample"]
    assert (
        main(["import", "fastchat_answer", "model_answer.jsonl", *asked, "-o", "back.jsonl"]) == 0
    )
    assert [(r["id"], r["turn"]) for r in lines(Path("back.jsonl"))] == [("mt_bench/writing/1", 0)]
    assert "2 not imported, the request failed: line 1, turn 2; line 2" in capsys.readouterr().out
    judged("a")
    assert main(["export", "fastchat_judgment", "a", "-o", "model_judgment.jsonl"]) == 0
    found = lines(Path("model_judgment.jsonl"))
    found[0]["judgment"] = "$ERROR$"
    Path("model_judgment.jsonl").write_text("".join(json.dumps(row) + "\n" for row in found))
    path = ["-o", "judgments.jsonl"]
    assert main(["import", "fastchat_judgment", "model_judgment.jsonl", "--run", "a", *path]) == 0
    assert "1 not imported, the request failed: line 1" in capsys.readouterr().out
    assert len(lines(Path("judgments.jsonl"))) == len(found) - 1


def test_an_answer_without_its_second_turn_is_left_out_and_said(capsys):
    first = Path("answers.jsonl").read_text().splitlines()[:-1]
    Path("answers.jsonl").write_text("\n".join(first) + "\n")
    replay([*ASKED, "run=a"])
    assert main(["export", "fastchat_answer", "a", "-o", "out.jsonl"]) == 0
    assert "1 answers left out, a turn is missing: mt_bench/humanities/4" in capsys.readouterr().out
    assert len(lines(Path("out.jsonl"))) == 3


@pytest.mark.parametrize(
    ("arguments", "content", "complaint"),
    [
        (["fastchat_answer", "x", "--task", "gsm8k", "data=sample"], "{}\n", "such as mt_bench has"),
        (["fastchat_answer", "x", "--task", "mt_bench", "data=sample"],
         '{"question_id": 1, "choices": [{"turns": "no"}]}\n', "line 1: choice 0 has no list"),
        (["fastchat_answer", "x", "--task", "mt_bench", "data=sample"],
         '{"question_id": 1}\n', "line 1: the field 'choices' is no list"),
        (["fastchat_answer", "x", "--task", "mt_bench", "data=sample"],
         '{"question_id": 7, "choices": []}\n', "answers none of 4 items"),
        (["fastchat_answer", "x", "--task", "mt_bench", "data=sample"],
         '{"question_id": [1], "choices": []}\n', "answers none of 4 items"),
        (["fastchat_judgment", "x", "--task", "mt_bench", "data=sample"], "{}\n", "name it with --run"),
    ],
)  # fmt: skip
def test_a_file_of_another_kind_is_one_line(capsys, arguments, content, complaint):
    Path("x").write_text(content)
    assert main(["import", *arguments, "-o", "out.jsonl"]) == 2
    said = capsys.readouterr().err
    assert complaint in said and len(said.splitlines()) == 1
    assert not Path("out.jsonl").exists()


def test_there_is_nothing_to_export_without_verdicts_or_conversations(capsys):
    replay([*ASKED, "run=a"])
    assert main(["export", "fastchat_judgment", "a", "-o", "out.jsonl"]) == 2
    assert "has no verdicts" in capsys.readouterr().err
