"""The configuration: every file composes, typos are refused with the nearest right name."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ochat_eval.__main__ import COMMANDS
from ochat_eval.baseline.figures import tables
from ochat_eval.benchmark.task import Task
from ochat_eval.config.build import build, published_task, task_class
from ochat_eval.config.compose import load, to_yaml
from ochat_eval.config.groups import GROUPS, node, options
from ochat_eval.config.load import job, sources_of
from ochat_eval.config.schema import Config
from ochat_eval.engines.engine import Engine
from ochat_eval.records import UserError
from tests.conftest import CHECKOUT

NEEDED = {
    "model=hf": ["model.path=org/name"],
    "engine=replay": ["engine.path=x.jsonl"],
    "judge=local": ["judge.served_name=x"],
    "judge=feedback": ["judge.served_name=x"],
}


@pytest.mark.parametrize("choice", [f"{g}={name}" for g in GROUPS for name in options(g)])
def test_every_file_of_every_group_composes_and_builds(choice):
    made = job([choice, *NEEDED.get(choice, [])])
    assert made.tasks and all(isinstance(task, Task) for task in made.tasks.values())
    assert isinstance(made.engine, Engine)
    assert (made.judge is None) == (choice.partition("=")[2] == "none" or "judge" not in choice)
    assert made.model.name and made.model.path


@pytest.mark.parametrize("group", GROUPS)
def test_every_file_says_what_it_is_in_its_first_line(group):
    assert all(len(text) > 10 for text in options(group).values())


@pytest.mark.parametrize("name", options("task"))
def test_a_task_file_lists_only_options_that_its_class_has(name):
    tree = yaml.safe_load((CHECKOUT / f"conf/task/{name}.yaml").read_text())
    if "_target_" in tree:
        [task] = job([f"task={name}"]).tasks.values()
        assert {f.name for f in dataclasses.fields(task)} >= set(tree) - {"_target_"}


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (["limt=3"], "limt: there is no such option; did you mean limit?"),
        (["n=4"], "n: there is no such option; did you mean tasks.TASK.n?"),
        (["num_fewshot=4"], "num_fewshot: there is no such option; did you mean tasks.TASK.num_fewshot?"),
        (["temperature=1"], "temperature: there is no such option; did you mean sampling={temperature: …} or tasks.TASK.temperature?"),
        (["base_url=x"], "base_url: there is no such option; did you mean engine.base_url or judge.base_url?"),
        (["limit=1.5"], "limit=1.5: write a number of items, or auto"),
        (["modle=hf"], "modle: there is no such option; did you mean model?"),
        (["task=gsm8"], "task=gsm8: there is no such task; did you mean gsm8k?"),
        (["task=[gsm8k,humanevl]"], "task=humanevl: there is no such task; did you mean humaneval?"),
        (["task=gsm8k,humanevl"], "task=humanevl: there is no such task; did you mean humaneval?"),
        (["limit=1,2"], "limit=1,2: limit is one value, not several"),
        (["limit=1,"], "limit=1,: limit is one value, not several"),
        (["+limit=3"], "+limit=3: write limit=3, without +"),
        (["++limit=3"], "++limit=3: write limit=3, without ++"),
        (["~limit=3"], "~limit=3: write limit=3, without ~"),
        (["~limit"], "'~limit' is no option: write NAME=VALUE"),
        (["+anything=3"], "anything: there is no such option"),
        (["+tasks.gsm8k.limt=3"], "+tasks.gsm8k.limt=3: write tasks.gsm8k.limt=3, without +"),
        (["anything=3"], "anything: there is no such option"),
        (["limit.x=3"], "limit.x=3: Value '{}' of type 'dict' is incompatible with type hint"),
        (["engine=ray", "engine.replica=2"], "engine.replica: there is no such option; did you mean replicas?"),
        (["tokens_per_second=0"], "tokens_per_second=0; it must be above 0"),
        (["tokens_per_second=nan"], "tokens_per_second=nan; it must be above 0"),
        (["engine=vlm"], "engine=vlm: there is no such engine; did you mean vllm?"),
        (["model=smollm"], "model=smollm: there is no such model; did you mean smollm2_135m?"),
        (["model.revison=main"], "model.revison: there is no such option; did you mean revision?"),
        (["precision=0"], "precision=0; it must be above 0 and at most 100"),
        (["precision=1"], "precision is for limit=auto against=NAME"),
        (["limit=auto"], "limit=auto: say against=NAME, a whole run"),
        (["limit=auto", "against=a", "until=decided"], "limit=auto and until=decided each ask less"),
        (["limit=auto", "against=a", "tasks.gsm8k.limit=4"], "limit=auto is of whole benchmarks: leave tasks.gsm8k.limit away"),
        (["limit=many"], "limit=many: write a number of items, or auto"),
        (["stage=plans"], "stage=plans: Invalid value 'plans', expected one of "),
        (["data=real"], "data=real: Invalid value 'real', expected one of "),
        (["tasks.gsm8k.numfewshot=4"], "tasks.gsm8k.numfewshot: there is no such option; did you mean num_fewshot?"),
        (["tasks.gsm8k.num_fewshot=four"], "tasks.gsm8k.num_fewshot: Value 'four'"),
        (["tasks.humaneval.n=2"], "tasks.humaneval is set but not chosen: choose it with task"),
        (["gsm8k"], "'gsm8k' is no option: write NAME=VALUE, as in model=hf"),
        (["task=[]"], "no task is chosen"),
        (["task="], "task=: there is no such task; there are "),
        (["model=hf"], "model.path is not set"),
        (["limit=["], "limit=["),
        (["results=a,b"], "results=a,b: results is one value, not several; a comma within it needs quotes: \"results='A,B'\""),
        (["engine=replay", "engine.path=a,b.jsonl"], "engine.path is one value, not several; a comma within it needs quotes: \"engine.path='A,B'\""),
        (["model.name=[a]"], "model.name is one value, not several; a comma"),
        (["tasks.gsm8k.data=smaple"], "gsm8k: data is smaple; it must be full or sample"),
        (["engine.window=choice(1,2)"], "engine.window: it is one value, not several"),
        (["engine=replay", "engine.pth=x"], "engine.pth: there is no such option; did you mean path?"),
    ],
)  # fmt: skip
def test_mistakes_get_one_line(overrides, line):
    with pytest.raises(UserError) as caught:
        job(overrides)
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "target",
    ["os.system", "subprocess.Popen", "ochat_eval.data.files.FileSource", "ochat_eval.tasks.gsm8k",
     "ochat_eval.tasks.gsm8k.first_examples", "ochat_eval.tasks.no_such.Thing",
     "ochat_eval.tasks..os.system", "ochat_eval.engines.replay.Replay"],
)  # fmt: skip
def test_a_configuration_cannot_call_what_it_likes(target):
    with pytest.raises(UserError):
        build({"_target_": target}, Task, "tasks.x", name="x")


def test_a_target_cannot_come_from_the_command_line():
    for override in (
        "tasks.gsm8k._target_=os.system",
        "engine._target_=os.system",
        "hydra.run.dir=x",
    ):
        with pytest.raises(UserError, match="cannot be set from the command line"):
            load([override])


def test_any_vllm_argument_can_be_named():
    engine = job(["engine.swap_space=2", "engine.window=8"]).engine
    assert engine.arguments["swap_space"] == 2 and engine.window == 8


def test_what_one_job_was_given_is_not_in_the_next():
    first = job(["task=gsm8k,mmlu", "tasks.gsm8k.num_fewshot=2", "engine.a={b: 1}", "limit=3"])
    first.engine.arguments["c"] = 2
    plain = job(["task=gsm8k,mmlu", "engine.a={d: 1}"])
    assert (first.tasks["gsm8k"].num_fewshot, first.tasks["gsm8k"].limit) == (2, 3)
    assert (plain.tasks["gsm8k"].num_fewshot, plain.tasks["gsm8k"].limit) == (None, None)
    assert plain.engine.arguments["a"] == {"d": 1} and "c" not in plain.engine.arguments


def test_a_list_needs_no_brackets():
    for tasks, subsets in (
        ("gsm8k,mmlu", "anatomy,virology"),
        ("[gsm8k,mmlu]", "[anatomy,virology]"),
    ):
        made = job([f"task={tasks}", f"tasks.mmlu.subsets={subsets}"])
        assert list(made.tasks) == ["gsm8k", "mmlu"]
        assert made.tasks["mmlu"].subsets == ["anatomy", "virology"]


def test_task_options_win_over_the_run():
    options = ["task=[gsm8k,humaneval]", "limit=9", "tasks.gsm8k.limit=4", "data=sample"]
    gsm8k, humaneval = job(options).tasks.values()
    assert (gsm8k.limit, humaneval.limit, gsm8k.data) == (4, 9, "sample")


@pytest.mark.parametrize(
    ("given", "rule", "changed"),
    [
        ("model=openchat_3.5", "2023-11", []),
        ("model=openchat_3.5_1210", "2023-11", []),
        ("model=openchat_3.5_0106", "2024-01", []),
        ("model=smollm2_135m", "2024-01", []),
        ("model=./mine model.published=OpenChat-3.5-1210", "2023-11", []),
        (
            "model=openchat_3.5 tasks.humaneval.code_rule=2024-01",
            "2024-01",
            ["code_rule=2024-01"],
        ),
        (
            "model=openchat_3.5_0106 tasks.humaneval.code_rule=2023-11",
            "2023-11",
            ["code_rule=2023-11"],
        ),
    ],
)
def test_the_published_row_chooses_the_rule_of_its_day(given, rule, changed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    made = job(["task=humaneval", *given.split()])
    assert made.tasks["humaneval"].code_rule == rule
    assert made.changed["humaneval"] == changed


def test_a_run_from_before_a_rule_could_be_chosen_was_read_by_the_older():
    """Its identity has nothing of the option, and is still that of the older rule."""
    old, new = (
        job(["task=humaneval", f"tasks.humaneval.code_rule={rule}"]).tasks["humaneval"]
        for rule in ("2023-11", "2024-01")
    )
    assert "code_rule" not in old.options() and new.options()["code_rule"] == "2024-01"


def test_every_row_that_a_benchmark_names_is_published_and_every_option_there():
    rows = {row for table in tables().values() for row in table["rows"]}
    for name in options("task"):
        if "_target_" in node("task", name):
            for row, values in task_class(name, "task").published_with.items():
                assert row in rows
                options_there = dataclasses.asdict(published_task(name, row))
                assert options_there | values == options_there


def test_conditions_are_kept_only_for_models_that_have_them():
    [with_conditions] = job(["task=gsm8k", "model=openchat_3.5_0106"]).tasks.values()
    [without] = job(["task=gsm8k", "model=smollm2_135m"]).tasks.values()
    assert (with_conditions.condition, without.condition) == ("Math Correct", None)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("system=Be brief, and kind: {1} 'x' = $2", "Be brief, and kind: {1} 'x' = $2"),
        ("system='Be brief'", "Be brief"),
        ("system=null", None),
        ("template=a b.jinja", "a b.jinja"),
        ("thinking=[<think>,</think>]", ["<think>", "</think>"]),
        ("thinking=none", "none"),
        ("stop=[<|im_end|>]", ["<|im_end|>"]),
        ('stop=["\\n\\n", "Q:"]', ["\\n\\n", "Q:"]),
        ("template_kwargs={enable_thinking: false}", {"enable_thinking": False}),
        ("template_kwargs.effort=low", {"effort": "low"}),
    ],
)
def test_texts_and_marks_are_taken_letter_by_letter(option, value):
    model = job(["task=gsm8k", f"model.{option}"]).model
    assert getattr(model, option.partition("=")[0].partition(".")[0]) == value


@pytest.mark.parametrize("name", ["1.10", "2026_11", "1e3", "true", "modèle-選"])
def test_a_runs_name_is_taken_as_it_is_written(name):
    """Hydra reads numbers in some, and nothing in letters beyond ASCII."""
    config = load(["task=gsm8k", f"run={name}", f"reuse={name}", f"against={name},base"])
    assert (config.run, config.reuse, config.against) == (name, name, [name, "base"])


@pytest.mark.parametrize("text", ["1.10", "2026_11", "1e3", "007", "true"])
def test_a_text_of_the_model_or_engine_is_taken_as_it_is_written(text):
    given = [f"model.{name}={text}" for name in ("name", "path", "revision")]
    found = job(
        ["task=gsm8k", *given, "engine=replay", f"engine.path={text}", "engine.ignore_unknown=true"]
    )
    assert (found.model.name, found.model.path, found.model.revision) == (text, text, text)
    assert (found.engine.path, found.engine.ignore_unknown) == (text, True)


@pytest.mark.parametrize("option", ["model.name", "engine.path"])
def test_a_text_with_a_comma_is_taken_in_quotes(option):
    found = job(["task=gsm8k", "engine=replay", "engine.path=a", f"{option}='a,b'"])
    assert "a,b" in (found.model.name, found.engine.path)


@pytest.mark.parametrize(
    "path", ["~/Jörg/a.jsonl", "step=100/a#1.jsonl", "選.jsonl", "a b & c.jsonl"]
)
def test_a_path_needs_no_quotes(path):
    config = load(["task=gsm8k", f"results={path}", "engine=replay", f"engine.path={path}"])
    assert config.results == config.engine["path"] == path


def test_a_choice_of_ones_own_may_have_any_name(tmp_path, cli):
    (tmp_path / "conf/task").mkdir(parents=True)
    file = tmp_path / "conf/task/prüfung.yaml"
    shipped = CHECKOUT / "conf/task/gsm8k.yaml"
    file.write_text(shipped.read_text("utf-8").replace("tasks.gsm8k\n", "tasks.prüfung\n"), "utf-8")
    done = cli("--config-dir", "conf", "task=prüfung,mmlu", "data=sample", "--cfg", "job")
    assert done.returncode == 0 and "  prüfung:" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"# mine\na: [\n", "mine.yaml: cannot be read as YAML: while parsing"),
        (b"\xff\xfe", "mine.yaml: cannot be read as YAML: 'utf-8' codec"),
        (b"a: " + b"[" * 3000, "mine.yaml: cannot be read as YAML: maximum recursion depth"),
        (
            b"_target_: ochat_eval.tasks.gsm8k.Gsm8k",
            "task/mine.yaml: its first line must be # @package tasks.mine",
        ),
    ],
)
def test_a_file_of_ones_own_that_is_damaged(tmp_path, cli, content, complaint):
    (tmp_path / "conf/task").mkdir(parents=True)
    (tmp_path / "conf/task/mine.yaml").write_bytes(content)
    done = cli("--config-dir", "conf", "task=mine", "stage=plan")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert complaint in done.stderr
    assert "mine" in cli("--config-dir", "conf", "run", "--help").stdout


def test_a_gguf_file_is_a_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("own.gguf").write_bytes(b"GGUF")
    model = job(["task=gsm8k", "model=own.gguf"]).model
    assert (model.path, model.name) == ("own.gguf", "own")


CONDITIONS = [  # as the README of each model's day runs its benchmarks (docs/sources.md)
    ("openchat_3.5", ["Code", "GPT4 Correct", "GPT4 Correct", "GPT4 Correct"]),
    ("openchat_3.5_1210", ["GPT4 Correct", "Math Correct", "Math Correct", "GPT4 Correct"]),
    ("openchat_3.5_0106", ["GPT4 Correct", "Math Correct", "Math Correct", "GPT4 Correct"]),
]


@pytest.mark.parametrize(("model", "conditions"), CONDITIONS)
def test_each_models_benchmarks_have_the_conditions_of_its_day(model, conditions):
    made = job(["task=humaneval,gsm8k,math,mmlu", f"model={model}"])
    assert [task.condition for task in made.tasks.values()] == conditions
    assert set(conditions) <= set(made.model.conditions)
    assert not any(made.changed.values())
    named = job(["task=gsm8k", f"model={model}", "tasks.gsm8k.condition=GPT4 Correct"])
    assert named.tasks["gsm8k"].condition == "GPT4 Correct", "the command line wins"


def test_the_saved_configuration_reads_back():
    config = load(["task=demo", "limit=3"])
    tree = yaml.safe_load(to_yaml(config))
    assert tree["limit"] == 3 and set(tree) == {f.name for f in dataclasses.fields(Config)}


def test_sources_of_all_tasks_are_listed():
    assert len(sources_of([])) > 2
    assert {s.kind for s in sources_of(["gsm8k"])} == {"hub", "file"}


def test_help_teaches(cli):
    for shown in (cli("--help"), cli("run", "--help")):
        assert shown.returncode == 0 and shown.stdout.count("\n  ochat-eval ") >= 3
    for group in GROUPS:
        for name in options(group):
            assert f"\n  {name} " in shown.stdout
    for field in dataclasses.fields(Config):
        assert field.name in shown.stdout
    first = cli("--help")
    for name in COMMANDS:
        assert f"\n  {name} " in first.stdout
    assert len(first.stdout.splitlines()) < 40, "one screen"


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"]])
def test_help_is_quick(arguments):
    script = (
        f"from ochat_eval.__main__ import main; import sys; main({arguments}); "
        "print(sorted({'hydra', 'omegaconf', 'torch', 'vllm', 'transformers'} & set(sys.modules)))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=CHECKOUT, check=True
    )
    assert loaded.stdout.splitlines()[-1] == "[]"


def test_heavy_packages_are_imported_only_where_used():
    script = (
        "import sys, ochat_eval.pipeline, ochat_eval.tasks.gsm8k, ochat_eval.tasks.humaneval; "
        "print(sorted({'torch', 'vllm', 'transformers', 'datasets', 'pandas', 'evalplus', "
        "'fastchat', 'sympy', 'pyarrow', 'scipy'} & set(sys.modules)))"
    )
    env = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=env, cwd=Path("/")
    )
    assert done.stdout.strip() == "[]", done.stderr
