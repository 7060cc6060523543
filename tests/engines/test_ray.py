"""The Ray engine: real Ray, our own fast model; and real vLLM, killed in mid-run."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ochat_eval.engines.cluster import Machine, Placing
from ochat_eval.engines.engine import Failure
from ochat_eval.engines.guard import descendants
from ochat_eval.engines.ray import Ray
from ochat_eval.engines.vllm import Vllm
from ochat_eval.model.model import Model
from ochat_eval.records import Message, Request, Response, Sampling, UserError
from ochat_eval.run.journal import Journal
from ochat_eval.stages.generate import drive as run_through
from ochat_eval.stages.progress import Meter
from tests.conftest import CHECKOUT, environment, lines
from tests.fake_model import POISON, FakeRay, work

pytestmark = pytest.mark.timeout(600)

CLUSTER = """
from ochat_eval.engines.cluster import Cluster
cluster = Cluster(None)
print(cluster.ray.get_runtime_context().gcs_address, flush=True)
input()
cluster.leave()
"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A cluster's that is there already: to start one takes more than most of these tests.

    Those who join need the token of this process's environment, which it has, too.
    """
    with subprocess.Popen(
        [sys.executable, "-c", CLUSTER],
        env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as holder:  # fmt: skip
        assert holder.stdin is not None and holder.stdout is not None
        printed = holder.stdout.readline().strip()
        assert ":" in printed, "no cluster"
        yield printed
        holder.communicate("\n", timeout=60)


class Requests:
    """A queue of so many requests, 100 of a kind; `killers` kill who answers them."""

    def __init__(self, count: int, killers: frozenset[int] = frozenset()):
        self._numbers = iter(range(count))
        self._killers = killers

    def next(self) -> Request | None:
        if (number := next(self._numbers, None)) is None:
            return None
        text = f"kind {number // 100:<300} {number}" + POISON * (number in self._killers)
        return Request(f"t/m/{number}", 0, 0, (Message("user", text),), None, Sampling())

    def answered(self, response: Response) -> None:
        pass


def drive(tmp_path: Path, engine: FakeRay, requests: Requests, count: int, meddle: Any = None):
    """Runs requests through the engine into a journal.

    Returns the journal's lines, the failures, what was said and what was noted.
    """
    said: list[str] = []
    noted: list[dict[str, Any]] = []
    session = engine.start(work(said, noted))
    journal = Journal(tmp_path / "responses.jsonl")
    if meddle:
        session.submit = meddle(session, noted)
    try:
        failures = run_through(session, requests, journal, Meter("generate", {"t": count}))
    finally:
        session.close()
        journal.close()
    return lines(tmp_path / "responses.jsonl"), failures, said, noted


TWO: dict[str, Any] = {"replicas": 2, "cpus_per_replica": 1}


@pytest.mark.slow
def test_thousands_of_requests_each_once_by_both_replicas_and_nothing_is_left(tmp_path):
    before, others = set(Path("/tmp").glob("ochat-ray-*")), descendants(os.getpid()).keys()
    engine = FakeRay(**TWO, requests=64, at_once=16, seconds=0.01)
    answers, failures, said, noted = drive(tmp_path, engine, Requests(6000), 6000)
    assert not failures
    assert Counter(a["id"] for a in answers) == {f"t/m/{i}": 1 for i in range(6000)}
    by_process = Counter(a["text"] for a in answers)
    assert len(by_process) == 2 and min(by_process.values()) > 1500, by_process
    assert [n["event"] for n in noted if "event" in n] == ["ready", "ready"]
    assert sum("is ready" in line for line in said) == 2
    samples = [n for n in noted if "event" not in n]
    assert samples and {n["replica"] for n in samples} == {0, 1}
    assert all(set(n) == {"seconds", "replica", "in_flight", "finished"} for n in samples)
    together = [a["text"] for a in sorted(answers, key=lambda a: int(a["id"].split("/")[2]))]
    kinds = [Counter(together[i : i + 100]) for i in range(0, 6000, 100)]
    assert sum(len(kind) == 1 for kind in kinds) > 30, "most kinds are answered by one replica"
    assert descendants(os.getpid()).keys() <= others, "Ray's processes are gone"
    assert set(Path("/tmp").glob("ochat-ray-*")) == before


@pytest.mark.slow
def test_a_killed_replica_loses_and_duplicates_nothing(tmp_path, address):
    def killing(session, noted):
        submit, count, killed = session.submit, 0, []

        def one(request):
            nonlocal count
            count += 1
            if count in (500, 1200):  # the one that came last; the other, if none has come since
                ready = [n["pid"] for n in noted if n.get("event") == "ready"]
                killed.append([pid for pid in ready if pid not in killed][-1])
                os.kill(killed[-1], signal.SIGKILL)
            submit(request)

        return one

    engine = FakeRay(**TWO, address=address, requests=64, at_once=4, seconds=0.01)
    answers, failures, said, noted = drive(tmp_path, engine, Requests(2000), 2000, killing)
    assert not failures
    assert Counter(a["id"] for a in answers) == {f"t/m/{i}": 1 for i in range(2000)}
    died = [line for line in said if "died" in line]
    assert len(died) == 2 and all("its process was killed" in line for line in died), said
    assert "64 requests asked again, and another replica starts" in died[0]
    events = [n["event"] for n in noted if "event" in n]
    assert events.count("died") == 2 and events.count("ready") >= 3


@pytest.mark.slow
def test_what_kills_three_replicas_is_set_aside_and_nothing_else_is(tmp_path, address):
    engine = FakeRay(**TWO, address=address, requests=32, at_once=4)
    requests = Requests(300, killers=frozenset({50, 299}))
    answers, failures, said, _ = drive(tmp_path, engine, requests, 300)
    assert sorted(f.id for f in failures) == ["t/m/299", "t/m/50"]
    assert all(isinstance(f, Failure) and "3 replicas died" in f.reason for f in failures)
    wanted = {f"t/m/{i}": 1 for i in range(300) if i not in (50, 299)}
    assert Counter(a["id"] for a in answers) == wanted
    assert 5 <= sum("died" in line for line in said) <= 6, "both may have been there at one death"


def living_replicas() -> Iterator[int]:
    """Those that live on clusters of this process."""
    for pid in descendants(os.getpid()):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"ray::Replica"):
                yield pid


@pytest.mark.slow
def test_a_run_in_which_everything_kills_is_given_up(tmp_path, address):
    engine = FakeRay(**TWO, address=address, requests=8, at_once=1)
    with pytest.raises(UserError, match="died 10 times in a row"):
        drive(tmp_path, engine, Requests(100, frozenset(range(100))), 100)
    until = time.monotonic() + 60
    while any(living_replicas()):  # the cluster ends them when their driver has left
        assert time.monotonic() < until, "a replica is left"
        time.sleep(0.05)


def without_rays() -> dict[str, str]:
    """The environment, without what a test in this process has set for Ray."""
    return {k: v for k, v in environment().items() if not k.startswith("RAY_")}


@pytest.mark.slow
def test_a_machine_lost_in_mid_run_loses_and_duplicates_nothing(tmp_path):
    """A real cluster of two nodes; there is no room for another replica on the one that is left."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.engines.two_nodes", str(tmp_path), "2000"],
        cwd=CHECKOUT, env=without_rays(), capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["failures"] == 0
    answers = lines(tmp_path / "responses.jsonl")
    assert Counter(a["id"] for a in answers) == {f"t/m/{i}": 1 for i in range(2000)}
    died = [
        line for line in told["said"] if "died" in line
    ]  # a slow cluster may try another in vain
    assert "64 requests asked again, and another replica starts" in died[0]
    number, *_ = [n["replica"] for n in told["noted"] if n.get("event") == "died"]
    assert told["noted"][-1]["replica"] != number, "the other one went on"


