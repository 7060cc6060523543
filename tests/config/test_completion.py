"""Tab completion: what can stand next, and that real shells put it in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import environment

CASES = [
    ("", ["compare", "gate", "task=", "model=", "limit="]),
    ("co", ["compare", "completion"]),
    ("task=gs", ["task=gsm8k"]),
    ("task=gsm8k,hum", ["task=gsm8k,humaneval"]),
    ("run model=sm", ["model=smollm2_135m"]),
    ("models=smollm2_135m,openchat_3.5_1", ["models=smollm2_135m,openchat_3.5_1210"]),
    ("engine=r", ["engine=ray", "engine=replay"]),
    ("judge=l", ["judge=local"]),
    ("task=gsm8k track=mlflow,w", ["track=mlflow,wandb"]),
    ("track=wandb trackers.wandb.pr", ["trackers.wandb.project="]),
    ("stage=sc", ["stage=score"]),
    ("lim", ["limit="]),
    ("engine.conc", []),
    ("engine=openai engine.conc", ["engine.concurrency="]),
    ("engine.tensor_p", ["engine.tensor_parallel_size="]),
    ("task=gsm8k tasks.gsm8k.num", ["tasks.gsm8k.num_fewshot="]),
    ("model.con", ["model.condition=", "model.conditions=", "model.context="]),
    ("run=ba", ["run=base", "run=base-1"]),
    ("compare ba", ["base", "base-1"]),
    ("gate base --against ki", ["kind"]),
    ("compare base --fl", ["--flips", "--flips-file"]),
    ("gate base --ag", ["--against"]),
    ("read ba", ["base", "base-1"]),
    ("read base --sh", ["--show"]),
    ("pull dir gs", ["gsm8k"]),
    ("completion z", ["zsh"]),
    ("no_such_task=", []),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with runs, and the program on the search path as `ochat-eval`."""
    for name in ("results/runs/base/manifest.json", "results/runs/base-1/manifest.json",
                 "results/recorded/kind/recorded.json"):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.touch()
    program = tmp_path / "bin" / "ochat-eval"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ochat_eval "$@"\n')
    program.chmod(0o755)
    return tmp_path


def shell_environment(folder: Path) -> dict[str, str]:
    return environment(PATH=f"{folder / 'bin'}:{os.environ['PATH']}", HOME=str(folder))


@pytest.mark.parametrize(("line", "expected"), CASES)
def test_what_can_stand_next(cli, folder, line, expected):
    done = cli("completion", "--line", f"ochat-eval {line}")
    assert done.returncode == 0, done.stderr
    found = done.stdout.split()
    if line:
        assert found == sorted(expected)
    else:
        assert set(expected) <= set(found)


def test_own_configurations_are_completed_too(cli, folder):
    (folder / "mine/task").mkdir(parents=True)
    (folder / "mine/task/zebra.yaml").write_text("# @package tasks.zebra\n# mine\n")
    done = cli("--config-dir", "mine", "completion", "--line", "ochat-eval task=ze")
    assert done.stdout == "task=zebra\n"


@pytest.mark.slow
def test_bash_puts_in_what_stands_behind_the_equals_sign(folder):
    script = """
        eval "$(ochat-eval completion bash)"
        try() { COMP_LINE=$1 COMP_POINT=${#1}; compopt() { :; }; _ochat_eval; echo "${COMPREPLY[*]}"; }
        try "ochat-eval task=gsm8k,hum"; try "ochat-eval compare ba"; try "ochat-eval lim"
        complete -p ochat-eval
    """
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=shell_environment(folder), capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == [
        "gsm8k,humaneval", "base base-1", "limit=",
        "complete -o default -F _ochat_eval ochat-eval",
    ]  # fmt: skip


def test_zsh_puts_in_the_rest_of_the_word(folder):
    if shutil.which("zsh") is None:
        pytest.skip("needs zsh (apt-get install zsh)")
    script = r"""
        zmodload zsh/zpty
        zpty z zsh -f -i
        zpty -w z 'autoload -Uz compinit; compinit -u; eval "$(ochat-eval completion zsh)"'
        zpty -w z 'echo REA""DY'; zpty -r -m z out '*READY*'
        zpty -w -n z $'echo ochat-eval; ochat-eval task=gsm8k,huma\t'
        zpty -r -m z out '*humaneval*'; print found
        zpty -d z
    """
    done = subprocess.run(
        ["zsh", "-f", "-c", script], cwd=folder, env=shell_environment(folder),
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1:] == ["found"], done.stderr


def test_an_unknown_shell_is_one_line(cli):
    done = cli("completion", "fish")
    assert done.returncode == 2
    assert "invalid choice: 'fish' (choose from 'bash', 'zsh')" in done.stderr
