"""Real vLLM on the CPU with the real small model: generation, kills, resume, refused options.

Each run loads the model, so there are few runs and each shows several things. What is not killed
runs in this process, which so imports vLLM once: half of what a start costs.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from ochat_eval.config.compose import load
from ochat_eval.engines.engine import Work
from ochat_eval.engines.vllm import Vllm
from ochat_eval.engines.vllm_build import vllm_arguments
from ochat_eval.records import Message, Request, Response, Sampling, UserError
from tests.conftest import lines
from tests.sandbox.test_workers import running
from tests.serve.serving import make_tiny

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(600)]

SAMPLE = ("task=gsm8k", "data=sample", "tasks.gsm8k.max_tokens=24", "run=r")
NARROW = ("engine.max_num_seqs=2", "engine.window=3")  # so that answers come one after another


def wait_for_lines(path: Path, count: int, process, seconds: float = 240) -> None:
    """Waits until the journal has so many lines; fails if the process ends first."""
    until = time.monotonic() + seconds
    while not path.exists() or path.read_bytes().count(b"\n") < count:
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < until, "no responses"
        time.sleep(0.05)


def children(pid: int) -> dict[int, str]:
    """The living descendants of a process: pid -> name."""
    found: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                parent, state = int(fields[1]), fields[0]
                name = (entry / "comm").read_text().strip()
            except (OSError, IndexError):
                continue
            if parent == pid and state != "Z":
                found |= {int(entry.name): name, **children(int(entry.name))}
    return found


def loading(process, seconds: float = 240) -> dict[int, str]:
    """Waits until a process has started vLLM's engine; returns its descendants by then."""
    until = time.monotonic() + seconds
    while True:
        living = children(process.pid)
        if any("Engine" in name for name in living.values()):
            return living
        assert process.poll() is None, "it ended before it had an engine"
        assert time.monotonic() < until, "no engine"
        time.sleep(0.1)


def wait_for_the_end(pids: Iterable[int], seconds: float = 120) -> None:
    """Waits until none of the processes lives."""
    until = time.monotonic() + seconds
    while living := [pid for pid in pids if running(pid)]:
        assert time.monotonic() < until, f"still there: {living}"
        time.sleep(0.1)


def test_a_dead_engine_ends_the_run_which_goes_on_and_then_has_nothing_to_do(
    tmp_path, started, cli
):
    """Test_adapters kills a whole run, whose engine is in its process, in mid generation."""
    journal = tmp_path / "results/runs/r/responses.jsonl"
    first = started(*SAMPLE, *NARROW, "engine.in_process=false")
    wait_for_lines(journal, 3, first)
    living = children(first.pid)
    [engine] = [pid for pid, name in living.items() if "Engine" in name]
    os.kill(engine, signal.SIGKILL)
    assert first.wait(timeout=60) == 2
    wait_for_the_end(living)
    errors = (tmp_path / "stderr-0").read_text()
    ours = [line for line in errors.splitlines() if line.startswith("ochat-eval: ")]
    assert "engine process died" in ours[-1]
    # Python's own tracker of semaphores may stumble over those of the killed process.
    assert "Traceback" not in errors or "resource_tracker" in errors
    before = journal.read_bytes()
    kept = before.count(b"\n")
    assert before.endswith(b"\n") and 3 <= kept < 12
    with journal.open("ab") as file:
        file.write(b'{"id": "gsm8k/main/')  # as a kill in the middle of a write would leave it

    done = cli(*SAMPLE, *NARROW)
    assert done.returncode == 0, done.stderr
    assert "half-written last line" in done.stderr
    assert f"going on: {kept} of 12" in done.stderr
    assert journal.read_bytes().startswith(before)
    responses = lines(journal)
    assert sorted(r["id"] for r in responses) == sorted(f"gsm8k/main/{i}" for i in range(12))
    for response in responses:
        assert response["text"].strip()
        assert 0 < response["completion_tokens"] <= 24
        assert response["prompt_tokens"] > 100
        assert (response["finish_reason"] == "length") == (response["completion_tokens"] == 24)

    stamp = journal.stat().st_mtime_ns
    again = cli(*SAMPLE, *NARROW)
    assert again.returncode == 0 and "nothing to do" in again.stderr
    assert "gsm8k" in again.stdout and journal.stat().st_mtime_ns == stamp
    assert "loading" not in again.stderr, "a finished run must not load the model"

    small = cli(*SAMPLE, *NARROW, "engine.tensor_parallel_size=512")
    assert small.returncode == 0 and "nothing to do" in small.stderr, "on whatever machine"

    other = cli(*SAMPLE, *NARROW, "tasks.gsm8k.num_fewshot=1")
    assert other.returncode == 2
    assert "tasks.gsm8k.num_fewshot: null there, 1 now" in other.stderr
    assert journal.stat().st_mtime_ns == stamp