@pytest.mark.slow
def test_a_driver_that_is_ended_goes_on_with_another_number_of_replicas(tmp_path, address):
    """Its own Ray ends with it, or a cluster that is there loses its driver; either goes on there."""
    command = [sys.executable, str(CHECKOUT / "tests/stages/endless_task.py"), "ray", "20000"]
    journal, until = tmp_path / "results/runs/r/responses.jsonl", time.monotonic() + 300
    ways = (
        (signal.SIGTERM, ["2"], without_rays()),
        (signal.SIGKILL, ["1", address], environment()),
    )
    for how, where, env in ways:
        before = journal.stat().st_size if journal.exists() else 0
        with (tmp_path / f"err-{how}").open("w") as err:
            process = subprocess.Popen(
                [*command, *where], cwd=tmp_path, env=env, stdout=err, stderr=err
            )
        while not journal.exists() or journal.stat().st_size <= before:
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.05)
        process.send_signal(how)
        assert process.wait(timeout=100)
    said = (tmp_path / f"err-{signal.SIGTERM}").read_text()
    assert "SIGTERM received" not in said, "Ray's own trace of its C++"
    assert "KeyboardInterrupt" in said, "the command line makes one line of it"
    assert "of 20,000 responses are there" in (tmp_path / f"err-{signal.SIGKILL}").read_text()
    again = subprocess.run(
        [*command, "2", address], cwd=tmp_path, env=environment(), capture_output=True, text=True
    )
    assert again.returncode == 0, again.stderr[-3000:]
    assert "of 20,000 responses are there" in again.stderr
    assert json.loads(again.stdout.splitlines()[-1])["answers"] == 20_000


