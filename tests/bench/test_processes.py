"""The bench's measurements of whole processes with vLLM: lm-eval's, and one replica against two."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ochat_eval.bench import costs, lm_eval, replicas, vllm_timed
from ochat_eval.bench.command import bench
from ochat_eval.benchmark.selection import Selection
from ochat_eval.config.load import job
from ochat_eval.records import Response, UserError
from ochat_eval.run.store import write_records


@pytest.fixture(autouse=True)
def sample_data(monkeypatch):
    monkeypatch.delenv("OCHAT_EVAL_DATA", raising=False)


def test_seconds_within_calls_within_calls_count_once(monkeypatch):
    now = iter([10.0, 14.0, 20.0, 21.0])
    monkeypatch.setattr(vllm_timed.time, "monotonic", lambda: next(now))
    monkeypatch.setattr(vllm_timed, "seconds", {"load": 0.0, "generate": 0.0})
    step = vllm_timed.timed("generate", lambda: "stepped")
    generate = vllm_timed.timed("generate", lambda: f"{step()} on")
    assert (generate(), step()) == ("stepped on", "stepped")
    assert vllm_timed.seconds == {"load": 0.0, "generate": 5.0}


VLLM = """
import time
__version__ = "0.0.7"
class LLM:
    def __init__(self): time.sleep(0.2)
    def generate(self): time.sleep(0.1)
    def enqueue(self): pass
"""


def test_a_module_runs_as_by_itself_and_its_seconds_are_written(tmp_path):
    """A stand-in for vLLM; the launcher's neighbour `vllm.py` must not be taken for it."""
    engine = tmp_path / "vllm/v1/engine/llm_engine.py"
    engine.parent.mkdir(parents=True)
    engine.write_text("class LLMEngine:\n    def step(self): pass\n")
    (tmp_path / "vllm/__init__.py").write_text(VLLM)
    (tmp_path / "mine.py").write_text(
        "import importlib.metadata, sys, vllm\n"
        "vllm.LLM().generate()\n"
        "print(__name__, sys.argv[1:], importlib.metadata.version('vllm'))\n"
        "sys.exit(3)\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", vllm_timed.__file__, "seconds.json", "mine", "--one", "two"],
        cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (3, "__main__ ['--one', 'two'] 0.0.7\n"), done.stderr
    found = json.loads((tmp_path / "seconds.json").read_text())
    assert found["load"] >= 0.2 and found["generate"] >= 0.1


def test_what_lies_outside_vllm_is_the_rest():
    rows = lm_eval._parts(
        {"ours": [10.0, 12.0], "theirs": [20.0, 26.0]},
        [[{"load": 3.0, "generate": 6.0}] * 2, [{"load": 3.0, "generate": 6.0}] * 2],
    )
    assert rows[0] == ["ours", "11.00", "10.00 to 12.00", "3.00", "6.00", "2.00"]
    assert rows[1] == ["theirs", "23.00", "20.00 to 26.00", "3.00", "6.00", "14.00"]
    ratio, outside = (10 / 20 + 12 / 26) / 2, (1 / 11 + 3 / 17) / 2
    assert rows[2] == ["ratio", f"{ratio:.3f}", "", "", "", f"{outside:.3f}"]


@pytest.mark.vllm
def test_lm_eval_is_asked_for_the_very_same(monkeypatch):
    monkeypatch.delenv("VLLM_ENABLE_V1_MULTIPROCESSING", raising=False)  # of an earlier engine
    arguments = ["task=gsm8k", "data=sample", "tasks.gsm8k.n=2", "max_tokens=9"]
    [task] = job(arguments).tasks.values()
    items = list(Selection(task, 0))
    rows, settings = lm_eval._prompts(items, task)
    assert [row["prompt"] for row in rows] == [item.turns[0] for item in items]
    assert (settings["repeats"], settings["generation_kwargs"]["max_gen_toks"]) == (2, 9)
    command, environment = lm_eval._vllm_arguments([*arguments, "engine.max_num_seqs=3"])
    assert environment["VLLM_ENABLE_V1_MULTIPROCESSING"] in "01"
    given = json.loads(command[command.index("--model_args") + 1])
    assert Path(given["pretrained"]).is_dir()
    assert (given["max_num_seqs"], given["seed"], given["enable_prefix_caching"]) == (3, 0, True)


