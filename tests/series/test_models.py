"""Several models from one command: a run each, in a process each."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from ochat_eval.config.several import each_model
from ochat_eval.records import UserError
from tests.conftest import command, environment
from tests.replays import REPLAY, sample_answers, write

ASKED = REPLAY[:-1]

LINES = [
    (["task=gsm8k"], None),
    (["models=[./a b,org/c]", "limit=3"], {"./a b": ["limit=3", "model=./a b"],
                                            "org/c": ["limit=3", "model=org/c"]}),
    (["models=a"], {"a": ["model=a"]}),
    (["-m", "task=x,y", "model=a,b"], {"a": ["task=x,y", "model=a"], "b": ["task=x,y", "model=b"]}),
    (["--multirun", "model=hf", "model.path='a',\"b\""], {"a": ["model=hf", "model.path=a"],
                                                         "b": ["model=hf", "model.path=b"]}),
]  # fmt: skip


@pytest.mark.parametrize(("line", "runs"), LINES)
def test_a_command_line_for_each_model(line, runs):
    assert each_model(line) == runs


def test_adapters_are_of_one_base():
    with pytest.raises(UserError, match="model.adapters: they are of one base; name one model"):
        each_model(["models=a,b", "model.adapters=[x=/y]"])


@pytest.mark.slow
def test_one_that_fails_does_not_take_the_others_along(process, tmp_path):
    write(tmp_path / "a.jsonl", *sample_answers())
    (tmp_path / "mine" / "model").mkdir(parents=True)
    for name, row in ("good", "null"), ("bad", "No-Such-Row"), ("better", "null"):
        text = f"# made up\nname: {name}\npath: {name}\npublished: {row}\n"
        (tmp_path / "mine" / "model" / f"{name}.yaml").write_text(text)
    done = process("--config-dir", "mine", *ASKED, "models=good,bad,better")
    assert done.returncode == 2, done.stderr
    said = done.stderr.splitlines()
    assert [line for line in said if line.startswith("model ")] == [
        "model 1 of 3: good", "model 2 of 3: bad", "model 3 of 3: better"
    ]  # fmt: skip
    assert said[-1] == "1 of 3 models failed, each said why: bad (exit code 2)"
    assert any(line.startswith("ochat-eval: ") and "No-Such-Row" in line for line in said)
    table = done.stdout[done.stdout.rindex("task   model") :].splitlines()
    assert [line.split()[1] for line in table[2:4]] == ["good", "better"]
    page = Path(done.stdout.splitlines()[-1])
    assert page.parent == Path("results/series") and (tmp_path / page).is_file()
    folders = sorted((tmp_path / "results/runs").iterdir())
    summaries = [json.loads((f / "summary.json").read_text()) for f in folders]
    assert {one["model"] for one in summaries} == {"good", "better"}


def _once_read(pipe: Path) -> int:
    """The writing end of a pipe that somebody reads from."""
    while True:
        try:
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # nobody yet
            time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_and_all_that_would_follow(tmp_path, number):
    os.mkfifo(tmp_path / "a.jsonl")  # answers that never come: the run waits for them
    with subprocess.Popen(
        command(*ASKED, "models=a/b,smollm2_135m"), cwd=tmp_path,
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as running:  # fmt: skip
        children = Path(f"/proc/{running.pid}/task/{running.pid}/children")
        while not (started := children.read_text().split()):
            time.sleep(0.1)
        if number == signal.SIGINT:  # which Python may swallow while it starts
            answers = _once_read(tmp_path / "a.jsonl")
        running.send_signal(number)
        _, said = running.communicate()
    if number == signal.SIGINT:
        os.close(answers)
    assert running.returncode == 130, said
    assert "model 1 of 2" in said and "model 2 of 2" not in said
    assert "the same command goes on where this one was stopped" in said
    assert not any(Path(f"/proc/{pid}").exists() for pid in started)