MODEL = Model(path="m", package="p", sha256="0" * 64)


@pytest.mark.parametrize("arguments", [{}, {"max_model_len": 512, "tensor_parallel_size": 2}])
def test_a_run_is_the_same_on_any_number_of_replicas(arguments):
    ray = Ray(replicas=3, gpus_per_replica=1, window=7, arguments=arguments)
    vllm = Vllm(arguments=arguments)
    assert ray.identity(MODEL) == vllm.identity(MODEL)
    assert ray.label == vllm.label


@pytest.mark.vllm
@pytest.mark.parametrize("kind", [Ray, Vllm])
def test_vllm_gets_every_argument_from_either_engine(kind):
    given = {
        "tensor_parallel_size": 2,
        "pipeline_parallel_size": 3,
        "quantization": "fp8",
        "max_model_len": 512,
    }
    engine = kind(arguments=given)
    there = engine.loader(work([], [])).vllm if kind is Ray else engine
    assert given.items() <= there.llm_arguments(MODEL, 7).items()
    assert there.world == 6


GPU_BOX = Machine("a", 16, 8)


@pytest.mark.parametrize(
    ("options", "machines", "placing"),
    [
        ({}, [Machine("a", 8, 0)], Placing(1, 8, 0)),
        ({"replicas": 2}, [Machine("a", 8, 0)], Placing(2, 4, 0)),
        ({"replicas": 3}, [Machine("a", 4, 0), Machine("b", 3, 0)], Placing(3, 2, 0)),
        ({"cpus_per_replica": 1}, [Machine("a", 2, 0)], Placing(2, 1, 0)),
        ({"gpus_per_replica": 1.0}, [GPU_BOX], Placing(8, 1, 1.0)),
        ({"gpus_per_replica": 0.5}, [Machine("a", 16, 2)], Placing(4, 1, 0.5)),
        ({"gpus_per_replica": 2.0, "cpus_per_replica": 4}, [GPU_BOX], Placing(4, 4, 2.0)),
        ({"gpus_per_replica": 8.0}, [GPU_BOX, Machine("b", 8, 4)], Placing(1, 1, 8.0)),
    ],
)
def test_replicas_fill_what_there_is(options, machines, placing):
    assert Ray(**options)._placing(machines) == placing


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"replicas": 9, "gpus_per_replica": 1.0}, "room for 8 of 9 replicas.*a: 16 CPUs, 8 GPUs"),
        ({"gpus_per_replica": 16.0}, "room for 0 of 1 replicas.*8 GPUs"),
        ({"replicas": 17, "gpus_per_replica": 0.0}, "room for 16 of 17.*0 GPUs and 1 CPUs each"),
        ({"gpus_per_replica": 1.0, "arguments": {"tensor_parallel_size": 4}},
         "tensor_parallel_size=4 needs 4 GPUs"),
        ({"gpus_per_replica": 0.0, "arguments": {"tensor_parallel_size": 32}},
         "tensor_parallel_size=32 needs 32 CPU cores a replica, which has 16 .* 16 on the largest"),
    ],
)  # fmt: skip
def test_what_has_no_room_is_refused_with_what_there_is(options, complaint):
    with pytest.raises(UserError, match=complaint):
        Ray(**options)._placing([GPU_BOX])


SAMPLE = ("task=gsm8k", "data=sample", "run=r")


def refused(cli, complaint: str, *options: str) -> None:
    """The command line is refused in one line that says why, and no model is loaded."""
    done = cli(*SAMPLE, *options)
    assert done.returncode == 2
    assert complaint in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr
    assert "loading" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("engine=ray", "engine.replicas=0"), "engine.replicas is 0"),
        (("engine=ray", "engine.cpus_per_replica=0"), "engine.cpus_per_replica is 0"),
        (("engine=ray", "engine.gpus_per_replica=-1"), "engine.gpus_per_replica is -1"),
        (("engine=ray", "engine.data_parallel_size=2"), "engine=ray engine.replicas=2"),
        (("engine=ray", "engine.tensor_parallel_size=-1"), "tensor_parallel_size is -1"),
        (("engine=vllm", "engine.data_parallel_size=2"), "engine=ray engine.replicas=2"),
        (("engine=vllm", "engine.pipeline_parallel_size=0"), "pipeline_parallel_size is 0"),
    ],
)
def test_what_can_never_work_is_one_line_at_every_stage(cli, tmp_path, options, complaint):
    for stage in ("plan", "generate", "all"):
        refused(cli, complaint, *options, f"stage={stage}")
    assert not (tmp_path / "results").exists(), "refused before the prompts are made"


