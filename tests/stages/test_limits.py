"""limit=auto and what the dry run proposes, through the command line."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ochat_eval.config.groups import use_folder
from tests.conftest import door
from tests.replays import write

pytestmark = pytest.mark.slow

SIZES = {"file": 900, "two": 250}
TWO = """\
# @package tasks.two
_target_: ochat_eval.tasks.file.FromFile
path: null
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Iterator[Path]:
    """Two benchmarks, answers of three checkpoints to them, and whole runs of the first two."""
    folder = tmp_path_factory.mktemp("limits")
    (folder / "own/task").mkdir(parents=True)
    (folder / "own/task/two.yaml").write_text(TWO)
    rng = random.Random(0)
    right = {(task, i): rng.random() < 0.6 for task, size in SIZES.items() for i in range(size)}
    for task, size in SIZES.items():
        write(
            folder / f"{task}.rows.jsonl",
            *({"question": f"{i}?", "answer": i} for i in range(size)),
        )
    for name, differ in (("base", 0), ("mid", 0.02), ("new", 0.09), ("far", 0.3)):
        flips = {key: ok != (rng.random() < differ) for key, ok in right.items()}
        write(
            folder / f"{name}.jsonl",
            *(
                {
                    "id": f"{task}/main/{i}",
                    "text": str(i if ok else i + 1),
                    "prompt_tokens": 10,
                    "completion_tokens": 350 if task == "two" else 80,
                }
                for (task, i), ok in flips.items()
            ),
        )
    for name in ("base", "mid"):
        ran(folder, name, f"run={name}")
    yield folder
    use_folder(None)


def ran(folder: Path, answers: str, *more: str, task: str = "file,two", code: int = 0) -> str:
    """What a command that replays these answers prints, on one line."""
    paths = (f"tasks.{name}.path={name}.rows.jsonl" for name in task.split(","))
    done = door("--config-dir", "own", f"task={task}", *paths, "engine=replay",
                f"engine.path={answers}.jsonl", "engine.ignore_unknown=true", "model=hf", "model.path=./nowhere", *more,
                folder=folder)  # fmt: skip
    assert done.returncode == code, done.stderr
    return " ".join((done.stderr + done.stdout).split())


def said(text: str) -> dict[str, int]:
    """The limits that the line names."""
    return {name: int(n) for name, n in re.findall(r"(file|two) (\d+) of \d+", text)}


def test_the_limits_are_chosen_kept_and_precise_enough(world):
    command = ("run=new", "limit=auto", "precision=3", "against=base")
    out = ran(world, "new", *command)
    run, limits = world / "results/runs/new", said(out)
    assert "for ±3 points on the average of 2 benchmarks" in out
    assert "if at most 10 % of its verdicts differ from base" in out
    asked = json.loads((run / "manifest.json").read_text())["identity"]["tasks"]
    assert {name: options["limit"] for name, options in asked.items()} == limits
    assert all(30 < n < SIZES[name] for name, n in limits.items())
    assert limits["two"] < limits["file"]  # four times as dear
    told = json.loads((run / "summary.json").read_text())["controlled"]
    low, high = told["robust"]["ci95"]
    assert 2 < (high - low) / 2 <= 3 and told["said"] in out
    answers = map(json.loads, (world / "new.jsonl").open())
    shares = {name: 0.0 for name in SIZES}
    for one in answers:
        task, _, number = one["id"].split("/")
        shares[task] += (one["text"] == number) / SIZES[task]
    assert low < 50 * sum(shares.values()) < high
    assert "finished before" in ran(world, "new", *command)
    assert said(ran(world, "new", *command, "stage=report")) == {}  # the folder has them
    assert "limit" in ran(world, "new", *command, "precision=4", code=2)


def test_several_earlier_runs_tell_how_much_they_differ(world):
    more = ("limit=auto", "precision=3", "stage=generate")
    one = said(ran(world, "new", "run=by_one", *more, "against=base"))
    both = ran(world, "new", "run=by_both", *more, "against=base,mid")
    assert "if it differs from base and mid as they do from each other" in both
    assert sum(said(both).values()) < 0.6 * sum(one.values())