def test_killed_while_it_loads_it_leaves_no_engine(started):
    process = started(*SAMPLE, "engine.in_process=false")
    living = loading(process)
    time.sleep(1)  # the guard has looked since
    process.kill()
    process.wait()
    wait_for_the_end(living)


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        ("engine.tensor_paralel_size=2", "did you mean tensor_parallel_size?"),
        ("engine.speculate=0", "engine.speculate is 0; it must be at least 1"),
        ("engine.stop_loops=1", "engine.stop_loops is 1; it must be at least 2"),
        ("engine.max_model_len=40", "leave no room in the context of 40 tokens"),
        ("engine.max_model_len=1000000", "vLLM cannot load smollm2_135m"),
    ],
)
def test_what_cannot_work_is_one_line(cli, tmp_path, option, complaint):
    done = cli(*SAMPLE, option)
    assert done.returncode == 2
    assert complaint in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "results/runs/r/scores.jsonl").exists()


def test_the_arguments_read_from_vllms_source_are_those_that_it_has():
    Vllm().import_llm()
    from vllm import LLM
    from vllm.engine.arg_utils import EngineArgs

    known = {f.name for f in dataclasses.fields(EngineArgs)}
    known |= set(inspect.signature(LLM.__init__).parameters)
    assert vllm_arguments() == known - {"self", "model", "kwargs"}


def test_an_answer_that_repeats_itself_is_ended_where_that_is_asked_for(tmp_path, cli):
    """A model that is paid for repeating itself says the same few tokens again and again."""
    tiny = make_tiny(tmp_path / "tiny")
    paid = "sampling={repetition_penalty: 0.5}"
    options = (*tiny, paid, "task=gsm8k", "data=sample", "max_tokens=400")
    done = cli(*options, "run=r", "engine.stop_loops=6")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "results/runs/r"
    responses = lines(folder / "responses.jsonl")
    ended = [r for r in responses if r["finish_reason"] == "repetition"]
    assert ended and all(6 <= r["completion_tokens"] < 400 for r in ended)
    found = json.loads((folder / "summary.json").read_text())["tasks"]["gsm8k"]
    assert "engine.stop_loops=6" in found["changed"]
    cut = sum(r["finish_reason"] in ("length", "repetition") for r in responses)
    assert found["robust"]["truncated"] == pytest.approx(cut / len(responses))
    other = cli(*options, "run=r")
    assert other.returncode == 2 and "stop_loops: 6 there, absent now" in other.stderr


def test_what_came_while_the_disk_was_slow_is_written_together_also_before_an_engines_death(
    tmp_path,
):
    work = Work(
        model=load(make_tiny(tmp_path / "tiny")).model, items=lambda: [], seed=0,
        truncate_overlong=False, say=print,
    )  # fmt: skip
    session = Vllm(in_process=False).start(work)
    client = session._llm.llm_engine.engine_core

    def ask(**tokens: int) -> None:
        for name, number in tokens.items():
            asked = (Message("user", "Say more."),)
            session.submit(Request(name, 0, 0, asked, "GPT4 Correct", Sampling(max_tokens=number)))

    def wait(steps: int) -> None:
        until = time.monotonic() + 60
        while client.outputs_queue.qsize() < steps:
            assert time.monotonic() < until, "no steps"
            time.sleep(0.05)

    try:
        ask(a=2, b=4, c=6)
        wait(6)
        found = [one.id for one in session.collect()]
        assert found[:2] == ["a", "b"], "together"
        while len(found) < 3:
            found += [one.id for one in session.collect()]
        ask(short=2, long=7000)
        wait(3)
        client.resources.engine_manager.processes[0].kill()
        while not client.resources.engine_dead:
            time.sleep(0.05)
        assert [one.id for one in session.collect()] == ["short"]
        for _ in range(2):
            with pytest.raises(UserError, match="engine process died with 1 request in flight"):
                while not session.collect():
                    pass
    finally:
        session.close()


def test_every_way_of_drawing_reaches_the_engine():
    """The likeliest token alone is what is left of a draw by top_k=1 or min_p=1.

    In bfloat16 it may not be one alone.
    """
    base = Sampling(max_tokens=24)
    drawn = dataclasses.replace(base, temperature=1.0, seed=7)
    ways = {
        "greedy": base,
        "top_k": dataclasses.replace(drawn, top_k=1),
        "min_p": dataclasses.replace(drawn, min_p=1.0),
        "drawn": drawn,
        "repetition": dataclasses.replace(base, repetition_penalty=1.9),
        "presence": dataclasses.replace(base, presence_penalty=2.0),
    }
    work = Work(
        model=load(["model=smollm2_135m"]).model, items=lambda: [], seed=0,
        truncate_overlong=False, say=print,
    )  # fmt: skip
    session = Vllm(arguments={"max_num_seqs": 6, "dtype": "float32"}).start(work)
    try:
        asked = (Message("user", "Tell me a story about a dog, a dog and a dog."),)
        for way, sampling in ways.items():
            session.submit(Request(way, 0, 0, asked, None, sampling))
        assert session.state() == ["0 of 6 prompts read"]
        texts: dict[str, str] = {}
        while len(texts) < len(ways):
            for one in session.collect():
                assert isinstance(one, Response), one
                texts[one.id] = one.text
        assert "read" not in "".join(session.state())
    finally:
        session.close()
    assert texts["top_k"] == texts["min_p"] == texts["greedy"]
    for way in ("drawn", "repetition", "presence"):
        assert texts[way] != texts["greedy"], way