def test_texts_of_both_are_read_alike(tmp_path):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs/model"
    ours.mkdir()
    theirs.mkdir(parents=True)
    write_records(ours / "responses.jsonl", [Response("a", " x"), Response("a", "y", sample=1)])
    line = {"doc": {"id": "a"}, "resps": [["x ", "y"]]}
    (theirs / "samples_gsm8k_2026.jsonl").write_text(json.dumps(line) + "\n")
    assert (
        [*lm_eval._texts(ours)]
        == [*lm_eval._texts(tmp_path / "theirs")]
        == [("a", "x"), ("a", "y")]
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["lm-eval-vllm", "engine=replay", "engine.path=x"], "compared on engine=vllm"),
        (["lm-eval-vllm", "engine.tensor_parallel_size=512"], "needs 512"),
        (["lm-eval-vllm", "model=gpt9"], "gpt9"),
        (["replicas", "model=gpt9"], "gpt9"),
    ],
)
def test_what_cannot_work_is_one_line_and_nothing_is_installed(
    arguments, complaint, monkeypatch, capsys
):
    monkeypatch.setattr(lm_eval, "lm_eval_python", lambda: pytest.fail("it would be installed"))
    assert bench(arguments) == 2
    assert complaint in capsys.readouterr().err.splitlines()[-1]


def test_a_record_without_a_folder_is_refused_before_anything_is_measured(tmp_path, capsys):
    with pytest.raises(SystemExit):
        bench(["all", "--record", str(tmp_path / "none/bench.json")])
    assert "there is no folder" in capsys.readouterr().err


def test_a_long_command_that_fails_is_not_shown_whole(tmp_path):
    command = [sys.executable, "-S", "-c", "raise ValueError('short')", *["much more"] * 99]
    with pytest.raises(UserError) as failed:
        costs.measure(command, tmp_path)
    assert str(failed.value).endswith(" … failed: ValueError: short")
    assert len(str(failed.value)) < 250


def fake_measure(seconds: dict[str, float], answers: dict[str, int]):
    """Leaves what a run with so many replicas would, instead of running it."""

    def measure(command, folder):
        given = dict(part.split("=", 1) for part in command if "=" in part)
        run = folder / "results/runs" / given["run"]
        run.mkdir(parents=True)
        count = given["engine.replicas"]
        made = (Response(str(i), "x", completion_tokens=10) for i in range(answers[count]))
        write_records(run / "responses.jsonl", made)
        times = [
            {"stage": "start", "seconds": 7.0}, {"stage": "generate", "seconds": seconds[count]}
        ]  # fmt: skip
        (run / "manifest.json").write_text(json.dumps({"times": times}))

    return measure


def test_one_replica_against_two(monkeypatch):
    seconds = {"1": 10.0, "2": 5.0}
    monkeypatch.setattr(replicas, "measure", fake_measure(seconds, {"1": 24, "2": 24}))
    table = replicas.replicas(3, requests=24)
    assert list(table.rows) == [
        ["one replica", "10.00", "10.00 to 10.00", "24", "7.00"],
        ["two replicas", "5.00", "5.00 to 5.00", "48", "7.00"],
        ["one / two", "2.00", "", "", ""],
    ]
    assert "24 requests" in table.title and "smollm2_135m" in table.title
    monkeypatch.setattr(replicas, "measure", fake_measure(seconds, {"1": 24, "2": 23}))
    with pytest.raises(UserError, match="answered 23 and 24 requests"):
        replicas.replicas(1, requests=24)


@pytest.mark.vllm
@pytest.mark.timeout(900)
def test_lm_eval_with_vllm_writes_the_same_texts():
    ready = Path(sys.prefix).with_name(".venv-lm-eval") / f".ready-{lm_eval.LM_EVAL}"
    if not ready.exists():
        pytest.skip("needs the environment that `make bench` makes")
    table = lm_eval.with_model(1, requests=2, max_tokens=4)
    assert "2 requests, at most 4 tokens; 2 of the texts are the same" in table.title
    ours, theirs, ratio = table.rows
    assert (ours[0], theirs[0], ratio[0]) == ("ochat_eval", "lm-eval 0.4.13", "ratio")
    assert all(float(cell) > 0 for row in (ours, theirs) for cell in row[3:])