def test_reruns_that_differ_more_than_a_new_run_is_taken_to_count(world):
    for name in ("base", "far"):
        ran(world, name, f"run={name}_once", task="file")
    done = door("record", "base_once", "far_once", "--as", "noisy", folder=world)
    assert done.returncode == 0, done.stderr
    asked = ("limit=auto", "precision=3", "stage=generate")
    noisy = ran(world, "new", *asked, "run=by_noisy", "against=noisy", task="file")
    assert (
        "if at most 10 %, or as many as of its reruns, of its verdicts differ from noisy" in noisy
    )
    plain = ran(world, "new", *asked, "run=by_base", "against=base", task="file")
    assert said(noisy)["file"] > 1.4 * said(plain)["file"]


def test_too_few_items_to_tell_anything_are_asked_whole(world):
    few = ("tasks.file.path=few.jsonl",)
    write(world / "few.jsonl", *({"question": f"{i}?", "answer": i} for i in range(3)))
    for name in ("base", "mid"):
        ran(world, name, *few, f"run={name}_few", task="file")
    out = ran(world, "new", *few, "limit=auto", "against=base_few,mid_few", "run=few", task="file")
    assert "file 3 of 3" in out
    write(world / "few.jsonl", *({"question": f"{i}!", "answer": i} for i in range(3)))
    ran(world, "base", *few, "run=other_few", task="file")
    out = ran(world, "new", *few, "limit=auto", "against=base_few,other_few", task="file", code=2)
    assert "against=other_few is no control of file: 3 of 3 prompts or targets differ" in out


def test_what_is_asked_whole_has_no_error_in_the_average(world):
    out = ran(world, "new", "run=most", "limit=auto", "precision=1", "against=mid")
    assert said(out)["two"] == SIZES["two"] > 0 and said(out)["file"] < SIZES["file"]
    assert "mid tells no more of it: all its items are asked" in out
    summary = json.loads((world / "results/runs/most/summary.json").read_text())
    low, high = summary["controlled"]["robust"]["ci95"]
    inner = summary["tasks"]["file"]["robust"]["controlled"]["ci95"]
    assert (high - low) == pytest.approx((inner[1] - inner[0]) / 2)


def test_the_dry_run_proposes(world):
    plan = ("stage=plan", "against=base", "tokens_per_second=10")
    out = ran(world, "new", *plan, "run=z")
    aim = r"for ±0\.5 points on the average of 2 benchmarks: "
    much = r"(\S+) of 1,150 items, \d+ %, about (\S+) hours of 4\.4 hours "
    found = re.search(aim + much + r"\(limit=auto precision=0\.5; if at most", out)
    assert found is not None, out  # 72,000 and 87,500 tokens
    assert 0.5 < float(found[2]) < 4.4
    chosen = said(ran(world, "new", *plan, "run=z2", "limit=auto"))
    assert f"{sum(chosen.values()):,}" == found[1]
    assert "for ±" not in ran(world, "new", *plan, "run=z3", "limit=9")
    none = ran(world, "new", "stage=plan", "against=nobody", task="file")
    assert "no limits to propose: " in none and "there is no such run" in none
    assert "for ±3 points on file: " in ran(world, "new", *plan, "precision=3", task="file")


@pytest.mark.parametrize(
    ("task", "options", "message"),
    [
        ("file", "against=part", "against=part is no control of file: it has 40 of 900 items"),
        ("file,two", "against=nobody", "there is no such run"),
        ("file,two", "against=half", "against=half is no control of two: it did not ask it"),
        ("file", "against=base tasks.file.temperature=1", "temperature"),
        ("file", "against=base tasks.file.answer=judge", "file is rated, not right or wrong"),
        ("file", "against=base ids=base.jsonl", "leave ids away"),
    ],
)
def test_what_cannot_tell_is_said_before_anything_is_asked(world, task, options, message):
    for run, more in ("half", ()), ("part", ("limit=40",)):
        if run in options:
            ran(world, "new", f"run={run}", *more, task="file")
    out = ran(world, "new", "run=no", "limit=auto", *options.split(), task=task, code=2)
    assert message in out and not (world / "results/runs/no").exists()
