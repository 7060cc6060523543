"""A run's folder is data: whatever its manifest says, it commands nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ochat_eval.benchmark.task import Task
from ochat_eval.config.again import tasks_of
from ochat_eval.config.load import job
from ochat_eval.engines.vllm import Vllm
from ochat_eval.records import UserError
from ochat_eval.run.manifest import read_facts
from tests.replays import REPLAY, sample_answers, write

RUN = "results/runs/r"
SECRET = "a-secret-of-the-environment"


@pytest.fixture
def run(cli, tmp_path, monkeypatch) -> Path:
    """A scored run over sample items, in the working folder; a secret in the environment."""
    write(tmp_path / "a.jsonl", *sample_answers())
    assert cli(*REPLAY).returncode == 0
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OCHAT_SECRET", SECRET)
    return tmp_path / RUN


def forge(run: Path, **changes: object) -> None:
    """Writes top-level values into the run's manifest."""
    path = run / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def forge_task(run: Path, task: str = "gsm8k", /, **options: object) -> None:
    """Writes options of a benchmark into the manifest's identity."""
    identity = json.loads((run / "manifest.json").read_text())["identity"]
    identity["tasks"].setdefault(task, {"name": task}).update(options)
    items = {one: {"asked": 1, "of": 1} for one in identity["tasks"]}
    forge(run, identity=identity, items=items)


COMMANDS = [
    "sandbox=none",
    "++sandbox=none",
    "+sandbox=none",
    "judge=local",
    "judge.base_url=http://127.0.0.1:9/v1",
    "++judge.api_key_env=OCHAT_SECRET",
    "engine=replay",
    "engine.path=/etc/passwd",
    "results=/tmp/elsewhere",
    "model.path=/tmp/elsewhere",
    "ids=/etc/passwd",
    "run=${oc.env:OCHAT_SECRET}",
    "tasks.gsm8k._target_=os.system",
]


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_no_override_of_a_manifest_is_obeyed(run, command):
    before = job(["stage=score", "run=r", "sandbox=bwrap"])
    forge(run, overrides=[command, *COMMANDS])
    (run / "config.yaml").write_text("sandbox: none\njudge: {_target_: os.system}\n")
    if "ids=/etc/passwd" in (command, *COMMANDS):
        forge(run, only_ids=False)
    after = job(["stage=score", "run=r"])
    assert (after.sandbox, after.judge) == ("bwrap", None)
    assert isinstance(after.engine, Vllm) and after.results == Path("results/runs")
    assert after.tasks == before.tasks and after.model == before.model
    assert SECRET not in repr(after)


def test_a_person_chooses_sandbox_judge_and_engine(run):
    chosen = job(["stage=score", "run=r", "sandbox=none", "judge=local", "judge.served_name=j"])
    assert chosen.sandbox == "none" and chosen.judge.served_name == "j"
    assert chosen.judge.base_url == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "value", "complaint"),
    [
        ("num_fewshot", "${oc.env:OCHAT_SECRET}", "Expected `int | null`, got `str`"),
        ("limit", "3", "Expected `int | null`, got `str`"),
        ("max_tokens", True, "Expected `int | null`, got `bool`"),
        ("temperature", [0.1], "Expected `float`, got `array`"),
        ("n", 0, "n is 0; it must be at least 1"),
        ("subsets", {"_target_": "os.system"}, "Expected `array | null`, got `object`"),
        ("_target_", "os.system", "this version knows no such option"),
        ("+data", "full", "this version knows no such option"),
        ("name", "mmlu", "name is 'mmlu'; the folder is damaged"),
    ],
)
def test_an_option_of_a_manifest_is_a_plain_value_of_its_type(run, option, value, complaint):
    forge_task(run, **{option: value})
    with pytest.raises(UserError) as caught:
        job(["stage=score", "run=r"])
    assert complaint in str(caught.value) and SECRET not in str(caught.value)
    assert "manifest.json: tasks.gsm8k" in str(caught.value) or "gsm8k: n is 0" in str(caught.value)


def test_an_option_that_came_later_is_what_was_done_before(run):
    forge_task(run, "humaneval", data="sample")
    assert tasks_of(read_facts(run / "manifest.json"))["humaneval"].code_rule == "2023-11"