def test_what_this_machine_has_too_little_for_is_one_line(cli, tmp_path):
    refused(cli, "needs 512", "engine=vllm", "engine.tensor_parallel_size=512")
    assert not (tmp_path / "results").exists(), "refused before the prompts are made"


@pytest.mark.slow
def test_where_no_cluster_answers_it_is_one_line(cli):
    nowhere = "engine.address=127.0.0.1:9"
    refused(cli, f"{nowhere}: Ray cannot join", "engine=ray", nowhere)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        ("engine.replicas=999", "of 999 replicas"),
        ("engine.tensor_parallel_size=512", "engine.tensor_parallel_size=512 needs 512"),
    ],
)
def test_what_the_cluster_has_no_room_for_is_one_line(cli, tmp_path, address, option, complaint):
    refused(cli, complaint, "engine=ray", f"engine.address={address}", option)
    assert (tmp_path / "results/runs/r/responses.jsonl").read_bytes() == b""


@pytest.mark.parametrize(
    ("gpus", "options", "complaint"),
    [
        ("NVIDIA H100", "tensor_parallel_size=2", "needs 2 GPUs on this machine; there are 1: NVIDIA H100"),
        ("A\nB", "pipeline_parallel_size=4", "needs 4 GPUs on this machine; there are 2: A, B"),
    ],
)  # fmt: skip
def test_more_gpus_than_there_are(tmp_path, monkeypatch, gpus, options, complaint):
    """A machine whose nvidia-smi tells of these GPUs, and the vLLM that is built for them."""
    (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\nprintf '{gpus}\\n'\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr("ochat_eval.engines.vllm.cpu_build", lambda: False)
    name, _, value = options.partition("=")
    engine = Vllm(arguments={name: int(value)})
    with pytest.raises(UserError) as refused:
        engine.check_machine()
    assert complaint in str(refused.value)
    Vllm().check_machine()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(UserError, match="there are none that may be used"):
        Vllm().check_machine()


def test_without_ray_it_is_one_line(process, tmp_path):
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray/__init__.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'ray'\")"
    )
    done = process(*SAMPLE, "engine=ray", PYTHONPATH=f"{tmp_path}:{CHECKOUT}")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("ochat-eval: engine=ray needs Ray")
    assert "Traceback" not in done.stderr


REAL = (
    *SAMPLE, "tasks.gsm8k.n=3", "tasks.gsm8k.temperature=0.7", "max_tokens=32", "stage=generate",
    "engine=ray", "engine.replicas=2",
)  # fmt: skip


@pytest.mark.vllm
@pytest.mark.timeout(1200)
def test_two_real_replicas_of_which_one_is_killed(started, cli, tmp_path, address):
    """Real vLLM in a real Ray cluster; SIGKILL of a replica while it answers."""
    driver = started(*REAL, f"engine.address={address}")
    run, said = tmp_path / "results/runs/r", tmp_path / "stderr-0"
    until = time.monotonic() + 900

    def noted() -> list[dict[str, Any]]:
        path = run / "replicas.jsonl"
        return lines(path) if path.exists() else []

    while sum(line.get("event") == "ready" for line in noted()) < 2:
        assert driver.poll() is None and time.monotonic() < until, said.read_text()[-3000:]
        time.sleep(0.2)
    victim = next(line for line in noted() if line.get("event") == "ready")
    os.kill(victim["pid"], signal.SIGKILL)
    assert driver.wait(timeout=900) == 0, said.read_text()[-3000:]
    responses = lines(run / "responses.jsonl")
    assert len(responses) == len({(r["id"], r["sample"]) for r in responses}) == 36
    assert all(r["completion_tokens"] for r in responses)
    assert f"replica {victim['replica']} died: its process was killed" in said.read_text()
    assert any(line.get("event") == "died" for line in noted())
    assert not (run / "failures.jsonl").exists()

    # As a kill leaves it; it goes on without Ray, and is the same run.
    kept = (run / "responses.jsonl").read_text().splitlines(keepends=True)[:33]
    (run / "responses.jsonl").write_text("".join(kept) + '{"id": "gsm8k/ma')
    done = cli(*(o for o in REAL if "engine" not in o), "engine=vllm")
    assert done.returncode == 0 and "going on: 33 of 36" in done.stderr, done.stderr[-3000:]
    assert len({(r["id"], r["sample"]) for r in lines(run / "responses.jsonl")}) == 36
