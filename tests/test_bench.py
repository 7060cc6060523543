"""The bench: what it measures is what it says, and each failure is one line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ochat_eval import bench
from ochat_eval.config import build_tasks, load
from ochat_eval.records import UserError
from ochat_eval.task import Answered, ScoringOptions, Selection


@pytest.fixture(autouse=True)
def sample_data(monkeypatch):
    monkeypatch.delenv("OCHAT_EVAL_DATA", raising=False)


def python(code: str) -> list[str]:
    return [sys.executable, "-S", "-c", code]


def test_measures_wall_time_and_the_memory_of_a_whole_tree(tmp_path):
    hold = "x = bytearray(64 << 20); import time; time.sleep(0.6)"
    alone = bench.measure(python(hold), tmp_path)
    nested = f"import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', {hold!r}])"
    both = bench.measure(python(f"y = bytearray(64 << 20); {nested}"), tmp_path)
    assert 0.6 <= alone.seconds < 5
    assert 64 < alone.mib < 110
    assert 128 < both.mib < 200


def test_a_command_that_fails_is_one_line_with_its_own_reason(tmp_path):
    with pytest.raises(UserError, match=r"failed: ValueError: no such thing$"):
        bench.measure(python("raise ValueError('no such thing')"), tmp_path)
    with pytest.raises(UserError, match="it did not say why"):
        bench.measure(python("raise SystemExit(3)"), tmp_path)


def test_a_command_runs_in_its_folder_and_environment(tmp_path):
    code = "import os, sys; sys.exit(os.getcwd() != sys.argv[1] or os.environ.get('A') != 'b')"
    command = [*python(code), str(tmp_path.resolve())]
    bench.measure(command, tmp_path, {"A": "b"})
    with pytest.raises(UserError):
        bench.measure(command, tmp_path)


@pytest.mark.parametrize("name", ["mmlu", "gsm8k", "bbh_mc", "bbh_cot", "agieval", "truthfulqa"])
def test_every_second_made_up_answer_states_the_target(name):
    [task] = build_tasks(load([f"task={name}", "data=sample"]))
    items = list(Selection(task, 0))
    answers = list(bench.made_up_answers(items))
    assert [a.id for a in answers] == [i.id for i in items]
    assert all(500 < len(a.text) < 1200 for a in answers)
    answered = [Answered(i, (a,)) for i, a in zip(items, answers, strict=True)]
    scores = list(task.score(answered, ScoringOptions(sandbox="none", workers=1)))
    right = {i.id for i in items[::2]}
    assert all(s.matched and s.value for s in scores if s.id in right and s.rule == "robust")
    others = [s.value for s in scores if s.id not in right]
    assert len(others) < 2 or sum(others) < len(others)


def test_every_turn_is_answered_and_code_is_not(tmp_path):
    work = bench.workload(["mt_bench", "humaneval"], tmp_path)
    questions, problems = (list(Selection(task, 0)) for task in work.tasks)
    assert (work.items, work.unanswered) == (len(questions) + len(problems), len(problems))
    lines = (tmp_path / "answers.jsonl").read_text().splitlines()
    assert len(lines) == sum(len(q.turns) for q in questions) == 2 * len(questions)
    assert f"{len(problems)} of them code, not executed" in work.title
    assert "sample data" in work.title


def test_the_harness_table_has_each_stage(capfd):
    assert bench.main(["harness", "truthfulqa", "humaneval"]) == 0
    out, err = capfd.readouterr()
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines()[3:] if line}
    assert list(rows) == ["stage=all", "stage=generate", "stage=score", "stage=report", "--help"]
    assert all(float(row[0]) > 0 and float(row[-1]) > 5 for row in rows.values())
    assert "truthfulqa, humaneval: stage=score" in err


@pytest.mark.parametrize("arguments", [["lm_eval"], ["lm-eval", "gsm8k"], ["all", "math"]])
def test_a_wrong_command_line_says_what_there_is(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        bench.main(arguments)
    assert stopped.value.code == 2
    assert "harness" in capsys.readouterr().err


def test_an_unknown_task_is_one_line(capsys):
    assert bench.main(["harness", "gsm9k"]) == 2
    assert "gsm9k" in capsys.readouterr().err.splitlines()[-1]


def test_lm_eval_needs_an_environment_of_ours(monkeypatch, capsys):
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    assert bench.main(["lm-eval"]) == 2
    assert "make setup" in capsys.readouterr().err


def test_an_installation_that_fails_says_so_and_is_begun_anew(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(UserError, match="cannot install lm-eval: ERROR: No matching distribution"):
        bench.lm_eval_python()
    assert not list(tmp_path.glob(".venv-lm-eval/.ready*"))


def test_both_sides_have_the_same_rows():
    ready = Path(sys.prefix).with_name(".venv-lm-eval") / f".ready-{bench.LM_EVAL}"
    if not ready.exists():
        pytest.skip("needs the environment that `make bench` makes")
    table = bench.comparison(pairs=1)
    rows = {line.split()[0]: line for line in table.splitlines()}
    assert {"ochat_eval", "lm-eval", "ratio"} < set(rows)
    assert "12 items" in table
    assert 0 < float(rows["ratio"].split()[1]) < 1