def test_an_interpolation_in_a_text_stays_text(run, capsys):
    forge_task(run, "humaneval", problems="${oc.env:OCHAT_SECRET}", data="full")
    facts = read_facts(run / "manifest.json")
    assert tasks_of(facts)["humaneval"].problems == "${oc.env:OCHAT_SECRET}"
    with pytest.raises(UserError) as caught:
        list(tasks_of(facts)["humaneval"].items())
    assert SECRET not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["no_such", "../../tasks/gsm8k", "all", "gsm8k/../gsm8k", "", "os"]
)
def test_a_manifest_can_only_name_benchmarks_of_ours(run, name):
    forge_task(run, name)
    with pytest.raises(UserError, match="there is no benchmark"):
        job(["stage=score", "run=r"])


def test_a_path_that_only_the_folder_names_is_not_read(run, tmp_path):
    secret = tmp_path / "private.csv"
    secret.write_text("Question\nmine\n")
    forge_task(run, "gpqa", file=str(secret), data="full")
    with pytest.raises(UserError, match=r"tasks\.gpqa\.file: a path that only the run's folder"):
        job(["stage=score", "run=r"])
    named = job(["stage=score", "run=r", f"tasks.gpqa.file={secret}"])
    assert named.tasks["gpqa"].file == str(secret), "named by the person"
    tasks_of(read_facts(run / "manifest.json"))  # compare and gate read no file: no complaint


@pytest.mark.parametrize(
    "changes",
    [
        {"identity": 3},
        {"identity": {"tasks": [], "model": "m"}},
        {"identity": {"tasks": {}, "model": ["m"]}},
        {"identity": {"tasks": {"gsm8k": "x"}, "model": "m"}},
        {"items": {"gsm8k": {"asked": "12", "of": 12}}},
        {"items": {}},
        {"published_row": ["OpenChat-3.5"]},
        {"report_only": 7},
    ],
)
def test_a_damaged_manifest_is_one_line_everywhere(run, changes, cli):
    forge(run, **changes)
    for command in (
        ("stage=score", "run=r"),
        ("compare", "r", "r"),
        ("gate", "r", "--against", "r"),
    ):
        done = cli(*command)
        assert done.returncode in (2, 3), command
        assert "Traceback" not in done.stderr
        assert "manifest" in done.stderr.splitlines()[-1], command


def test_options_given_now_win_and_other_work_is_refused(run, cli):
    assert (
        job(["stage=report", "run=r", "tasks.gsm8k.num_fewshot=2"]).tasks["gsm8k"].num_fewshot == 2
    )
    for changed in (
        "tasks.gsm8k.num_fewshot=2",
        "limit=3",
        "limit=3 seed=9",
        "task=mmlu data=sample",
    ):
        done = cli("stage=score", "run=r", *changed.split())
        assert done.returncode == 2
        assert "did other work" in done.stderr, changed
    assert cli("stage=score", "run=r", "task=gsm8k", "data=sample").returncode == 0


def test_what_a_run_was_asked_is_scored_again_with_nothing_but_its_name(run, cli):
    before = (run / "scores.jsonl").read_bytes(), json.loads((run / "summary.json").read_text())
    (run / "scores.jsonl").unlink()
    done = cli("stage=score", "run=r")
    assert done.returncode == 0, done.stderr
    after = (run / "scores.jsonl").read_bytes(), json.loads((run / "summary.json").read_text())
    assert after == before


def test_every_task_survives_the_way_through_a_manifest():
    """Options as a manifest has them make the very same benchmark again."""
    for name, task in job(["task=all,gpqa,feedback"]).tasks.items():
        stored = json.loads(json.dumps(task.options()))
        facts = read_facts_of({name: stored})
        again: Task = tasks_of(facts)[name]
        assert again.options() == task.options()


def read_facts_of(tasks: dict[str, dict[str, object]]):
    """Facts as a manifest with these options would give them."""
    import tempfile

    values = {
        "identity": {"tasks": tasks, "model": "m", "seed": 0, "overlong": "error"},
        "items": {name: {"asked": 1, "of": 1} for name in tasks},
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "manifest.json"
        path.write_text(json.dumps(values))
        return read_facts(path)
